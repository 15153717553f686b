package bitcoin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// sequenceReplaceable signals that a higher fee may replace the transaction (BIP125) and keeps the lock time in force.
const sequenceReplaceable = 0xfffffffd

// feeRateMax is far above every rate that was ever paid for long; a greater one is a mistake of units.
const feeRateMax = 2_000_000

// coinsMax keeps the sum of coins far inside 64 bits, and the search for a good set short.
const coinsMax = 4096

// Coin is an unspent output of the spending wallet.
type Coin struct {
	Outpoint wire.OutPoint
	Value    int64
	Branch   wallet.Branch
	Index    uint32
	PrevTx   []byte // the whole transaction that made it
}

// Request asks for a packet that moves coins between two pinned wallets, or pays a script outside of them.
type Request struct {
	From        wallet.Wallet
	To          wallet.Wallet
	ToIndex     uint32
	Payee       []byte // script that is paid in the place of To, out of the address book
	Amount      int64  // satoshi that arrive; zero with All: whatever is left of the coins
	All         bool   // spend every coin that fits and is worth its fee: a sweep, or with To equal to From a consolidation
	InputsMax   int    // coins at most; zero: as many as fit into a transaction
	ChangeIndex uint32
	FeeRate     int64 // satoshi per 1000 virtual bytes
	Coins       []Coin
	Height      uint32 // of the chain's tip; becomes the lock time, so that nobody gains by rewriting older blocks
	Rand        io.Reader
}

// Plan says what was built.
type Plan struct {
	Inputs       []Coin // in the order of the transaction
	Change       int64  // zero when there is none
	Fee          int64
	VirtualBytes int64
	PayloadBytes int // of the packet as it crosses the gap, without previous transactions
	ProofBytes   int // of the previous transactions, each once
}

// Build makes a packet and proves it, so that what leaves here is what a signer accepts.
func Build(r Request) (*Packet, Plan, error) {
	if err := r.check(); err != nil {
		return nil, Plan{}, err
	}
	picked, err := r.pick()
	if err != nil {
		return nil, Plan{}, err
	}
	sort.Slice(picked.coins, func(i, j int) bool { return outpointLess(picked.coins[i].Outpoint, picked.coins[j].Outpoint) })
	return r.assemble(picked)
}

// assemble writes the packet and proves it. Previous transactions are written once each and joined, because as many
// copies as coins could be longer than a packet may be.
func (r Request) assemble(picked choice) (*Packet, Plan, error) {
	stripped, proofs, err := r.write(picked)
	if err != nil {
		return nil, Plan{}, err
	}
	p, err := Join(stripped, proofs)
	if err != nil {
		return nil, Plan{}, fmt.Errorf("packet just built: %w", err)
	}
	found, err := prove(p, Scope{From: r.From, To: r.To, ToIndex: r.ToIndex, ToKnown: r.Payee == nil, IndexMax: math.MaxInt32})
	if err != nil {
		return nil, Plan{}, fmt.Errorf("packet just built: %w", err)
	}
	plan := Plan{picked.coins, picked.change, found.fee, found.facts.VirtualBytes, len(stripped), 0}
	for _, proof := range proofs {
		plan.ProofBytes += len(proof)
	}
	return p, plan, nil
}

const fixRequest = "correct the request"

func (r Request) check() error {
	if r.From.Threshold() == 0 || r.To.Threshold() == 0 && r.Payee == nil || r.Rand == nil {
		return errors.New("request without wallets or randomness")
	}
	if r.FeeRate < 1 || r.FeeRate > feeRateMax {
		return spend.Refuse("fee-rate-range", "request", fmt.Sprintf("1 to %d satoshi per 1000 vB", feeRateMax), fmt.Sprint(r.FeeRate), fixRequest)
	}
	if r.Amount == 0 && !r.All || r.Amount < 0 || r.Amount > satsMax {
		return spend.Refuse("amount-range", "request", "an amount, or all", fmt.Sprintf("%d satoshi, all %t", r.Amount, r.All), fixRequest)
	}
	if err := r.payeeHolds(); err != nil {
		return err
	}
	seen := map[wire.OutPoint]bool{}
	for _, c := range r.Coins {
		if seen[c.Outpoint] {
			return spend.Refuse("input-duplicate", "coin "+c.Outpoint.String(), "each coin once", "it again", fixRequest)
		}
		seen[c.Outpoint] = true
		if c.Value < 1 || c.Value > satsMax || len(r.Coins) > coinsMax {
			return spend.Refuse("amount-range", "coin "+c.Outpoint.String(), fmt.Sprintf("1 satoshi to 21 million BTC, in up to %d coins", coinsMax),
				fmt.Sprintf("%d satoshi, %d coins", c.Value, len(r.Coins)), fixRequest)
		}
	}
	return nil
}

// payeeHolds refuses to pay a script that nobody could spend from, or too little for anybody to relay it.
func (r Request) payeeHolds() error {
	if r.Payee == nil {
		return nil
	}
	if code := payable(r.Payee); code != "" {
		return spend.Refuse(code, "payee", "a standard script that can be spent", fmt.Sprintf("%x", shorten(r.Payee)), fixRequest)
	}
	if least := dustFor(r.Payee); r.Amount < least {
		return spend.Refuse("output-dust", "request", fmt.Sprintf("at least %d satoshi to this kind of address", least), fmt.Sprintf("%d satoshi", r.Amount),
			"ask for more; nodes relay no output that costs more to spend than it holds")
	}
	return nil
}

// destination is the script that is paid.
func (r Request) destination() ([]byte, error) {
	if r.Payee != nil {
		return r.Payee, nil
	}
	derived, err := r.To.Derive(wallet.Receive, r.ToIndex)
	return derived.ScriptPubKey, err
}

func outpointLess(a, b wire.OutPoint) bool {
	if c := compareReversed(a.Hash[:], b.Hash[:]); c != 0 {
		return c < 0
	}
	return a.Index < b.Index
}

// pick selects coins for the amount, or as many as fit for All.
func (r Request) pick() (choice, error) {
	destination, err := r.destination()
	if err != nil {
		return choice{}, err
	}
	size := int64(len(appendOutput(nil, 0, destination)))
	s := selector{m: r.From.Threshold(), n: len(r.From.Keys()), most: r.InputsMax, rate: r.FeeRate, amount: r.Amount, destination: size}
	if r.All {
		return s.everything(r.Coins, dustFor(destination))
	}
	picked, ok, err := s.choose(r.Coins, r.Rand)
	if err == nil && !ok && s.most > 0 {
		s.most = 0
		if picked, ok, err = s.choose(r.Coins, r.Rand); ok {
			return choice{}, spend.Refuse("inputs-above-cap", "coins", fmt.Sprintf("at most %d for %s", r.InputsMax, money.Sats(r.Amount)),
				fmt.Sprint(len(picked.coins)), "consolidate small coins first, or ask for less")
		}
	}
	if err != nil {
		return choice{}, fmt.Errorf("coin selection: %w", err)
	}
	if !ok {
		return choice{}, short(r.Coins, fmt.Sprintf("coins worth %s and their fee in one transaction", money.Sats(r.Amount)))
	}
	return picked, nil
}

func short(coins []Coin, expected string) error {
	total := int64(0)
	for _, c := range coins {
		total += c.Value
	}
	return spend.Refuse("funds-insufficient", "coins", expected, fmt.Sprintf("%d coins of %d satoshi", len(coins), total),
		"wait for deposits, lower the amount, or consolidate small coins first")
}

// everything takes all coins worth their fee, the largest first when not all fit. Without an amount it follows from
// them; with one, what is left returns as change.
func (s selector) everything(coins []Coin, least int64) (choice, error) {
	worth := s.worth(coins)
	for len(worth) > 0 && !s.fits(len(worth), false) {
		worth = worth[:len(worth)-1]
	}
	if s.amount > 0 {
		if picked, ok := s.settle(worth); ok {
			return picked, nil
		}
		return choice{}, short(coins, fmt.Sprintf("coins that leave %s after their fee", money.Sats(s.amount)))
	}
	total := int64(0)
	for _, c := range worth {
		total += c.Value
	}
	fee := feeFor(s.weightOf(len(worth), false), s.rate)
	if len(worth) == 0 || total-fee < least {
		return choice{}, short(coins, fmt.Sprintf("coins that leave %d satoshi after the fee", least))
	}
	return choice{coins: worth, fee: fee}, nil
}

// paid is one output with what the packet says about it.
type paid struct {
	value  int64
	script []byte
	notes  fields
}

// write gives the packet without previous transactions, and these each once.
func (r Request) write(picked choice) (stripped []byte, proofs [][]byte, err error) {
	outputs, err := r.outputs(picked)
	if err != nil {
		return nil, nil, err
	}
	tx := binary.LittleEndian.AppendUint32(nil, 2)
	tx = appendCompact(tx, uint64(len(picked.coins)))
	maps := make([]fields, 0, len(picked.coins)+len(outputs))
	shelf := parents{}
	for _, c := range picked.coins {
		tx = binary.LittleEndian.AppendUint32(append(tx, c.Outpoint.Hash[:]...), c.Outpoint.Index)
		tx = binary.LittleEndian.AppendUint32(append(tx, 0), sequenceReplaceable)
		spent, err := shelf.output(c)
		if err != nil {
			return nil, nil, err
		}
		m, err := r.inputMap(c, spent)
		if err != nil {
			return nil, nil, err
		}
		maps = append(maps, m)
	}
	tx = appendCompact(tx, uint64(len(outputs)))
	for _, o := range outputs {
		tx = appendOutput(tx, o.value, o.script)
		maps = append(maps, o.notes)
	}
	tx = binary.LittleEndian.AppendUint32(tx, r.Height)
	stripped = fields{}.with(globalUnsignedTx, nil, tx).append([]byte(magic))
	for _, m := range maps {
		stripped = m.append(stripped)
	}
	for _, p := range shelf {
		proofs = append(proofs, p.tx.stripped)
	}
	return stripped, proofs, nil
}

// parents are the previous transactions of the coins by txid, each read once.
type parents map[[32]byte]parent

type parent struct {
	raw []byte
	tx  transaction
}

// output finds a coin in the transaction that made it.
func (p parents) output(c Coin) (txOutput, error) {
	where := "coin " + c.Outpoint.String()
	known, ok := p[c.Outpoint.Hash]
	if !ok || !bytes.Equal(known.raw, c.PrevTx) {
		read, err := readTransaction(c.PrevTx, where)
		if err != nil {
			return txOutput{}, err
		}
		if read.txid() != c.Outpoint.Hash {
			return txOutput{}, mismatched(where)
		}
		known = parent{c.PrevTx, read}
		p[c.Outpoint.Hash] = known
	}
	if uint64(c.Outpoint.Index) >= uint64(len(known.tx.outputs)) {
		return txOutput{}, mismatched(where)
	}
	return known.tx.outputs[c.Outpoint.Index], nil
}

func mismatched(where string) error {
	return spend.Refuse("previous-tx-mismatch", where, "the transaction that made the coin", "another", fixRequest)
}

// outputs are the destination and the change, sorted by amount and script, so that their order tells nothing.
func (r Request) outputs(picked choice) ([]paid, error) {
	destination, err := r.destination()
	if err != nil {
		return nil, err
	}
	amount := r.Amount
	if amount == 0 {
		for _, c := range picked.coins {
			amount += c.Value
		}
		amount -= picked.fee
	}
	out := []paid{{amount, destination, fields{}}}
	if picked.change > 0 {
		change, err := r.From.Derive(wallet.ChangeBranch, r.ChangeIndex)
		if err != nil {
			return nil, err
		}
		notes := fields{}.with(outputWitnessScript, nil, change.WitnessScript)
		for _, k := range change.Keys {
			notes = notes.with(outputDerivation, k.PubKey[:], derivationValue(k))
		}
		out = append(out, paid{picked.change, change.ScriptPubKey, notes})
	}
	sort.SliceStable(out, func(i, j int) bool {
		return out[i].value < out[j].value || out[i].value == out[j].value && bytes.Compare(out[i].script, out[j].script) < 0
	})
	return out, nil
}

// inputMap describes a coin. Its previous transaction goes beside the packet, without its witnesses: its txid does not
// cover them, and they are most of its bytes on the way through a QR code.
func (r Request) inputMap(c Coin, spent txOutput) (fields, error) {
	derived, err := r.From.Derive(c.Branch, c.Index)
	if err != nil {
		return fields{}, err
	}
	if spent.value != c.Value || !bytes.Equal(spent.script, derived.ScriptPubKey) {
		return fields{}, spend.Refuse("input-foreign", "coin "+c.Outpoint.String(), fmt.Sprintf("%d satoshi at %s", c.Value, derived.Address),
			fmt.Sprintf("%d satoshi at %x", spent.value, shorten(spent.script)), fixRequest)
	}
	m := fields{}.with(inputWitnessUtxo, nil, spent.bytes)
	m = m.with(inputSighash, nil, []byte{sighashAll, 0, 0, 0}).with(inputWitnessScript, nil, derived.WitnessScript)
	for _, k := range derived.Keys {
		m = m.with(inputDerivation, k.PubKey[:], derivationValue(k))
	}
	return m, nil
}

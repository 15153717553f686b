package bitcoin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Scope is what a packet is judged against: the spending wallet, and where an internal move may go.
type Scope struct {
	From     wallet.Wallet
	To       wallet.Wallet
	ToIndex  uint32 // receive index of To that the destination must have
	ToKnown  bool   // without it every output that is not change is external
	IndexMax uint32 // the greatest index of an input, of change or of the destination
}

// provenInput is a coin whose script our wallet derives and whose amount its transaction proves.
type provenInput struct {
	derived  *ours
	amount   int64
	digest   [32]byte
	partials []Signature // valid ones that the packet carries
}

// prover collects refusals, so that one look shows everything that is wrong.
type prover struct {
	packet   *Packet
	scope    Scope
	known    *scripts
	foreseen map[place]*ours // those that inputs point to, derived together by heirs
	heirs    *heirs
	inputs   []provenInput
	outputs  []chain.Output
	refusals []error
}

// scripts are those of the spending wallet that were derived one by one, each once however many inputs are proven at a
// time.
type scripts struct {
	mutex sync.Mutex
	at    map[place]wallet.Derived
}

// place is where a script stands in a wallet.
type place struct {
	branch wallet.Branch
	index  uint32
}

const fixCoordinator = "build the packet again from the pinned wallet; if it still differs, treat the sender as hostile"

func (v *prover) refuse(code, where, expected, found string) {
	v.refusals = append(v.refusals, spend.Refuse(code, where, expected, found, fixCoordinator))
}

func prove(p *Packet, s Scope) (*Proven, error) {
	v := &prover{packet: p, scope: s, known: &scripts{at: map[place]wallet.Derived{}}}
	if !v.scopeHolds() || !v.shapeHolds() {
		return nil, errors.Join(v.refusals...)
	}
	v.payment()
	v.timing()
	v.proveInputs()
	v.proveOutputs()
	fee := v.totals()
	v.prevented()
	if len(v.refusals) > 0 {
		return nil, errors.Join(v.refusals...)
	}
	if err := v.digests(); err != nil {
		return nil, err
	}
	v.partials()
	if len(v.refusals) > 0 {
		return nil, errors.Join(v.refusals...)
	}
	return &Proven{msg: p.msg, scope: s, facts: v.facts(fee), inputs: v.inputs, fee: fee}, nil
}

// scopeHolds checks that both wallets live on one network: a drill wallet never pays, or is paid by, a real one.
func (v *prover) scopeHolds() bool {
	s := v.scope
	if s.From.Threshold() < 1 || len(s.From.Keys()) < s.From.Threshold() {
		v.refusals = append(v.refusals, spend.Refuse("wallet-missing", "scope", "a pinned spending wallet", "none", "pin it: coldsign wallet add FILE"))
	}
	if s.ToKnown && s.To.Network() != s.From.Network() {
		v.refuse("network-mismatch", "scope", string(s.From.Network()), string(s.To.Network()))
	}
	if s.ToKnown && s.ToIndex > s.IndexMax {
		v.refuse("index-beyond-limit", "destination", fmt.Sprintf("an index up to %d", s.IndexMax), fmt.Sprint(s.ToIndex))
	}
	return len(v.refusals) == 0
}

// shapeHolds checks what must hold before it is worth deriving thousands of keys.
func (v *prover) shapeHolds() bool {
	t := v.packet.tx
	if t.version != 1 && t.version != 2 {
		v.refuse("tx-version", "transaction", "1 or 2", fmt.Sprint(int32(t.version)))
	}
	if len(t.inputs) == 0 {
		v.refuse("tx-no-inputs", "transaction", "at least one input", "none")
	}
	if len(t.outputs) == 0 {
		v.refuse("tx-no-outputs", "transaction", "at least one output", "none")
	}
	if w := v.weight(); w > weightMax {
		v.refuse("tx-too-heavy", "transaction", fmt.Sprintf("weight up to %d when signed", weightMax), fmt.Sprint(w))
	}
	seen := map[string]int{}
	for i, in := range t.inputs {
		where := fmt.Sprintf("input %d", i)
		if first, again := seen[string(in.outpoint)]; again {
			v.refuse("input-duplicate", where, "each coin once", fmt.Sprintf("the coin of input %d again", first))
		}
		seen[string(in.outpoint)] = i
		if [32]byte(in.outpoint[:32]) == ([32]byte{}) || [4]byte(in.outpoint[32:]) == [4]byte{255, 255, 255, 255} {
			v.refuse("outpoint-null", where, "an output of a transaction", "an outpoint of a coinbase")
		}
	}
	return len(v.refusals) == 0
}

func (v *prover) weight() int64 {
	from, t := v.scope.From, v.packet.tx
	return finishedWeight(len(t.stripped), len(t.inputs), from.Threshold(), len(from.Keys()))
}

// payment refuses a packet that asks for the signature of a message (BIP322): what it signs is no payment, and its reader
// must not be shown one.
func (v *prover) payment() {
	if _, ok := v.packet.global.value(globalMessage); ok {
		v.refuse("field-foreign", "global map", "a payment", "a message to sign, type 0x09")
	}
}

// timing refuses lock times and sequences whose meaning depends on more than a block height: a reader of the screen must
// be able to say when the transaction can be mined.
func (v *prover) timing() {
	const sequenceFinal, timeFirst = 0xffffffff, 500_000_000
	t, moot := v.packet.tx, true
	for i, in := range t.inputs {
		moot = moot && in.sequence == sequenceFinal
		if in.sequence < sequenceFinal-2 {
			v.refuse("sequence-unusual", fmt.Sprintf("input %d", i), "fffffffd, fffffffe or ffffffff", fmt.Sprintf("%08x", in.sequence))
		}
	}
	if t.lockTime >= timeFirst {
		v.refuse("locktime-time", "transaction", "a block height", fmt.Sprintf("the clock time %d", t.lockTime))
	}
	if t.lockTime > 0 && moot {
		v.refuse("locktime-moot", "transaction", "an input that keeps the lock time in force", fmt.Sprintf("lock time %d and only final sequences", t.lockTime))
	}
}

// totals checks every amount and sum and returns the fee.
func (v *prover) totals() int64 {
	in, out := int64(0), int64(0)
	for i, o := range v.packet.tx.outputs {
		if o.value < 0 || o.value > satsMax {
			v.refuse("amount-range", fmt.Sprintf("output %d", i), "0 to 21 million BTC", fmt.Sprintf("%d satoshi", o.value))
			return 0
		}
		if out += o.value; out > satsMax {
			v.refuse("amount-sum", "outputs", "at most 21 million BTC", fmt.Sprintf("%d satoshi", out))
			return 0
		}
	}
	for _, coin := range v.inputs {
		if in += coin.amount; in > satsMax {
			v.refuse("amount-sum", "inputs", "at most 21 million BTC", fmt.Sprintf("%d satoshi", in))
			return 0
		}
	}
	if len(v.inputs) == len(v.packet.tx.inputs) && len(v.refusals) == 0 && out > in {
		v.refuse("fee-negative", "transaction", fmt.Sprintf("outputs of at most %s", money.Sats(in)), money.Sats(out).String())
	}
	return in - out
}

// prevented holds the rules about change that need the whole picture.
func (v *prover) prevented() {
	change, largest := 0, int64(0)
	for _, coin := range v.inputs {
		largest = max(largest, coin.amount)
	}
	complete := len(v.inputs) == len(v.packet.tx.inputs)
	destinations := 0
	for _, o := range v.outputs {
		where := fmt.Sprintf("output %d", o.Position)
		switch o.Role {
		case chain.Change:
			if change++; change == 2 {
				v.refuse("change-repeated", where, "at most one change output", "another one")
			}
			if sats, _ := o.Amount.Int64(); complete && sats > largest {
				v.refuse("change-exceeds-inputs", where, "change below the largest input, "+money.Sats(largest).String(), o.Amount.String())
			}
		case chain.Destination:
			if destinations++; destinations == 2 {
				v.refuse("destination-repeated", where, "the destination once", "it again")
			}
		}
	}
}

func (v *prover) facts(fee int64) chain.Facts {
	p, from := v.packet, v.scope.From
	f := chain.Facts{
		Network: from.Network(), From: from.ID(), FromName: from.Name(), FromTier: from.Tier(),
		Threshold: from.Threshold(), Keys: len(from.Keys()), TxID: p.TxID(),
		Outputs: v.outputs, Fee: money.Sats(fee), VirtualBytes: virtual(v.weight()), LockTime: p.tx.lockTime,
		UnknownFields: p.UnknownFields(), PayloadBytes: p.size, SignedBy: len(from.Keys()),
	}
	for i, in := range p.tx.inputs {
		coin := v.inputs[i]
		f.Replaceable = f.Replaceable || in.sequence < 0xfffffffe
		f.SignedBy = min(f.SignedBy, len(coin.partials))
		f.Inputs = append(f.Inputs, chain.Input{Outpoint: outpointText(in.outpoint), Amount: money.Sats(coin.amount),
			Change: coin.derived.Branch == wallet.ChangeBranch, Index: coin.derived.Index})
	}
	f.Hashes = []chain.Hash{{Name: "sha256 of the PSBT", Value: hex.EncodeToString(p.digest())}}
	return f
}

// derive gives a script of the spending wallet, from memory when many coins share it.
func (v *prover) derive(at place) (wallet.Derived, error) {
	v.known.mutex.Lock()
	defer v.known.mutex.Unlock()
	if d, ok := v.known.at[at]; ok {
		return d, nil
	}
	d, err := v.scope.From.Derive(at.branch, at.index)
	if err == nil {
		v.known.at[at] = d
	}
	return d, err
}

package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// Final is a finished transaction that the script engine has accepted.
type Final struct {
	TxID         string
	Raw          []byte
	VirtualBytes int64
	Fee          money.Amount
}

// Finalise merges the answers of different keys into a transaction. The order of the answers and repetitions do not
// matter: of two answers by one key the one with the smaller bytes counts, and of more than m keys those at the lowest
// positions do. Signatures that the packet itself carries count like answers.
func Finalise(p *Packet, s Scope, answers [][]Signature) (Final, error) {
	found, err := prove(p, s)
	if err != nil {
		return Final{}, err
	}
	return found.Finalise(answers)
}

// Finalise merges the answers of different keys into a transaction, as the function of that name does.
func (f *Proven) Finalise(answers [][]Signature) (Final, error) {
	chosen, err := choose(f.established(), answers, f.scope.From.Threshold())
	if err != nil {
		return Final{}, err
	}
	tx := f.msg.Copy()
	for i, coin := range f.inputs {
		tx.TxIn[i].Witness = coin.witness(chosen, i)
	}
	return f.finish(tx)
}

// finish checks the signed transaction as if somebody else had assembled it: same identity, no larger than the fee was
// judged for, and accepted by every script.
func (f *Proven) finish(tx *wire.MsgTx) (Final, error) {
	const where, fix = "final transaction", "report it: every part of it had been verified"
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return Final{}, fmt.Errorf("%s: %w", where, err)
	}
	read, err := readTransaction(raw.Bytes(), where)
	if err != nil {
		return Final{}, err
	}
	if id := displayTxID(read.id); id != f.facts.TxID {
		return Final{}, spend.Refuse("txid-changed", where, f.facts.TxID, id, fix)
	}
	size := virtual(int64(3*len(read.stripped) + raw.Len()))
	if size > f.facts.VirtualBytes {
		return Final{}, spend.Refuse("size-exceeded", where, fmt.Sprintf("at most %d vB", f.facts.VirtualBytes), fmt.Sprint(size), fix)
	}
	if err := f.execute(tx); err != nil {
		return Final{}, err
	}
	return Final{TxID: f.facts.TxID, Raw: raw.Bytes(), VirtualBytes: size, Fee: money.Sats(f.fee)}, nil
}

// choose verifies every answer and picks exactly m of different keys.
func choose(found *Proven, answers [][]Signature, m int) ([]answer, error) {
	check, best, nonces, refusals := newChecker(), map[int]answer{}, []Nonce{}, []error{}
	for _, signatures := range append(found.carried(), answers...) {
		a, err := check.answer(found, signatures)
		if err != nil {
			refusals = append(refusals, err)
			continue
		}
		nonces = append(nonces, found.nonces(signatures)...)
		if before, again := best[a.position]; !again || slices.CompareFunc(a.signatures, before.signatures, bytes.Compare) < 0 {
			best[a.position] = a
		}
	}
	if err := NonceReuse(nonces); err != nil {
		refusals = append(refusals, err)
	}
	if len(refusals) > 0 {
		return nil, errors.Join(refusals...)
	}
	if len(best) < m {
		return nil, spend.Refuse("signatures-missing", "answers", fmt.Sprintf("answers of %d different keys", m), fmt.Sprint(len(best)), "let another signer sign")
	}
	chosen := make([]answer, 0, len(best))
	for _, a := range best {
		chosen = append(chosen, a)
	}
	slices.SortFunc(chosen, func(a, b answer) int { return a.position - b.position })
	return chosen[:m], nil
}

// carried groups the signatures in the packet by key. A key that signed only some inputs has not answered.
func (f *Proven) carried() [][]Signature {
	byPosition := map[int][]Signature{}
	for _, coin := range f.inputs {
		for _, sig := range coin.partials {
			position, _ := coin.positionOf(sig.PubKey)
			byPosition[position] = append(byPosition[position], sig)
		}
	}
	var out [][]Signature
	for position := range f.facts.Keys {
		if len(byPosition[position]) == len(f.inputs) {
			out = append(out, byPosition[position])
		}
	}
	return out
}

// Carried returns the complete answers in a packet that another program has signed, one for each key, verified.
func Carried(p *Packet, s Scope) ([][]Signature, error) {
	found, err := prove(p, s)
	if err != nil {
		return nil, err
	}
	return found.carried(), nil
}

// witness lays out the stack for OP_CHECKMULTISIG: the empty item it takes too much, the signatures in the order of the
// keys in the script, and the script.
func (c provenInput) witness(chosen []answer, input int) wire.TxWitness {
	inScript := func(a, b answer) int {
		return bytes.Compare(c.derived.Keys[a.position][:], c.derived.Keys[b.position][:])
	}
	out := wire.TxWitness{nil}
	for _, a := range slices.SortedFunc(slices.Values(chosen), inScript) {
		out = append(out, a.signatures[input])
	}
	return append(out, c.derived.WitnessScript)
}

// execute runs every input through the script engine with the flags that relay uses.
func (f *Proven) execute(tx *wire.MsgTx) error {
	fetcher := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range tx.TxIn {
		fetcher.AddPrevOut(in.PreviousOutPoint, &wire.TxOut{Value: f.inputs[i].amount, PkScript: f.inputs[i].derived.ScriptPubKey})
	}
	shared := txscript.NewTxSigHashes(tx, fetcher)
	for i, coin := range f.inputs {
		engine, err := txscript.NewEngine(coin.derived.ScriptPubKey, tx, i, txscript.StandardVerifyFlags, nil, shared, coin.amount, fetcher)
		if err == nil {
			err = engine.Execute()
		}
		if err != nil {
			return spend.Refuse("script-refused", fmt.Sprintf("input %d", i), "a witness that the script accepts", err.Error(), "report it: every signature had been verified")
		}
	}
	return nil
}

// WithSignatures gives the packet with partial signatures, for programs that take signatures only that way. It places
// them and verifies nothing: see VerifySignatures.
func (p *Packet) WithSignatures(signatures []Signature) ([]byte, error) {
	signed := *p
	signed.inputs = slices.Clone(p.inputs)
	for _, sig := range signatures {
		where := fmt.Sprintf("input %d", sig.Input)
		if uint64(sig.Input) >= uint64(len(p.inputs)) {
			return nil, distrust("signature-input", where, fmt.Sprintf("an input below %d", len(p.inputs)), "another")
		}
		m := signed.inputs[sig.Input]
		there := m.of(inputPartialSig)
		if at := slices.IndexFunc(there, func(f field) bool { return bytes.Equal(f.data, sig.PubKey[:]) }); at >= 0 {
			if !bytes.Equal(there[at].value, sig.Signature) {
				return nil, distrust("signature-input", where, "one signature of a key", "a second one")
			}
			continue
		}
		signed.inputs[sig.Input] = m.with(inputPartialSig, sig.PubKey[:], sig.Signature)
	}
	out := signed.serialise()
	if _, err := Read(out); err != nil {
		return nil, fmt.Errorf("packet with signatures: %w", err)
	}
	return out, nil
}

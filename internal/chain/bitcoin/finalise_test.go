package bitcoin_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// Any order and any repetition of the same answers gives the same bytes.
func TestFinaliseForgetsOrderAndRepetition(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answers := w.answers(t, p)
	want := map[string][]byte{}
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.SliceOfN(rapid.IntRange(0, 2), 1, 6).Draw(rt, "order")
		var chosen [][]bitcoin.Signature
		for _, i := range order {
			a := slices.Clone(answers[i])
			if rapid.Bool().Draw(rt, "reversed") {
				slices.Reverse(a)
			}
			chosen = append(chosen, a)
		}
		distinct := slices.Compact(slices.Sorted(slices.Values(order)))
		final, err := bitcoin.Finalise(p, w.scope(), chosen)
		if len(distinct) < 2 {
			if !slices.Contains(refusals(err), "signatures-missing") {
				rt.Fatalf("one key alone: %v", err)
			}
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		lowest := string([]byte{byte(distinct[0]), byte(distinct[1])})
		if before, ok := want[lowest]; ok && !bytes.Equal(before, final.Raw) {
			rt.Fatalf("%v gives other bytes", order)
		}
		want[lowest] = final.Raw
	})
}

func TestAttack070OneKeyCountsOnce(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	tasks, err := bitcoin.Tasks(p, w.scope(), 1)
	must(t, err)
	var other []bitcoin.Signature // a second valid answer of the same key, by another nonce
	for i, task := range tasks {
		other = append(other, bitcoin.Signature{Input: uint32(task.Input), PubKey: task.PubKey, Signature: signWith(w.signers[1].fixed, task.Digest, int64(5000+i))})
	}
	answers := w.answers(t, p)
	_, err = bitcoin.Finalise(p, w.scope(), [][]bitcoin.Signature{answers[1], other, answers[1]})
	wantRefusal(t, err, "signatures-missing")
	one, err := bitcoin.Finalise(p, w.scope(), [][]bitcoin.Signature{answers[1], other, answers[0]})
	must(t, err)
	two, err := bitcoin.Finalise(p, w.scope(), [][]bitcoin.Signature{answers[0], other, answers[1], answers[1]})
	must(t, err)
	if !bytes.Equal(one.Raw, two.Raw) {
		t.Error("of two answers by one key, the order decided")
	}
	carrying, err := p.WithSignatures(answers[1])
	must(t, err)
	signed, err := bitcoin.Read(carrying)
	must(t, err)
	_, err = bitcoin.Finalise(signed, w.scope(), [][]bitcoin.Signature{other})
	wantRefusal(t, err, "signatures-missing")
}

func TestAttack071WhatComesBackIsSignaturesOnly(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answers := w.answers(t, p)
	both, err := p.WithSignatures(append(answers[2], answers[0]...))
	must(t, err)
	signed, err := bitcoin.Read(both)
	must(t, err)
	if signed.TxID() != p.TxID() {
		t.Error("signatures changed the transaction")
	}
	carried, err := bitcoin.Carried(signed, w.scope())
	must(t, err)
	if len(carried) != 2 {
		t.Fatalf("%d complete answers", len(carried))
	}
	a, err := bitcoin.Finalise(p, w.scope(), carried)
	must(t, err)
	b, err := bitcoin.Finalise(signed, w.scope(), nil)
	must(t, err)
	if !bytes.Equal(a.Raw, b.Raw) {
		t.Error("carried signatures are no answers")
	}
	for name, edit := range map[string]func(d *draft){
		"an output more": func(d *draft) {
			d.tx.TxOut[0].Value -= 1000
			d.tx.AddTxOut(wire.NewTxOut(1000, append([]byte{0, 20}, make([]byte, 20)...)))
			d.maps = append(d.maps, nil)
		},
		"an output changed": func(d *draft) { d.tx.TxOut[0].Value-- },
		"a lock time":       func(d *draft) { d.tx.LockTime++ },
		"a sequence":        func(d *draft) { d.tx.TxIn[0].Sequence++ },
	} {
		d := open(t, both)
		edit(d)
		other, err := bitcoin.Read(d.bytes())
		must(t, err)
		_, err = bitcoin.Carried(other, w.scope())
		wantRefusal(t, err, "signature-invalid@input 0")
		_, err = bitcoin.Finalise(other, w.scope(), answers)
		if err == nil {
			t.Errorf("%s: the signatures fit", name)
		}
	}
	again, err := signed.WithSignatures(answers[0])
	must(t, err)
	if !bytes.Equal(again, both) {
		t.Error("placing a signature twice changed the packet")
	}
	swapped := slices.Clone(answers[0])
	swapped[0].Signature = answers[0][1].Signature
	_, err = signed.WithSignatures(swapped)
	wantRefusal(t, err, "signature-input@input 0")
	swapped[0].Input = 2
	_, err = p.WithSignatures(swapped)
	wantRefusal(t, err, "signature-input@input 2")
}

func TestAttack117StrippedProofsComeBackOrRefuse(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	bare, proofs := p.Strip()
	joined, err := bitcoin.Join(bare, proofs)
	must(t, err)
	if !bytes.Equal(joined.Bytes(), p.Bytes()) || len(proofs) != 2 || len(bare) >= len(p.Bytes()) {
		t.Errorf("%d proofs, %d of %d bytes", len(proofs), len(bare), len(p.Bytes()))
	}
	if again, proofsAgain := joined.Strip(); !bytes.Equal(again, bare) || !slices.EqualFunc(proofs, proofsAgain, bytes.Equal) {
		t.Error("stripping twice differs")
	}
	stranger := coin(t, w.cold, 5, wallet.Receive, 77).PrevTx
	for name, c := range map[string]struct {
		bare   []byte
		proofs [][]byte
		code   string
	}{
		"one missing":    {bare, proofs[:1], "proof-missing"},
		"none":           {bare, nil, "proof-missing"},
		"one unused":     {bare, append(slices.Clone(proofs), stranger), "proof-unused"},
		"one twice":      {bare, append(slices.Clone(proofs), proofs[0]), "proof-repeated"},
		"already inside": {p.Bytes(), proofs, "proof-inside"},
		"no transaction": {bare, [][]byte{{1, 2, 3}, proofs[1]}, "psbt-truncated"},
		"a tail":         {bare, [][]byte{append(bytes.Clone(proofs[0]), 0), proofs[1]}, "psbt-trailing"},
	} {
		_, err := bitcoin.Join(c.bare, c.proofs)
		if !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: want %s, got %v", name, c.code, err)
		}
	}
}

func TestCoinsOfOneParentShareItsProof(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	first := coin(t, w.cold, 60_000_000, wallet.Receive, 1)
	parent := openTx(t, first.PrevTx)
	parent.TxOut[0].PkScript = mustDerive(t, w.cold, wallet.Receive, 2).ScriptPubKey
	parent.TxOut[0].Value = 61_000_000
	raw := serialise(t, parent)
	r.Coins = []bitcoin.Coin{
		{Outpoint: outpoint(parent, 0), Value: 61_000_000, Branch: wallet.Receive, Index: 2, PrevTx: raw},
		{Outpoint: outpoint(parent, 1), Value: 60_000_000, Branch: wallet.Receive, Index: 1, PrevTx: raw},
	}
	r.Amount = 100_000_000
	p, _, err := bitcoin.Build(r)
	must(t, err)
	bare, proofs := p.Strip()
	if len(proofs) != 1 {
		t.Errorf("%d proofs", len(proofs))
	}
	joined, err := bitcoin.Join(bare, proofs)
	must(t, err)
	if !bytes.Equal(joined.Bytes(), p.Bytes()) {
		t.Error("the parent did not return to both inputs")
	}
}

func TestAttack049SizesAreExactForEveryWallet(t *testing.T) {
	names := []string{"k1", "k2!", "k3", "k4", "k5!", "k6", "k7", "k8", "k9", "k10", "k11", "k12", "k13", "k14", "k15"}
	for _, mn := range [][2]int{{2, 3}, {3, 3}, {3, 5}, {4, 7}, {8, 15}, {15, 15}} {
		m, n := mn[0], mn[1]
		signers := signersOf(t, spend.BitcoinRegtest, names[:n]...)
		w := world{cold: newWallet(t, "COLD", m, signers), hot: newWorld(t).hot, signers: signers}
		r := w.request(t)
		p, plan, err := bitcoin.Build(r)
		must(t, err)
		if v := bitcoin.VirtualBytes(w.cold, len(plan.Inputs), plan.Change > 0); v != plan.VirtualBytes {
			t.Errorf("%d of %d: %d vB foretold, %d planned", m, n, v, plan.VirtualBytes)
		}
		final, err := bitcoin.Finalise(p, w.scope(), w.answers(t, p))
		must(t, err)
		most := int64(2*m*2)/4 + 1 // a signature is one byte shorter half of the time, rarely more
		if final.VirtualBytes > plan.VirtualBytes || plan.VirtualBytes-final.VirtualBytes > most {
			t.Errorf("%d of %d: planned %d vB, became %d", m, n, plan.VirtualBytes, final.VirtualBytes)
		}
	}
}

// The last checks before a broadcast hold without the checks before them.
func TestAttack071FinishedTransactionsAreCheckedOnceMore(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answers := w.answers(t, p)
	for code, change := range map[string]func(tx *wire.MsgTx){
		"txid-changed":   func(tx *wire.MsgTx) { tx.TxIn[0].Sequence-- },
		"size-exceeded":  func(tx *wire.MsgTx) { tx.TxIn[0].Witness = append(tx.TxIn[0].Witness, make([]byte, 90)) },
		"script-refused": func(tx *wire.MsgTx) { w := tx.TxIn[1].Witness; w[1], w[2] = w[2], w[1] },
	} {
		wantRefusal(t, bitcoin.FinishChanged(p, w.scope(), answers, change), code)
	}
	must(t, bitcoin.FinishChanged(p, w.scope(), answers, func(*wire.MsgTx) {}))
}

// crowd is a packet without proofs whose inputs all spend one parent, with that parent.
func (w world) crowd(t *testing.T, inputs, outputs int) (bare, parent []byte) {
	t.Helper()
	tx := openTx(t, coin(t, w.cold, 60_000_000, wallet.Receive, 1).PrevTx)
	for len(tx.TxOut) < outputs {
		tx.AddTxOut(tx.TxOut[1])
	}
	d := open(t, w.packet(t).Bytes())
	d.tx.TxIn, d.maps = nil, [][]pair{d.maps[0], d.maps[3], d.maps[4]}
	for i := range uint32(inputs) {
		in := outpoint(tx, i+1)
		d.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: in, Sequence: 0xfffffffd})
		d.maps = slices.Insert(d.maps, 1, []pair{})
		claim(d.input(0), 6, mustDerive(t, w.cold, wallet.Receive, 1))
	}
	return d.bytes(), serialise(t, tx)
}

func TestAttack012JoinIsBounded(t *testing.T) {
	w := newWorld(t)
	bare, parent := w.crowd(t, 520, 3001) // of one parent of 130 kB
	_, err := bitcoin.Join(bare, [][]byte{parent})
	wantRefusal(t, err, "psbt-too-large@input 518")
	var proofs [][]byte
	tx := openTx(t, parent)
	for i := range uint32(3) {
		tx.LockTime, tx.TxIn[0].Witness[0] = i, make([]byte, 3_000_000)
		proofs = append(proofs, serialise(t, tx))
	}
	_, err = bitcoin.Join(bare, proofs)
	wantRefusal(t, err, "psbt-too-large@proof 2")
}

// Hundreds of coins out of one batch: as a plain PSBT the batch would stand in each input, 13 MB in all. It crosses the
// gap once, lies in memory once, and proves every amount.
func TestInputsShareOneParent(t *testing.T) {
	w := newWorld(t)
	bare, parent := w.crowd(t, 500, 600)
	p, err := bitcoin.Join(bare, [][]byte{parent})
	must(t, err)
	if n := len(p.Bytes()); n < 500*len(parent) {
		t.Fatalf("%d bytes are no test of anything", n)
	}
	again, proofs := p.Strip()
	if !bytes.Equal(again, bare) || len(proofs) != 1 || !bytes.Equal(proofs[0], parent) {
		t.Errorf("taken apart it is %d bytes and %d proofs", len(again), len(proofs))
	}
	_, err = p.Plain()
	wantRefusal(t, err, "psbt-too-large")
	_, err = bitcoin.Read(p.Bytes())
	wantRefusal(t, err, "psbt-too-large")
	_, err = bitcoin.Survey(p)
	must(t, err)
	_, err = bitcoin.Prove(p, w.scope())
	must(t, err)
	clear(parent)
	_, err = bitcoin.Survey(p)
	must(t, err) // it keeps bytes of its own
}

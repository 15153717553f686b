package bitcoin_test

import (
	"slices"
	"testing"

	"bytes"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

func TestTopUpFromBuildToFinalTransaction(t *testing.T) {
	w := newWorld(t)
	p, plan, err := bitcoin.Build(w.request(t))
	must(t, err)
	if _, err := psbt.NewFromRawBytes(bytes.NewReader(p.Bytes()), false); err != nil {
		t.Errorf("btcd cannot read our packet: %v", err)
	}
	effects, err := bitcoin.Prove(p, w.scope())
	must(t, err)
	facts := effects.Facts()
	if len(facts.Inputs) != 2 || len(facts.Outputs) != 2 || !facts.Replaceable || facts.LockTime != 812 || facts.SignedBy != 0 || facts.UnknownFields != 0 {
		t.Errorf("facts %+v", facts)
	}
	for _, o := range facts.Outputs {
		want := w.hot
		index := uint32(7)
		if o.Role == chain.Change {
			want, index = w.cold, 4
		}
		if o.Wallet != want.ID() || o.Index != index || o.Role == chain.External || o.Address == "" {
			t.Errorf("output %+v", o)
		}
	}
	answers := w.answers(t, p)
	for _, pairOf := range [][]int{{0, 1}, {0, 2}, {1, 2}, {2, 0}, {0, 1, 2}} {
		var chosen [][]bitcoin.Signature
		for _, i := range pairOf {
			chosen = append(chosen, answers[i])
		}
		final, err := bitcoin.Finalise(p, w.scope(), chosen)
		must(t, err)
		if final.TxID != p.TxID() || final.VirtualBytes > plan.VirtualBytes || plan.VirtualBytes-final.VirtualBytes > 2 {
			t.Errorf("%v: %d vB, planned %d", pairOf, final.VirtualBytes, plan.VirtualBytes)
		}
		fee, _ := final.Fee.Int64()
		if fee != plan.Fee || plan.Fee != (plan.VirtualBytes*5000+999)/1000 || plan.Change != 70_000_000-50_000_000-plan.Fee {
			t.Errorf("plan %+v, fee %d", plan, fee)
		}
	}
}

// btcd's own finaliser and extractor, given our packet with two answers as partial signatures, make the same bytes.
func TestBtcdFinalisesToTheSameTransaction(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answers := w.answers(t, p)
	for _, chosen := range [][]bitcoin.Signature{slices.Concat(answers[0], answers[1]), slices.Concat(answers[2], answers[1])} {
		signed, err := p.WithSignatures(chosen)
		must(t, err)
		referee, err := psbt.NewFromRawBytes(bytes.NewReader(signed), false)
		must(t, err)
		must(t, psbt.MaybeFinalizeAll(referee))
		tx, err := psbt.Extract(referee)
		must(t, err)
		final, err := bitcoin.Finalise(p, w.scope(), [][]bitcoin.Signature{chosen[:2], chosen[2:]})
		must(t, err)
		if !bytes.Equal(serialise(t, tx), final.Raw) {
			t.Error("btcd makes another transaction")
		}
	}
}

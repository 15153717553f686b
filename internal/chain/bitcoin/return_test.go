package bitcoin_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// signedBy is the packet as another wallet gives it back.
func (w world) signedBy(t *testing.T, p *bitcoin.Packet, positions ...int) *draft {
	t.Helper()
	all, chosen := w.answers(t, p), []bitcoin.Signature{}
	for _, position := range positions {
		chosen = append(chosen, all[position]...)
	}
	raw, err := p.WithSignatures(chosen)
	must(t, err)
	return open(t, raw)
}

func returned(t *testing.T, ours *bitcoin.Packet, d *draft, s bitcoin.Scope) ([]bitcoin.KeySignatures, error) {
	t.Helper()
	back, err := bitcoin.Read(d.bytes())
	must(t, err)
	return bitcoin.Returned(ours, back, s)
}

func TestSignaturesComeBackInAPlainPacket(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answers := w.answers(t, p)
	for _, positions := range [][]int{{0}, {2}, {0, 1}, {2, 0}, {0, 1, 2}} {
		sets, err := returned(t, p, w.signedBy(t, p, positions...), w.scope())
		must(t, err)
		slices.Sort(positions)
		if len(sets) != len(positions) {
			t.Fatalf("keys %v came back as %d sets", positions, len(sets))
		}
		for i, position := range positions {
			if sets[i].Position != position {
				t.Errorf("key %d came back as key %d", position, sets[i].Position)
			}
			for n, s := range sets[i].Signatures {
				if want := answers[position][n]; s.Input != want.Input || s.PubKey != want.PubKey || !bytes.Equal(s.Signature, want.Signature) {
					t.Errorf("key %d, input %d came back changed", position, n)
				}
			}
		}
	}
}

// Attack 071: what another program drops or changes beside its signatures has no effect; what it signs for another
// transaction, with another key, or only in part, is refused.
func TestAttack071OnlySignaturesAreTakenFromAReturnedPacket(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	for name, change := range map[string]func(d *draft){
		"previous transactions dropped": func(d *draft) { drop(d.input(0), 0); drop(d.input(1), 0) },
		"amounts changed":               func(d *draft) { set(d.input(0), []byte{1}, append([]byte{9}, get(d.input(0), 1)[1:]...)) },
		"another sighash asked for":     func(d *draft) { set(d.input(0), []byte{3}, []byte{2, 0, 0, 0}) },
		"derivations dropped":           func(d *draft) { drop(d.input(0), 6); drop(d.output(0), 2); drop(d.output(1), 2) },
		"a note of its own":             func(d *draft) { set(d.input(1), []byte{0xfc, 1, 2, 0}, []byte("note")) },
	} {
		d := w.signedBy(t, p, 0)
		change(d)
		if sets, err := returned(t, p, d, w.scope()); err != nil || len(sets) != 1 {
			t.Errorf("%s: %d sets, %v", name, len(sets), err)
		}
	}
	for name, c := range map[string]struct {
		change func(d *draft)
		code   string
	}{
		"an output changed":          {func(d *draft) { d.tx.TxOut[0].Value-- }, "returned-other-transaction"},
		"outputs swapped":            {func(d *draft) { o := d.tx.TxOut; o[0], o[1] = o[1], o[0] }, "returned-other-transaction"},
		"another lock time":          {func(d *draft) { d.tx.LockTime++ }, "returned-other-transaction"},
		"no signature":               {func(d *draft) { drop(d.input(0), 2); drop(d.input(1), 2) }, "returned-unsigned"},
		"one input signed":           {func(d *draft) { drop(d.input(1), 2) }, "signature-count"},
		"a foreign key":              {func(d *draft) { (*d.input(0))[2].key[5] ^= 1 }, "signature-foreign-key"},
		"an uncompressed key":        {func(d *draft) { set(d.input(0), append([]byte{2, 4}, make([]byte, 64)...), make([]byte, 71)) }, "signature-foreign-key"},
		"a broken signature":         {func(d *draft) { get(d.input(0), 2)[20] ^= 1 }, "signature-invalid"},
		"another sighash under it":   {func(d *draft) { s := get(d.input(0), 2); s[len(s)-1] = 2 }, "sighash-not-all"},
		"another input's signatures": {func(d *draft) { copy(*d.input(0), *d.input(1)) }, "signature-foreign-key"},
	} {
		d := w.signedBy(t, p, 0)
		c.change(d)
		_, err := returned(t, p, d, w.scope())
		if !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: want %s, got %v", name, c.code, err)
		}
	}
}

// Whatever comes back, only signatures that verify against our own packet are taken from it.
func FuzzReturned(f *testing.F) {
	w := newWorld(f)
	p := w.packet(f)
	f.Add(p.Bytes())
	for position, signatures := range w.answers(f, p) {
		raw, err := p.WithSignatures(signatures)
		must(f, err)
		f.Add(raw)
		if position == 0 {
			f.Add(raw[:len(raw)-1])
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		back, err := bitcoin.ReadAny(raw)
		if err != nil {
			return
		}
		sets, err := bitcoin.Returned(p, back, w.scope())
		if err != nil {
			return
		}
		for _, set := range sets {
			must(t, bitcoin.VerifySignatures(p, w.scope(), set.Signatures))
		}
	})
}

package wallet_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// readOrRefused demands that whatever is not read was refused with a code.
func readOrRefused(t *testing.T, err error) bool {
	var r *spend.Refusal
	if err != nil && (!errors.As(err, &r) || r.Code == "") {
		t.Fatalf("an error without a code: %v", err)
	}
	return err == nil
}

// What is read prints in one spelling, and that spelling reads as the same.
func FuzzParseDescriptor(f *testing.F) {
	f.Add(regtestDescriptor)
	f.Add("sh(wsh(multi(1," + pubA + ",[deadbeef/0'/1]" + xpubA + "/1/<2;3>/*)))")
	f.Add("tr(" + pubA[2:] + ")")
	f.Add("wpkh(" + xpubA + "/*h)#")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := wallet.ParseUnchecked(text)
		if !readOrRefused(t, err) {
			return
		}
		back, err := wallet.ParseDescriptor(d.String())
		if err != nil || back.String() != d.String() {
			t.Fatalf("%q prints as %q, which reads as %q, %v", text, d, back, err)
		}
		if s, err := d.Derive(spend.BitcoinMainnet, d.Branches()-1, 1); readOrRefused(t, err) && len(s.ScriptPubKey) == 0 {
			t.Fatalf("%q has no script", text)
		}
	})
}

// A record that is read marshals to something that is read as the same record.
func FuzzParseKeyRecord(f *testing.F) {
	for _, h := range trio(f, spend.BitcoinRegtest) {
		f.Add(h.record.Marshal())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := wallet.ParseKeyRecord(raw)
		if !readOrRefused(t, err) {
			return
		}
		back, err := wallet.ParseKeyRecord(r.Marshal())
		if err != nil || back.ProofDigest() != r.ProofDigest() || !bytes.Equal(back.Proof, r.Proof) {
			t.Fatalf("a record changed: %v", err)
		}
	})
}

// A file that is read is, apart from white space, what the wallet marshals to.
func FuzzParse(f *testing.F) {
	f.Add(pinned(f, spend.BitcoinRegtest).Marshal())
	f.Add(pinned(f, spend.BitcoinMainnet).Marshal())
	f.Add(pooled(f, 4).Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		w, err := wallet.Parse(raw)
		if !readOrRefused(t, err) {
			return
		}
		if w.Unproven() != nil {
			t.Fatal("unproven keys without consent")
		}
		back, err := wallet.Parse(w.Marshal())
		if err != nil || back.ID() != w.ID() || !bytes.Equal(back.Marshal(), w.Marshal()) {
			t.Fatalf("a wallet changed: %v", err)
		}
	})
}

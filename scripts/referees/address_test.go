//go:build referees

package referees_test

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// place is an address, and the script that it stands for.
type place struct{ Address, Script string }

// Five programs derive the same receive and change addresses from the same keys: three from the keys themselves, one
// from the descriptor, one from a wallet file of its own.
func TestAddressesAgree(t *testing.T) {
	t.Parallel()
	referees := []*referee{hire(t, bitcoinjs), hire(t, scure), hire(t, caravan), hire(t, bitcoinerlab)}
	cosigner := hire(t, electrum)
	compared := 0
	for name, v := range vaults(t) {
		w, all, file := v.wallet, referees, filepath.Join(cosigner.dir, name)
		if name != fixedVault { // see TestCaravanAndElectrumKnowNoWalletWithAFixedKey
			cosigner.give("wallet", map[string]any{"file": file, "threshold": w.Threshold(), "keys": public(w)}, &struct{}{})
			all = append(slices.Clone(referees), cosigner)
		}
		for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
			for _, index := range []uint32{0, 1, 2, 19, 1000, 1<<31 - 1} {
				derived, err := w.Derive(branch, index)
				must(t, err)
				want := place{derived.Address, hex.EncodeToString(derived.WitnessScript)}
				for _, r := range all {
					var got place
					r.give("address", map[string]any{"threshold": w.Threshold(), "keys": public(w), "branch": branch, "index": index,
						"descriptor": w.Descriptor(), "file": file}, &got)
					if got != want {
						t.Errorf("%s at %d/%d: %s derives %+v, we %+v", name, branch, index, r.name, got, want)
					}
					compared++
				}
			}
		}
	}
	if compared != 2*6*(5+5+4) {
		t.Errorf("%d addresses compared", compared)
	}
}

// bodies are descriptors without checksum: those of our wallets, and one of each other shape that we print.
func bodies(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, v := range vaults(t) {
		body, _, _ := strings.Cut(v.wallet.Descriptor(), "#")
		out = append(out, body)
	}
	record := newKeyholder(t, "a").record
	key := "[" + hex.EncodeToString(record.Fingerprint[:]) + "/48h/1h/0h/2h]" + record.Key
	return append(out, "pkh("+key+"/0/*)", "wpkh("+key+"/<0;1>/*)", "sh(wpkh("+key+"/1/*))", "tr("+key+"/0/7)",
		"wsh(multi(1,"+key+"/0/*,"+key+"/1/*))", "sh(wsh(sortedmulti(1,"+key+"/0/*,"+key+"/1/*)))")
}

// BIP380: both sides write the same eight characters, and neither takes another.
func TestChecksumsAgree(t *testing.T) {
	t.Parallel()
	r := hire(t, bitcoinerlab)
	for _, body := range bodies(t) {
		ours, err := wallet.ParseUnchecked(body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		var theirs struct{ Checksum string }
		r.give("checksum", map[string]any{"body": body}, &theirs)
		if ours.String() != body+"#"+theirs.Checksum {
			t.Errorf("we write %s, bitcoinerlab #%s", ours, theirs.Checksum)
		}
		last := byte('q')
		if theirs.Checksum[7] == last {
			last = 'p'
		}
		wrong := body + "#" + theirs.Checksum[:7] + string(last)
		if _, err := wallet.ParseDescriptor(wrong); err == nil {
			t.Errorf("we accept %s", wrong)
		}
		if v := r.judge("address", map[string]any{"descriptor": wrong, "branch": 0, "index": 0}); v.Refuses == "" {
			t.Errorf("bitcoinerlab accepts %s", wrong)
		}
	}
}

// The wallet file that Caravan's library makes is read, and says what ours says, field by field.
func TestCaravanAgreesAboutItsWalletFile(t *testing.T) {
	t.Parallel()
	r := hire(t, caravan)
	for name, v := range vaults(t) {
		if name == fixedVault {
			continue
		}
		var theirs map[string]any
		r.give("config", map[string]any{"threshold": v.wallet.Threshold(), "keys": public(v.wallet)}, &theirs)
		raw, err := json.Marshal(theirs)
		must(t, err)
		read, err := wallet.FromCaravan(raw, wallet.Label{Name: "COLD", Tier: spend.Cold, Network: network}, wallet.AcceptUnproven())
		if err != nil || read.ID() != v.wallet.ID() {
			t.Errorf("%s: their file gives wallet %s, %v\n%s", name, read.Descriptor(), err, raw)
		}
		written, err := v.wallet.Caravan()
		must(t, err)
		var ours map[string]any
		must(t, json.Unmarshal(written, &ours))
		for _, field := range slices.Sorted(maps.Keys(theirs)) {
			if field != "name" && field != "extendedPublicKeys" && !equal(ours[field], theirs[field]) {
				t.Errorf("%s: field %s is %v in ours and %v in theirs", name, field, ours[field], theirs[field])
			}
		}
		for i, key := range theirs["extendedPublicKeys"].([]any) {
			for field, value := range key.(map[string]any) {
				if mine := ours["extendedPublicKeys"].([]any)[i].(map[string]any)[field]; !equal(mine, value) {
					t.Errorf("%s: %s of key %d is %v in ours and %v in theirs", name, field, i, mine, value)
				}
			}
		}
	}
}

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

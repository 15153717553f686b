//go:build referees

package referees_test

import (
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// finished is a transaction as a referee made it.
type finished struct{ TxID, Raw string }

// subsets lists every choice of m of n.
func subsets(n, m int) [][]int {
	if m == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for last := m - 1; last < n; last++ {
		for _, head := range subsets(last, m-1) {
			out = append(out, append(append([]int{}, head...), last))
		}
	}
	return out
}

// Whoever combines the answers of whichever quorum makes the same transaction, byte for byte.
func TestEveryRefereeCombinesAndFinalisesToOurTransaction(t *testing.T) {
	t.Parallel()
	everywhere := []*referee{hire(t, bitcoinjs), hire(t, scure)}
	coordinator, cosigner := hire(t, caravan), hire(t, electrum)
	judged := 0
	for name, v := range vaults(t) {
		p, referees, file := v.packet(t), everywhere, filepath.Join(cosigner.dir, name)
		if name != fixedVault {
			cosigner.give("wallet", map[string]any{"file": file, "threshold": v.wallet.Threshold(), "keys": public(v.wallet)}, &struct{}{})
			referees = append(slices.Clone(everywhere), coordinator, cosigner)
		}
		for _, quorum := range subsets(len(v.holders), v.wallet.Threshold()) {
			packets, want := v.finished(t, p, quorum)
			for _, r := range referees {
				var got finished
				r.give("combine", map[string]any{"psbts": packets, "cosigner": public(v.wallet)[0], "file": file}, &got)
				if got != want {
					t.Errorf("%s, keys %v: %s makes %s\n%s\nours is %s\n%s", name, quorum, r.name, got.TxID, got.Raw, want.TxID, want.Raw)
				}
				judged++
			}
		}
	}
	if judged != 4*3+4*10+2*3 {
		t.Errorf("%d judgements", judged)
	}
}

// finished is our transaction, and what a quorum signed towards it, one packet for each key.
func (v vault) finished(t testing.TB, p *bitcoin.Packet, quorum []int) (packets []string, ours finished) {
	t.Helper()
	var answers [][]bitcoin.Signature
	for _, position := range quorum {
		answer := v.answer(t, p, position)
		signed, err := p.WithSignatures(answer)
		must(t, err)
		answers, packets = append(answers, answer), append(packets, text(signed))
	}
	final, err := bitcoin.Finalise(p, v.scope(t), answers)
	must(t, err)
	return packets, finished{final.TxID, hex.EncodeToString(final.Raw)}
}

// A key without children stands in a packet with an empty path, which BIP174 allows. Caravan and Electrum know no such
// wallet: what they say about it is kept here, so that the day it changes is noticed.
func TestCaravanAndElectrumKnowNoWalletWithAFixedKey(t *testing.T) {
	t.Parallel()
	v := vaults(t)[fixedVault]
	p := v.packet(t)
	packets, _ := v.finished(t, p, []int{0, 1})
	got := hire(t, caravan).judge("combine", map[string]any{"psbts": packets, "cosigner": public(v.wallet)[0]})
	if got.Refuses != "BIP32 path is invalid." {
		t.Errorf("Caravan %s", got)
	}
	cosigner := hire(t, electrum)
	got = cosigner.judge("wallet", map[string]any{"file": filepath.Join(cosigner.dir, "wallet"), "threshold": 2, "keys": public(v.wallet)})
	if !strings.Contains(got.Refuses, "base 58") { // it takes only extended keys
		t.Errorf("Electrum %s", got)
	}
}

// A referee's signature is as good as ours: its signed packet reads strictly, carries a whole answer, and finalises with
// another key's answer to our txid.
func TestWhatRefereesSignWeFinalise(t *testing.T) {
	t.Parallel()
	v := newVault(t, 2, newKeyholder(t, "a"), newKeyholder(t, "b"), newKeyholder(t, "c"))
	p := v.packet(t)
	for _, r := range []*referee{hire(t, bitcoinjs), hire(t, scure), openElectrum(t, v, 1)} {
		var signed struct{ PSBT string }
		r.give("sign", map[string]any{"psbt": text(p.Bytes()), "keys": v.secrets(t, p, 1), "file": filepath.Join(r.dir, "wallet")}, &signed)
		theirs, err := bitcoin.Read([]byte(signed.PSBT))
		if err != nil {
			t.Errorf("%s: the signed packet does not read: %v", r.name, err)
			continue
		}
		carried, err := bitcoin.Carried(theirs, v.scope(t))
		if err != nil || len(carried) != 1 {
			t.Errorf("%s: %d answers in the packet, %v", r.name, len(carried), err)
			continue
		}
		final, err := bitcoin.Finalise(theirs, v.scope(t), [][]bitcoin.Signature{v.answer(t, p, 2)})
		if err != nil || final.TxID != p.TxID() {
			t.Errorf("%s: %s, %v", r.name, final.TxID, err)
		}
	}
}

// openElectrum hires Electrum as the keyholder at a position; its wallet file is "wallet" in its folder.
func openElectrum(t testing.TB, v vault, position int) *referee {
	t.Helper()
	r := hire(t, electrum)
	var made struct{ Version string }
	r.give("wallet", map[string]any{"file": filepath.Join(r.dir, "wallet"), "threshold": v.wallet.Threshold(), "keys": v.electrumKeys(position)}, &made)
	return r
}

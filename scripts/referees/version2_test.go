//go:build referees

package referees_test

import (
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// Our packet, written in the form of BIP370 by others, comes back as the packet of the same transaction, proven and
// ready to sign.
func TestPacketsOfVersion2ComeBackTheSame(t *testing.T) {
	t.Parallel()
	v := vaults(t)["2 of 3"]
	p := v.packet(t)
	signed, err := p.WithSignatures(v.answer(t, p, 1))
	must(t, err)
	for _, r := range []*referee{hire(t, scure), hire(t, caravan)} {
		var written struct{ PSBT string }
		r.give("version2", map[string]any{"psbt": text(signed)}, &written)
		if _, err := bitcoin.Read([]byte(written.PSBT)); err == nil {
			t.Errorf("%s did not write version 2", r.name)
		}
		back, err := bitcoin.ReadAny([]byte(written.PSBT))
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
			continue
		}
		final, err := bitcoin.Finalise(back, v.scope(t), [][]bitcoin.Signature{v.answer(t, p, 2)})
		if err != nil || final.TxID != p.TxID() {
			t.Errorf("%s: %s, %v", r.name, final.TxID, err)
		}
	}
}

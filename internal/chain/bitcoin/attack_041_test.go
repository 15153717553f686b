package bitcoin_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Attack 041: an address is ground until its first and last characters are those of a known one. A script is compared
// by all of its bytes, so that the look-alike of the destination is external, and that of change is a forgery.
func TestAttack041LookAlikesAreStrangers(t *testing.T) {
	w := newWorld(t)
	hot, back := mustDerive(t, w.hot, wallet.Receive, 7), mustDerive(t, w.cold, wallet.ChangeBranch, 4)
	for middle := 4; middle < len(hot.ScriptPubKey)-4; middle++ {
		d := open(t, w.packet(t).Bytes())
		script := bytes.Clone(hot.ScriptPubKey)
		script[middle] ^= 1
		d.tx.TxOut[1-changeAt(d)].PkScript = script
		p, err := bitcoin.Read(d.bytes())
		must(t, err)
		effects, err := bitcoin.Prove(p, w.scope())
		must(t, err)
		at := slices.IndexFunc(effects.Facts().Outputs, func(o chain.Output) bool { return o.Role != chain.Change })
		if o := effects.Facts().Outputs[at]; o.Role != chain.External || o.Address == hot.Address || o.WalletName != "" {
			t.Errorf("byte %d of the destination turned: %+v", middle, o)
		}
	}
	for middle := 4; middle < len(back.ScriptPubKey)-4; middle++ {
		w.refusesEach(t, []change{{"a look-alike of change", "change-forged", func(d *draft) {
			script := bytes.Clone(back.ScriptPubKey)
			script[middle] ^= 1
			d.tx.TxOut[changeAt(d)] = wire.NewTxOut(d.tx.TxOut[changeAt(d)].Value, script)
		}}})
	}
}

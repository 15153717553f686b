package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// paying is a request that pays 0.5 BTC to a script outside.
func (w world) paying(t testing.TB, script []byte) bitcoin.Request {
	r := w.request(t)
	r.To, r.ToIndex, r.Payee = wallet.Wallet{}, 0, script
	return r
}

// A payment pays its script to the satoshi, whatever kind of script it is; its fee can be raised, from change alone.
func TestPaymentsToTheBookAreBuiltAndBumped(t *testing.T) {
	w := newWorld(t)
	h := bytes.Repeat([]byte{7}, 32)
	scope := bitcoin.Scope{From: w.cold, IndexMax: 1000}
	for name, script := range map[string][]byte{
		"p2wsh": append([]byte{0, 32}, h...), "p2tr": append([]byte{0x51, 32}, h...), "p2wpkh": append([]byte{0, 20}, h[:20]...),
		"p2pkh": append(append([]byte{0x76, 0xa9, 20}, h[:20]...), 0x88, 0xac), "p2sh": append(append([]byte{0xa9, 20}, h[:20]...), 0x87),
	} {
		p, before, err := bitcoin.Build(w.paying(t, script))
		must(t, err)
		paid := func(p *bitcoin.Packet) (out []chain.Output) {
			f := factsOf(t, p, scope)
			for _, o := range f.Outputs {
				if o.Position = 0; o.Role == chain.External {
					out = append(out, o)
				}
			}
			return out
		}
		first := paid(p)
		sats, _ := first[0].Amount.Int64()
		if len(first) != 1 || sats != 50_000_000 || first[0].Script != hex.EncodeToString(script) {
			t.Fatalf("%s: %+v", name, first)
		}
		if f := factsOf(t, p, scope); before.VirtualBytes != f.VirtualBytes || before.Fee != (f.VirtualBytes*5_000+999)/1000 {
			t.Errorf("%s: %+v of %d vB", name, before, f.VirtualBytes)
		}
		raised, after, err := bitcoin.Bump(p, scope, 9_000)
		must(t, err)
		if !slices.Equal(paid(raised), first) || after.Fee-before.Fee != before.Change-after.Change || after.Fee != (after.VirtualBytes*9_000+999)/1000 {
			t.Errorf("%s: %+v became %+v", name, before, after)
		}
	}
}

func TestPaymentsThatNobodyCouldSpendOrRelay(t *testing.T) {
	w := newWorld(t)
	h := bytes.Repeat([]byte{7}, 32)
	for code, script := range map[string][]byte{"output-op-return": {0x6a, 1, 1}, "output-nonstandard": {0x51}, "output-witness-version": append([]byte{0x52, 32}, h...)} {
		_, _, err := bitcoin.Build(w.paying(t, script))
		wantRefusal(t, err, code)
	}
	for least, script := range map[int64][]byte{330: append([]byte{0, 32}, h...), 546: append(append([]byte{0x76, 0xa9, 20}, h[:20]...), 0x88, 0xac)} {
		r := w.paying(t, script)
		r.Amount = least - 1
		_, _, err := bitcoin.Build(r)
		wantRefusal(t, err, "output-dust")
		r.Amount = least
		_, _, err = bitcoin.Build(r)
		must(t, err)
	}
}

func TestAnAddressGivesItsScript(t *testing.T) {
	d := mustDerive(t, newWorld(t).hot, wallet.Receive, 3)
	script, err := bitcoin.AddressScript(spend.BitcoinRegtest, d.Address)
	if err != nil || !bytes.Equal(script, d.ScriptPubKey) {
		t.Errorf("%x, %v", script, err)
	}
	_, err = bitcoin.AddressScript(spend.BitcoinMainnet, d.Address)
	wantRefusal(t, err, "address-invalid")
}

// Attack 116: of a payment one output stays, and no second one outside is taken for it.
func TestAttack116APaymentIsBumpedToItsPayeeAlone(t *testing.T) {
	w := newWorld(t)
	p, _, err := bitcoin.Build(w.paying(t, append([]byte{0, 20}, make([]byte, 20)...)))
	must(t, err)
	d := open(t, p.Bytes())
	i := changeAt(d)
	d.tx.TxOut[i].Value -= 1000
	d.tx.AddTxOut(wire.NewTxOut(1000, append([]byte{0, 20}, bytes.Repeat([]byte{9}, 20)...)))
	d.maps = append(d.maps, nil)
	two, err := bitcoin.Read(d.bytes())
	must(t, err)
	_, _, err = bitcoin.Bump(two, bitcoin.Scope{From: w.cold, IndexMax: 1000}, 9_000)
	wantRefusal(t, err, "output-external")
}

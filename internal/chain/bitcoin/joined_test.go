package bitcoin_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/wallet"
)

// A joined packet is read in two parts and never written out to be read again. Nothing may tell it from the packet that
// its bytes are: not its bytes, its effects and hashes, its digests, nor what Strip makes of it.
func TestAJoinedPacketIsTheOneItsBytesRead(t *testing.T) {
	w := newWorld(t)
	for _, shared := range []bool{false, true} {
		r := w.request(t)
		r.Coins, r.Amount, r.All = nil, 0, true
		for i := range uint32(12) {
			r.Coins = append(r.Coins, coin(t, w.cold, 1_000_000+int64(i), wallet.Branch(i%2), i))
		}
		if shared { // and two coins of one transaction
			tx := openTx(t, r.Coins[0].PrevTx)
			tx.AddTxOut(wire.NewTxOut(777_000, mustDerive(t, w.cold, wallet.Receive, 400).ScriptPubKey))
			raw := serialise(t, tx)
			r.Coins[0].PrevTx, r.Coins[0].Outpoint = raw, outpoint(tx, 1)
			r.Coins = append(r.Coins, bitcoin.Coin{Outpoint: outpoint(tx, 2), Value: 777_000, Branch: wallet.Receive, Index: 400, PrevTx: raw})
		}
		p, _, err := bitcoin.Build(r)
		must(t, err)
		stripped, proofs := p.Strip()
		joined, err := bitcoin.Join(stripped, proofs)
		must(t, err)
		read, err := bitcoin.Read(joined.Bytes())
		must(t, err)
		a, err := bitcoin.Establish(joined, w.scope())
		must(t, err)
		b, err := bitcoin.Establish(read, w.scope())
		must(t, err)
		tasksA, err := a.Tasks(0)
		must(t, err)
		tasksB, err := b.Tasks(0)
		must(t, err)
		if !reflect.DeepEqual(a.Effects(), b.Effects()) || !reflect.DeepEqual(tasksA, tasksB) || a.Effects().Facts().PayloadBytes != len(joined.Bytes()) {
			t.Errorf("shared %t: effects or tasks differ", shared)
		}
		again, proofsAgain := read.Strip()
		joinedAgain, joinedProofs := joined.Strip()
		if !bytes.Equal(again, stripped) || !reflect.DeepEqual(proofs, proofsAgain) || !bytes.Equal(joinedAgain, stripped) || !reflect.DeepEqual(proofs, joinedProofs) {
			t.Errorf("shared %t: stripped forms differ", shared)
		}
		if shared && len(proofs) != len(r.Coins)-1 {
			t.Errorf("%d proofs for %d coins, two of one transaction", len(proofs), len(r.Coins))
		}
	}
}

// A repeated key is found in a map of few fields, which are compared, and in one of many, which are indexed.
func TestAttack010RepeatedKeysAmongManyAreFound(t *testing.T) {
	raw := newWorld(t).packet(t).Bytes()
	for _, fields := range []int{2, 15, 16, 17, 40} {
		for _, repeated := range []int{0, fields / 2, fields - 1, -1} {
			d := open(t, raw)
			for i := range fields {
				*d.output(0) = append(*d.output(0), pair{fmt.Appendf(nil, "\xf0%03d", i), []byte{1}})
			}
			if repeated >= 0 {
				*d.output(0) = append(*d.output(0), pair{fmt.Appendf(nil, "\xf0%03d", repeated), []byte{2}})
			}
			_, err := bitcoin.Read(d.bytes())
			if repeated < 0 {
				must(t, err)
				continue
			}
			wantRefusal(t, err, "psbt-duplicate-key@output 0")
		}
	}
}

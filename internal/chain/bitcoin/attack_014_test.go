package bitcoin_test

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// Attack 014: the packet is right in every other respect, and its transaction is in witness form: with a witness, and
// with an empty one.
func TestAttack014AWholePacketAroundASignedTransaction(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	for name, witness := range map[string]wire.TxWitness{"a signature": {bytes.Repeat([]byte{1}, 72)}, "an empty item": {{}}} {
		d := open(t, good)
		d.tx.TxIn[0].Witness = witness
		var plain, signed bytes.Buffer
		must(t, wire.WriteVarBytes(&plain, 0, d.maps[0][0].value))
		must(t, wire.WriteVarBytes(&signed, 0, serialise(t, d.tx)))
		packet := bytes.Replace(good, plain.Bytes(), signed.Bytes(), 1)
		if bytes.Equal(packet, good) {
			t.Fatal("the packet was not changed")
		}
		if p, err := bitcoin.Read(packet); err == nil {
			t.Errorf("%s: read as %s", name, p.TxID())
		}
	}
}

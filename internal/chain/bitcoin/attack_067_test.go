package bitcoin_test

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// Attack 067: bytes that belong to no number, inside the sequence and behind it. Each verifier would pass over some of
// them; the reader that stands before both passes over none.
func TestAttack067BytesThatBelongToNoNumber(t *testing.T) {
	private, _ := btcec.PrivKeyFromBytes([]byte{7})
	key, digest := [33]byte(private.PubKey().SerializeCompressed()), [32]byte{9}
	der := ecdsa.Sign(private, digest[:]).Serialize()
	must(t, bitcoin.CheckSignature(digest, key, append(bytes.Clone(der), 1)))
	inside := append(bytes.Clone(der), 0)
	inside[1]++
	third := append(bytes.Clone(der), 2, 1, 1)
	third[1] += 3
	for name, bad := range map[string][]byte{"a byte inside": inside, "a third number": third, "a byte behind": append(bytes.Clone(der), 0)} {
		if err := bitcoin.CheckSignature(digest, key, append(bytes.Clone(bad), 1)); err == nil || refusals(err)[0] != "signature-encoding" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package bitcoin_test

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/address/v2/base58"
)

// Attack 127: a camera near the QR code must learn nothing that lets it follow the wallet. A packet that we build has no
// extended key, no chain code, no name and no field beyond those that signing needs.
func TestAttack127APacketCarriesNoExtendedKeyAndNoName(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	if n := p.UnknownFields(); n != 0 {
		t.Errorf("%d fields that no rule reads", n)
	}
	bare, proofs := p.Strip()
	carried := append([][]byte{bare, p.Bytes()}, proofs...)
	for _, owner := range []struct {
		name string
		of   []cosigner
	}{{"COLD", w.signers}, {"HOT", signersOf(t, "bitcoin:regtest", "x", "y", "z")}} {
		for _, c := range owner.of {
			secrets := [][]byte{[]byte(owner.name), []byte(c.record.Key)}
			if c.account != nil {
				raw := base58.Decode(c.record.Key) // version 4, depth 1, parent 4, child 4, chain code 32, key 33, checksum 4
				secrets = append(secrets, raw[13:45], raw[45:78])
			}
			for _, secret := range secrets {
				for _, data := range carried {
					if bytes.Contains(data, secret) {
						t.Errorf("%s of %s: the packet carries %x", c.record.Name, owner.name, secret)
					}
				}
			}
		}
	}
}

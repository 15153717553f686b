package accounts

import (
	"bytes"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
)

// What a customer's passkey signs has one spelling: whatever is taken is written again as the same bytes.
func FuzzReadIntent(f *testing.F) {
	for _, i := range []exchange.CustomerIntent{{Nonce: make([]byte, nonceLen), Look: true}, {Nonce: make([]byte, nonceLen), Key: &exchange.KeyBody{Key: "k"}}} {
		raw, err := exchange.EncodeBody(i)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, ok := readIntent(raw)
		if !ok {
			return
		}
		if again, err := exchange.EncodeBody(i); err != nil || !bytes.Equal(raw, again) {
			t.Errorf("%x became %x (%v)", raw, again, err)
		}
	})
}

package gateway

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"
)

// A public key that is taken has the length of one, or is refused later by whoever keeps it; octets have one spelling.
func FuzzReadPublic(f *testing.F) {
	f.Add("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	f.Add("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n")
	f.Add("AAEC\nAwQ")
	f.Fuzz(func(t *testing.T, text string) {
		if raw, err := readPublic(text); err == nil && len(raw) > 1024 {
			t.Errorf("%d bytes", len(raw))
		} else if err == nil && len(raw) == ed25519.PublicKeySize {
			if again, err := readPublic(base64.StdEncoding.EncodeToString(raw)); err != nil || string(again) != string(raw) {
				t.Errorf("%q: %x and %x (%v)", text, raw, again, err)
			}
		}
		var o octets
		if o.UnmarshalText([]byte(text)) != nil {
			return
		}
		if again, err := o.MarshalText(); err != nil || string(again) != text {
			t.Errorf("%q became %q (%v)", text, again, err)
		}
	})
}

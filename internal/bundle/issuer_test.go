package bundle_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

func issuerFile(t testing.TB) []byte {
	t.Helper()
	raw, err := bundle.Issuer{Name: "exchanged-1", Network: spend.BitcoinRegtest, Key: keyOf(t, 1).PublicKey()}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAnIssuerFileHasOneSpelling(t *testing.T) {
	good := issuerFile(t)
	issuer, err := bundle.ParseIssuer(good)
	if err != nil || issuer.Name != "exchanged-1" || issuer.Network != spend.BitcoinRegtest || !seal.Same(issuer.Key, keyOf(t, 1).PublicKey()) {
		t.Fatalf("%+v: %v", issuer, err)
	}
	text := string(good)
	for name, other := range map[string]string{
		"nothing":         "",
		"null":            "null",
		"trailing bytes":  text + " ",
		"second object":   text + text,
		"unknown field":   strings.Replace(text, "{", "{\n  \"x\": 1,", 1),
		"repeated field":  strings.Replace(text, "{", "{\n  \"name\": \"other\",", 1),
		"field in case":   strings.Replace(text, "\"name\"", "\"Name\"", 1),
		"another format":  strings.Replace(text, "issuer/v1", "issuer/v2", 1),
		"upper-case name": strings.Replace(text, "exchanged-1", "Exchanged-1", 1),
		"no name":         strings.Replace(text, "exchanged-1", "", 1),
		"another key":     strings.Replace(text, "ssh-ed25519", "ssh-rsa", 1),
		"key comment":     strings.Replace(text, "D29c\"", "D29c comment\"", 1),
		"too long":        text + strings.Repeat("\n", 5000),
	} {
		_, err := bundle.ParseIssuer([]byte(other))
		if other == text {
			t.Fatalf("%s: nothing was changed", name)
		}
		refused(t, err, "issuer-unreadable")
	}
}

// Attack 120, for issuer files.
func FuzzParseIssuer(f *testing.F) {
	f.Add(issuerFile(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		issuer, err := bundle.ParseIssuer(raw)
		if err != nil {
			onlyRefusals(t, err)
			return
		}
		if again, err := issuer.Marshal(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%q is written again as %q: %v", raw, again, err)
		}
	})
}

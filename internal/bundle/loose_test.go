package bundle_test

import (
	"crypto/rand"
	"encoding/hex"
	"testing"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/fxamacker/cbor/v2"
)

// envelope mirrors the outer array, so that tests can pack what the room would never write.
type envelope struct {
	_      struct{} `cbor:",toarray"`
	Tag    string
	Issuer string
	Body   []byte
	Seal   []byte
}

func open(t testing.TB, raw []byte) envelope {
	t.Helper()
	var e envelope
	if err := cbor.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func pack(t testing.TB, e envelope) []byte {
	t.Helper()
	if e.Seal == nil {
		e.Seal = []byte{}
	}
	if e.Body == nil {
		e.Body = []byte{}
	}
	return canonical(t, e)
}

// resealed is a body of any bytes under the genuine issuer's seal.
func resealed(t testing.TB, body []byte) []byte {
	t.Helper()
	armored, err := seal.Sign(keyOf(t, 1), seal.Bundle, body, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pack(t, envelope{Tag: string(seal.Bundle), Issuer: "exchanged-1", Body: body, Seal: armored})
}

func canonical(t testing.TB, v any) []byte {
	t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := mode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

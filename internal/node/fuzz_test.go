package node

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"result":5,"error":null,"id":1}`))
	f.Add([]byte(`{"result":null,"error":{"code":-5,"message":"no"},"id":1}`))
	f.Add([]byte(`{"result":"ff","id":1}`))
	f.Add([]byte(`{"result":{"value":1e999999999},"id":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var height uint32
		var coin *struct {
			Value json.Number `json:"value"`
		}
		_ = readAnswer(raw, 1, &height)
		if readAnswer(raw, 1, &coin) == nil && coin != nil {
			_, _, _ = satoshi(coin.Value)
		}
	})
}

// Any amount of satoshi that the parser gives is the text's value, rounded up.
func FuzzSatoshi(f *testing.F) {
	for _, text := range []string{"0", "1", "0.00000001", "3.31e-05", "21000000", "1e20", "-1", "0x1p4", "1/3", "1_0", "Inf", "1e999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, exact, err := satoshi(json.Number(text))
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok || strings.ContainsAny(text, "xXpP_/") {
			t.Fatalf("%q was read as %d", text, got)
		}
		want.Mul(want, big.NewRat(100_000_000, 1))
		rest := new(big.Rat).Sub(new(big.Rat).SetInt64(got), want)
		if rest.Sign() < 0 || rest.Cmp(big.NewRat(1, 1)) >= 0 || exact != (rest.Sign() == 0) {
			t.Fatalf("%q was read as %d satoshi, exact %v", text, got, exact)
		}
	})
}

package words_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/words"
	"github.com/tyler-smith/go-bip39"
)

// The first eleven words of a BIP39 phrase are the first 121 bits of its entropy, so go-bip39 is an independent check.
func TestWordsAreTheLeadingBitsAsBIP39WritesThem(t *testing.T) {
	for _, text := range []string{"", "a", "coldsign"} {
		digest := sha256.Sum256([]byte(text))
		phrase, err := bip39.NewMnemonic(digest[:])
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Join(strings.Fields(phrase)[:words.Count], " ")
		if got := words.Line(digest); got != want {
			t.Errorf("words of %q are %q, want %q", text, got, want)
		}
	}
}

func TestMatchToleratesOnlySpaceAndCase(t *testing.T) {
	digest := sha256.Sum256([]byte("x"))
	line := words.Line(digest)
	if !words.Match("  "+strings.ToUpper(strings.ReplaceAll(line, " ", "\t "))+"\n", digest) {
		t.Error("same words in another case do not match")
	}
	if words.Match(line[:len(line)-1], digest) || words.Match("", digest) {
		t.Error("other words match")
	}
}

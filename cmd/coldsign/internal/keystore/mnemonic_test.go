package keystore

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/tyler-smith/go-bip39"
	"pgregory.net/rapid"
)

// bip39Vectors reads the English vectors of python-mnemonic, or the two that are repeated here when they are absent.
// The published seeds use the BIP39 passphrase TREZOR, which this package does not have, so seeds are compared with
// go-bip39 instead.
func bip39Vectors(t *testing.T) [][]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "..", "shared", "vectors", "keys", "bip39.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return [][]string{
			{"00000000000000000000000000000000", abandon12},
			{"8080808080808080808080808080808080808080808080808080808080808080", "letter advice cage absurd amount doctor acoustic avoid " +
				"letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless"},
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var languages map[string][][]string
	if err := json.Unmarshal(raw, &languages); err != nil {
		t.Fatal(err)
	}
	if len(languages["english"]) != 24 {
		t.Fatalf("%d English vectors, there are 24", len(languages["english"]))
	}
	return languages["english"]
}

func TestAttack006WordsAgreeWithThePublishedVectors(t *testing.T) {
	for _, vector := range bip39Vectors(t) {
		entropy, err := hex.DecodeString(vector[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(wordsOf(entropy), " "); got != vector[1] {
			t.Errorf("words of %s are %s, want %s", vector[0], got, vector[1])
		}
		back, err := entropyOf(strings.Fields(vector[1]))
		if err != nil || hex.EncodeToString(back) != vector[0] {
			t.Errorf("entropy of %s is %x, %v", vector[1], back, err)
		}
		if got, want := seedOf(entropy), bip39.NewSeed(vector[1], ""); hex.EncodeToString(got) != hex.EncodeToString(want) {
			t.Errorf("seed of %s is %x, want %x", vector[0], got, want)
		}
		if len(vector) < 4 {
			continue
		}
		// The vector's own seed and BIP32 master, to show that the chain behind the words is the published one.
		master, err := hdkeychain.NewMaster(bip39.NewSeed(vector[1], "TREZOR"), &chaincfg.MainNetParams)
		if err != nil || master.String() != vector[3] {
			t.Errorf("master key of %s differs, %v", vector[0], err)
		}
	}
}

func TestAttack006WrongWordsAreRefusedWithoutBeingRepeated(t *testing.T) {
	good := strings.Fields(abandon12)
	change := func(position int, word string) []string {
		words := append([]string{}, good...)
		words[position] = word
		return words
	}
	for name, c := range map[string]struct {
		words []string
		code  string
	}{
		"nothing":              {nil, "seed-words"},
		"eleven":               {good[:11], "seed-words"},
		"thirteen":             {append(change(0, "abandon"), "about"), "seed-words"},
		"27 words":             {append(append(change(0, "abandon"), good...), good[:3]...), "seed-words"},
		"not in the list":      {change(3, "abandonn"), "seed-words"},
		"the first four only":  {change(3, "aban"), "seed-words"},
		"empty word":           {change(3, ""), "seed-words"},
		"checksum":             {change(11, "abandon"), "seed-checksum"},
		"checksum in the seed": {change(0, "zoo"), "seed-checksum"},
		"order":                {append([]string{"about"}, good[:11]...), "seed-checksum"},
		"another language":     {change(0, "abaisser"), "seed-words"},
	} {
		_, err := entropyOf(c.words)
		refused(t, name, err, c.code)
		for _, word := range c.words {
			if len(word) > 3 && strings.Contains(err.Error(), word) {
				t.Errorf("%s: the refusal repeats %q: %v", name, word, err)
			}
		}
	}
	// One word in 16 is right by chance at the end of a sentence; go-bip39 must agree on each.
	accepted := 0
	for _, last := range bip39.GetWordList() {
		sentence := append(append([]string{}, good[:11]...), last)
		_, err := entropyOf(sentence)
		if want := bip39.IsMnemonicValid(strings.Join(sentence, " ")); want != (err == nil) {
			t.Errorf("ending in %s: %v, go-bip39 says %v", last, err, want)
		}
		if err == nil {
			accepted++
		}
	}
	if accepted != 128 {
		t.Errorf("%d of 2048 last words are accepted, 128 have a right checksum", accepted)
	}
}

func TestWordsAndEntropyAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{16, 20, 24, 28, 32}).Draw(t, "size")
		entropy := rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "entropy")
		words := wordsOf(entropy)
		if !bip39.IsMnemonicValid(strings.Join(words, " ")) {
			t.Fatalf("go-bip39 refuses the words of %x", entropy)
		}
		back, err := entropyOf(words)
		if err != nil || string(back) != string(entropy) {
			t.Fatalf("%x came back as %x, %v", entropy, back, err)
		}
	})
}

func FuzzMnemonic(f *testing.F) {
	f.Add(abandon12)
	f.Add(strings.ToUpper(abandon12) + "\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		words := ParseMnemonic(text).Words()
		entropy, err := entropyOf(words)
		if err != nil {
			return
		}
		if again := strings.Join(wordsOf(entropy), " "); again != strings.ToLower(strings.Join(words, " ")) {
			t.Errorf("%q was read and is written %q", text, again)
		}
	})
}

package keystore

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/tyler-smith/go-bip39/wordlists"
	"golang.org/x/crypto/pbkdf2"
)

// BIP39, English. Written out here rather than called, because the library keeps the seed in strings and big integers
// that nothing can overwrite, and repeats a wrong word in its error text.

const (
	bitsPerWord = 11
	seedRounds  = 2048 // of PBKDF2, BIP39
	seedBytes   = 64
)

// wordsOf returns the words of 16, 20, 24, 28 or 32 bytes of entropy.
func wordsOf(entropy []byte) []string {
	sum := sha256.Sum256(entropy)
	bits := append(slices.Clone(entropy), sum[0]) // at most 8 checksum bits
	defer clear(bits)
	words := make([]string, len(entropy)*8*33/32/bitsPerWord)
	for i := range words {
		index := 0
		for bit := i * bitsPerWord; bit < (i+1)*bitsPerWord; bit++ {
			index = index<<1 | int(bits[bit/8]>>(7-bit%8)&1)
		}
		words[i] = wordlists.English[index]
	}
	return words
}

// entropyOf reads words back. A refusal says the position of what is wrong and never a word.
func entropyOf(words []string) ([]byte, error) {
	if n := len(words); n < 12 || n > 24 || n%3 != 0 {
		return nil, badWords("seed-words", "%d words", n)
	}
	bits := make([]byte, (len(words)*bitsPerWord+7)/8)
	defer clear(bits)
	for i, word := range words {
		index, known := slices.BinarySearch(wordlists.English, strings.ToLower(word))
		if !known {
			return nil, badWords("seed-words", "word %d, which is not in the list of BIP39", i+1)
		}
		for j := range bitsPerWord {
			if index>>(bitsPerWord-1-j)&1 == 1 {
				bit := i*bitsPerWord + j
				bits[bit/8] |= 1 << (7 - bit%8)
			}
		}
	}
	entropy := slices.Clone(bits[:len(words)*bitsPerWord*32/33/8])
	sum := sha256.Sum256(entropy)
	checksumBits := len(words) / 3
	if given := bits[len(entropy)]; given>>(8-checksumBits) != sum[0]>>(8-checksumBits) {
		clear(entropy)
		return nil, badWords("seed-checksum", "words whose checksum is wrong: one is mistyped or they are out of order")
	}
	return entropy, nil
}

// badWords refuses words that are no seed. Nobody sent them: they were read from paper.
func badWords(code, format string, args ...any) error {
	return &spend.Refusal{Kind: spend.Unreadable, Code: code, Where: "seed", Expected: "12 or 24 words of the BIP39 list, in their order",
		Found: fmt.Sprintf(format, args...), Fix: "read the words from the backup again, one by one, and type each in full"}
}

// seedOf returns the BIP39 seed without a BIP39 passphrase.
func seedOf(entropy []byte) []byte {
	var sentence []byte
	for i, word := range wordsOf(entropy) {
		if i > 0 {
			sentence = append(sentence, ' ')
		}
		sentence = append(sentence, word...)
	}
	defer clear(sentence)
	return pbkdf2.Key(sentence, []byte("mnemonic"), seedRounds, seedBytes, sha512.New)
}

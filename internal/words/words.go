// Package words turns a 256-bit digest into twelve BIP39 words that people read aloud to compare two machines.
//
// Twelve words carry 132 bits, the first 132 of the digest, most significant first, eleven bits a word, from the
// English list of BIP39. There is no checksum: these words name a digest, they are never a seed. What may never happen
// here: fewer words. Eight words are 88 bits, and an author of both documents finds a collision in 2^44 tries.
package words

import (
	"strings"

	"github.com/tyler-smith/go-bip39/wordlists"
)

// Count is how many words name a digest.
const Count = 12

// Of returns the twelve words of a digest.
func Of(digest [32]byte) [Count]string {
	var out [Count]string
	for i := range out {
		index := 0
		for bit := i * 11; bit < (i+1)*11; bit++ {
			index = index<<1 | int(digest[bit/8]>>(7-bit%8)&1)
		}
		out[i] = wordlists.English[index]
	}
	return out
}

// Line returns the twelve words of a digest with single spaces.
func Line(digest [32]byte) string {
	w := Of(digest)
	return strings.Join(w[:], " ")
}

// Match reports whether text is the words of digest; case and the amount of white space do not matter.
func Match(text string, digest [32]byte) bool {
	return strings.Join(strings.Fields(strings.ToLower(text)), " ") == Line(digest)
}

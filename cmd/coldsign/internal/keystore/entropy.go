package keystore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	sourceBytes = 64 // taken from each generator
	extraMin    = 32 // bytes of what people add
	extraMax    = 64 << 10
	sourcesMin  = 2
	entropySize = 32 // of a new seed: 24 words
)

// Entropy is where a new seed comes from. Kernel is always needed, and at least one of the others: one silently broken
// generator must not decide a key.
type Entropy struct {
	Kernel io.Reader // the operating system's generator, crypto/rand.Reader
	Device io.Reader // a second way to randomness: an open /dev/random, or the generator of a token
	Extra  Secret    // what people add, e.g. dice rolls as text; at least 32 bytes
}

// seed hashes all sources together: SHA-256 over a tag and, for each source, its name and bytes, each with a 4-byte
// length before it. The result is as good as the best source, whatever the others are.
func (e Entropy) seed() ([]byte, error) {
	hash := sha256.New()
	add := func(b []byte) {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(b)))
		hash.Write(length[:])
		hash.Write(b)
	}
	add([]byte("coldsign/seed/v1"))
	var blocks [][]byte
	for _, source := range []struct {
		name   string
		reader io.Reader
	}{{"kernel", e.Kernel}, {"device", e.Device}} {
		if source.reader == nil {
			continue
		}
		block := make([]byte, sourceBytes)
		defer clear(block)
		if _, err := io.ReadFull(source.reader, block); err != nil {
			return nil, fmt.Errorf("entropy from the %s: %w", source.name, err)
		}
		if repeats(block) {
			return nil, weak(source.name, "64 bytes that do not repeat", "a repeating pattern")
		}
		add([]byte(source.name))
		add(block)
		blocks = append(blocks, block)
	}
	if e.Kernel == nil {
		return nil, weak("kernel", "the operating system's generator", "none")
	}
	if len(blocks) == 2 && string(blocks[0]) == string(blocks[1]) {
		return nil, weak("device", "another source than the kernel's", "the same bytes")
	}
	count := len(blocks)
	if extra := e.Extra.bytes(); extra != nil {
		if len(extra) < extraMin || len(extra) > extraMax || repeats(extra) {
			return nil, weak("extra", fmt.Sprintf("%d to %d bytes that do not repeat", extraMin, extraMax), fmt.Sprintf("%d bytes", len(extra)))
		}
		add([]byte("extra"))
		add(extra)
		count++
	}
	if count < sourcesMin {
		return nil, weak("sources", "at least 2", fmt.Sprint(count))
	}
	return hash.Sum(nil), nil
}

func weak(source, expected, found string) error {
	return spend.Refuse("entropy-weak", source, expected, found, "make no key on this machine until its random numbers are understood")
}

// repeats reports whether the bytes are a short pattern over and over, or count up or down in equal steps: a generator
// that is stuck, zeroed or replaced by a counter. Honest random bytes do so once in 2^256.
func repeats(b []byte) bool {
	for period := 1; period <= len(b)/2; period++ {
		same := true
		for i := period; i < len(b) && same; i++ {
			same = b[i] == b[i-period]
		}
		if same {
			return true
		}
	}
	steps := len(b) > 1
	for i := 2; i < len(b) && steps; i++ {
		steps = b[i]-b[i-1] == b[1]-b[0]
	}
	return steps
}

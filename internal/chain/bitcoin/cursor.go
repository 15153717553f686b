package bitcoin

import (
	"crypto/sha256"
	"encoding/binary"
)

// cursor walks over bytes from outside. It gives slices of the input, never copies, so a length in the input can cause
// a refusal but no allocation.
type cursor struct {
	data  []byte
	at    int
	where string // names the part in refusals, e.g. "input 3 map"
}

func (c *cursor) left() int { return len(c.data) - c.at }

func (c *cursor) take(n uint64) ([]byte, error) {
	if n > uint64(c.left()) {
		return nil, malformed("psbt-truncated", c.where, "%d bytes announced at offset %d, %d left", n, c.at, c.left())
	}
	out := c.data[c.at : c.at+int(n) : c.at+int(n)]
	c.at += int(n)
	return out, nil
}

func (c *cursor) uint32() (uint32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) uint64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// compact reads a CompactSize and refuses every form but the shortest: two spellings of one number would be two
// packets with one meaning.
func (c *cursor) compact() (uint64, error) {
	start := c.at
	head, err := c.take(1)
	if err != nil {
		return 0, err
	}
	var value, least uint64
	switch head[0] {
	case 0xfd:
		b, err := c.take(2)
		if err != nil {
			return 0, err
		}
		value, least = uint64(binary.LittleEndian.Uint16(b)), 0xfd
	case 0xfe:
		v, err := c.uint32()
		if err != nil {
			return 0, err
		}
		value, least = uint64(v), 1<<16
	case 0xff:
		v, err := c.uint64()
		if err != nil {
			return 0, err
		}
		value, least = v, 1<<32
	default:
		value = uint64(head[0])
	}
	if value < least {
		return 0, malformed("psbt-compact-size", c.where, "%d written in %d bytes at offset %d", value, c.at-start, start)
	}
	return value, nil
}

// count reads how many things follow, each of at least size bytes, and refuses more than most or than can be there.
func (c *cursor) count(most, size int, what string) (int, error) {
	n, err := c.compact()
	if err != nil {
		return 0, err
	}
	if n > uint64(most) {
		return 0, malformed("psbt-too-large", c.where, "%d %s, at most %d are read", n, what, most)
	}
	if n*uint64(size) > uint64(c.left()) {
		return 0, malformed("psbt-truncated", c.where, "%d %s announced, %d bytes left", n, what, c.left())
	}
	return int(n), nil
}

// prefixed reads a CompactSize length and that many bytes.
func (c *cursor) prefixed() ([]byte, error) {
	n, err := c.compact()
	if err != nil {
		return nil, err
	}
	return c.take(n)
}

// end refuses bytes that nothing has read.
func (c *cursor) end() error {
	if c.left() == 0 {
		return nil
	}
	return malformed("psbt-trailing", c.where, "%d bytes after the end", c.left())
}

// appendCompact writes the shortest CompactSize of n.
func appendCompact(to []byte, n uint64) []byte {
	switch {
	case n < 0xfd:
		return append(to, byte(n))
	case n < 1<<16:
		return binary.LittleEndian.AppendUint16(append(to, 0xfd), uint16(n))
	case n < 1<<32:
		return binary.LittleEndian.AppendUint32(append(to, 0xfe), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(to, 0xff), n)
}

// appendPrefixed writes the length of b and b.
func appendPrefixed(to, b []byte) []byte { return append(appendCompact(to, uint64(len(b))), b...) }

// compactSize is how many bytes the CompactSize of n takes.
func compactSize(n int) int64 { return int64(len(appendCompact(nil, uint64(n)))) }

// sha256d is SHA-256 of SHA-256 over the parts in a row.
func sha256d(parts ...[]byte) [32]byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return sha256.Sum256(h.Sum(nil))
}

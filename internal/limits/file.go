package limits

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Sentences in a file are: the magic, for each the address in 16 bytes, the bits of its block, level and reason in one
// byte each, since and until in 8 bytes each, little endian, and the SHA-256 of all of it. The same sentences have the
// same bytes.
const (
	fileMagic  = "CSBANS01"
	fileRecord = 16 + 3 + 8 + 8
	// FileMax is the longest file: everybody whom the largest table remembers.
	FileMax = len(fileMagic) + addressesMax*fileRecord + sha256.Size
)

// AppendSentences appends the bytes of a file of sentences.
func AppendSentences(out []byte, list []Sentence) []byte {
	begin := len(out)
	out = append(out, fileMagic...)
	for _, s := range list {
		address := s.Block.Addr().As16()
		out = append(append(out, address[:]...), byte(s.Block.Bits()), s.Level, byte(s.Why))
		out = binary.LittleEndian.AppendUint64(out, uint64(s.Since))
		out = binary.LittleEndian.AppendUint64(out, uint64(s.Until))
	}
	sum := sha256.Sum256(out[begin:])
	return append(out, sum[:]...)
}

// ReadSentences reads exactly what AppendSentences wrote. A file that anything changed is refused as a whole: half of it
// would let somebody go whom nobody forgave.
func ReadSentences(raw []byte) ([]Sentence, error) {
	end := len(raw) - sha256.Size
	if end < len(fileMagic) || len(raw) > FileMax || string(raw[:len(fileMagic)]) != fileMagic || (end-len(fileMagic))%fileRecord != 0 {
		return nil, fmt.Errorf("limits: %d bytes that are no file of bans", len(raw))
	}
	if sum := sha256.Sum256(raw[:end]); !bytes.Equal(sum[:], raw[end:]) {
		return nil, fmt.Errorf("limits: a file of bans whose bytes were changed")
	}
	list := make([]Sentence, 0, (end-len(fileMagic))/fileRecord)
	for at := len(fileMagic); at < end; at += fileRecord {
		r := raw[at : at+fileRecord]
		s := Sentence{Block: netip.PrefixFrom(netip.AddrFrom16([16]byte(r)).Unmap(), int(r[16])), Level: r[17], Why: Why(r[18]),
			Since: exchange.Millis(binary.LittleEndian.Uint64(r[19:])), Until: exchange.Millis(binary.LittleEndian.Uint64(r[27:]))}
		if !s.valid() || s.Why > WhyRepeatedly {
			return nil, fmt.Errorf("limits: a file of bans with a sentence that no table gives: %v, level %d", s.Block, s.Level)
		}
		list = append(list, s)
	}
	return list, nil
}

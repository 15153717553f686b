package bitcoin_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// readAlike reads a packet with the wire module alone, writes it again and reports whether the bytes are the same. It
// shares no code with the room, and wire refuses numbers that are longer than needed.
func readAlike(packet []byte) bool {
	r := bytes.NewReader(packet)
	var out bytes.Buffer
	if _, err := io.CopyN(&out, r, 5); err != nil {
		return false
	}
	for r.Len() > 0 {
		for {
			key, err := wire.ReadVarBytes(r, 0, 1<<24, "key")
			if err != nil || wire.WriteVarBytes(&out, 0, key) != nil {
				return false
			}
			if len(key) == 0 {
				break
			}
			value, err := wire.ReadVarBytes(r, 0, 1<<24, "value")
			if err != nil || wire.WriteVarBytes(&out, 0, value) != nil {
				return false
			}
		}
	}
	return bytes.Equal(out.Bytes(), packet)
}

// Attack 120: whatever is read, an independent reader reads alike, and taking it apart and joining it again gives the
// same bytes. Every byte of a packet is turned in several ways, and a zero is put before it.
func TestAttack120WhatIsReadHasOneMeaning(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	read := 0
	check := func(packet []byte) {
		p, err := bitcoin.Read(packet)
		if err != nil {
			return
		}
		read++
		if !readAlike(packet) {
			t.Fatalf("read, and read otherwise by another reader: %x", packet)
		}
		bare, proofs := p.Strip()
		joined, err := bitcoin.Join(bare, proofs)
		if err == nil && !bytes.Equal(joined.Bytes(), packet) {
			t.Fatalf("taken apart and joined, it is %x, and was %x", joined.Bytes(), packet)
		}
	}
	check(good)
	for i := range good {
		for _, bits := range []byte{0x01, 0x02, 0x40, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= bits
			check(bad)
		}
		check(append(append(bytes.Clone(good[:i]), 0), good[i:]...))
		check(append(append(bytes.Clone(good[:i]), 0xfd, good[i], 0), good[i+1:]...))
	}
	if read < 100 { // amounts, sequences, hashes and signatures can turn and still be read
		t.Errorf("only %d packets were read: the test has gone blind", read)
	}
}

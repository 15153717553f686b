package bus

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
)

// kind says what a message is.
type kind uint8

const (
	hello    kind = iota + 1 // asks for a session; id is the asker's fresh number
	welcome                  // grants it; id is the granter's fresh number
	request                  // id is the session
	reply                    // id and sequence are the request's
	event                    // id is the publisher's epoch
	stranger                 // not sealed: "I do not know that session", a hint to say hello again
)

const (
	wireVersion  = 1
	headerSize   = 4 + 16 + 8 + 8
	sealOverhead = 16
	payloadMax   = MessageMax + headerSize + sealOverhead + 1 // as NATS counts
)

// mark is a session, an epoch or a fresh number.
type mark [16]byte

// header is the front of every message.
type header struct {
	kind     kind
	from, to Segment
	id       mark
	seq      uint64
	until    uint64 // milliseconds on the receiver's clock; zero where it says nothing
}

var errEnvelope = errors.New("bus: not a message of ours")

func (h *header) append(out []byte) []byte {
	out = append(out, wireVersion, byte(h.kind), byte(h.from), byte(h.to))
	out = append(out, h.id[:]...)
	out = binary.LittleEndian.AppendUint64(out, h.seq)
	return binary.LittleEndian.AppendUint64(out, h.until)
}

// readHeader reads the front of a message and returns what is sealed behind it.
func readHeader(raw []byte) (h header, sealed []byte, err error) {
	if len(raw) < headerSize || len(raw) > payloadMax || raw[0] != wireVersion {
		return h, nil, errEnvelope
	}
	h = header{kind: kind(raw[1]), from: Segment(raw[2]), to: Segment(raw[3]), id: mark(raw[4:20]),
		seq: binary.LittleEndian.Uint64(raw[20:]), until: binary.LittleEndian.Uint64(raw[28:])}
	if h.kind < hello || h.kind > stranger {
		return h, nil, errEnvelope
	}
	return h, raw[headerSize:], nil
}

// bound is what a seal binds beside the bytes: the header and the subject, so that a message cannot be moved.
func bound(buffer []byte, h *header, subject string) []byte {
	return append(h.append(buffer), subject...)
}

// nonce is the message's number. Each key belongs to one direction and purpose, and numbers rise.
func (h *header) nonce() [12]byte {
	var n [12]byte
	binary.LittleEndian.PutUint64(n[4:], h.seq)
	return n
}

// seal makes a message. The parts follow each other in what is sealed.
func seal(box cipher.AEAD, h *header, subject string, parts ...[]byte) []byte {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	out := h.append(make([]byte, 0, headerSize+size+sealOverhead))
	for _, part := range parts {
		out = append(out, part...)
	}
	var buffer [headerSize + subjectMax]byte
	nonce := h.nonce()
	plain := out[headerSize:]
	return out[:headerSize+len(box.Seal(plain[:0], nonce[:], plain, bound(buffer[:0], h, subject)))]
}

// open returns what was sealed. It works in place: sealed holds the plain bytes afterwards.
func open(box cipher.AEAD, h *header, subject string, sealed []byte) ([]byte, error) {
	var buffer [headerSize + subjectMax]byte
	nonce := h.nonce()
	plain, err := box.Open(sealed[:0], nonce[:], sealed, bound(buffer[:0], h, subject))
	if err != nil {
		return nil, errEnvelope
	}
	return plain, nil
}

package records

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// sealer seals fields with AES-256-GCM. The nonce is the front of an HMAC over what is sealed and where, under a key of
// its own: the same value in the same field of the same row gives the same bytes, so records that are made again from
// the journal are equal, and a value in another row or column looks like any other and does not open there.
type sealer struct{ s *sealerKeys } // a pointer: printing shows an address

type sealerKeys struct {
	aead               cipher.AEAD
	nonce, tag, backup []byte
}

const (
	nonceBytes = 12
	tagBytes   = 16
)

// errSealed says that a field was not sealed for its place under this key: the database was changed by somebody else.
var errSealed = errors.New("a sealed field does not open: the records were changed from outside; make them again from the journal")

func newSealer(key []byte) (sealer, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "coldsign records fields", 128)
	if err != nil {
		return sealer{}, fmt.Errorf("records key: %w", err)
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return sealer{}, fmt.Errorf("records key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return sealer{}, fmt.Errorf("records key: %w", err)
	}
	return sealer{&sealerKeys{aead: aead, nonce: derived[32:64], tag: derived[64:96], backup: derived[96:]}}, nil
}

// field names one field of one row: "accounts.name" and the numbers of its key.
func field(name string, key ...uint64) []byte {
	out := append([]byte(name), 0)
	for _, n := range key {
		out = binary.BigEndian.AppendUint64(out, n)
	}
	return out
}

func (s sealer) seal(place []byte, plain []byte) []byte {
	mac := hmac.New(sha256.New, s.s.nonce)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(place))))
	mac.Write(place)
	mac.Write(plain)
	nonce := mac.Sum(nil)[:nonceBytes]
	return s.s.aead.Seal(nonce, nonce, plain, place)
}

func (s sealer) open(place []byte, sealed []byte) ([]byte, error) {
	if len(sealed) < nonceBytes {
		return nil, errSealed
	}
	plain, err := s.s.aead.Open(nil, sealed[:nonceBytes], sealed[nonceBytes:], place)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// index is a stand-in for a text in a key: equal for equal texts, and nothing else can be learned from it without the
// key.
func (s sealer) index(text string) []byte {
	mac := hmac.New(sha256.New, s.s.tag)
	mac.Write([]byte(text))
	return mac.Sum(nil)[:tagBytes]
}

// proof is stored once, so that another key is noticed before it is used.
func (s sealer) proof() []byte { return s.index("\x00coldsign records") }

package accounts

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/coldsign/coldsign/internal/exchange"
)

const (
	// SealerKeyBytes is the length of a key-encryption key.
	SealerKeyBytes = 32
	sealedVersion  = 1
	keyTagBytes    = 4
	nonceBytes     = 12
	secretMax      = 64
)

// ErrSealed says that bytes were not sealed for this account and name under a key that the sealer has.
var ErrSealed = errors.New("accounts: the secret does not open")

// Sealer seals secrets at rest with AES-256-GCM under a key-encryption key.
//
// A sealed secret is: version 1, tag of the key 4 (the front of SHA-256 over it), nonce 12, ciphertext and tag of GCM.
// The additional data is the version, the key's tag, the account's number (8, big endian) and the name, so that a
// sealed secret that is moved to another account or key does not open.
//
// It has one key that seals and may have older ones that open: what a journal holds stays readable when the key is
// changed. All engines of one journal need the same ones.
type Sealer struct{ keys *[]sealerKey } // a pointer: printing a Sealer prints an address

type sealerKey struct {
	tag  [keyTagBytes]byte
	aead cipher.AEAD
}

// NewSealer returns a sealer. The first key, of 32 bytes, seals; all of them open.
func NewSealer(key []byte, older ...[]byte) (*Sealer, error) {
	var keys []sealerKey
	for _, raw := range append([][]byte{key}, older...) {
		if len(raw) != SealerKeyBytes {
			return nil, fmt.Errorf("a key-encryption key of %d bytes, where %d are needed", len(raw), SealerKeyBytes)
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("coldsign key-encryption key\x00"), raw...))
		keys = append(keys, sealerKey{[keyTagBytes]byte(sum[:keyTagBytes]), aead})
	}
	return &Sealer{&keys}, nil
}

// Seal seals a secret of a key, or the one-time-code secret of an account (name TOTPName).
func (s *Sealer) Seal(random io.Reader, account exchange.Account, name string, secret []byte) ([]byte, error) {
	if len(secret) == 0 || len(secret) > secretMax {
		return nil, fmt.Errorf("a secret of %d bytes, where 1 to %d can be sealed", len(secret), secretMax)
	}
	key := (*s.keys)[0]
	out := append([]byte{sealedVersion}, key.tag[:]...)
	out = append(out, make([]byte, nonceBytes)...)
	nonce := out[1+keyTagBytes:]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	return key.aead.Seal(out, nonce, secret, bound(key.tag, account, name)), nil
}

// Open opens what Seal sealed for the same account and name.
func (s *Sealer) Open(account exchange.Account, name string, sealed []byte) ([]byte, error) {
	const head = 1 + keyTagBytes + nonceBytes
	if len(sealed) < head || len(sealed) > sealedMax || sealed[0] != sealedVersion {
		return nil, ErrSealed
	}
	for _, key := range *s.keys {
		if !bytes.Equal(key.tag[:], sealed[1:1+keyTagBytes]) {
			continue
		}
		secret, err := key.aead.Open(nil, sealed[1+keyTagBytes:head], sealed[head:], bound(key.tag, account, name))
		if err != nil {
			return nil, ErrSealed
		}
		return secret, nil
	}
	return nil, ErrSealed
}

func bound(tag [keyTagBytes]byte, account exchange.Account, name string) []byte {
	out := append([]byte{sealedVersion}, tag[:]...)
	out = binary.BigEndian.AppendUint64(out, uint64(account))
	return append(out, name...)
}

const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// NewSecret draws the secret of an hmac key, or the public name of any key: 64 characters of a-z, A-Z, 0-9. A secret is
// shown to its customer once; afterwards only its seal exists.
func NewSecret(random io.Reader) (string, error) {
	out := make([]byte, 0, keyNameLen)
	chunk := make([]byte, keyNameLen)
	for len(out) < keyNameLen {
		if _, err := io.ReadFull(random, chunk); err != nil {
			return "", fmt.Errorf("secret: %w", err)
		}
		for _, c := range chunk {
			// 248 is the greatest multiple of 62 in a byte: above it some characters would come more often.
			if c < 248 && len(out) < keyNameLen {
				out = append(out, alphabet[c%62])
			}
		}
	}
	return string(out), nil
}

// NewTOTPSecret draws a one-time-code secret. Apps read it as base32 without padding.
func NewTOTPSecret(random io.Reader) ([]byte, error) {
	out := make([]byte, TOTPBytes)
	if _, err := io.ReadFull(random, out); err != nil {
		return nil, fmt.Errorf("one-time-code secret: %w", err)
	}
	return out, nil
}

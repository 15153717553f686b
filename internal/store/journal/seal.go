package journal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

const (
	saltBytes     = 32
	languageBytes = 4       // behind the random part of a salt, from language 2 on
	saltsMax      = 1 << 20 // openings for writing; one a minute for two years

	frameInfo = "coldsign journal frame v1"
	checkInfo = "coldsign journal key check v1"
	pruneInfo = "coldsign journal pruned v1"
)

// keyring holds the store key's descendants: one AEAD for each epoch. A reader learns epochs while it reads.
type keyring struct {
	store  []byte
	prune  []byte
	epochs *sync.Map // epoch -> epoch
}

// epoch is what is known of one opening for writing: its key, and the language of the commands that it wrote.
type epoch struct {
	aead     cipher.AEAD
	language uint32
}

// newSalt draws an epoch's salt. The language is part of it, so that it cannot be changed without the frames losing their
// key; the first language is not written, because salts were bare before there was a second.
func newSalt(random io.Reader, language uint32) ([]byte, error) {
	salt := make([]byte, saltBytes, saltBytes+languageBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, err
	}
	return withLanguage(salt, language), nil
}

func withLanguage(salt []byte, language uint32) []byte {
	if language == 1 {
		return salt
	}
	return binary.BigEndian.AppendUint32(salt, language)
}

// languageOf returns the language that a salt names.
func languageOf(salt []byte) (language uint32, ok bool) {
	switch len(salt) {
	case saltBytes:
		return 1, true
	case saltBytes + languageBytes:
		language = binary.BigEndian.Uint32(salt[saltBytes:])
		return language, language > 1
	}
	return 0, false
}

func newKeyring(store []byte) (keyring, error) {
	prune, err := hkdf.Key(sha256.New, store, nil, pruneInfo, 32)
	if err != nil {
		return keyring{}, err
	}
	return keyring{store: append([]byte(nil), store...), prune: prune, epochs: new(sync.Map)}, nil
}

// check is what tells a right key from a wrong one; nothing can be computed back from it.
func (k keyring) check() []byte {
	sum, err := hkdf.Key(sha256.New, k.store, nil, checkInfo, 32)
	if err != nil {
		panic(err) // lengths are constants
	}
	return sum
}

// learn derives the keys of epochs.
func (k keyring) learn(salts map[uint64][]byte) error {
	if len(salts) > saltsMax {
		return fmt.Errorf("the journal has %d epochs, more than %d", len(salts), saltsMax)
	}
	for number, salt := range salts {
		if _, known := k.epochs.Load(number); known {
			continue
		}
		language, ok := languageOf(salt)
		if !ok {
			return fmt.Errorf("epoch %d has a salt of %d bytes that no program writes", number, len(salt))
		}
		key, err := hkdf.Key(sha256.New, k.store, salt, frameInfo, 32)
		if err != nil {
			return err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return err
		}
		k.epochs.Store(number, epoch{aead, language})
	}
	return nil
}

func (k keyring) epoch(number uint64) (epoch, bool) {
	found, ok := k.epochs.Load(number)
	if !ok {
		return epoch{}, false
	}
	return found.(epoch), true
}

// headBytes is the length of a row's numbers and its previous hash.
const headBytes = 4*8 + 32

// head is what the seal authenticates beside the commands.
func (r *row) head() (out [headBytes]byte) {
	binary.BigEndian.PutUint64(out[0:], r.first)
	binary.BigEndian.PutUint64(out[8:], r.count)
	binary.BigEndian.PutUint64(out[16:], uint64(r.at))
	binary.BigEndian.PutUint64(out[24:], r.epoch)
	copy(out[32:], r.prev[:])
	return out
}

// hash is what the next row holds as its previous hash.
func (r *row) hash() (sum [32]byte) {
	h := sha256.New()
	h.Write([]byte(frameInfo))
	head := r.head()
	h.Write(head[:])
	h.Write(r.sealed)
	h.Sum(sum[:0])
	return sum
}

func (r *row) nonce() (n [12]byte) {
	binary.BigEndian.PutUint64(n[4:], r.first)
	return n
}

// seal appends the sealed commands of a row whose other fields are set.
func (k keyring) seal(out []byte, r *row, commands []byte) []byte {
	e, ok := k.epoch(r.epoch)
	if !ok {
		panic("journal: a frame of an epoch that was never claimed")
	}
	nonce, head := r.nonce(), r.head()
	return e.aead.Seal(out, nonce[:], commands, head[:])
}

// open appends the commands of a row, or fails when any byte of the row is not the one that was written.
func (k keyring) open(out []byte, r *row) ([]byte, error) {
	e, ok := k.epoch(r.epoch)
	if !ok {
		return nil, fmt.Errorf("epoch %d is not known", r.epoch)
	}
	nonce, head := r.nonce(), r.head()
	return e.aead.Open(out, nonce[:], r.sealed, head[:])
}

func equal(a, b []byte) bool { return hmac.Equal(a, b) }

// anchorBytes is: sequence number 8, hash 32, HMAC 32.
const anchorBytes = 8 + 32 + 32

func (k keyring) anchor(seq uint64, hash [32]byte) []byte {
	out := binary.BigEndian.AppendUint64(nil, seq)
	out = append(out, hash[:]...)
	mac := hmac.New(sha256.New, k.prune)
	mac.Write(out)
	return mac.Sum(out)
}

func (k keyring) readAnchor(raw []byte) (seq uint64, hash [32]byte, ok bool) {
	if len(raw) != anchorBytes {
		return 0, hash, false
	}
	seq, hash = binary.BigEndian.Uint64(raw), [32]byte(raw[8:40])
	return seq, hash, equal(raw, k.anchor(seq, hash))
}

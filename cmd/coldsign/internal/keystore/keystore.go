// Package keystore holds a signer's own keys and gives signatures, never keys.
//
// It exists so that one place in the program knows how a private key is kept, and so that everything above sees the
// same thing whether the key is a seed in a file or an object in a PKCS#11 token. A key has a public record
// (wallet.KeyRecord) that anyone may read without unlocking, and is unlocked for one command with a passphrase or a PIN.
//
// The store is a directory with one file per key, NAME.json, mode 0600, written whole or not at all and never
// overwritten. A file is at most 96 KiB of JSON, indented by two spaces; a file that differs in one byte from what this
// package would write for the same content is refused, which rules out unknown and repeated fields, other number forms
// and trailing bytes at once. Two kinds, where "record" is the key record as room wallet writes it:
//
//	{"coldsign": "keystore/v1", "kind": "software", "record": {...},
//	 "kdf": {"name": "argon2id", "memory_kib": 262144, "passes": 3, "lanes": 4, "salt": "<32 hex bytes>"},
//	 "seal": {"name": "xchacha20-poly1305", "nonce": "<24 hex bytes>", "ciphertext": "<hex>"}}
//
//	{"coldsign": "keystore/v1", "kind": "token", "record": {...},
//	 "token": {"module": "/usr/lib/softhsm/libsofthsm2.so", "label": "treasury", "key": "b", "receipt": "b-receipt"}}
//
// The sealed plaintext is the BIP39 entropy (16 or 32 bytes), the sealing key is argon2id(passphrase, salt), 32 bytes.
// The additional data of the seal is the whole file with an empty ciphertext, so no public word of it can be changed
// without breaking the seal. A wrong passphrase and a changed file give one and the same refusal, key-locked. What was
// unsealed must derive the record again, or it is refused as key-mismatch.
//
// Keys of a software record: BIP39 seed without a BIP39 passphrase, BIP32 master, account m/48h/coin'/0h/2h (BIP48,
// P2WSH), then branch and index. The receipt key is Ed25519 from HKDF-SHA256(entropy, info "coldsign/receipt/v1").
// A token has no BIP32: its key is one fixed public key, whatever branch and index are asked for, or a pool of keys that
// were made at once, labelled b-0000, b-0001 and so on where "key" is "b", one for each branch and index.
//
// What may never happen here: a private key or a seed in an error, a log, a JSON value or a return value other than
// Mnemonic at creation; a signature that was not verified against the public record; a nonce that is not RFC 6979
// (software keys); a key file that opens another wallet than the one it names.
package keystore

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// ErrClosed is returned by a key that was closed.
var ErrClosed = errors.New("the key is closed")

// ErrNoTokens is returned for token keys by a program that was wired without PKCS#11.
var ErrNoTokens = errors.New("this program cannot open PKCS#11 tokens")

// Token is one logged-in PKCS#11 token, as far as a key needs it. *hsm.Token satisfies it.
type Token interface {
	// SignDigest signs with the secp256k1 key of that label, low-S DER, verified against the pinned public key.
	SignDigest(ctx context.Context, label string, pinned [33]byte, digest [32]byte) (der []byte, err error)
	// P256Signer finds the P-256 key of that label.
	P256Signer(label string) (crypto.Signer, error)
	// Close logs out and ends the use of the token.
	Close() error
}

// OpenToken opens the token of that label and logs in. The doors wire it to room hsm. It does not keep the PIN.
type OpenToken func(module, label string, pin []byte) (Token, error)

// Kind says how a private key is held.
type Kind string

// The kinds of key.
const (
	Software Kind = "software" // an encrypted seed in the key file
	InToken  Kind = "token"    // a non-exportable key in a PKCS#11 token
)

// Info is the public part of a key file.
type Info struct {
	Name   string
	Kind   Kind
	Record wallet.KeyRecord
	Token  TokenKey // of keys InToken: where the key is
}

// TokenKey says where a token key is. Nothing of it is secret.
type TokenKey struct {
	Module  string // absolute path of the PKCS#11 module
	Label   string // of the token
	Key     string // label of the secp256k1 key; of a pool what its labels begin with
	Receipt string // label of the P-256 key that signs receipts
}

// Store is a directory of key files.
type Store struct {
	dir    string
	tokens OpenToken
}

// Open uses an existing directory as a key store. tokens may be nil in programs without PKCS#11.
func Open(dir string, tokens OpenToken) (*Store, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("key store %s is not a directory", dir)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("key store %s may be written by everybody", dir)
	}
	return &Store{dir: dir, tokens: tokens}, nil
}

// Creation says what software key to make.
type Creation struct {
	Name       string // [A-Za-z0-9][A-Za-z0-9-]{0,31}
	Network    spend.Network
	Passphrase Secret    // stays the caller's to wipe
	Params     Params    // zero means DefaultParams
	Rand       io.Reader // for salt and nonce, crypto/rand.Reader
}

// Create makes a new seed from several sources, seals it under the passphrase, and returns the public record and the
// words to write down. Nothing shows the words a second time.
func (s *Store) Create(c Creation, e Entropy) (wallet.KeyRecord, Mnemonic, error) {
	if err := c.check(); err != nil {
		return wallet.KeyRecord{}, Mnemonic{}, err
	}
	entropy, err := e.seed()
	if err != nil {
		return wallet.KeyRecord{}, Mnemonic{}, err
	}
	defer clear(entropy)
	record, err := s.add(c, entropy)
	if err != nil {
		return wallet.KeyRecord{}, Mnemonic{}, err
	}
	return record, mnemonic(wordsOf(entropy)), nil
}

// Import seals a seed that exists as 12 or 24 words. It has no BIP39 passphrase: a passphrase that is forgotten, or
// typed once differently, opens another wallet without a word of warning.
func (s *Store) Import(c Creation, m Mnemonic) (wallet.KeyRecord, error) {
	if err := c.check(); err != nil {
		return wallet.KeyRecord{}, err
	}
	if n := len(m.Words()); n != 12 && n != 24 {
		return wallet.KeyRecord{}, badWords("seed-words", "%d words", n)
	}
	entropy, err := entropyOf(m.Words())
	if err != nil {
		return wallet.KeyRecord{}, err
	}
	defer clear(entropy)
	return s.add(c, entropy)
}

// add derives the public record, proves it, seals the entropy and writes the file.
func (s *Store) add(c Creation, entropy []byte) (wallet.KeyRecord, error) {
	if err := s.free(c.Name); err != nil {
		return wallet.KeyRecord{}, err
	}
	key, err := deriveSoftware(entropy, c.Network)
	if err != nil {
		return wallet.KeyRecord{}, err
	}
	defer key.close()
	record, err := key.record(c.Name)
	if err != nil {
		return wallet.KeyRecord{}, err
	}
	sealed, err := seal(c, record, entropy)
	if err != nil {
		return wallet.KeyRecord{}, err
	}
	return record, s.write(c.Name, sealed.encode())
}

func (c Creation) check() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if _, err := wallet.Params(c.Network); err != nil {
		return err
	}
	if c.Rand == nil {
		return errors.New("no source for salt and nonce")
	}
	if err := c.params().check(c.Network); err != nil {
		return err
	}
	least := 1
	if !c.Network.IsTest() {
		least = passphraseMin
	}
	if n := len(c.Passphrase.bytes()); n < least {
		return spend.Refuse("passphrase-short", "key "+c.Name, fmt.Sprintf("a passphrase of at least %d bytes on %s", least, c.Network),
			fmt.Sprintf("%d", n), "choose a longer one; six random words are good")
	}
	return nil
}

func (c Creation) params() Params {
	if c.Params == (Params{}) {
		return DefaultParams()
	}
	return c.Params
}

const (
	passphraseMin = 12 // bytes, on mainnet
	nameMax       = 32
)

// checkName keeps names to what a file, a screen and a record show the same way.
func checkName(name string) error {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (c != '-' || i == 0) {
			return badName()
		}
	}
	if name == "" || len(name) > nameMax {
		return badName()
	}
	return nil
}

func badName() error {
	return spend.Refuse("key-name", "key name", "1 to 32 letters, digits and hyphens, the first no hyphen", "another name", "choose another name")
}

// Info returns the public part of one key.
func (s *Store) Info(name string) (Info, error) {
	f, err := s.read(name)
	if err != nil {
		return Info{}, err
	}
	return f.info(), nil
}

// List returns the public part of every key, by name. A file that cannot be read is an error: a key that has silently
// gone from a list is not noticed.
func (s *Store) List() ([]Info, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, name := range names {
		info, err := s.Info(name)
		if err != nil {
			return nil, fmt.Errorf("key file %s: %w", name+extension, err)
		}
		list = append(list, info)
	}
	return list, nil
}

// Unlock opens a key with its passphrase or PIN. The secret stays the caller's to wipe; close the key when the command
// is done.
func (s *Store) Unlock(name string, secret Secret) (*Key, error) {
	f, err := s.read(name)
	if err != nil {
		return nil, err
	}
	if f.Token != nil {
		return s.unlockToken(f, secret)
	}
	entropy, err := f.unseal(secret)
	if err != nil {
		return nil, err
	}
	defer clear(entropy)
	key, err := deriveSoftware(entropy, f.record.Network)
	if err != nil {
		return nil, err
	}
	if err := key.matches(f.record); err != nil {
		key.close()
		return nil, err
	}
	return &Key{record: f.record, holder: key}, nil
}

// where names a key in a refusal.
func where(name string) string { return "key " + strings.ToValidUTF8(name, "?") }

// Package keystore holds a signer's own keys and gives signatures, never keys.
//
// It exists so that one place in the program knows how a private key is kept, and so that everything above sees the
// same thing whether the key is a seed in a file or an object in a PKCS#11 token. A key has a public record
// (wallet.KeyRecord) that anyone may read without unlocking, and is unlocked for one command with a passphrase or a PIN.
//
// The store is a directory with one file per key, NAME.json, mode 0600, written whole or not at all and never
// overwritten. A file is at most 64 KiB of JSON with sorted struct order and two-space indentation; a file that differs
// from what this package would write for the same content is refused, which rules out unknown and repeated fields,
// other number forms and trailing bytes at once. Two kinds:
//
//	{"coldsign": "keystore/v1", "kind": "software", "record": {...},
//	 "kdf": {"name": "argon2id", "memory_kib": 262144, "passes": 3, "lanes": 4, "salt": "<32 hex bytes>"},
//	 "seal": {"name": "xchacha20-poly1305", "nonce": "<24 hex bytes>", "ciphertext": "<hex>"}}
//
//	{"coldsign": "keystore/v1", "kind": "token", "record": {...},
//	 "token": {"module": "/usr/lib/softhsm/libsofthsm2.so", "label": "treasury", "key": "b", "receipt": "b-receipt"}}
//
// The sealed plaintext is the BIP39 entropy (16 to 32 bytes). The additional data of the seal is the whole file with an
// empty ciphertext, so no public word of it can be changed without breaking the seal. A wrong passphrase and a changed
// file give one and the same refusal, key-locked.
//
// Keys of a software record: BIP39 seed without a BIP39 passphrase, BIP32 master, account m/48h/coin'/0h/2h (BIP48,
// P2WSH), then branch and index. The receipt key is Ed25519 from HKDF-SHA256(entropy, info "coldsign/receipt/v1").
// A token has no BIP32: its key is one fixed public key, whatever branch and index are asked for.
//
// What may never happen here: a private key or a seed in an error, a log, a JSON value or a return value other than
// Mnemonic at creation; a signature that was not verified against the public record; a nonce that is not RFC 6979
// (software keys); a key file that opens another wallet than the one it names.
package keystore

import (
	"context"
	"crypto"
	"errors"
	"io"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

var errUnready = errors.New("keystore: the room is being built")

// Token is one logged-in PKCS#11 token, as far as a key needs it. *hsm.Token satisfies it.
type Token interface {
	// SignDigest signs with the secp256k1 key of that label, low-S DER, verified against the pinned public key.
	SignDigest(ctx context.Context, label string, pinned [33]byte, digest [32]byte) (der []byte, err error)
	// P256Signer finds the P-256 key of that label.
	P256Signer(label string) (crypto.Signer, error)
	// Close logs out and ends the use of the token.
	Close() error
}

// OpenToken opens the token of that label and logs in. The doors wire it to room hsm.
type OpenToken func(module, label string, pin []byte) (Token, error)

// Store is a directory of key files.
type Store struct {
	dir    string
	tokens OpenToken
}

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
	Token  TokenKey // of InToken keys: where the key is
}

// TokenKey says where a token key is.
type TokenKey struct {
	Module  string // path of the PKCS#11 module
	Label   string // of the token
	Key     string // label of the secp256k1 key
	Receipt string // label of the P-256 key that signs receipts
}

// Params are the costs of deriving a file's key from its passphrase (argon2id).
type Params struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultParams cost about a second of one desktop core and 256 MiB.
func DefaultParams() Params { return Params{MemoryKiB: 256 << 10, Passes: 3, Lanes: 4} }

// TestParams cost nearly nothing. They are refused on mainnet.
func TestParams() Params { return Params{MemoryKiB: 256, Passes: 1, Lanes: 1} }

// Entropy is where a new seed comes from. At least two of the three must be given, Kernel always: one silently broken
// generator must not decide a key.
type Entropy struct {
	Kernel io.Reader // the operating system's generator, crypto/rand.Reader
	Device io.Reader // a second way to randomness: an open /dev/random, or the generator of a token
	Extra  []byte    // what people add, e.g. dice rolls as text; at least 32 bytes
}

// Creation says what key to make.
type Creation struct {
	Name       string // [A-Za-z0-9][A-Za-z0-9-]{0,31}
	Network    spend.Network
	Passphrase Secret
	Params     Params    // zero means DefaultParams
	Rand       io.Reader // for salt and nonce
}

// Open uses an existing directory as a key store. tokens may be nil in programs without PKCS#11.
func Open(dir string, tokens OpenToken) (*Store, error) { return nil, errUnready }

// Create makes a new seed, seals it under the passphrase and returns the public record and the words to write down.
func (s *Store) Create(c Creation, e Entropy) (wallet.KeyRecord, Mnemonic, error) {
	return wallet.KeyRecord{}, Mnemonic{}, errUnready
}

// Import seals a seed that exists as 12 or 24 words.
func (s *Store) Import(c Creation, words Mnemonic) (wallet.KeyRecord, error) {
	return wallet.KeyRecord{}, errUnready
}

// AddToken pins a key that lies in a token, after the token has proven that it holds it.
func (s *Store) AddToken(ctx context.Context, c TokenCreation, token Token) (wallet.KeyRecord, error) {
	return wallet.KeyRecord{}, errUnready
}

// TokenCreation says which token key to pin.
type TokenCreation struct {
	Name    string
	Network spend.Network
	Where   TokenKey
	Public  [33]byte // the key's public half, compressed
}

// List returns the public part of every key, by name.
func (s *Store) List() ([]Info, error) { return nil, errUnready }

// Info returns the public part of one key.
func (s *Store) Info(name string) (Info, error) { return Info{}, errUnready }

// Unlock opens a key with its passphrase or PIN. Close it when the command is done.
func (s *Store) Unlock(name string, secret Secret) (*Key, error) { return nil, errUnready }

// Key is an unlocked key.
type Key struct{ record wallet.KeyRecord }

// Record is the key's public record.
func (k *Key) Record() wallet.KeyRecord { return k.record }

// Sign signs a digest with the key at branch and index: strict DER, low-S, without a sighash byte, verified against
// the public record before it is returned.
func (k *Key) Sign(ctx context.Context, branch wallet.Branch, index uint32, digest [32]byte) (der []byte, pub [33]byte, err error) {
	return nil, pub, errUnready
}

// Receipt is the key that signs this signer's receipts and pins.
func (k *Key) Receipt() ssh.Signer { return nil }

// Close forgets the key, as far as Go can.
func (k *Key) Close() error { return nil }

// Package wallet pins m-of-n wallets: key records, descriptors and wallet files.
package wallet

import (
	"errors"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// Branch tells receiving scripts from change scripts.
type Branch uint32

// The two branches of a wallet.
const (
	Receive      Branch = 0
	ChangeBranch Branch = 1
)

// KeyKind says whether a key has children.
type KeyKind string

// The kinds of key.
const (
	BIP32 KeyKind = "bip32" // an account key, xpub or tpub
	Fixed KeyKind = "fixed" // one public key, e.g. in an HSM
)

// KeyRecord is a public key, where it comes from, and the proof that somebody holds it.
type KeyRecord struct {
	Name        string
	Network     spend.Network
	Kind        KeyKind
	Fingerprint [4]byte
	Path        []uint32
	Key         string
	Receipt     string
	Proof       []byte
	Device      string
}

var errUnready = errors.New("wallet: the room is being built")

// ProofDigest is what Proof signs.
func (r KeyRecord) ProofDigest() [32]byte { return [32]byte{} }

// Verify checks the record.
func (r KeyRecord) Verify() error { return errUnready }

// Marshal writes the record.
func (r KeyRecord) Marshal() []byte { return nil }

// ParseKeyRecord reads a record.
func ParseKeyRecord(raw []byte) (KeyRecord, error) { return KeyRecord{}, errUnready }

// PubKey derives a public key.
func (r KeyRecord) PubKey(branch Branch, index uint32) ([33]byte, error) {
	return [33]byte{}, errUnready
}

// Unproven reports whether nobody has shown to hold the key.
func (r KeyRecord) Unproven() bool { return len(r.Proof) == 0 }

// Wallet is a pinned wallet.
type Wallet struct{ records []KeyRecord }

// Option changes what Parse and New accept.
type Option func(*options)

type options struct{ unproven bool }

// AcceptUnproven consents to keys that nobody has shown to hold.
func AcceptUnproven() Option { return func(o *options) { o.unproven = true } }

// New composes a wallet.
func New(name string, tier spend.Tier, threshold int, records []KeyRecord) (Wallet, error) {
	return Wallet{}, errUnready
}

// Parse reads a wallet file.
func Parse(file []byte, consent ...Option) (Wallet, error) { return Wallet{}, errUnready }

// Marshal writes the wallet file.
func (w Wallet) Marshal() []byte { return nil }

// ID is the identity.
func (w Wallet) ID() spend.WalletID { return spend.WalletID{} }

// Name is for people.
func (w Wallet) Name() string { return "" }

// Tier is the tier.
func (w Wallet) Tier() spend.Tier { return "" }

// Network is the network.
func (w Wallet) Network() spend.Network { return "" }

// Threshold is m.
func (w Wallet) Threshold() int { return 0 }

// Keys are the records.
func (w Wallet) Keys() []KeyRecord { return nil }

// Descriptor is the descriptor with its checksum.
func (w Wallet) Descriptor() string { return "" }

// Words name the identity.
func (w Wallet) Words() string { return "" }

// Unproven lists the positions of keys without proof of possession.
func (w Wallet) Unproven() []int { return nil }

// Derive gives the script at an index.
func (w Wallet) Derive(branch Branch, index uint32) (Derived, error) { return Derived{}, errUnready }

// KeyPosition finds a record's key in the wallet.
func (w Wallet) KeyPosition(record KeyRecord) (int, bool) { return 0, false }

// Derived is one script of a wallet.
type Derived struct {
	Branch        Branch
	Index         uint32
	Address       string
	ScriptPubKey  []byte
	WitnessScript []byte
	Keys          []DerivedKey
}

// DerivedKey is one key of a derived script.
type DerivedKey struct {
	Position    int
	PubKey      [33]byte
	Fingerprint [4]byte
	Path        []uint32
}

// Params are btcd's parameters of a network.
func Params(n spend.Network) (*chaincfg.Params, error) { return nil, errUnready }

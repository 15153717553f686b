package wallet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/spend"
)

// KeyKind says whether a key has children.
type KeyKind string

// The kinds of key.
const (
	BIP32 KeyKind = "bip32" // an account key with children, xpub or tpub
	Fixed KeyKind = "fixed" // one public key that stands in every script, e.g. of an HSM
	Pool  KeyKind = "pool"  // many public keys of a token, one for each script
)

// The devices that may hold a private key. The word is the holder's own claim; policy may ask for more than a file.
const (
	DeviceFile    = "file"    // an encrypted seed on the signer's disk
	DevicePKCS11  = "pkcs11"  // not exportable from a PKCS#11 token
	DeviceForeign = "foreign" // in another product; only keys without proof have this
)

// KeyRecord is what a signer publishes about its key: the public key, where it comes from, and the proof that somebody
// holds the private key. Without the proof an attacker could put a key of his own, or of nobody, into a wallet.
type KeyRecord struct {
	Name        string // of the key on screens, e.g. "zurich-1"
	Network     spend.Network
	Kind        KeyKind
	Fingerprint [4]byte  // of the master key; a fixed key's and a pool's own
	Path        []uint32 // from the master key to Key; empty for a fixed key and a pool
	Key         string   // base58 extended public key, 66 hexadecimal digits, or PoolText
	Receipt     string   // authorized_keys line of the key that signs this signer's receipts and pins
	Proof       []byte   // DER ECDSA, low S, by Key's own private key over ProofDigest, or PoolProof; empty when nobody proved it
	Device      string   // DeviceFile, DevicePKCS11 or DeviceForeign
}

// ProofDigest is what Proof signs: a tagged hash over every other field, so that a proof made for one name, network,
// path or receipt key is no proof for another.
func (r KeyRecord) ProofDigest() [32]byte {
	var path []byte
	for _, step := range r.Path {
		path = binary.BigEndian.AppendUint32(path, step)
	}
	return taggedHash("coldsign/key-proof/v1", []byte(r.Name), []byte(r.Network), []byte(r.Kind), r.Fingerprint[:], path,
		[]byte(r.Key), []byte(r.Receipt), []byte(r.Device))
}

// Unproven reports whether nobody has shown to hold the private key: it was imported from a product that has no proofs.
func (r KeyRecord) Unproven() bool { return len(r.Proof) == 0 }

// Verify checks everything that can be known about a record by itself: its form, that key, path and network agree, and
// the proof of possession.
func (r KeyRecord) Verify() error {
	_, err := r.verified()
	return err
}

// shown is what the key of a record says, read once: reading one takes square roots.
type shown struct {
	keys    [][33]byte              // all of a pool, and one of every other kind
	account *hdkeychain.ExtendedKey // of a key with children
	public  *btcec.PublicKey        // of a key with children, its own
}

func (r KeyRecord) verified() (shown, error) {
	of, err := r.wellFormed()
	if err != nil {
		return shown{}, err
	}
	if r.Unproven() {
		return shown{}, spend.Refuse("key-unproven", r.where(), "a proof of possession", "none", "its holder exports the key with coldsign key export")
	}
	return of, r.verifyProof(of)
}

func (r KeyRecord) where() string { return "key " + r.Name }

// wellFormed checks all but the proof.
func (r KeyRecord) wellFormed() (shown, error) {
	if !isName(r.Name, keyNameLetters, 1) {
		return shown{}, malformed("key-name", "key record", "the name %s; a name has 1 to 32 letters, digits, '.', '_' or '-' and begins with a letter or digit", quote(r.Name))
	}
	if _, err := Params(r.Network); err != nil {
		return shown{}, err
	}
	if err := r.checkHolder(); err != nil {
		return shown{}, err
	}
	switch r.Kind {
	case BIP32:
		return r.checkExtended()
	case Fixed:
		return r.checkFixed()
	case Pool:
		return r.checkPool()
	}
	return shown{}, malformed("key-kind", r.where(), "the kind %s, which is neither bip32 nor fixed nor pool", quote(string(r.Kind)))
}

// checkHolder keeps proven and foreign keys apart: a record that claims a device of ours must prove it.
func (r KeyRecord) checkHolder() error {
	if r.Unproven() {
		if r.Device != DeviceForeign || r.Receipt != "" {
			return spend.Refuse("key-unproven", r.where(), "a proof of possession", "none, on device "+quote(r.Device),
				"its holder exports the key with coldsign key export")
		}
		return nil
	}
	if r.Device != DeviceFile && r.Device != DevicePKCS11 {
		return malformed("key-device", r.where(), "the device %s, which is neither file nor pkcs11", quote(r.Device))
	}
	return checkReceipt(r.Receipt, r.where())
}

func (r KeyRecord) checkExtended() (shown, error) {
	key, err := readExtended(r.Key, r.where())
	if err != nil {
		return shown{}, err
	}
	if err := r.checkOrigin(key); err != nil {
		return shown{}, err
	}
	public, err := key.ECPubKey()
	if err != nil {
		return shown{}, err
	}
	return shown{[][33]byte{[33]byte(public.SerializeCompressed())}, key, public}, nil
}

// checkOrigin holds an account key to BIP48, native segwit: m/48h/coin h/account h/2h. A path that does not fit the
// network or the key's own depth is a claim about another key.
func (r KeyRecord) checkOrigin(key *hdkeychain.ExtendedKey) error {
	if err := fitsNetwork(key, r.Network, r.where()); err != nil {
		return err
	}
	// 00000000 is what products write when they do not know the fingerprint; several signers take it for "any".
	if r.Fingerprint == ([4]byte{}) {
		return spend.Refuse("key-fingerprint", r.where(), "the fingerprint of the master key", "00000000", "export the key with its origin")
	}
	if int(key.Depth()) != len(r.Path) {
		return spend.Refuse("key-depth", r.where(), fmt.Sprintf("a key %d steps below its master, as the path %s says", len(r.Path), pathText(r.Path)),
			fmt.Sprintf("depth %d", key.Depth()), "export key and path together, from the device")
	}
	coin := coinType(r.Network)
	want := fmt.Sprintf("m/48h/%dh/<account>h/2h on %s", coin, r.Network)
	if len(r.Path) != 4 || r.Path[0] != hardened+48 || r.Path[1] != hardened+coin || r.Path[2] < hardened || r.Path[3] != hardened+2 {
		return spend.Refuse("key-path", r.where(), want, pathText(r.Path), "export the account key of that path")
	}
	// The key's own bytes name its last step. The steps before it cannot be seen, so its holder's proof vouches for them.
	if key.ChildIndex() != r.Path[3] {
		return spend.Refuse("key-path", r.where(), "a key whose last step is "+stepText(r.Path[3]), stepText(key.ChildIndex()),
			"export key and path together, from the device")
	}
	return nil
}

func (r KeyRecord) checkFixed() (shown, error) {
	key, err := readCompressed(r.Key, r.where())
	if err != nil {
		return shown{}, err
	}
	// A PSBT carries fingerprint and path beside each key. For a fixed key they are its own fingerprint and no step.
	if len(r.Path) != 0 {
		return shown{}, spend.Refuse("key-path", r.where(), "no path: a fixed key has no parent", pathText(r.Path), "export the key again")
	}
	if own := FingerprintOf(key); own != r.Fingerprint {
		return shown{}, spend.Refuse("key-fingerprint", r.where(), hex.EncodeToString(own[:])+", the key's own", hex.EncodeToString(r.Fingerprint[:]), "export the key again")
	}
	return shown{keys: [][33]byte{key}}, nil
}

// FingerprintOf returns BIP32's name for a public key: the first four bytes of its hash160.
func FingerprintOf(key [33]byte) [4]byte { return [4]byte(address.Hash160(key[:])[:4]) }

// verifyProof accepts one spelling of a signature: strict DER with low S.
func (r KeyRecord) verifyProof(of shown) error {
	if r.Kind == Pool {
		return r.verifyPool(of.keys)
	}
	key := of.public
	if key == nil {
		var err error
		if key, err = btcec.ParsePubKey(of.keys[0][:]); err != nil {
			return fmt.Errorf("key %s: %w", r.Name, err)
		}
	}
	// Serialize writes strict DER with low S, so a proof that differs from it is another spelling of a signature. One
	// spelling keeps a stranger from making a second, different record out of a proven one.
	digest := r.ProofDigest()
	sig, err := ecdsa.ParseDERSignature(r.Proof)
	if err != nil || !bytes.Equal(sig.Serialize(), r.Proof) || !sig.Verify(digest[:], key) {
		return spend.Distrust("key-proof", r.where(), "a signature by the key itself over this record", "one that does not verify",
			"do not use this record: the key or another field was changed after its holder signed; fetch it from the holder in person")
	}
	return nil
}

func compressedOf(key *hdkeychain.ExtendedKey) ([33]byte, error) {
	point, err := key.ECPubKey()
	if err != nil {
		return [33]byte{}, err
	}
	return [33]byte(point.SerializeCompressed()), nil
}

// PubKey returns the public key of a script: the child branch/index of an account key, a key of a pool, or a fixed key
// itself.
func (r KeyRecord) PubKey(branch Branch, index uint32) ([33]byte, error) {
	if err := checkIndex(branch, index); err != nil {
		return [33]byte{}, err
	}
	switch r.Kind {
	case Fixed:
		return readCompressed(r.Key, r.where())
	case Pool:
		return r.poolKey(branch, index)
	}
	account, err := readExtended(r.Key, r.where())
	if err != nil {
		return [33]byte{}, err
	}
	parent, err := openBranch(account, branch)
	if err != nil {
		return [33]byte{}, fmt.Errorf("key %s: %w", r.Name, err)
	}
	return parent.child(index)
}

// checkIndex refuses what no wallet of this room has: a third branch, and hardened indexes.
func checkIndex(branch Branch, index uint32) error {
	if branch > ChangeBranch {
		return spend.Refuse("wallet-index", "branch", "0 (receive) or 1 (change)", fmt.Sprint(branch), "only these branches belong to the wallet")
	}
	if index >= hardened {
		return spend.Refuse("wallet-index", "index", "at most 2147483647", fmt.Sprint(index), "a public key has no hardened children")
	}
	return nil
}

// steps is the full path from the master key to the key of a script. A pool has no master, and yet its keys get branch
// and index as a path: readers of a PSBT look for the script where the last two steps of a path point.
func (r KeyRecord) steps(branch Branch, index uint32) []uint32 {
	if r.Kind == Fixed {
		return []uint32{}
	}
	return append(slices.Clone(r.Path), uint32(branch), index)
}

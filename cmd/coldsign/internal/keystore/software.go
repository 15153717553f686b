package keystore

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

const receiptInfo = "coldsign/receipt/v1"

// softwareKey is a key in memory: the account key of BIP48, its two branches and the receipt key, all from one seed.
type softwareKey struct {
	network     spend.Network
	fingerprint [4]byte
	path        []uint32
	account     func() *hdkeychain.ExtendedKey // private; see Secret for why a function holds it
	branches    [2]func() *branchKey           // receive and change, below account
	receipts    receiptSigner
}

// Format prints a word instead of the key.
func (*softwareKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[seed]") }

// accountPath is BIP48 for P2WSH: m/48h/coin'/0h/2h. The coin is 0 where coins are worth something and 1 elsewhere.
func accountPath(network spend.Network) []uint32 {
	coin := uint32(0)
	if network.IsTest() {
		coin = 1
	}
	const h = hdkeychain.HardenedKeyStart
	return []uint32{h + 48, h + coin, h, h + 2}
}

// deriveSoftware makes the keys of a seed. BIP32 lets one seed in 2^127 have no master key; that is an error here.
func deriveSoftware(entropy []byte, network spend.Network) (*softwareKey, error) {
	params, err := wallet.Params(network)
	if err != nil {
		return nil, err
	}
	seed := seedOf(entropy)
	defer clear(seed)
	key, err := hdkeychain.NewMaster(seed, params)
	if err != nil {
		return nil, errors.New("the seed has no master key")
	}
	master, err := key.ECPubKey()
	if err != nil {
		key.Zero()
		return nil, errors.New("the seed has no master key")
	}
	k := &softwareKey{network: network, path: accountPath(network), fingerprint: wallet.FingerprintOf([33]byte(master.SerializeCompressed()))}
	for _, step := range k.path {
		child, err := key.Derive(step)
		key.Zero()
		if err != nil {
			return nil, errors.New("the seed has no account key")
		}
		key = child
	}
	k.account = func() *hdkeychain.ExtendedKey { return key }
	if err := k.openBranches(); err != nil {
		k.account().Zero()
		return nil, err
	}
	if k.receipts, err = deriveReceipt(entropy); err != nil {
		k.account().Zero()
		return nil, err
	}
	return k, nil
}

// record writes the public record and proves it with the account key itself.
func (k *softwareKey) record(name string) (wallet.KeyRecord, error) {
	public, err := k.account().Neuter()
	if err != nil {
		return wallet.KeyRecord{}, errors.New("the account key has no public half")
	}
	private, err := k.account().ECPrivKey()
	if err != nil {
		return wallet.KeyRecord{}, errors.New("the account key is not a private key")
	}
	defer private.Zero()
	record := wallet.KeyRecord{Name: name, Network: k.network, Kind: wallet.BIP32, Fingerprint: k.fingerprint, Path: k.path,
		Key: public.String(), Receipt: keyLine(k.receipts.PublicKey()), Device: wallet.DeviceFile}
	record.Proof = signLowR(private, record.ProofDigest()).Serialize()
	return wallet.ParseKeyRecord(record.Marshal())
}

// matches holds what was derived from a seed against the record that names it. The seal binds the two, so this fails
// only when a file was sealed wrong; but then it would open another wallet, in silence.
func (k *softwareKey) matches(stored wallet.KeyRecord) error {
	derived, err := k.record(stored.Name)
	if err != nil {
		return err
	}
	if string(derived.Marshal()) == string(stored.Marshal()) {
		return nil
	}
	return spend.Distrust("key-mismatch", where(stored.Name), fmt.Sprintf("a seed of fingerprint %x and the receipt key of the record", stored.Fingerprint),
		fmt.Sprintf("fingerprint %x", k.fingerprint), "do not use this key file; import the seed words into a new one")
}

// sign derives the child keys of scripts, uses them and forgets them.
func (k *softwareKey) sign(_ context.Context, requests []Request) ([][]byte, error) {
	var privates []*btcec.PrivateKey
	defer func() {
		for _, private := range privates {
			private.Zero()
		}
	}()
	var failed error
	for _, r := range requests {
		private, err := k.child(r.Place)
		if err != nil {
			failed = err
			break
		}
		privates = append(privates, private)
	}
	ders := make([][]byte, len(privates))
	for i, signature := range signEachLowR(privates, requests) {
		ders[i] = signature.Serialize()
	}
	return ders, failed
}

func (k *softwareKey) child(at Place) (*btcec.PrivateKey, error) {
	parent, err := k.branch(at.Branch)
	if err != nil {
		return nil, err
	}
	return parent.child(at.Index)
}

func (k *softwareKey) receipt() ssh.Signer { return k.receipts }

func (k *softwareKey) close() error {
	k.account().Zero()
	for _, branch := range k.branches {
		branch().zero()
	}
	clear(k.receipts.private())
	return nil
}

// receiptSigner is an Ed25519 key as an SSH signer. The signer of package ssh holds the key where fmt can reach it.
type receiptSigner struct {
	private func() ed25519.PrivateKey
	public  ssh.PublicKey
}

func deriveReceipt(entropy []byte) (receiptSigner, error) {
	seed, err := hkdf.Key(sha256.New, entropy, nil, receiptInfo, ed25519.SeedSize)
	if err != nil {
		return receiptSigner{}, fmt.Errorf("receipt key: %w", err)
	}
	defer clear(seed)
	private := ed25519.NewKeyFromSeed(seed)
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return receiptSigner{}, fmt.Errorf("receipt key: %w", err)
	}
	return receiptSigner{private: func() ed25519.PrivateKey { return private }, public: public}, nil
}

// Format prints a word instead of the key.
func (receiptSigner) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[receipt key]") }

// PublicKey returns the public half.
func (s receiptSigner) PublicKey() ssh.PublicKey { return s.public }

// Sign signs and verifies. A key that was wiped makes signatures that do not verify, and so none.
func (s receiptSigner) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	signature := &ssh.Signature{Format: s.public.Type(), Blob: ed25519.Sign(s.private(), data)}
	if err := s.public.Verify(data, signature); err != nil {
		return nil, ErrClosed
	}
	return signature, nil
}

// keyLine writes a public key as a line of authorized_keys without a comment.
func keyLine(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// Package wallet pins m-of-n wallets: key records with proof of possession, output descriptors, wallet files, and the
// scripts that follow from them.
//
// It exists because every theft through a wallet's setup swaps something that nobody checked: a cosigner's key, the
// threshold, the script, the network. Here a wallet is what three or more proven keys say it is. Its identity hashes
// network and descriptor, so a changed key makes another wallet, and a changed name the same one.
//
// # Key record
//
// What `coldsign key export` writes, strict JSON of at most 80 KiB, each field exactly once:
//
//	{
//	  "coldsign": "key/v1",
//	  "name": "zurich-1",              1-32 of A-Z a-z 0-9 . _ -, first a letter or digit
//	  "network": "bitcoin:regtest",
//	  "kind": "bip32",                 or "fixed": one key without children; or "pool": many
//	  "fingerprint": "73c5da0a",       of the master key; a fixed key's own
//	  "path": "m/48h/1h/0h/2h",        BIP48, native segwit; "m" for a fixed key and a pool
//	  "key": "tpub...",                or 66 hexadecimal digits; of a pool each key, one space between two
//	  "receipt": "ssh-ed25519 AAAA...",
//	  "device": "file",                or "pkcs11"; "foreign" exactly when proof is "none"
//	  "proof": "3044..."               DER ECDSA, low S, by the key itself; of a pool 64 bytes r and s by each key
//	}
//
// The proof signs SHA256(SHA256(tag) || SHA256(tag) || fields) with the tag coldsign/key-proof/v1; the fields are name,
// network, kind, fingerprint, path (four bytes a step), key, receipt and device, each after its length in four bytes,
// big-endian.
//
// A pool is a token without BIP32 that made 2 to 400 keys at once, an even number. Receive index i uses key 2i, change
// index i key 2i+1, and an index beyond is refused. Its fingerprint is the beginning of the tagged hash coldsign/pool/v1
// over its keys. In a PSBT its keys have the path branch/index, so that every input says where its script stands.
//
// # Wallet file
//
// Strict JSON of at most 256 KiB with coldsign ("wallet/v1"), name, tier, network, descriptor and keys, a list of 3 to 15
// key records. Nothing in it is believed: records are verified, and the descriptor must be, byte for byte, the one that
// is rebuilt from them. The identity is the tagged hash coldsign/wallet/v1 over network and descriptor with checksum.
// With a pool the descriptor is a text of our own (coldsign-pool:wsh(...)) and the tag coldsign/pool-wallet/v1.
// The order of the keys is part of the descriptor, because answers name a key by its position.
//
// # Files of other products
//
// Plain descriptors, BSMS 1.0 records (BIP129), Coldcard text, Specter and Sparrow JSON and Caravan JSON are read and
// written, Bitcoin Core's importdescriptors list is written. None of them carries a proof. Their keys are read as
// unproven records: device "foreign", no receipt key, "proof": "none" in the wallet file. That takes AcceptUnproven at
// every reading, and Unproven names these keys to every screen.
//
// # What may never happen here
//
// A key accepted from a wallet file that nobody proved, unless the caller consents and the file says so; a hint, such as
// a name or a path, that changes a script; a private key repeated in an error; a script derived in two ways.
package wallet

import (
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/words"
)

// Branch tells receiving scripts from change scripts.
type Branch uint32

// The two branches of a wallet.
const (
	Receive      Branch = 0
	ChangeBranch Branch = 1
)

// Limits on m and n. One key must never be enough, and losing one must never be fatal.
const (
	thresholdMin = 2
	keysMin      = 3
	keysMax      = 15
)

// Wallet is a pinned m-of-n wallet, wsh(sortedmulti(m,...)). It is immutable, and safe for use by several goroutines.
// The zero Wallet derives nothing.
type Wallet struct {
	name       string
	tier       spend.Tier
	network    spend.Network
	threshold  int
	records    []KeyRecord
	descriptor string // canonical, with checksum
	params     *chaincfg.Params
	sources    []source // in record order
}

// source gives a record's key for each index: below the branch keys, out of a pool, or always the same.
type source struct {
	branches [2]func() (*branchKey, error) // of an account key, else nil
	pool     [][33]byte                    // of a pool, else nil
	fixed    [33]byte
}

// Option is a consent that New, Parse and the imports do not assume.
type Option func(*consents)

type consents struct {
	unproven bool
	known    []KeyRecord
}

// AcceptUnproven consents to keys whose holders gave no proof of possession, as other products export them. Whoever
// passes it must show Unproven on every screen about the wallet.
func AcceptUnproven() Option { return func(c *consents) { c.unproven = true } }

// New composes a wallet of tier from proven key records: any threshold of them can spend.
func New(name string, tier spend.Tier, threshold int, records []KeyRecord) (Wallet, error) {
	return compose(name, tier, threshold, records)
}

func compose(name string, tier spend.Tier, threshold int, records []KeyRecord, options ...Option) (Wallet, error) {
	var given consents
	for _, consent := range options {
		consent(&given)
	}
	w := Wallet{name: name, tier: tier, threshold: threshold, records: cloneRecords(records)}
	if err := w.checkHead(); err != nil {
		return Wallet{}, err
	}
	all, err := given.verifyAll(w.records)
	if err != nil {
		return Wallet{}, err
	}
	if err := w.checkDistinct(all); err != nil {
		return Wallet{}, err
	}
	if err := w.checkRanged(); err != nil {
		return Wallet{}, err
	}
	w.network = w.records[0].Network
	if err := w.openSources(all); err != nil {
		return Wallet{}, err
	}
	if err := w.describe(); err != nil {
		return Wallet{}, err
	}
	return w, w.checkSize()
}

// verifyAll verifies every record, and gives what each shows.
func (given consents) verifyAll(records []KeyRecord) ([]shown, error) {
	all := make([]shown, len(records))
	for i, r := range records {
		read := r.verified
		if r.Unproven() && given.unproven {
			read = r.wellFormed
		}
		var err error
		if all[i], err = read(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// checkRanged refuses a wallet of fixed keys alone. It would be one address for ever, and no PSBT could say where its
// scripts stand.
func (w Wallet) checkRanged() error {
	if slices.ContainsFunc(w.records, func(r KeyRecord) bool { return r.Kind != Fixed }) {
		return nil
	}
	return spend.Refuse("wallet-one-address", w.where(), "at least one key with children, or a pool", fmt.Sprintf("%d fixed keys", len(w.records)),
		"take the record of a software key, or make a pool in a token: coldsign key new NAME --token LABEL --pool N")
}

// checkSize refuses a wallet that no home could read back: pools are large, and a file has its limit.
func (w Wallet) checkSize() error {
	if n := len(w.Marshal()); n > walletFileMax {
		return spend.Refuse("wallet-too-large", w.where(), fmt.Sprintf("a wallet file of at most %d bytes", walletFileMax), fmt.Sprint(n), "make smaller pools")
	}
	return nil
}

// checkHead checks what is not a key: name, tier, threshold and count.
func (w Wallet) checkHead() error {
	if !isName(w.name, walletNameLetters, 2) {
		return malformed("wallet-name", "wallet", "the name %s; a name has 2 to 32 of A-Z, 0-9 and '-' and begins with a letter or digit", quote(w.name))
	}
	if w.tier != spend.Hot && w.tier != spend.Warm && w.tier != spend.Cold {
		return malformed("wallet-tier", w.where(), "the tier %s, which is neither hot nor warm nor cold", quote(string(w.tier)))
	}
	if n := len(w.records); n < keysMin || n > keysMax {
		return spend.Refuse("wallet-key-count", w.where(), fmt.Sprintf("%d to %d keys", keysMin, keysMax), fmt.Sprint(n),
			"add key records: a wallet must survive the loss of a key")
	}
	if w.threshold < thresholdMin || w.threshold > len(w.records) {
		return spend.Refuse("wallet-threshold", w.where(), fmt.Sprintf("a threshold from %d to %d", thresholdMin, len(w.records)), fmt.Sprint(w.threshold),
			"choose how many keys must sign: one alone must never be enough")
	}
	return nil
}

func (w Wallet) where() string { return "wallet " + w.name }

// checkDistinct refuses one holder in two places. Two accounts of one seed have one fingerprint, so they count as one.
func (w Wallet) checkDistinct(all []shown) error {
	keys, prints := map[[33]byte]string{}, map[[4]byte]string{}
	for i, r := range w.records {
		if r.Network != w.records[0].Network {
			return spend.Refuse("wallet-network", w.where(), "all keys on "+string(w.records[0].Network), r.Name+" on "+string(r.Network), "export the key for that network")
		}
		for _, key := range all[i].keys {
			if other, twice := keys[key]; twice {
				return spend.Refuse("wallet-key-duplicate", w.where(), "different keys", "the same key as "+other+" and "+r.Name, "ask both holders which of them has it")
			}
			keys[key] = r.Name
		}
		if other, twice := prints[r.Fingerprint]; twice {
			return spend.Refuse("wallet-fingerprint-duplicate", w.where(), "keys of different masters", fmt.Sprintf("%x of both %s and %s", r.Fingerprint, other, r.Name),
				"each key of a wallet comes from a seed or token of its own")
		}
		prints[r.Fingerprint] = r.Name
	}
	return nil
}

// openSources prepares what keys are derived from.
func (w *Wallet) openSources(all []shown) (err error) {
	if w.params, err = Params(w.network); err != nil {
		return err
	}
	w.sources = make([]source, len(w.records))
	for i, r := range w.records {
		switch r.Kind {
		case Fixed:
			w.sources[i].fixed = all[i].keys[0]
		case Pool:
			w.sources[i].pool = all[i].keys
		case BIP32:
			w.sources[i].branches = [2]func() (*branchKey, error){openOnce(all[i].account, Receive), openOnce(all[i].account, ChangeBranch)}
		}
	}
	return nil
}

// describe writes the canonical descriptor from the records and reads it back: both directions must agree.
func (w *Wallet) describe() (err error) {
	if w.pooled() {
		w.descriptor, err = w.poolDescriptor()
		return err
	}
	script := expression{function: "sortedmulti", threshold: w.threshold}
	for _, r := range w.records {
		script.keys = append(script.keys, r.expression())
	}
	w.descriptor = Descriptor{expression{function: "wsh", inner: &script}}.String()
	back, err := ParseDescriptor(w.descriptor)
	if err != nil {
		return err
	}
	if back.String() != w.descriptor {
		panic("wallet: a descriptor that does not read back: " + w.descriptor)
	}
	return nil
}

// expression is the record as a KEY of a descriptor.
func (r KeyRecord) expression() KeyExpression {
	k := KeyExpression{Origin: &Origin{r.Fingerprint, slices.Clone(r.Path)}, Key: r.Key}
	if r.Kind == BIP32 {
		k.Steps, k.Wildcard = []Step{{uint32(Receive), uint32(ChangeBranch)}}, true
	}
	return k
}

// ID returns the identity: a hash over network and descriptor, and nothing else.
func (w Wallet) ID() spend.WalletID {
	return spend.WalletID(taggedHash(identityTag(w.pooled()), []byte(w.network), []byte(w.descriptor)))
}

// Words returns the identity as twelve words, to compare on two screens.
func (w Wallet) Words() string { return words.Line(w.ID()) }

// Name returns the name for people. It identifies nothing.
func (w Wallet) Name() string { return w.name }

// Tier returns how far the keys are from a network.
func (w Wallet) Tier() spend.Tier { return w.tier }

// Network returns the network that all keys are for.
func (w Wallet) Network() spend.Network { return w.network }

// Threshold returns m, how many keys must sign.
func (w Wallet) Threshold() int { return w.threshold }

// Keys returns the key records; the index of each is its position.
func (w Wallet) Keys() []KeyRecord { return cloneRecords(w.records) }

// Descriptor returns the canonical descriptor with its checksum. In a wallet with a pool it is a text of our own that no
// other product reads, and that begins with coldsign-pool.
func (w Wallet) Descriptor() string { return w.descriptor }

// Unproven returns the positions of keys that nobody has shown to hold. Screens show them whenever they show the
// wallet: coins sent to it may be out of reach.
func (w Wallet) Unproven() []int {
	var positions []int
	for i, r := range w.records {
		if r.Unproven() {
			positions = append(positions, i)
		}
	}
	return positions
}

// KeyPosition returns where the key of a record stands in the wallet. Key, kind, network and origin must all agree: a
// fingerprint alone is easily forged. The record's name and receipt key do not matter.
func (w Wallet) KeyPosition(record KeyRecord) (int, bool) {
	i := slices.IndexFunc(w.records, record.sameKey)
	return max(i, 0), i >= 0
}

// sameKey reports whether both records are of one key with one origin.
func (r KeyRecord) sameKey(other KeyRecord) bool {
	return r.Key == other.Key && r.Kind == other.Kind && r.Network == other.Network && r.Fingerprint == other.Fingerprint &&
		slices.Equal(r.Path, other.Path)
}

func cloneRecords(records []KeyRecord) []KeyRecord {
	out := slices.Clone(records)
	for i := range out {
		out[i].Path, out[i].Proof = slices.Clone(out[i].Path), slices.Clone(out[i].Proof)
	}
	return out
}

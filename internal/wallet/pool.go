package wallet

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/spend"
)

// A pool stands where an account key would, for a token that has no BIP32: the token makes all keys of the wallet at
// once, and the record lists their public halves in order. Without it a token is one fixed key in every script.
//
// Receive index i takes key 2i, change index i takes key 2i+1. So every even number of keys serves both branches
// alike, and a script says which key of the token it needs. The wallet ends where its smallest pool ends.

// PoolKeysMax is how many keys a pool may have: a wallet of three full pools still fits into its file. A YubiHSM 2 holds
// 255 keys in all.
const PoolKeysMax = 400

const (
	poolKeysMin  = 2
	poolKeyText  = 66 // hexadecimal digits of one key
	poolKeyProof = 64 // bytes: r and s of one signature
	poolSpacing  = poolKeyText + 1
)

// PoolPosition returns which key of a pool stands at branch and index, counted from 0.
func PoolPosition(branch Branch, index uint32) uint64 { return 2*uint64(index) + uint64(branch) }

// PoolText writes the keys of a pool as they stand in a record: each in hexadecimal, one space between two.
func PoolText(keys [][33]byte) string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = hex.EncodeToString(key[:])
	}
	return strings.Join(texts, " ")
}

// PoolFingerprint names a pool in a PSBT, where other keys have the fingerprint of their master key.
func PoolFingerprint(keys [][33]byte) [4]byte {
	digest := poolDigest(keys)
	return [4]byte(digest[:4])
}

// poolDigest commits to every key and to their order.
func poolDigest(keys [][33]byte) [32]byte {
	fields := make([][]byte, len(keys))
	for i := range keys {
		fields[i] = keys[i][:]
	}
	return taggedHash("coldsign/pool/v1", fields...)
}

// PoolProof joins one DER signature for each key of a pool, in order, into the proof of its record.
func PoolProof(signatures [][]byte) ([]byte, error) {
	proof := make([]byte, 0, len(signatures)*poolKeyProof)
	for i, der := range signatures {
		parsed, err := ecdsa.ParseDERSignature(der)
		if err != nil || !bytes.Equal(parsed.Serialize(), der) {
			return nil, fmt.Errorf("signature of pool key %d: not strict DER with low S", i)
		}
		r, s := parsed.R(), parsed.S()
		rBytes, sBytes := r.Bytes(), s.Bytes()
		proof = append(append(proof, rBytes[:]...), sBytes[:]...)
	}
	return proof, nil
}

// PoolKeys returns the keys of a pool in order.
func (r KeyRecord) PoolKeys() ([][33]byte, error) {
	if r.Kind != Pool {
		return nil, malformed("key-pool", r.where(), "a key of the kind %s where a pool is asked for", quote(string(r.Kind)))
	}
	texts := strings.Split(r.Key, " ")
	if n := len(texts); n < poolKeysMin || n > PoolKeysMax || n%2 != 0 {
		return nil, malformed("key-pool", r.where(), "a pool of %d keys; a pool has an even number from %d to %d", n, poolKeysMin, PoolKeysMax)
	}
	keys, seen := make([][33]byte, len(texts)), map[[33]byte]bool{}
	for i, text := range texts {
		key, err := readCompressed(text, fmt.Sprintf("%s, pool key %d", r.where(), i))
		if err != nil {
			return nil, err
		}
		// One key at two indexes is one address at two indexes: its second use would show that both are ours.
		if seen[key] {
			return nil, malformed("key-pool", r.where(), "pool key %d for the second time", i)
		}
		seen[key], keys[i] = true, key
	}
	return keys, nil
}

// checkPool holds a pool to a token: nothing else needs one, for every other signer has children.
func (r KeyRecord) checkPool() (shown, error) {
	keys, err := r.PoolKeys()
	if err != nil {
		return shown{}, err
	}
	if r.Device != DevicePKCS11 {
		return shown{}, malformed("key-device", r.where(), "a pool on the device %s; pools are in tokens, and always proven", quote(r.Device))
	}
	if len(r.Path) != 0 {
		return shown{}, spend.Refuse("key-path", r.where(), "no path: a pool has no parent", pathText(r.Path), "export the key again")
	}
	if own := PoolFingerprint(keys); own != r.Fingerprint {
		return shown{}, spend.Refuse("key-fingerprint", r.where(), hex.EncodeToString(own[:])+", the pool's own", hex.EncodeToString(r.Fingerprint[:]), "export the key again")
	}
	return shown{keys: keys}, nil
}

// verifyPool demands a signature by every key. All sign one digest, which covers the whole list, so a proof shows that
// the holder has each key and meant this list in this order. Fewer signatures would leave indexes whose coins nobody
// could spend.
func (r KeyRecord) verifyPool(keys [][33]byte) error {
	digest := r.ProofDigest()
	for i, key := range keys {
		at := min(i*poolKeyProof, len(r.Proof))
		if len(r.Proof) != len(keys)*poolKeyProof || !verifyCompact(r.Proof[at:at+poolKeyProof], key, digest) {
			return spend.Distrust("key-proof", fmt.Sprintf("%s, pool key %d", r.where(), i), "a signature by each key of the pool over this record",
				"one that is missing or does not verify",
				"do not use this record: a key or another field was changed after its holder signed; fetch it from the holder in person")
		}
	}
	return nil
}

// verifyCompact checks 32 bytes r and 32 bytes s, s low: one spelling, as in DER proofs.
func verifyCompact(raw []byte, key [33]byte, digest [32]byte) bool {
	var r, s btcec.ModNScalar
	if r.SetByteSlice(raw[:32]) || s.SetByteSlice(raw[32:]) || r.IsZero() || s.IsZero() || s.IsOverHalfOrder() {
		return false
	}
	public, err := btcec.ParsePubKey(key[:])
	return err == nil && ecdsa.NewSignature(&r, &s).Verify(digest[:], public)
}

// poolKey reads one key out of a record that was verified before, without reading all.
func (r KeyRecord) poolKey(branch Branch, index uint32) ([33]byte, error) {
	at, count := PoolPosition(branch, index), (len(r.Key)+1)/poolSpacing
	if at >= uint64(count) {
		return [33]byte{}, exhausted(r.where(), count, index)
	}
	text := r.Key[at*poolSpacing:]
	return readCompressed(text[:min(len(text), poolKeyText)], r.where())
}

// exhausted is the end of a wallet with a pool. No index is used twice instead: an address that is used again shows
// who it belongs to.
func exhausted(where string, keys int, index uint32) error {
	return spend.Refuse("wallet-pool-exhausted", where, fmt.Sprintf("an index below %d: the pool has %d keys, two for each index", keys/2, keys), fmt.Sprint(index),
		"register a new wallet with a new pool (coldsign key new NAME --token LABEL --pool N) and move the coins there")
}

// The text that stands for a descriptor in a wallet with a pool. No standard says a pool, so the text begins with a
// word of our own, and no other product takes it for a descriptor:
//
//	coldsign-pool:wsh(sortedmulti(2,[4ba43603/48h/1h/0h/2h]tpub.../<0;1>/*,[1b2c3d4e]pool(100,9f86d0...)))#checksum
//
// A pool is its number of keys and the tagged hash coldsign/pool/v1 over them in order.
const poolTextHead = "coldsign-pool:wsh(sortedmulti("

// pooled reports whether some signer of the wallet is a pool.
func (w Wallet) pooled() bool { return w.poolOf() != nil }

// poolOf returns the record of the smallest pool, or nil.
func (w Wallet) poolOf() *KeyRecord {
	var least *KeyRecord
	for i, r := range w.records {
		if r.Kind == Pool && (least == nil || len(r.Key) < len(least.Key)) {
			least = &w.records[i]
		}
	}
	return least
}

// Indexes returns how many indexes each branch has: all that BIP32 has, or half the keys of the smallest pool.
func (w Wallet) Indexes() uint32 {
	if least := w.poolOf(); least != nil {
		return uint32((len(least.Key) + 1) / poolSpacing / 2)
	}
	return hardened
}

// poolDescriptor writes that text.
func (w Wallet) poolDescriptor() (string, error) {
	var b strings.Builder
	b.WriteString(poolTextHead)
	b.WriteString(strconv.Itoa(w.threshold))
	for _, r := range w.records {
		b.WriteByte(',')
		if r.Kind != Pool {
			b.WriteString(r.expression().String())
			continue
		}
		keys, err := r.PoolKeys()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "[%x]pool(%d,%x)", r.Fingerprint, len(keys), poolDigest(keys))
	}
	b.WriteString("))")
	sum, ok := descriptorChecksum(b.String())
	if !ok {
		panic("wallet: a pool text with a character that no descriptor has: " + b.String())
	}
	return b.String() + "#" + sum, nil
}

// poolThreshold reads the threshold out of such a text. Everything else in it is compared with what the records give.
func poolThreshold(text string) (int, error) {
	if len(text) > descriptorMax {
		return 0, unreadable("%d characters, at most %d", len(text), descriptorMax)
	}
	body, sum, _ := strings.Cut(text, "#")
	if want, ok := descriptorChecksum(body); !ok || sum != want {
		return 0, malformed("descriptor-checksum", "descriptor", "the checksum %s, which does not belong to this text", quote(sum))
	}
	digits, _, _ := strings.Cut(strings.TrimPrefix(body, poolTextHead), ",")
	threshold, err := strconv.ParseUint(digits, 10, 8)
	if err != nil || strconv.FormatUint(threshold, 10) != digits {
		return 0, unreadable("the threshold %s", quote(digits))
	}
	return int(threshold), nil
}

// refusePools refuses every format of another product: none can say a pool.
func (w Wallet) refusePools(format string) error {
	if least := w.poolOf(); least != nil {
		return spend.Refuse("export-pool-key", w.where(), "keys that "+format+" can say", least.Name+", a pool of keys of a token",
			"keep the wallet file itself: it lists every key of the pool")
	}
	return nil
}

// identityTag keeps the two kinds of text apart in the identity: neither can pass for the other.
func identityTag(pooled bool) string {
	if pooled {
		return "coldsign/pool-wallet/v1"
	}
	return "coldsign/wallet/v1"
}

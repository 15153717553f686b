package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

// holder is how a private key is held: in memory, or in a token.
type holder interface {
	// sign gives the signatures up to the first that failed.
	sign(ctx context.Context, requests []Request) (ders [][]byte, err error)
	receipt() ssh.Signer
	close() error
}

// Key is an unlocked key. Its methods may be called from several goroutines.
type Key struct {
	_      [0]func()
	mutex  sync.RWMutex // many may sign at a time; Close waits for them
	record wallet.KeyRecord
	holder holder // nil after Close
}

// Format prints the name and nothing else.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key "+k.record.Name+"]") }

// Record is the key's public record.
func (k *Key) Record() wallet.KeyRecord { return k.record }

// Sign signs a digest with the key at branch and index, verified against the public key that the record derives there:
// see SignAt.
func (k *Key) Sign(ctx context.Context, branch wallet.Branch, index uint32, digest [32]byte) (der []byte, pub [33]byte, err error) {
	if pub, err = k.record.PubKey(branch, index); err != nil {
		return nil, pub, err
	}
	ders, err := k.SignAt(ctx, []Request{{Place{Branch: branch, Index: index, PubKey: pub}, digest}})
	if err != nil {
		return nil, pub, err
	}
	return ders[0], pub, nil
}

// Place is where a signature is wanted, and the public key that the pinned wallet derives there.
type Place struct {
	Branch wallet.Branch
	Index  uint32
	PubKey [33]byte
	Y      [32]byte // the y of PubKey, or zeros. It saves a square root and is not believed: see public
}

// Request is a digest to be signed at a place.
type Request struct {
	Place
	Digest [32]byte
}

// SignAt signs the digest of each request: strict DER, low-S, without a sighash byte. Every signature is verified against
// the public key of its place, which was derived by the public way, before it is returned: a fault in the private
// derivation or in the signing would otherwise publish a wrong signature, and some wrong signatures publish the key.
// With an error come the signatures of the requests before the one that it is about.
func (k *Key) SignAt(ctx context.Context, requests []Request) ([][]byte, error) {
	ders, err := k.sign(ctx, requests)
	for i, der := range ders {
		if err := verifyAt(der, requests[i].Place, requests[i].Digest); err != nil {
			return ders[:i], err
		}
	}
	return ders, err
}

func (k *Key) sign(ctx context.Context, requests []Request) ([][]byte, error) {
	k.mutex.RLock()
	defer k.mutex.RUnlock()
	if k.holder == nil {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return k.holder.sign(ctx, requests)
}

// public reads the key of a place. With y it reads the form that holds x, y and whether y is odd, which btcec refuses
// when it is no point of the curve or y is of the other kind: a y that is not this key's own gives no key.
func (p Place) public() (*btcec.PublicKey, error) {
	if p.Y == [32]byte{} {
		return btcec.ParsePubKey(p.PubKey[:])
	}
	const even, odd, compressedToHybrid = 2, 3, 4
	if p.PubKey[0] != even && p.PubKey[0] != odd {
		return nil, errors.New("a public key that is not compressed")
	}
	hybrid := append(append(make([]byte, 0, 65), p.PubKey[:]...), p.Y[:]...)
	hybrid[0] += compressedToHybrid
	return btcec.ParsePubKey(hybrid)
}

func verify(der []byte, pub [33]byte, digest [32]byte) error {
	return verifyAt(der, Place{PubKey: pub}, digest)
}

// verifyAt reads a signature as a stranger would: strict DER, low-S, good for the key.
func verifyAt(der []byte, at Place, digest [32]byte) error {
	fault := spend.Distrust("signature-fault", "own signature", "a strict low-S signature by the pinned key", "another",
		"sign nothing with this machine or token until the fault is found")
	key, err := at.public()
	if err != nil {
		return fault
	}
	// btcec passes over bytes behind a signature, so what it read must be what was there. Writing makes s low.
	parsed, err := ecdsa.ParseDERSignature(der)
	if err != nil || !bytes.Equal(parsed.Serialize(), der) || !parsed.Verify(digest[:], key) {
		return fault
	}
	return nil
}

// Receipt is the key that signs this signer's receipts and pins, or nil after Close.
func (k *Key) Receipt() ssh.Signer {
	k.mutex.RLock()
	defer k.mutex.RUnlock()
	if k.holder == nil {
		return nil
	}
	return k.holder.receipt()
}

// Close forgets the key, as far as Go can: the bytes held here are overwritten, copies that the runtime made are not.
// A token is logged out. A second Close does nothing.
func (k *Key) Close() error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.holder == nil {
		return nil
	}
	held := k.holder
	k.holder = nil
	return held.close()
}

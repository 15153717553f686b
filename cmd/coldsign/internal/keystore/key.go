package keystore

import (
	"bytes"
	"context"
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
	sign(ctx context.Context, branch wallet.Branch, index uint32, digest [32]byte) (der []byte, err error)
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
	der, err = k.SignAt(ctx, Place{branch, index, pub}, digest)
	return der, pub, err
}

// Place is where a signature is wanted, and the public key that the pinned wallet derives there.
type Place struct {
	Branch wallet.Branch
	Index  uint32
	PubKey [33]byte
}

// SignAt signs a digest: strict DER, low-S, without a sighash byte. The signature is verified against the public key of
// the place, which was derived by the public way, before it is returned: a fault in the private derivation or in the
// signing would otherwise publish a wrong signature, and some wrong signatures publish the key.
func (k *Key) SignAt(ctx context.Context, at Place, digest [32]byte) (der []byte, err error) {
	if der, err = k.sign(ctx, at, digest); err != nil {
		return nil, err
	}
	if err := verify(der, at.PubKey, digest); err != nil {
		return nil, err
	}
	return der, nil
}

func (k *Key) sign(ctx context.Context, at Place, digest [32]byte) ([]byte, error) {
	k.mutex.RLock()
	defer k.mutex.RUnlock()
	if k.holder == nil {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return k.holder.sign(ctx, at.Branch, at.Index, digest)
}

// verify reads a signature as a stranger would: strict DER, low-S, good for the key.
func verify(der []byte, pub [33]byte, digest [32]byte) error {
	fault := spend.Distrust("signature-fault", "own signature", "a strict low-S signature by the pinned key", "another",
		"sign nothing with this machine or token until the fault is found")
	key, err := btcec.ParsePubKey(pub[:])
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

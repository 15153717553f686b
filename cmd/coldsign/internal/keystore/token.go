package keystore

import (
	"context"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

// TokenCreation says which key of a token to pin under a name.
type TokenCreation struct {
	Name    string
	Network spend.Network
	Where   TokenKey
	Public  [33]byte   // the key's public half, compressed, as the token gave it when the key was made
	Pool    [][33]byte // in place of Public: the public halves of a pool, in the order of Where.PoolLabel
}

// PoolLabel is the label of a pool's key, counted from 0.
func (k TokenKey) PoolLabel(position int) string { return fmt.Sprintf("%s-%04d", k.Key, position) }

const (
	modulePathMax = 512 // bytes
	tokenLabelMax = 32  // bytes, PKCS#11
	keyLabelMax   = 40  // bytes; the shortest limit among documented tokens
)

// check keeps a place to text that is shown as it is. Whether it names anything is for the token to say.
func (k TokenKey) check() error {
	unprintable := func(c rune) bool { return c < ' ' || c > '~' }
	bad := func(text string, most int) bool {
		return text == "" || len(text) > most || strings.ContainsFunc(text, unprintable)
	}
	switch {
	case bad(k.Module, modulePathMax) || !filepath.IsAbs(k.Module):
		return unreadable("a PKCS#11 module that is not the absolute path of a file")
	case bad(k.Label, tokenLabelMax):
		return unreadable("a token label that is not 1 to %d printable characters", tokenLabelMax)
	case bad(k.Key, keyLabelMax) || bad(k.Receipt, keyLabelMax) || k.Key == k.Receipt:
		return unreadable("labels of chain key and receipt key that are not two of 1 to %d printable characters", keyLabelMax)
	}
	return nil
}

// AddToken pins a key that lies in a token, after the token has proven that it holds it. The token stays open.
func (s *Store) AddToken(ctx context.Context, c TokenCreation, token Token) (wallet.KeyRecord, error) {
	if err := checkName(c.Name); err != nil {
		return wallet.KeyRecord{}, err
	}
	if err := c.Where.check(); err != nil {
		return wallet.KeyRecord{}, err
	}
	if err := s.free(c.Name); err != nil {
		return wallet.KeyRecord{}, err
	}
	receipt, err := receiptOf(token, c.Where)
	if err != nil {
		return wallet.KeyRecord{}, err
	}
	record, err := c.prove(ctx, token, keyLine(receipt.PublicKey()))
	if err != nil {
		return wallet.KeyRecord{}, fmt.Errorf("proof of possession: %w", err)
	}
	// Parsing verifies the proof: a token that signs with another key than it shows is not pinned.
	if record, err = wallet.ParseKeyRecord(record.Marshal()); err != nil {
		return wallet.KeyRecord{}, err
	}
	place := tokenPlace(c.Where)
	f := file{Format: fileFormat, Kind: InToken, record: record, Token: &place}
	return record, s.write(c.Name, f.encode())
}

// prove has the token sign the record: with its one key, or with every key of a pool.
func (c TokenCreation) prove(ctx context.Context, token Token, receipt string) (wallet.KeyRecord, error) {
	r := wallet.KeyRecord{Name: c.Name, Network: c.Network, Kind: wallet.Fixed, Fingerprint: wallet.FingerprintOf(c.Public),
		Key: hex.EncodeToString(c.Public[:]), Receipt: receipt, Device: wallet.DevicePKCS11}
	var err error
	if len(c.Pool) == 0 {
		r.Proof, err = token.SignDigest(ctx, c.Where.Key, c.Public, r.ProofDigest())
		return r, err
	}
	r.Kind, r.Fingerprint, r.Key = wallet.Pool, wallet.PoolFingerprint(c.Pool), wallet.PoolText(c.Pool)
	signatures := make([][]byte, len(c.Pool))
	digest := r.ProofDigest()
	for i, public := range c.Pool {
		if signatures[i], err = token.SignDigest(ctx, c.Where.PoolLabel(i), public, digest); err != nil {
			return r, fmt.Errorf("pool key %d: %w", i, err)
		}
	}
	r.Proof, err = wallet.PoolProof(signatures)
	return r, err
}

func receiptOf(token Token, place TokenKey) (ssh.Signer, error) {
	signer, err := token.P256Signer(place.Receipt)
	if err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	receipt, err := ssh.NewSignerFromSigner(signer)
	if err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	return receipt, nil
}

// tokenKey is a key, or a pool of keys, that stays in its token.
type tokenKey struct {
	token    Token
	place    TokenKey
	record   wallet.KeyRecord
	receipts ssh.Signer
}

// unlockToken logs in and has both keys of the token show that they are the pinned ones, before anybody reviews
// anything for them.
func (s *Store) unlockToken(f file, pin Secret) (*Key, error) {
	if s.tokens == nil {
		return nil, fmt.Errorf("%s: %w", where(f.record.Name), ErrNoTokens)
	}
	token, err := s.tokens(f.Token.Module, f.Token.Label, pin.bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where(f.record.Name), err)
	}
	key := &tokenKey{token: token, place: TokenKey(*f.Token), record: f.record}
	if err := key.prove(context.Background(), f); err != nil {
		_ = token.Close()
		return nil, err
	}
	return &Key{record: f.record, holder: key}, nil
}

// prove has the token sign the digest that its record's proof signs, which is good for nothing else. Of a pool it asks
// the first key alone: every later signature is verified before it leaves, and hundreds at each login would be slow.
func (k *tokenKey) prove(ctx context.Context, f file) (err error) {
	if k.receipts, err = receiptOf(k.token, TokenKey(*f.Token)); err != nil {
		return fmt.Errorf("%s: %w", where(f.record.Name), err)
	}
	if line := keyLine(k.receipts.PublicKey()); line != f.record.Receipt {
		return spend.Distrust("key-mismatch", where(f.record.Name), f.record.Receipt, line, "do not use this token; its receipt key is not the pinned one")
	}
	digest := f.record.ProofDigest()
	pinned, err := f.record.PubKey(wallet.Receive, 0)
	if err != nil {
		return err
	}
	der, err := k.signOne(ctx, wallet.Receive, 0, digest)
	if err != nil {
		return fmt.Errorf("%s: %w", where(f.record.Name), err)
	}
	return verify(der, pinned, digest)
}

func (k *tokenKey) sign(ctx context.Context, requests []Request) (ders [][]byte, err error) {
	for _, r := range requests {
		der, err := k.signOne(ctx, r.Branch, r.Index, r.Digest)
		if err != nil {
			return ders, err
		}
		ders = append(ders, der)
	}
	return ders, nil
}

// signOne uses the one key of the token, whatever branch and index are asked for, or the key of a pool that stands there.
func (k *tokenKey) signOne(ctx context.Context, branch wallet.Branch, index uint32, digest [32]byte) ([]byte, error) {
	pinned, err := k.record.PubKey(branch, index)
	if err != nil {
		return nil, err
	}
	label := k.place.Key
	if k.record.Kind == wallet.Pool {
		label = k.place.PoolLabel(int(wallet.PoolPosition(branch, index)))
	}
	return k.token.SignDigest(ctx, label, pinned, digest)
}

func (k *tokenKey) receipt() ssh.Signer { return k.receipts }

func (k *tokenKey) close() error { return k.token.Close() }

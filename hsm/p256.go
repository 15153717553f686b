//go:build cgo && !nopkcs11

package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"

	"github.com/ThalesGroup/crypto11"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/miekg/pkcs11"
)

// GenerateP256 makes a P-256 key pair for approvals or receipts, guarded like a chain key, and proves it.
func (t *Token) GenerateP256(label string) (crypto.Signer, error) {
	if err := checkLabel(label); err != nil {
		return nil, err
	}
	var signer *p256Signer
	err := t.withSession(context.Background(), func(session pkcs11.SessionHandle) error {
		t.objects.Lock()
		defer t.objects.Unlock()
		if err := t.unused(session, label); err != nil {
			return err
		}
		id, err := t.module.GenerateRandom(session, idBytes)
		if err != nil {
			return t.explain("random identifier", err)
		}
		made, err := t.generateP256(label, id)
		if err != nil {
			return t.explain("key generation", err)
		}
		if signer, err = t.openP256(session, label); err != nil {
			_ = made.Delete()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return signer, nil
}

func (t *Token) generateP256(label string, id []byte) (crypto11.Signer, error) {
	attributes := func(private ...*pkcs11.Attribute) (crypto11.AttributeSet, crypto11.AttributeSet, error) {
		public, err := crypto11.NewAttributeSetWithIDAndLabel(id, []byte(label))
		if err != nil {
			return nil, nil, err
		}
		set := public.Copy()
		set.AddIfNotPresent(private)
		return public, set, nil
	}
	must, may := privateTemplate(label, id)
	public, private, err := attributes(append(must, may...)...)
	if err != nil {
		return nil, err
	}
	signer, err := t.owner.GenerateECDSAKeyPairWithAttributes(public, private, elliptic.P256())
	if isUnknownAttribute(err) {
		if public, private, err = attributes(must...); err == nil {
			signer, err = t.owner.GenerateECDSAKeyPairWithAttributes(public, private, elliptic.P256())
		}
	}
	return signer, err
}

// P256Signer finds the P-256 key of a label, audits it and has it prove itself. The signer fits
// ssh.NewSignerFromSigner (ecdsa-sha2-nistp256) and works until the token is closed or logged out.
//
// The key is found by its label alone: crypto11 fails to list a token that also holds a secp256k1 key.
func (t *Token) P256Signer(label string) (crypto.Signer, error) {
	var signer *p256Signer
	err := t.withSession(context.Background(), func(session pkcs11.SessionHandle) (err error) {
		t.objects.RLock()
		defer t.objects.RUnlock()
		signer, err = t.openP256(session, label)
		return err
	})
	if err != nil {
		return nil, err
	}
	return signer, nil
}

// openP256 audits the pair of a label and has it sign once. The caller holds objects.
func (t *Token) openP256(session pkcs11.SessionHandle, label string) (*p256Signer, error) {
	key, err := t.resolvePair(session, label, P256)
	if err != nil {
		return nil, err
	}
	if err := key.attestation.Audit(); err != nil {
		return nil, err
	}
	pair, err := t.owner.FindKeyPair(key.attestation.ID, []byte(label))
	if err != nil {
		return nil, t.explain("search", err)
	}
	public, ok := pair.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: key %s is not on P-256", ErrKeyUnsafe, label)
	}
	nonce, err := t.module.GenerateRandom(session, 32)
	if err != nil {
		return nil, t.explain("random challenge", err)
	}
	signer := &p256Signer{token: t, label: label, id: key.attestation.ID, public: public}
	digest := chainhash.TaggedHash([]byte(proofTag), nonce, key.attestation.Public[:])
	if _, err = signer.sign(digest[:]); err != nil {
		return nil, err
	}
	return signer, nil
}

type p256Signer struct {
	token  *Token
	label  string
	id     []byte
	public *ecdsa.PublicKey // proven by a signature when the signer was made
}

// Public returns the public key.
func (s *p256Signer) Public() crypto.PublicKey { return s.public }

// Sign signs a SHA-256 digest, as DER. The token brings its own randomness.
func (s *p256Signer) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if len(digest) != 32 || options != nil && options.HashFunc() != crypto.SHA256 {
		return nil, fmt.Errorf("a P-256 key signs SHA-256 digests of 32 bytes, not %d bytes", len(digest))
	}
	var der []byte
	err := s.token.withSession(context.Background(), func(session pkcs11.SessionHandle) (err error) {
		if err = s.token.loggedIn(session); err != nil {
			return err
		}
		s.token.objects.RLock()
		defer s.token.objects.RUnlock()
		der, err = s.sign(digest)
		return err
	})
	return der, err
}

// sign looks the key up each time, because its handle dies with a login, and verifies what the token returns. The
// caller holds life and objects.
func (s *p256Signer) sign(digest []byte) ([]byte, error) {
	pair, err := s.token.owner.FindKeyPair(s.id, []byte(s.label))
	if err != nil {
		return nil, s.token.explain("search", err)
	}
	if !s.public.Equal(pair.Public()) {
		return nil, fmt.Errorf("%w: key %s", ErrKeyMismatch, s.label)
	}
	der, err := pair.Sign(nil, digest, crypto.SHA256)
	if err != nil {
		return nil, s.token.explain("signature", err)
	}
	if !ecdsa.VerifyASN1(s.public, digest, der) {
		return nil, fmt.Errorf("%w: it does not verify against the public key of %s", ErrSignature, s.label)
	}
	return der, nil
}

func isUnknownAttribute(err error) bool {
	return errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)) ||
		errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_VALUE_INVALID)) ||
		errors.Is(err, pkcs11.Error(pkcs11.CKR_TEMPLATE_INCONSISTENT))
}

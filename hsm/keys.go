//go:build cgo && !nopkcs11

package hsm

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/miekg/pkcs11"
)

const (
	idBytes  = 16
	proofTag = "coldsign/hsm-proof/v1" // of the digests that a key signs only to show that it is there
)

// found is a key that was searched for and audited under the present login.
type found struct {
	private     pkcs11.ObjectHandle
	attestation Attestation
}

// GenerateKey makes a secp256k1 key pair that can only sign and never leave, refuses a label that is in use, and
// proves the new key with a signature before it is reported.
func (t *Token) GenerateKey(ctx context.Context, label string) (Attestation, error) {
	if err := checkLabel(label); err != nil {
		return Attestation{}, err
	}
	var made found
	err := t.withSession(ctx, func(session pkcs11.SessionHandle) (err error) {
		t.objects.Lock()
		defer t.objects.Unlock()
		if err = t.unused(session, label); err != nil {
			return err
		}
		public, private, err := t.generate(session, label)
		if err != nil {
			return err
		}
		if made, err = t.prove(session, label); err != nil {
			// A pair that does not hold what we need must not stay behind under this label.
			_ = t.module.DestroyObject(session, private)
			_ = t.module.DestroyObject(session, public)
		}
		return err
	})
	return made.attestation, err
}

// unused refuses a label that any object of the token has.
func (t *Token) unused(session pkcs11.SessionHandle, label string) error {
	if err := t.loggedIn(session); err != nil {
		return err
	}
	objects, err := t.search(session, pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	if err != nil {
		return err
	}
	if len(objects) > 0 {
		return fmt.Errorf("%w: %s", ErrKeyExists, label)
	}
	return nil
}

// generate makes the pair. Some tokens reject attributes that they do not know, so one retry leaves out those that only
// add a second lock; the audit afterwards is the same.
func (t *Token) generate(session pkcs11.SessionHandle, label string) (public, private pkcs11.ObjectHandle, err error) {
	id, err := t.module.GenerateRandom(session, idBytes)
	if err != nil {
		return 0, 0, t.explain("random identifier", err)
	}
	publicTemplate := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC),
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, Secp256k1.oid()),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	must, may := privateTemplate(label, id)
	mechanism := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)}
	public, private, err = t.module.GenerateKeyPair(session, mechanism, publicTemplate, append(must, may...))
	if isUnknownAttribute(err) {
		public, private, err = t.module.GenerateKeyPair(session, mechanism, publicTemplate, must)
	}
	if err != nil {
		return 0, 0, t.explain("key generation", err)
	}
	return public, private, nil
}

// privateTemplate states every property, because a token's defaults are not ours: SoftHSM with an empty template makes
// keys that are not sensitive and may decrypt.
func privateTemplate(label string, id []byte) (must, may []*pkcs11.Attribute) {
	must = []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, false),
		pkcs11.NewAttribute(pkcs11.CKA_UNWRAP, false),
		pkcs11.NewAttribute(pkcs11.CKA_DERIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	may = []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_SIGN_RECOVER, false),
		pkcs11.NewAttribute(pkcs11.CKA_MODIFIABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_COPYABLE, false),
	}
	return must, may
}

// prove finds a key as any later command will, audits it and has it sign a fresh digest that nothing else signs.
func (t *Token) prove(session pkcs11.SessionHandle, label string) (found, error) {
	key, err := t.resolve(session, label)
	if err != nil {
		return found{}, err
	}
	nonce, err := t.module.GenerateRandom(session, 32)
	if err != nil {
		return found{}, t.explain("random challenge", err)
	}
	digest := chainhash.TaggedHash([]byte(proofTag), nonce, key.attestation.Public[:])
	_, err = t.sign(session, key.private, key.attestation.Public, *digest)
	return key, err
}

// Inspect finds the key pair of a label, refuses duplicates and whatever the audit does not allow, and returns what the
// token says of it. The public key in the answer is a hint: public objects can be replaced without a login.
func (t *Token) Inspect(ctx context.Context, label string) (Attestation, error) {
	key, err := t.find(ctx, label)
	return key.attestation, err
}

// FindKey is Inspect for a key whose public half the caller has pinned.
func (t *Token) FindKey(ctx context.Context, label string, pinned [33]byte) (Attestation, error) {
	key, err := t.find(ctx, label)
	if err != nil {
		return Attestation{}, err
	}
	if key.attestation.Public != pinned {
		return Attestation{}, fmt.Errorf("%w: key %s", ErrKeyMismatch, label)
	}
	return key.attestation, nil
}

func (t *Token) find(ctx context.Context, label string) (key found, err error) {
	err = t.withSession(ctx, func(session pkcs11.SessionHandle) error {
		t.objects.RLock()
		defer t.objects.RUnlock()
		key, err = t.resolve(session, label)
		return err
	})
	return key, err
}

// SignDigest signs 32 bytes with the key of that label: strict DER, low-S, verified against the pinned public key.
// Tokens choose nonces themselves, so the same digest gives another signature each time.
func (t *Token) SignDigest(ctx context.Context, label string, pinned [33]byte, digest [32]byte) ([]byte, error) {
	var der []byte
	err := t.withSession(ctx, func(session pkcs11.SessionHandle) error {
		key, err := t.cached(session, label)
		if err != nil {
			return err
		}
		if key.attestation.Public != pinned {
			return fmt.Errorf("%w: key %s", ErrKeyMismatch, label)
		}
		der, err = t.sign(session, key.private, pinned, digest)
		if isStale(err) {
			t.forget()
			if key, err = t.cached(session, label); err == nil {
				der, err = t.sign(session, key.private, pinned, digest)
			}
		}
		return err
	})
	return der, err
}

// sign makes one signature and does not let it out unless it verifies.
func (t *Token) sign(session pkcs11.SessionHandle, key pkcs11.ObjectHandle, pinned [33]byte, digest [32]byte) ([]byte, error) {
	if err := t.module.SignInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, key); err != nil {
		return nil, t.explain("signature", err)
	}
	raw, err := t.module.Sign(session, digest[:])
	if err != nil {
		return nil, t.explain("signature", err)
	}
	return finishSignature(raw, pinned, digest)
}

// cached returns the audited key of a label, searching once per login: a search is linear in the objects of a token.
func (t *Token) cached(session pkcs11.SessionHandle, label string) (found, error) {
	t.cache.Lock()
	key, ok := t.keys[label]
	t.cache.Unlock()
	if ok {
		return key, nil
	}
	t.objects.RLock()
	defer t.objects.RUnlock()
	key, err := t.resolve(session, label)
	if err != nil {
		return found{}, err
	}
	t.cache.Lock()
	t.keys[label] = key
	t.cache.Unlock()
	return key, nil
}

func (t *Token) forget() {
	t.cache.Lock()
	clear(t.keys)
	t.cache.Unlock()
}

//go:build cgo && !nopkcs11

package hsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/miekg/pkcs11"
)

// resolve finds exactly one pair of a secp256k1 key and audits it. The caller holds objects.
func (t *Token) resolve(session pkcs11.SessionHandle, label string) (found, error) {
	key, err := t.resolvePair(session, label, Secp256k1)
	if err != nil {
		return found{}, err
	}
	if _, err := btcec.ParsePubKey(key.attestation.Public[:]); err != nil {
		return found{}, fmt.Errorf("%w: its point is not on secp256k1", ErrKeyMismatch)
	}
	if err := key.attestation.Audit(); err != nil {
		return found{}, err
	}
	return key, nil
}

// resolvePair finds exactly one private and one public object of a label, both with one identifier that nothing else
// has, and reads what the token says of them.
func (t *Token) resolvePair(session pkcs11.SessionHandle, label string, curve Curve) (found, error) {
	if err := t.loggedIn(session); err != nil {
		return found{}, err
	}
	private, err := t.only(session, pkcs11.CKO_PRIVATE_KEY, label)
	if err != nil {
		return found{}, err
	}
	public, err := t.only(session, pkcs11.CKO_PUBLIC_KEY, label)
	if errors.Is(err, ErrKeyMissing) {
		return found{}, fmt.Errorf("%w: the public half of key %s is missing", ErrKeyMismatch, label)
	}
	if err != nil {
		return found{}, err
	}
	key := found{private: private, attestation: Attestation{Label: label, Curve: curve}}
	if err := t.describe(session, public, &key); err != nil {
		return found{}, err
	}
	return key, nil
}

// only returns the single object of a class and label.
func (t *Token) only(session pkcs11.SessionHandle, class uint, label string) (pkcs11.ObjectHandle, error) {
	objects, err := t.search(session, pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	switch {
	case err != nil:
		return 0, err
	case len(objects) == 0 && !t.present():
		return 0, ErrTokenRemoved // a search on a token that is gone finds nothing and does not fail
	case len(objects) == 0:
		return 0, fmt.Errorf("%w: %s", ErrKeyMissing, label)
	case len(objects) > 1:
		return 0, fmt.Errorf("%w: label %s", ErrKeyAmbiguous, label)
	}
	return objects[0], nil
}

func (t *Token) search(session pkcs11.SessionHandle, template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := t.module.FindObjectsInit(session, template); err != nil {
		return nil, t.explain("search", err)
	}
	objects, _, err := t.module.FindObjects(session, objectsMax)
	if final := t.module.FindObjectsFinal(session); err == nil {
		err = final
	}
	if err != nil {
		return nil, t.explain("search", err)
	}
	return objects, nil
}

// describe reads the attributes of a pair into its attestation.
func (t *Token) describe(session pkcs11.SessionHandle, public pkcs11.ObjectHandle, key *found) error {
	a := &key.attestation
	for _, half := range []pkcs11.ObjectHandle{key.private, public} {
		id, err := t.attribute(session, half, pkcs11.CKA_ID)
		if err != nil {
			return err
		}
		if a.ID != nil && !bytes.Equal(a.ID, id) || len(id) == 0 {
			return fmt.Errorf("%w: the halves of key %s have different identifiers", ErrKeyAmbiguous, a.Label)
		}
		a.ID = id
		kind, err := t.attribute(session, half, pkcs11.CKA_KEY_TYPE)
		if err != nil {
			return err
		}
		params, err := t.attribute(session, half, pkcs11.CKA_EC_PARAMS)
		if err != nil {
			return err
		}
		if number(kind) != pkcs11.CKK_EC || !bytes.Equal(params, a.Curve.oid()) {
			return fmt.Errorf("%w: key %s is not on curve %s", ErrKeyUnsafe, a.Label, a.Curve)
		}
	}
	same, err := t.search(session, pkcs11.NewAttribute(pkcs11.CKA_ID, a.ID))
	if err != nil {
		return err
	}
	if len(same) != 2 {
		return fmt.Errorf("%w: %d objects have the identifier of key %s, a pair has 2", ErrKeyAmbiguous, len(same), a.Label)
	}
	raw, err := t.attribute(session, public, pkcs11.CKA_EC_POINT)
	if err != nil {
		return err
	}
	point, err := pointBytes(raw)
	if err != nil {
		return err
	}
	a.Public = compress(point)
	return t.describePrivate(session, key)
}

// describePrivate reads how the token guards a private key. A property that the token does not know is not held to be
// there; a use that it does not know is not held to be allowed.
func (t *Token) describePrivate(session pkcs11.SessionHandle, key *found) error {
	a := &key.attestation
	a.Extractable = true
	for _, flag := range []struct {
		attribute uint
		value     *bool
	}{
		{pkcs11.CKA_SENSITIVE, &a.Sensitive}, {pkcs11.CKA_ALWAYS_SENSITIVE, &a.AlwaysSensitive},
		{pkcs11.CKA_EXTRACTABLE, &a.Extractable}, {pkcs11.CKA_NEVER_EXTRACTABLE, &a.NeverExtractable},
		{pkcs11.CKA_LOCAL, &a.Local},
	} {
		value, err := t.attribute(session, key.private, flag.attribute)
		if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)) {
			return err
		}
		if err == nil {
			*flag.value = truth(value)
		}
	}
	for _, use := range []struct {
		attribute uint
		name      string
	}{
		{pkcs11.CKA_SIGN, "sign"}, {pkcs11.CKA_SIGN_RECOVER, "sign-recover"}, {pkcs11.CKA_DECRYPT, "decrypt"},
		{pkcs11.CKA_UNWRAP, "unwrap"}, {pkcs11.CKA_DERIVE, "derive"},
	} {
		value, err := t.attribute(session, key.private, use.attribute)
		if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)) {
			return err
		}
		if err == nil && truth(value) {
			a.Uses = append(a.Uses, use.name)
		}
	}
	return nil
}

// attribute reads one attribute; asking for several at once fails wholly when the token does not know one of them.
func (t *Token) attribute(session pkcs11.SessionHandle, object pkcs11.ObjectHandle, kind uint) ([]byte, error) {
	values, err := t.module.GetAttributeValue(session, object, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil {
		return nil, t.explain(fmt.Sprintf("attribute %#x", kind), err)
	}
	return values[0].Value, nil
}

func truth(value []byte) bool { return len(value) == 1 && value[0] != 0 }

// number reads a CK_ULONG, which is as long and as ordered as the machine has it.
func number(value []byte) uint64 {
	switch len(value) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(value))
	case 8:
		return binary.NativeEndian.Uint64(value)
	}
	return ^uint64(0)
}

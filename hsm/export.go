//go:build cgo && !nopkcs11

package hsm

import (
	"context"
	"fmt"

	"github.com/miekg/pkcs11"
)

// TryExport asks the token for a private key in each way that PKCS#11 has: reading it, making it extractable, copying
// it as extractable, and wrapping it under another key. The good answer is ErrExportRefused. ErrExported means that one
// way worked; what it gave is overwritten and not returned.
func (t *Token) TryExport(ctx context.Context, label string) error {
	return t.withSession(ctx, func(session pkcs11.SessionHandle) error {
		if err := t.loggedIn(session); err != nil {
			return err
		}
		t.objects.Lock() // wrapping makes a key for the session
		defer t.objects.Unlock()
		key, err := t.only(session, pkcs11.CKO_PRIVATE_KEY, label) // audited or not: the audit believes, this asks
		if err != nil {
			return err
		}
		for _, way := range []struct {
			name string
			try  func(pkcs11.SessionHandle, pkcs11.ObjectHandle) bool
		}{{"reading CKA_VALUE", t.readValue}, {"setting CKA_EXTRACTABLE", t.loosen}, {"copying", t.copyLoose}, {"wrapping", t.wrap}} {
			if way.try(session, key) {
				return fmt.Errorf("%w: key %s, by %s", ErrExported, label, way.name)
			}
		}
		return fmt.Errorf("%w: key %s", ErrExportRefused, label)
	})
}

func (t *Token) readValue(session pkcs11.SessionHandle, key pkcs11.ObjectHandle) bool {
	values, err := t.module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
	if err != nil || len(values) == 0 {
		return false
	}
	clear(values[0].Value)
	return len(values[0].Value) > 0
}

func (t *Token) loosen(session pkcs11.SessionHandle, key pkcs11.ObjectHandle) bool {
	return t.module.SetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true)}) == nil
}

func (t *Token) copyLoose(session pkcs11.SessionHandle, key pkcs11.ObjectHandle) bool {
	twin, err := t.module.CopyObject(session, key, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true)})
	if err == nil {
		_ = t.module.DestroyObject(session, twin)
	}
	return err == nil
}

func (t *Token) wrap(session pkcs11.SessionHandle, key pkcs11.ObjectHandle) bool {
	kek, err := t.module.GenerateKey(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_WRAP, true),
	})
	if err != nil {
		return false // no wrapping key can be made, so nothing can be wrapped under it
	}
	defer func() { _ = t.module.DestroyObject(session, kek) }()
	for _, mechanism := range []uint{pkcs11.CKM_AES_KEY_WRAP_PAD, pkcs11.CKM_AES_KEY_WRAP} {
		wrapped, err := t.module.WrapKey(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, kek, key)
		clear(wrapped)
		if err == nil {
			return true
		}
	}
	return false
}

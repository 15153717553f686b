//go:build cgo && !nopkcs11

package hsm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm"
	"github.com/miekg/pkcs11"
)

// faulty is SoftHSM with the faults of other tokens, which SoftHSM cannot produce.
type faulty struct {
	*pkcs11.Ctx
	login       error
	info        error
	signInit    error                   // returned once
	raw         func(raw []byte) []byte // bends a signature
	unknown     map[uint]bool           // attributes that the token has never heard of
	publicPoint func(point []byte) []byte
}

func (f *faulty) Login(session pkcs11.SessionHandle, user uint, pin string) error {
	if f.login != nil {
		return f.login
	}
	return f.Ctx.Login(session, user, pin)
}

func (f *faulty) GetTokenInfo(slot uint) (pkcs11.TokenInfo, error) {
	if f.info != nil {
		return pkcs11.TokenInfo{}, f.info
	}
	return f.Ctx.GetTokenInfo(slot)
}

func (f *faulty) SignInit(session pkcs11.SessionHandle, m []*pkcs11.Mechanism, key pkcs11.ObjectHandle) error {
	if err := f.signInit; err != nil {
		f.signInit = nil
		return err
	}
	return f.Ctx.SignInit(session, m, key)
}

func (f *faulty) Sign(session pkcs11.SessionHandle, message []byte) ([]byte, error) {
	raw, err := f.Ctx.Sign(session, message)
	if err == nil && f.raw != nil {
		raw = f.raw(raw)
	}
	return raw, err
}

func (f *faulty) GenerateKeyPair(session pkcs11.SessionHandle, m []*pkcs11.Mechanism, public, private []*pkcs11.Attribute) (pkcs11.ObjectHandle, pkcs11.ObjectHandle, error) {
	for _, a := range private {
		if f.unknown[a.Type] {
			return 0, 0, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)
		}
	}
	return f.Ctx.GenerateKeyPair(session, m, public, private)
}

func (f *faulty) GetAttributeValue(session pkcs11.SessionHandle, object pkcs11.ObjectHandle, a []*pkcs11.Attribute) ([]*pkcs11.Attribute, error) {
	if f.unknown[a[0].Type] {
		return nil, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)
	}
	values, err := f.Ctx.GetAttributeValue(session, object, a)
	if err == nil && a[0].Type == pkcs11.CKA_EC_POINT && f.publicPoint != nil {
		values[0].Value = f.publicPoint(values[0].Value)
	}
	return values, err
}

func interpose(token *hsm.Token, f *faulty) {
	token.Interpose(func(module *pkcs11.Ctx) hsm.Cryptoki { f.Ctx = module; return f })
}

// SoftHSM never locks a PIN and never removes a token; other tokens do.
func TestErrorsOfOtherTokensHaveTheirOwnSentence(t *testing.T) {
	token, place := open(t)
	f := &faulty{}
	interpose(token, f)
	for code, want := range map[uint]error{
		pkcs11.CKR_PIN_LOCKED:               hsm.ErrPINLocked,
		pkcs11.CKR_PIN_EXPIRED:              hsm.ErrPINUnset,
		pkcs11.CKR_USER_PIN_NOT_INITIALIZED: hsm.ErrPINUnset,
		pkcs11.CKR_DEVICE_REMOVED:           hsm.ErrTokenRemoved,
		pkcs11.CKR_TOKEN_NOT_PRESENT:        hsm.ErrTokenRemoved,
	} {
		f.login = pkcs11.Error(code)
		err := token.Login(t.Context(), place.PIN())
		if !errors.Is(err, want) || strings.Contains(err.Error(), string(place.PIN())) {
			t.Errorf("return value %#x: %v, want %v", code, err, want)
		}
	}
	f.login, f.info = pkcs11.Error(pkcs11.CKR_DEVICE_ERROR), pkcs11.Error(pkcs11.CKR_DEVICE_ERROR)
	if err := token.Login(t.Context(), place.PIN()); !errors.Is(err, hsm.ErrTokenRemoved) {
		t.Errorf("a device error of a token that is gone: %v", err)
	}
	f.info = nil
	if err := token.Login(t.Context(), place.PIN()); !errors.Is(err, pkcs11.Error(pkcs11.CKR_DEVICE_ERROR)) {
		t.Errorf("a device error of a token that is there: %v", err)
	}
}

func TestATokenThatKnowsFewAttributesStillGivesAnAuditedKey(t *testing.T) {
	token, _ := open(t)
	interpose(token, &faulty{unknown: map[uint]bool{pkcs11.CKA_SIGN_RECOVER: true, pkcs11.CKA_MODIFIABLE: true, pkcs11.CKA_COPYABLE: true}})
	generate(t, token, "b")
}

// A property that a token does not know is not held to be there, and nothing stays behind under the label.
func TestATokenThatCannotSayWhereAKeyWasBornIsRefused(t *testing.T) {
	token, _ := open(t)
	f := &faulty{unknown: map[uint]bool{pkcs11.CKA_LOCAL: true}}
	interpose(token, f)
	if _, err := token.GenerateKey(t.Context(), "b"); !errors.Is(err, hsm.ErrKeyUnsafe) {
		t.Errorf("generating: %v", err)
	}
	f.unknown = nil
	if _, err := token.Inspect(t.Context(), "b"); !errors.Is(err, hsm.ErrKeyMissing) {
		t.Errorf("afterwards the label holds: %v", err)
	}
}

// Some tokens return the point bare where the standard wants an OCTET STRING around it.
func TestAttack111TheRawFormOfAPointIsTheSameKey(t *testing.T) {
	token, _ := open(t)
	f := &faulty{}
	interpose(token, f)
	key := generate(t, token, "b")
	f.publicPoint = func(point []byte) []byte { return point[2:] }
	if found, err := token.FindKey(t.Context(), "b", key.Public); err != nil || found.Public != key.Public {
		t.Errorf("raw point: %v", err)
	}
	for name, bend := range map[string]func([]byte) []byte{
		"short":      func(p []byte) []byte { return p[:66] },
		"compressed": func(p []byte) []byte { return p[2:35] },
		"empty":      func([]byte) []byte { return nil },
		"hybrid":     func(p []byte) []byte { p[2] = 6; return p },
		"off curve":  func(p []byte) []byte { p[40] ^= 1; clear(p[3:35]); return p },
		"other DER":  func(p []byte) []byte { p[0] = 0x30; return p },
	} {
		f.publicPoint = bend
		if _, err := token.FindKey(t.Context(), "b", key.Public); !errors.Is(err, hsm.ErrKeyMismatch) {
			t.Errorf("%s point: %v", name, err)
		}
	}
}

// Attack 068: a signature that a fault has bent does not leave.
func TestAttack068ABentSignatureDoesNotLeave(t *testing.T) {
	token, _ := open(t)
	f := &faulty{}
	interpose(token, f)
	key := generate(t, token, "b")
	for name, bend := range map[string]func([]byte) []byte{
		"one bit":   func(raw []byte) []byte { raw[40] ^= 4; return raw },
		"r is zero": func(raw []byte) []byte { clear(raw[:32]); return raw },
		"short":     func(raw []byte) []byte { return raw[:63] },
		"empty":     func([]byte) []byte { return nil },
	} {
		f.raw = bend
		if der, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); !errors.Is(err, hsm.ErrSignature) || der != nil {
			t.Errorf("%s: %x, %v", name, der, err)
		}
	}
}

func TestALostHandleAndALostSessionAreRenewed(t *testing.T) {
	token, _ := open(t)
	f := &faulty{}
	interpose(token, f)
	key := generate(t, token, "b")
	f.signInit = pkcs11.Error(pkcs11.CKR_OBJECT_HANDLE_INVALID)
	if _, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); err != nil {
		t.Errorf("after a lost handle: %v", err)
	}
	for range 8 {
		f.signInit = pkcs11.Error(pkcs11.CKR_OPERATION_ACTIVE)
		if _, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); err == nil {
			t.Error("the fault did not arrive")
		}
	}
	if _, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); err != nil {
		t.Errorf("after eight lost sessions: %v", err)
	}
}

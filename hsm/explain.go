//go:build cgo && !nopkcs11

package hsm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/pkcs11"
)

// openError says why crypto11 could not open a token. Its "not found" is an unexported value, so its text is compared;
// a contract test holds that text.
func openError(config Config, err error) error {
	var code pkcs11.Error
	switch {
	case strings.Contains(err.Error(), "could not find PKCS#11 token"):
		return fmt.Errorf("%w: %s", ErrTokenMissing, config.TokenLabel)
	case strings.Contains(err.Error(), "must specify exactly one way"):
		return fmt.Errorf("%w: the label is empty", ErrTokenMissing)
	case errors.As(err, &code) && code == pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED:
		return ErrModuleBusy
	case errors.As(err, &code) && code == pkcs11.CKR_GENERAL_ERROR:
		return ErrModuleFailed
	}
	return fmt.Errorf("%w: %w", ErrModuleFailed, err)
}

// known maps the return values that mean one thing whatever was asked.
func known(code pkcs11.Error) error {
	switch code {
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE:
		return ErrPIN
	case pkcs11.CKR_PIN_LOCKED:
		return ErrPINLocked
	case pkcs11.CKR_USER_PIN_NOT_INITIALIZED, pkcs11.CKR_PIN_EXPIRED:
		return ErrPINUnset
	case pkcs11.CKR_USER_NOT_LOGGED_IN:
		return ErrNotLoggedIn
	case pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_DEVICE_REMOVED:
		return ErrTokenRemoved
	case pkcs11.CKR_CURVE_NOT_SUPPORTED, pkcs11.CKR_DOMAIN_PARAMS_INVALID, pkcs11.CKR_MECHANISM_INVALID:
		return ErrUnsupported
	}
	return nil
}

// explain turns a return value into one of this package's errors. Any value may come from a token that is gone, so the
// token is asked for its serial number first. The caller holds life.
func (t *Token) explain(what string, err error) error {
	var code pkcs11.Error
	if !errors.As(err, &code) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if meant := known(code); meant != nil {
		return fmt.Errorf("%s: %w", what, meant)
	}
	if !t.present() {
		return fmt.Errorf("%s: %w", what, ErrTokenRemoved)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// present reports whether the token that was opened is still in its slot.
func (t *Token) present() bool {
	info, err := t.module.GetTokenInfo(t.slot)
	return err == nil && info.SerialNumber == t.serial
}

// isStale reports whether a handle has lost its object: another login, or an object that was destroyed.
func isStale(err error) bool {
	return errors.Is(err, pkcs11.Error(pkcs11.CKR_OBJECT_HANDLE_INVALID)) || errors.Is(err, pkcs11.Error(pkcs11.CKR_KEY_HANDLE_INVALID))
}

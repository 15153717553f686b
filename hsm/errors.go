package hsm

import "errors"

// Errors that callers branch on. Each says what a person at the machine can act on.
var (
	ErrNotBuilt       = errors.New("this coldsign was built without PKCS#11; use the build with cgo")
	ErrModuleMissing  = errors.New("no PKCS#11 module file")
	ErrNotModule      = errors.New("the file is not a PKCS#11 module for this machine")
	ErrModuleFailed   = errors.New("the PKCS#11 module does not start; its configuration is missing, its token directory is unreadable, or this user may not use it")
	ErrModuleBusy     = errors.New("this process has already started the PKCS#11 module by another way")
	ErrTokenMissing   = errors.New("no token of that label")
	ErrTokenAmbiguous = errors.New("more than one token of that label")
	ErrTokenRemoved   = errors.New("the token was removed or replaced")
	ErrPIN            = errors.New("the PIN is wrong")
	ErrPINLocked      = errors.New("the PIN is locked after too many wrong tries; the token's security officer must unlock it")
	ErrPINUnset       = errors.New("the token has no user PIN yet; initialise it first")
	ErrNotLoggedIn    = errors.New("not logged in to the token")
	ErrKeyMissing     = errors.New("no key of that label in the token")
	ErrKeyExists      = errors.New("an object of that label is already in the token")
	ErrKeyAmbiguous   = errors.New("more than one key object of that label or identifier in the token")
	ErrKeyMismatch    = errors.New("the token's public key is not the pinned one")
	ErrKeyUnsafe      = errors.New("the token does not guard the key as required")
	ErrExportRefused  = errors.New("the token refuses to give the private key out")
	ErrExported       = errors.New("the token gave the private key out; the key must not be used")
	ErrSignature      = errors.New("the token returned a signature that is not one")
	ErrUnsupported    = errors.New("the token does not offer secp256k1 with CKM_ECDSA")
	ErrLabel          = errors.New("a label is 1 to 40 letters, digits and hyphens")
	ErrClosed         = errors.New("the token is closed")
)

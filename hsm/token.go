//go:build cgo && !nopkcs11

package hsm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

const (
	sessionsMax     = 4                // of ours; SoftHSM gains nothing beyond, a YubiHSM 2 has 16 in all
	crypto11Max     = 4                // sessions of crypto11, its anchor included
	sessionWaitMax  = 30 * time.Second // for a free session of crypto11; ours wait as long as their context
	sessionFlags    = pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION
	objectsMax      = 8 // handles asked for in a search; two are already one too many
	slotsMax        = 256
	stateUserPublic = 1 // CKS_RO_USER_FUNCTIONS
	stateUserRW     = 3 // CKS_RW_USER_FUNCTIONS
)

// cryptoki is what this package uses of *pkcs11.Ctx. Tests put errors in its way that SoftHSM cannot produce.
type cryptoki interface {
	GetSlotList(tokenPresent bool) ([]uint, error)
	GetTokenInfo(slot uint) (pkcs11.TokenInfo, error)
	OpenSession(slot uint, flags uint) (pkcs11.SessionHandle, error)
	CloseSession(session pkcs11.SessionHandle) error
	GetSessionInfo(session pkcs11.SessionHandle) (pkcs11.SessionInfo, error)
	Login(session pkcs11.SessionHandle, user uint, pin string) error
	Logout(session pkcs11.SessionHandle) error
	GenerateRandom(session pkcs11.SessionHandle, length int) ([]byte, error)
	GenerateKey(session pkcs11.SessionHandle, m []*pkcs11.Mechanism, template []*pkcs11.Attribute) (pkcs11.ObjectHandle, error)
	GenerateKeyPair(session pkcs11.SessionHandle, m []*pkcs11.Mechanism, public, private []*pkcs11.Attribute) (pkcs11.ObjectHandle, pkcs11.ObjectHandle, error)
	FindObjectsInit(session pkcs11.SessionHandle, template []*pkcs11.Attribute) error
	FindObjects(session pkcs11.SessionHandle, most int) ([]pkcs11.ObjectHandle, bool, error)
	FindObjectsFinal(session pkcs11.SessionHandle) error
	GetAttributeValue(session pkcs11.SessionHandle, object pkcs11.ObjectHandle, a []*pkcs11.Attribute) ([]*pkcs11.Attribute, error)
	SetAttributeValue(session pkcs11.SessionHandle, object pkcs11.ObjectHandle, a []*pkcs11.Attribute) error
	CopyObject(session pkcs11.SessionHandle, object pkcs11.ObjectHandle, a []*pkcs11.Attribute) (pkcs11.ObjectHandle, error)
	DestroyObject(session pkcs11.SessionHandle, object pkcs11.ObjectHandle) error
	WrapKey(session pkcs11.SessionHandle, m []*pkcs11.Mechanism, wrapping, key pkcs11.ObjectHandle) ([]byte, error)
	SignInit(session pkcs11.SessionHandle, m []*pkcs11.Mechanism, key pkcs11.ObjectHandle) error
	Sign(session pkcs11.SessionHandle, message []byte) ([]byte, error)
}

// Token is an open token. Its methods may be called from several goroutines. Open at most one per token and process:
// they would share one login.
type Token struct {
	life    sync.RWMutex // see the package comment
	objects sync.RWMutex

	owner    *crypto11.Context
	module   cryptoki
	slot     uint
	serial   string
	anchor   pkcs11.SessionHandle // stays open for life: the last session to close takes login and handles with it
	sessions chan pkcs11.SessionHandle
	closed   bool

	cache sync.Mutex // guards keys
	keys  map[string]found
}

// Open starts the module and opens sessions with the token. It does not log in.
func Open(config Config) (*Token, error) {
	path, err := FindModule(config.Module)
	if err != nil {
		return nil, err
	}
	// Our own reference comes first, so that no failure further down unmaps the library: SoftHSM with OpenSSL 3 can
	// crash at exit when it was. For the same reason it is never given back.
	module := pkcs11.New(path)
	if module == nil {
		return nil, fmt.Errorf("%w: %s cannot be loaded, a library it needs is missing", ErrNotModule, path)
	}
	owner, err := crypto11.Configure(&crypto11.Config{Path: path, TokenLabel: config.TokenLabel, LoginNotSupported: true,
		MaxSessions: crypto11Max, PoolWaitTimeout: sessionWaitMax})
	if err != nil {
		return nil, openError(config, err)
	}
	t := &Token{owner: owner, module: module, keys: map[string]found{}, sessions: make(chan pkcs11.SessionHandle, sessionsMax)}
	if err := t.connect(config.TokenLabel); err != nil {
		_ = owner.Close()
		return nil, err
	}
	return t, nil
}

// connect finds the one token of that label and opens the anchor and the pool.
func (t *Token) connect(label string) error {
	slots, err := t.module.GetSlotList(true)
	if err != nil {
		return fmt.Errorf("list of tokens: %w", err)
	}
	matches := 0
	for _, slot := range slots[:min(len(slots), slotsMax)] {
		if info, err := t.module.GetTokenInfo(slot); err == nil && info.Label == label {
			t.slot, t.serial = slot, info.SerialNumber
			matches++
		}
	}
	if matches != 1 {
		return fmt.Errorf("%w: %d tokens are labelled %s", ErrTokenAmbiguous, matches, label)
	}
	if t.anchor, err = t.module.OpenSession(t.slot, sessionFlags); err != nil {
		return fmt.Errorf("first session: %w", err)
	}
	for range sessionsMax {
		session, err := t.module.OpenSession(t.slot, sessionFlags)
		if err != nil {
			return fmt.Errorf("session: %w", err)
		}
		t.sessions <- session
	}
	return nil
}

// Info returns what the token says about itself. It needs no login.
func (t *Token) Info() (Info, error) {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return Info{}, ErrClosed
	}
	raw, err := t.module.GetTokenInfo(t.slot)
	if err != nil || raw.SerialNumber != t.serial {
		return Info{}, ErrTokenRemoved
	}
	return Info{Label: raw.Label, Serial: raw.SerialNumber, Model: raw.Model, Manufacturer: raw.ManufacturerID,
		PINLow:      raw.Flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0,
		PINFinalTry: raw.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0,
		PINLocked:   raw.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0}, nil
}

// Login checks the PIN and logs the process in. The PIN is always checked: a process that is logged in already would
// accept any PIN, so it is logged out first. The bytes stay the caller's to wipe; the library's own copy in C memory is
// freed, not wiped.
func (t *Token) Login(ctx context.Context, pin []byte) error {
	if err := ctx.Err(); err != nil {
		return err // a cancelled command must not cost one of the tries of a PIN
	}
	t.life.Lock()
	defer t.life.Unlock()
	if t.closed {
		return ErrClosed
	}
	if len(pin) == 0 {
		return ErrPIN
	}
	if err := t.logout(); err != nil {
		return err
	}
	// The string shares the bytes: no second copy of the PIN lies in Go's memory.
	if err := t.module.Login(t.anchor, pkcs11.CKU_USER, unsafe.String(&pin[0], len(pin))); err != nil {
		return t.explain("login", err)
	}
	return nil
}

// Logout ends the login of this process with the token.
func (t *Token) Logout() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.closed {
		return ErrClosed
	}
	return t.logout()
}

func (t *Token) logout() error {
	t.forget() // every handle of a private object dies with the login
	if err := t.module.Logout(t.anchor); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_NOT_LOGGED_IN)) {
		return t.explain("logout", err)
	}
	return nil
}

// Close waits for running operations, logs out and ends the use of the token. A second Close does nothing.
func (t *Token) Close() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	for len(t.sessions) > 0 {
		_ = t.module.CloseSession(<-t.sessions)
	}
	_ = t.logout() // a removed token cannot be logged out; it is not logged in either
	_ = t.module.CloseSession(t.anchor)
	return t.owner.Close()
}

// withSession lends a session to f. Locks: life is shared meanwhile.
func (t *Token) withSession(ctx context.Context, f func(pkcs11.SessionHandle) error) error {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case session := <-t.sessions:
		err := f(session)
		t.sessions <- t.renewed(session, err)
		return err
	}
}

// renewed replaces a session that an error has left unusable.
func (t *Token) renewed(session pkcs11.SessionHandle, err error) pkcs11.SessionHandle {
	var code pkcs11.Error
	if !errors.As(err, &code) {
		return session
	}
	switch code {
	case pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_OPERATION_ACTIVE:
		if fresh, err := t.module.OpenSession(t.slot, sessionFlags); err == nil {
			_ = t.module.CloseSession(session)
			return fresh
		}
	}
	return session
}

// loggedIn refuses early, because a search without a login finds nothing and says nothing.
func (t *Token) loggedIn(session pkcs11.SessionHandle) error {
	info, err := t.module.GetSessionInfo(session)
	if err != nil {
		return t.explain("session", err)
	}
	if info.State != stateUserRW && info.State != stateUserPublic {
		return ErrNotLoggedIn
	}
	return nil
}

//go:build !cgo || nopkcs11

package hsm

import (
	"context"
	"crypto"
)

// Token is the shape of an open token. This build cannot open one.
type Token struct{}

// Open returns ErrNotBuilt.
func Open(Config) (*Token, error) { return nil, ErrNotBuilt }

// Info returns ErrNotBuilt.
func (*Token) Info() (Info, error) { return Info{}, ErrNotBuilt }

// Login returns ErrNotBuilt.
func (*Token) Login(context.Context, []byte) error { return ErrNotBuilt }

// Logout returns ErrNotBuilt.
func (*Token) Logout() error { return ErrNotBuilt }

// Close returns ErrNotBuilt.
func (*Token) Close() error { return ErrNotBuilt }

// GenerateKey returns ErrNotBuilt.
func (*Token) GenerateKey(context.Context, string) (Attestation, error) {
	return Attestation{}, ErrNotBuilt
}

// Inspect returns ErrNotBuilt.
func (*Token) Inspect(context.Context, string) (Attestation, error) {
	return Attestation{}, ErrNotBuilt
}

// FindKey returns ErrNotBuilt.
func (*Token) FindKey(context.Context, string, [33]byte) (Attestation, error) {
	return Attestation{}, ErrNotBuilt
}

// SignDigest returns ErrNotBuilt.
func (*Token) SignDigest(context.Context, string, [33]byte, [32]byte) ([]byte, error) {
	return nil, ErrNotBuilt
}

// TryExport returns ErrNotBuilt.
func (*Token) TryExport(context.Context, string) error { return ErrNotBuilt }

// GenerateP256 returns ErrNotBuilt.
func (*Token) GenerateP256(string) (crypto.Signer, error) { return nil, ErrNotBuilt }

// P256Signer returns ErrNotBuilt.
func (*Token) P256Signer(string) (crypto.Signer, error) { return nil, ErrNotBuilt }

package hsm_test

import (
	"context"
	"crypto"
	"testing"

	"github.com/coldsign/coldsign/hsm"
)

// door is what programs use of a token. Both builds have all of it, or one of them does not compile.
type door interface {
	Info() (hsm.Info, error)
	Login(ctx context.Context, pin []byte) error
	Logout() error
	Close() error
	GenerateKey(ctx context.Context, label string) (hsm.Attestation, error)
	Inspect(ctx context.Context, label string) (hsm.Attestation, error)
	FindKey(ctx context.Context, label string, pinned [33]byte) (hsm.Attestation, error)
	SignDigest(ctx context.Context, label string, pinned [33]byte, digest [32]byte) ([]byte, error)
	TryExport(ctx context.Context, label string) error
	GenerateP256(label string) (crypto.Signer, error)
	P256Signer(label string) (crypto.Signer, error)
}

func TestBothBuildsHaveTheSameDoor(t *testing.T) {
	var _ door = (*hsm.Token)(nil)
	if token, err := hsm.Open(hsm.Config{Module: "/nowhere/module.so", TokenLabel: "x"}); err == nil || token != nil {
		t.Errorf("a module that is not there opened: %v", token)
	}
}

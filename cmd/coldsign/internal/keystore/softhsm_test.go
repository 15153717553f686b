//go:build cgo && !nopkcs11

package keystore

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// openHSM is the wiring that the doors do.
func openHSM(module, label string, pin []byte) (Token, error) {
	token, err := hsm.Open(hsm.Config{Module: module, TokenLabel: label})
	if err != nil {
		return nil, err
	}
	if err := token.Login(context.Background(), pin); err != nil {
		return nil, errors.Join(err, token.Close())
	}
	return token, nil
}

func TestAKeyInSoftHSMIsPinnedUnlockedAndSigns(t *testing.T) {
	hsmPlace := hsmtest.New(t, "treasury")
	token, err := hsm.Open(hsmPlace.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Login(t.Context(), hsmPlace.PIN()); err != nil {
		t.Fatal(err)
	}
	made, err := token.GenerateKey(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.GenerateP256("b-receipt"); err != nil {
		t.Fatal(err)
	}
	store, err := Open(t.TempDir(), openHSM)
	if err != nil {
		t.Fatal(err)
	}
	where := TokenKey{Module: hsmPlace.Module, Label: "treasury", Key: "b", Receipt: "b-receipt"}
	record, err := store.AddToken(t.Context(), TokenCreation{Name: "B", Network: spend.BitcoinRegtest, Where: where, Public: made.Public}, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	if err := record.Verify(); err != nil || record.Kind != wallet.Fixed || record.Device != wallet.DevicePKCS11 {
		t.Errorf("%+v, %v", record, err)
	}
	if bytes.Contains(fileOf(t, store, "B"), hsmPlace.PIN()) {
		t.Error("the key file holds the PIN")
	}
	info, err := store.Info("B")
	if err != nil || info.Kind != InToken || info.Token != where {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := store.Unlock("B", secret("999999")); !errors.Is(err, hsm.ErrPIN) {
		t.Errorf("a wrong PIN: %v", err)
	}
	key, err := store.Unlock("B", secret(hsmtest.UserPIN))
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	for index := range uint32(20) {
		digest := [32]byte{byte(index), 1}
		der, public, err := key.Sign(t.Context(), wallet.Receive, index, digest)
		if err != nil || public != made.Public || verify(der, made.Public, digest) != nil {
			t.Fatalf("index %d: %x by %x, %v", index, der, public, err)
		}
	}
	signature, err := key.Receipt().Sign(nil, []byte("answer"))
	if err != nil || signature.Format != "ecdsa-sha2-nistp256" || key.Receipt().PublicKey().Verify([]byte("answer"), signature) != nil {
		t.Errorf("receipt %v, %v", signature, err)
	}
	if keyLine(key.Receipt().PublicKey()) != record.Receipt {
		t.Error("the receipt key is not the record's")
	}
}

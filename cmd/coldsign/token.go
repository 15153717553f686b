package main

import (
	"context"
	"errors"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/hsm"
)

// openHSM opens a token and logs in. It returns the path of the module that was used.
func openHSM(module, label string, pin []byte) (*hsm.Token, string, error) {
	path, err := hsm.FindModule(module)
	if err != nil {
		return nil, "", err
	}
	token, err := hsm.Open(hsm.Config{Module: path, TokenLabel: label})
	if err != nil {
		return nil, "", err
	}
	if err := token.Login(context.Background(), pin); err != nil {
		return nil, "", errors.Join(err, token.Close())
	}
	return token, path, nil
}

// openToken is how the key store reaches a PKCS#11 token.
func openToken(module, label string, pin []byte) (keystore.Token, error) {
	token, _, err := openHSM(module, label, pin)
	if err != nil {
		return nil, err
	}
	return token, nil
}

// generate makes the two keys of a token signer: the account key, and the key of its receipts.
func generate(ctx context.Context, token *hsm.Token, where keystore.TokenKey) ([33]byte, error) {
	made, err := token.GenerateKey(ctx, where.Key)
	if err != nil {
		return [33]byte{}, err
	}
	_, err = token.GenerateP256(where.Receipt)
	return made.Public, err
}

// isTokenError reports whether the key device is what failed. A label of the wrong form was typed by a person, and that a
// token refuses to give a key out is its good answer.
func isTokenError(err error) bool {
	for _, sentinel := range []error{hsm.ErrNotBuilt, hsm.ErrModuleMissing, hsm.ErrNotModule, hsm.ErrModuleFailed, hsm.ErrModuleBusy,
		hsm.ErrTokenMissing, hsm.ErrTokenAmbiguous, hsm.ErrTokenRemoved, hsm.ErrPIN, hsm.ErrPINLocked, hsm.ErrPINUnset, hsm.ErrNotLoggedIn,
		hsm.ErrKeyMissing, hsm.ErrKeyExists, hsm.ErrKeyAmbiguous, hsm.ErrKeyMismatch, hsm.ErrKeyUnsafe, hsm.ErrExported,
		hsm.ErrSignature, hsm.ErrUnsupported, hsm.ErrClosed} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

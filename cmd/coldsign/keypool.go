package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/wallet"
)

// checkPool refuses a pool that no record could hold, before a PIN is asked for and a key made.
func (o keyNewOptions) checkPool() error {
	switch {
	case o.pool == 0 && o.resume:
		return console.Fail(console.Usage, errors.New("--resume takes up a pool, and none is named"), "say its size as before: --pool N")
	case o.pool == 0:
		return nil
	case o.token == "":
		return console.Fail(console.Usage, errors.New("a pool is made in a token, and none is named"), "coldsign key new "+o.name+" --token LABEL --pool "+fmt.Sprint(o.pool))
	case o.pool < 2 || o.pool > wallet.PoolKeysMax || o.pool%2 != 0:
		return console.Fail(console.Usage, fmt.Errorf("a pool of %d keys; it has an even number from 2 to %d", o.pool, wallet.PoolKeysMax))
	}
	return nil
}

// generatePool makes the keys of a pool and the key of its receipts. Hundreds of keys take a token a minute, and a power
// cut leaves some: with --resume they are kept. Whoever put them there, each was born in the token or the audit refuses
// it, and each signs the record.
func (a *app) generatePool(ctx context.Context, token *hsm.Token, where keystore.TokenKey, o keyNewOptions) ([][33]byte, error) {
	progress := a.Progress("key", o.pool)
	defer progress.End()
	keys := make([][33]byte, o.pool)
	for i := range keys {
		made, err := poolKey(ctx, token, where.PoolLabel(i), o.resume)
		if err != nil {
			return nil, interrupted(o, i, err)
		}
		keys[i] = made.Public
		progress.At(i + 1)
	}
	_, err := token.GenerateP256(where.Receipt)
	if o.resume && errors.Is(err, hsm.ErrKeyExists) {
		_, err = token.P256Signer(where.Receipt)
	}
	if err != nil {
		return nil, interrupted(o, o.pool, err)
	}
	return keys, nil
}

func poolKey(ctx context.Context, token *hsm.Token, label string, resume bool) (hsm.Attestation, error) {
	made, err := token.GenerateKey(ctx, label)
	if resume && errors.Is(err, hsm.ErrKeyExists) {
		return token.Inspect(ctx, label)
	}
	return made, err
}

// interrupted says how to go on when keys were left in the token.
func interrupted(o keyNewOptions, made int, err error) error {
	again := fmt.Sprintf("coldsign key new %s --token %s --pool %d --resume", o.name, o.token, o.pool)
	switch {
	case made > 0:
		return console.Fail(console.KeyUnavailable, fmt.Errorf("%d of %d keys are in the token: %w", made, o.pool, err), again)
	case errors.Is(err, hsm.ErrKeyExists):
		return console.Fail(console.KeyUnavailable, err, "if the making of this pool was interrupted: "+again)
	}
	return err
}

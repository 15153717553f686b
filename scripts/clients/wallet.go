package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// depositWallet is the file of a 2-of-3 wallet on regtest whose receive addresses the customers get. Its seeds are known
// to everybody who reads this.
func depositWallet() ([]byte, error) {
	var records []wallet.KeyRecord
	for seed := byte(1); seed <= 3; seed++ {
		r, err := keyRecord(seed)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	w, err := wallet.New("HOT-BTC-1", spend.Hot, 2, records)
	if err != nil {
		return nil, err
	}
	return w.Marshal(), nil
}

// keyRecord is the public record of a seed, with its proof of possession.
func keyRecord(seed byte) (r wallet.KeyRecord, err error) {
	params, err := wallet.Params(spend.BitcoinRegtest)
	if err != nil {
		return r, err
	}
	key, err := hdkeychain.NewMaster(bytes.Repeat([]byte{seed}, 32), params)
	if err != nil {
		return r, err
	}
	master, err := key.ECPubKey()
	if err != nil {
		return r, err
	}
	const hard = hdkeychain.HardenedKeyStart
	path := []uint32{hard + 48, hard + 1, hard, hard + 2}
	for _, step := range path {
		if key, err = key.Derive(step); err != nil {
			return r, err
		}
	}
	public, err := key.Neuter()
	if err != nil {
		return r, err
	}
	private, err := key.ECPrivKey()
	if err != nil {
		return r, err
	}
	receipts := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)).Public().(ed25519.PublicKey)
	line := base64.StdEncoding.EncodeToString(slices.Concat([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), receipts))
	r = wallet.KeyRecord{Name: fmt.Sprintf("seed-%d", seed), Network: spend.BitcoinRegtest, Kind: wallet.BIP32,
		Fingerprint: wallet.FingerprintOf([33]byte(master.SerializeCompressed())), Path: path, Key: public.String(), Receipt: "ssh-ed25519 " + line, Device: wallet.DeviceFile}
	digest := r.ProofDigest()
	r.Proof = ecdsa.Sign(private, digest[:]).Serialize()
	return r, nil
}

package main

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// must panics on an error of a fixture: with fixed seeds it would be a mistake in this file.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// holder is somebody with a private key, the same in every run.
type holder struct {
	record  wallet.KeyRecord
	private *btcec.PrivateKey
	account *hdkeychain.ExtendedKey // private; nil for a fixed key
}

// prove signs the record as it now stands.
func (h *holder) prove() wallet.KeyRecord {
	digest := h.record.ProofDigest()
	h.record.Proof = ecdsa.Sign(h.private, digest[:]).Serialize()
	return h.record
}

const hard = hdkeychain.HardenedKeyStart

// seeded is the holder of the BIP48 account of a seed that repeats one byte.
func seeded(name string, seed byte, network spend.Network) *holder {
	coin := uint32(1)
	if network == spend.BitcoinMainnet {
		coin = 0
	}
	return onPath(name, seed, network, []uint32{hard + 48, hard + coin, hard, hard + 2})
}

func onPath(name string, seed byte, network spend.Network, path []uint32) *holder {
	key := must(hdkeychain.NewMaster(bytes.Repeat([]byte{seed}, 32), must(wallet.Params(network))))
	master := must(key.ECPubKey())
	for _, step := range path {
		key = must(key.Derive(step))
	}
	h := &holder{private: must(key.ECPrivKey()), account: key}
	h.record = wallet.KeyRecord{Name: name, Network: network, Kind: wallet.BIP32, Path: path, Key: must(key.Neuter()).String(),
		Fingerprint: wallet.FingerprintOf([33]byte(master.SerializeCompressed())), Receipt: receipt(name), Device: wallet.DeviceFile}
	h.prove()
	return h
}

// fixedKey is the holder of one key without children, as an HSM has it.
func fixedKey(name string, seed byte, network spend.Network) *holder {
	private, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{seed}, 32))
	key := [33]byte(public.SerializeCompressed())
	h := &holder{private: private}
	h.record = wallet.KeyRecord{Name: name, Network: network, Kind: wallet.Fixed, Fingerprint: wallet.FingerprintOf(key), Path: []uint32{},
		Key: hex.EncodeToString(key[:]), Receipt: receipt(name), Device: wallet.DevicePKCS11}
	h.prove()
	return h
}

// pool is the record of n keys of a token.
func pool(name string, n int, network spend.Network) wallet.KeyRecord {
	var keys [][33]byte
	var private []*btcec.PrivateKey
	for i := range n {
		scalar := edKey(fmt.Sprintf("%s %d", name, i)).Seed()
		key, public := btcec.PrivKeyFromBytes(scalar)
		private, keys = append(private, key), append(keys, [33]byte(public.SerializeCompressed()))
	}
	r := wallet.KeyRecord{Name: name, Network: network, Kind: wallet.Pool, Fingerprint: wallet.PoolFingerprint(keys), Path: []uint32{},
		Key: wallet.PoolText(keys), Receipt: receipt(name), Device: wallet.DevicePKCS11}
	digest := r.ProofDigest()
	var signatures [][]byte
	for _, key := range private {
		signatures = append(signatures, ecdsa.Sign(key, digest[:]).Serialize())
	}
	r.Proof = must(wallet.PoolProof(signatures))
	return r
}

// receipt is the line of the receipt key of a holder.
func receipt(name string) string { return seal.KeyLine(edSigner(name).PublicKey()) }

// trio are the holders of a 2-of-3 wallet: two software seeds, and a token between them.
func trio(network spend.Network) []*holder {
	return []*holder{seeded("zurich", 1, network), fixedKey("oslo", 2, network), seeded("lima", 3, network)}
}

func records(holders []*holder) (out []wallet.KeyRecord) {
	for _, h := range holders {
		out = append(out, h.record)
	}
	return out
}

// coldWallet is the wallet of the trio.
func coldWallet(network spend.Network) wallet.Wallet {
	return must(wallet.New("COLD-A", spend.Cold, 2, records(trio(network))))
}

// hotWallet is a wallet of three other seeds.
func hotWallet(network spend.Network) wallet.Wallet {
	holders := []*holder{seeded("hot-1", 11, network), seeded("hot-2", 12, network), seeded("hot-3", 13, network)}
	return must(wallet.New("HOT-1", spend.Hot, 2, records(holders)))
}

package wallet_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// holder is somebody with a private key, as the tests play them.
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

// receiptLine is an Ed25519 line that depends on the seed alone.
func receiptLine(seed byte) string {
	public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)).Public().(ed25519.PublicKey)
	blob := slices.Concat([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), public)
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob)
}

// seeded returns the holder of the BIP48 account of the 32-byte seed that repeats one byte.
func seeded(t testing.TB, seed byte, network spend.Network) *holder {
	t.Helper()
	coin := uint32(1)
	if network == spend.BitcoinMainnet {
		coin = 0
	}
	const hard = hdkeychain.HardenedKeyStart
	return onPath(t, seed, network, []uint32{hard + 48, hard + coin, hard, hard + 2})
}

func onPath(t testing.TB, seed byte, network spend.Network, path []uint32) *holder {
	t.Helper()
	params, err := wallet.Params(network)
	must(t, err)
	key, err := hdkeychain.NewMaster(bytes.Repeat([]byte{seed}, 32), params)
	must(t, err)
	master, err := key.ECPubKey()
	must(t, err)
	for _, step := range path {
		key, err = key.Derive(step)
		must(t, err)
	}
	public, err := key.Neuter()
	must(t, err)
	private, err := key.ECPrivKey()
	must(t, err)
	h := &holder{private: private, account: key}
	h.record = wallet.KeyRecord{Name: "seed-" + string('0'+rune(seed%10)), Network: network, Kind: wallet.BIP32,
		Fingerprint: wallet.FingerprintOf([33]byte(master.SerializeCompressed())), Path: path, Key: public.String(),
		Receipt: receiptLine(seed), Device: wallet.DeviceFile}
	h.prove()
	return h
}

// token returns the holder of one key without children, as an HSM has it.
func token(seed byte, network spend.Network) *holder {
	private, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{seed}, 32))
	key := [33]byte(public.SerializeCompressed())
	h := &holder{private: private}
	h.record = wallet.KeyRecord{Name: "token-" + string('0'+rune(seed%10)), Network: network, Kind: wallet.Fixed,
		Fingerprint: wallet.FingerprintOf(key), Path: []uint32{}, Key: hex.EncodeToString(key[:]),
		Receipt: receiptLine(seed), Device: wallet.DevicePKCS11}
	h.prove()
	return h
}

// trio is the wallet that the referee values are for: seeds 01.. and 03.., and the key 02.. in a token.
func trio(t testing.TB, network spend.Network) []*holder {
	t.Helper()
	return []*holder{seeded(t, 1, network), token(2, network), seeded(t, 3, network)}
}

func records(holders ...*holder) (out []wallet.KeyRecord) {
	for _, h := range holders {
		out = append(out, h.record)
	}
	return out
}

func pinned(t testing.TB, network spend.Network) wallet.Wallet {
	t.Helper()
	w, err := wallet.New("COLD-A", spend.Cold, 2, records(trio(t, network)...))
	must(t, err)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused demands a refusal with a code, and that its text repeats no private key.
func refused(t testing.TB, err error, code string) *spend.Refusal {
	t.Helper()
	var r *spend.Refusal
	if !errors.As(err, &r) {
		t.Errorf("got %v, want the refusal %s", err, code)
		return &spend.Refusal{}
	}
	if r.Code != code {
		t.Errorf("refused as %s (%v), want %s", r.Code, err, code)
	}
	return r
}

// replaced is a file with one text exchanged; it fails when the text is not there, so that no test goes blind.
func replaced(t testing.TB, file []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(file, []byte(old)) {
		t.Fatalf("the file has no %q", old)
	}
	return []byte(strings.Replace(string(file), old, new, 1))
}

func sha(text string) [32]byte { return sha256.Sum256([]byte(text)) }

func hexOf(raw []byte) string { return hex.EncodeToString(raw) }

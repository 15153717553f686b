package wallet_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

func TestKeyRecordsRoundTrip(t *testing.T) {
	for _, h := range trio(t, spend.BitcoinRegtest) {
		raw := h.record.Marshal()
		back, err := wallet.ParseKeyRecord(raw)
		must(t, err)
		if !bytes.Equal(back.Marshal(), raw) || back.ProofDigest() != h.record.ProofDigest() {
			t.Errorf("%s changed on its way through ParseKeyRecord and Marshal", h.record.Name)
		}
	}
}

// Every field is under the proof, and no byte can move from one field to its neighbour.
func TestProofCoversEveryField(t *testing.T) {
	base := seeded(t, 1, spend.BitcoinRegtest).record
	seen := map[[32]byte]string{base.ProofDigest(): "nothing"}
	for name, change := range map[string]func(*wallet.KeyRecord){
		"name":        func(r *wallet.KeyRecord) { r.Name += "x" },
		"network":     func(r *wallet.KeyRecord) { r.Network = spend.BitcoinSignet },
		"kind":        func(r *wallet.KeyRecord) { r.Kind = wallet.Fixed },
		"fingerprint": func(r *wallet.KeyRecord) { r.Fingerprint[3]++ },
		"path":        func(r *wallet.KeyRecord) { r.Path = append([]uint32{1}, r.Path...) },
		"account":     func(r *wallet.KeyRecord) { r.Path = append([]uint32{}, r.Path...); r.Path[2]++ },
		"key":         func(r *wallet.KeyRecord) { r.Key += "1" },
		"receipt":     func(r *wallet.KeyRecord) { r.Receipt = receiptLine(7) },
		"device":      func(r *wallet.KeyRecord) { r.Device = wallet.DevicePKCS11 },
		"border":      func(r *wallet.KeyRecord) { r.Receipt, r.Device = r.Receipt+"f", "ile" },
	} {
		r := base
		change(&r)
		if other, twice := seen[r.ProofDigest()]; twice {
			t.Errorf("changing %s gives the digest of changing %s", name, other)
		}
		seen[r.ProofDigest()] = name
		if r.Verify() == nil {
			t.Errorf("the proof still holds after changing %s", name)
		}
	}
	moved := base
	moved.Proof = []byte("elsewhere")
	if moved.ProofDigest() != base.ProofDigest() {
		t.Error("the digest depends on the proof")
	}
}

func TestProofsHaveOneSpelling(t *testing.T) {
	h := seeded(t, 1, spend.BitcoinRegtest)
	good := h.record.Proof
	n, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	split := 4 + int(good[3])
	s := new(big.Int).Sub(n, new(big.Int).SetBytes(good[split+2:])).Bytes()
	if s[0] >= 0x80 {
		s = append([]byte{0}, s...)
	}
	high := append(append(append([]byte{}, good[:split]...), 2, byte(len(s))), s...)
	high[1] = byte(len(high) - 2)
	for name, proof := range map[string][]byte{
		"high s": high, "trailing byte": append(append([]byte{}, good...), 0), "cut": good[:len(good)-1], "sighash byte": append(append([]byte{}, good...), 1),
		"another record's": seeded(t, 3, spend.BitcoinRegtest).record.Proof, "zero": make([]byte, 70),
	} {
		r := h.record
		r.Proof = proof
		if got := refused(t, r.Verify(), "key-proof"); got.Kind != spend.NotAuthentic {
			t.Errorf("%s: kind %d", name, got.Kind)
		}
	}
	r := h.record
	r.Proof = nil
	refused(t, r.Verify(), "key-unproven")
}

// Attack 059: keys without origin, at another depth than their path, with a SLIP-132 prefix, or of another network.
func TestAttack059OriginsDepthsPrefixes(t *testing.T) {
	const hard = 1 << 31
	h := seeded(t, 1, spend.BitcoinRegtest)
	for code, change := range map[string]func(*holder){
		"key-fingerprint": func(h *holder) { h.record.Fingerprint = [4]byte{} },
		"key-depth":       func(h *holder) { h.record.Path = h.record.Path[:3] },
		"key-path":        func(h *holder) { h.record.Path = []uint32{hard + 48, hard + 1, hard, hard + 1} },
		"key-network":     func(h *holder) { h.record.Network = spend.BitcoinMainnet },
	} {
		bad := *h
		change(&bad)
		bad.prove() // its own holder lies: the proof is good
		refused(t, bad.record.Verify(), code)
	}
	for _, path := range [][]uint32{{}, {hard + 84, hard + 1, hard}, {hard + 48, hard + 1, 0, hard + 2}, {48, hard + 1, hard, hard + 2}, {hard + 87, hard + 1, hard, hard + 2}} {
		refused(t, onPath(t, 1, spend.BitcoinRegtest, path).record.Verify(), "key-path")
	}
	// Depth and path agree, but the last step is another than the path says.
	other := onPath(t, 1, spend.BitcoinRegtest, []uint32{hard + 48, hard + 1, hard, hard + 1})
	other.record.Path = h.record.Path
	other.prove()
	refused(t, other.record.Verify(), "key-path")

	key, err := hdkeychain.NewKeyFromString(h.record.Key)
	must(t, err)
	for _, version := range []string{"045f1cf6", "02575483", "044a5262", "024289ef"} {
		raw, _ := hex.DecodeString(version)
		same, err := key.CloneWithVersion(raw)
		must(t, err)
		bad := *h
		bad.record.Key = same.String()
		bad.prove()
		r := refused(t, bad.record.Verify(), "key-slip132")
		if !strings.Contains(r.Fix, h.record.Key) {
			t.Errorf("%s: the fix does not give the standard spelling: %s", same.String()[:4], r.Fix)
		}
	}
	litecoin, _ := hex.DecodeString("019da462")
	foreign, err := key.CloneWithVersion(litecoin)
	must(t, err)
	bad := *h
	bad.record.Key = foreign.String()
	refused(t, bad.record.Verify(), "key-network")
}

// BIP32, test vector 5, has keys of depth 0 that name a parent or an index; btcd reads them.
func TestExtendedKeysHaveOneSpelling(t *testing.T) {
	key, err := hdkeychain.NewKeyFromString(xpubA)
	must(t, err)
	point, err := key.ECPubKey()
	must(t, err)
	made := func(parent []byte, index uint32) string {
		return hdkeychain.NewExtendedKey(key.Version(), point.SerializeCompressed(), key.ChainCode(), parent, 0, index, false).String()
	}
	_, err = wallet.ParseUnchecked("wpkh(" + made([]byte{0, 0, 0, 0}, 0) + ")")
	must(t, err)
	for _, text := range []string{made([]byte{1, 0, 0, 0}, 0), made([]byte{0, 0, 0, 0}, 1)} {
		_, err := hdkeychain.NewKeyFromString(text)
		must(t, err)
		_, err = wallet.ParseUnchecked("wpkh(" + text + ")")
		refused(t, err, "key-encoding")
	}
	for _, text := range []string{"1" + xpubA, xpubA + "1", xpubA[1:], xpubA + " ", " " + xpubA, xpubA[:110] + "M", strings.ToUpper(xpubA), strings.Repeat("x", 200)} {
		_, err := wallet.ParseUnchecked("wpkh(" + text + ")")
		refused(t, err, "key-encoding")
	}
}

func TestOriginIsWrittenAsDescriptorsDo(t *testing.T) {
	if got := seeded(t, 1, spend.BitcoinRegtest).record.Origin(); got != "[4ba43603/48h/1h/0h/2h]" {
		t.Error(got)
	}
	if got := token(2, spend.BitcoinRegtest).record.Origin(); got != "[ebc0ee0b]" {
		t.Error(got)
	}
}

func TestFixedKeysAreCompressedPointsWithTheirOwnFingerprint(t *testing.T) {
	const uncompressed = "04a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235" // BIP380
	for key, code := range map[string]string{
		uncompressed: "key-uncompressed",
		"020000000000000000000000000000000000000000000000000000000000000005": "key-off-curve", // x=5 has no y on secp256k1
		"050000000000000000000000000000000000000000000000000000000000000001": "key-off-curve",
		"0260B2003C386519FC9EADF2B5CF124DD8EEA4C4E68D5E154050A9346EA98CE600": "key-encoding",
		"0260b2": "key-encoding",
		"":       "key-encoding",
	} {
		h := token(2, spend.BitcoinRegtest)
		h.record.Key = key
		refused(t, h.record.Verify(), code)
	}
	h := token(2, spend.BitcoinRegtest)
	h.record.Path = []uint32{0}
	refused(t, h.record.Verify(), "key-path")
	h = token(2, spend.BitcoinRegtest)
	h.record.Fingerprint[0]++
	refused(t, h.record.Verify(), "key-fingerprint")
}

func TestPrivateKeysAreRefusedAndNotRepeated(t *testing.T) {
	h := seeded(t, 1, spend.BitcoinRegtest)
	private := h.account.String()
	h.record.Key = private
	secrets := []string{private, "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1", "5KYZdUEo39z3FPrtuX2QbbwGnNP5zTd7yyr2SC1j299sBCnWjss"}
	errs := []error{h.record.Verify()}
	for _, secret := range secrets {
		for _, text := range []string{"wpkh(" + secret + ")", "wpkh(" + secret + "/0/*)", "wpkh([deadbeef/1h]" + secret + ")", "wsh(sortedmulti(1," + secret + "))"} {
			_, err := wallet.ParseUnchecked(text)
			errs = append(errs, err)
		}
	}
	for _, err := range errs {
		refused(t, err, "key-private")
	}
	for _, secret := range secrets {
		for _, text := range []string{secret, "wpkh(" + secret, "wpkh([" + secret + ")", secret + "(x)", "wpkh([deadbeef/" + secret + "]x)", "wpkh(x)#" + secret, "multi(" + secret + ",x)"} {
			_, err := wallet.ParseUnchecked(text)
			errs = append(errs, err)
		}
		_, err := wallet.ParseKeyRecord([]byte(`{"` + secret + `":"x"}`))
		errs = append(errs, err)
	}
	for _, err := range errs {
		for _, secret := range secrets {
			if err == nil || strings.Contains(err.Error(), secret[10:20]) {
				t.Errorf("%q was repeated, or accepted: %v", secret[:6], err)
			}
		}
	}
}

func TestKeyRecordsAreStrict(t *testing.T) {
	raw := seeded(t, 1, spend.BitcoinRegtest).record.Marshal()
	text := string(raw)
	for _, bad := range []string{
		"", "{}", text + "x", text + text,
		strings.Replace(text, "{", `{"comment":"",`, 1),
		strings.Replace(text, "{", `{"name":"x",`, 1),
		strings.Replace(text, `"name"`, `"NAME"`, 1),
		strings.Replace(text, `"key/v1"`, `"key/v2"`, 1),
		strings.Replace(text, `"m/48h/1h/0h/2h"`, `"m/48'/1'/0'/2'"`, 1),
		strings.Replace(text, `"m/48h/1h/0h/2h"`, `"/48h/1h/0h/2h"`, 1),
		strings.Replace(text, `"m/48h/1h/0h/2h"`, `"m/048h/1h/0h/2h"`, 1),
		strings.Replace(text, `"4ba43603"`, `"4BA43603"`, 1),
		strings.Replace(text, `"4ba43603"`, `"4ba436"`, 1),
		strings.Replace(text, `"proof": "30`, `"proof": "3X`, 1),
		strings.Replace(text, `"proof": "30`, `"proof": "`, 1) + "\x00",
		strings.Replace(text, `"seed-1"`, `null`, 1),
		strings.Replace(text, `"seed-1"`, `"\ud800"`, 1),
		text + strings.Repeat("\n", 80<<10),
	} {
		_, err := wallet.ParseKeyRecord([]byte(bad))
		refused(t, err, "key-unreadable")
	}
	for old, want := range map[string][2]string{
		`"seed-1"`:                 {`"seed 1"`, "key-name"},
		`"kind": "bip32"`:          {`"kind": "bip33"`, "key-kind"},
		`"device": "file"`:         {`"device": "paper"`, "key-device"},
		`"bitcoin:regtest"`:        {`"bitcoin:other"`, "network-unknown"},
		`"proof": "30`:             {`"proof": "none", "receipt": "30`, "key-unreadable"},
		`"ssh-ed25519 AAAA`:        {`"ssh-ed25519 BAAA`, "key-receipt"},
		`"key": "tpub`:             {`"key": "tqub`, "key-encoding"},
		`"m/48h/1h/0h/2h"`:         {`"m/48h/1h/1h/2h"`, "key-proof"},
		`"name": "seed-1"`:         {`"name": "seed-2"`, "key-proof"},
		`"device": "file",`:        {`"device": "pkcs11",`, "key-proof"},
		`"device": "file",` + "\n": {`"device": "foreign",` + "\n", "key-device"},
	} {
		_, err := wallet.ParseKeyRecord(replaced(t, raw, old, want[0]))
		refused(t, err, want[1])
	}
}

func TestReceiptKeysHaveOneSpelling(t *testing.T) {
	blob := func(fields ...string) string {
		var b []byte
		for _, f := range fields {
			b = append(append(b, 0, 0, 0, byte(len(f))), f...)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	// the base point of P-256, and the same with a changed y
	point, _ := hex.DecodeString("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
	off := append(append([]byte{}, point[:64]...), point[64]^1)
	good := "ecdsa-sha2-nistp256 " + blob("ecdsa-sha2-nistp256", "nistp256", string(point))
	h := seeded(t, 1, spend.BitcoinRegtest)
	h.record.Receipt = good
	h.prove()
	must(t, h.record.Verify())
	for _, line := range []string{
		"", "ssh-ed25519", good + " comment", `no-pty ` + good, good + "\n", "ssh-rsa " + blob("ssh-rsa", "\x03", "n"),
		"ssh-ed25519 " + blob("ssh-ed25519", "short"), "ssh-ed25519 " + blob("ssh-rsa", strings.Repeat("k", 32)),
		"ssh-ed25519 " + blob("ssh-ed25519", strings.Repeat("k", 32), "more"), "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte{0, 0, 0, 9, 1}),
		"ecdsa-sha2-nistp256 " + blob("ecdsa-sha2-nistp256", "nistp384", string(point)),
		"ecdsa-sha2-nistp256 " + blob("ecdsa-sha2-nistp256", "nistp256", string(off)),
	} {
		h.record.Receipt = line
		h.prove()
		refused(t, h.record.Verify(), "key-receipt")
	}
}

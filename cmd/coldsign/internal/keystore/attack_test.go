package keystore

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Attack 001: no source decides alone, and each one counts.
func TestAttack001EverySourceChangesTheSeed(t *testing.T) {
	extra := secret("4 1 6 6 2 3 5 1 2 2 6 4 3 3 1 5 5 2 6 1")
	make3 := func(kernel, device string, extra Secret) string {
		seed, err := Entropy{Kernel: &stream{seed: kernel}, Device: &stream{seed: device}, Extra: extra}.seed()
		if err != nil || len(seed) != entropySize {
			t.Fatalf("%d bytes, %v", len(seed), err)
		}
		return string(seed)
	}
	seeds := map[string]string{
		make3("k", "d", extra):     "all",
		make3("other", "d", extra): "another kernel",
		make3("k", "other", extra): "another device",
		make3("k", "d", secret("4 1 6 6 2 3 5 1 2 2 6 4 3 3 1 5 5 2 6 2")): "another extra",
		make3("k", "d", Secret{}): "no extra",
		make3("d", "k", extra):    "sources exchanged",
	}
	if len(seeds) != 6 {
		t.Errorf("only %d different seeds of 6: %v", len(seeds), seeds)
	}
	if seeds[make3("k", "d", extra)] != "all" {
		t.Error("the same sources give another seed")
	}
}

func TestAttack001StuckSourcesAreRefused(t *testing.T) {
	honest := func() io.Reader { return &stream{seed: "honest"} }
	counter := make([]byte, 64)
	for i := range counter {
		counter[i] = byte(3 * i)
	}
	for name, e := range map[string]Entropy{
		"nothing":               {},
		"kernel alone":          {Kernel: honest()},
		"no kernel":             {Device: honest(), Extra: secret(strings.Repeat("4 1 6 2 5", 5))},
		"kernel of zeros":       {Kernel: constant(0), Device: honest()},
		"kernel of ones":        {Kernel: constant(255), Device: honest()},
		"device of zeros":       {Kernel: honest(), Device: constant(0)},
		"kernel counts":         {Kernel: bytes.NewReader(counter), Device: honest()},
		"kernel repeats":        {Kernel: strings.NewReader(strings.Repeat("0123456789abcdef", 4)), Device: honest()},
		"device repeats halves": {Kernel: honest(), Device: strings.NewReader(strings.Repeat("0123456789abcdefGHIJKLMNOPQRSTUV", 2))},
		"one source twice":      {Kernel: honest(), Device: honest()},
		"short extra":           {Kernel: honest(), Extra: secret("1 2 3")},
		"extra of one throw":    {Kernel: honest(), Extra: secret(strings.Repeat("6", 99))},
		"endless extra":         {Kernel: honest(), Extra: NewSecret(make([]byte, extraMax+1))},
	} {
		_, err := e.seed()
		refused(t, name, err, "entropy-weak")
	}
	if _, err := (Entropy{Kernel: honest(), Device: strings.NewReader("short")}).seed(); err == nil {
		t.Error("a device that ends early made a seed")
	}
	c := creation("A", constant(0))
	_, err := newStore(t).Import(c, ParseMnemonic(abandon12))
	refused(t, "salt and nonce of zeros", err, "entropy-weak")
}

// Attack 003: the same seed under the same passphrase is another ciphertext each time.
func TestAttack003SaltAndNonceAreUsed(t *testing.T) {
	one, other := newStore(t), newStore(t)
	random := &stream{seed: "one generator"}
	for _, store := range []*Store{one, other} {
		if _, err := store.Import(creation("A", random), ParseMnemonic(abandon12)); err != nil {
			t.Fatal(err)
		}
	}
	a, errA := one.read("A")
	b, errB := other.read("A")
	if errA != nil || errB != nil || bytes.Equal(a.Seal.Ciphertext, b.Seal.Ciphertext) || bytes.Equal(a.KDF.Salt, b.KDF.Salt) || bytes.Equal(a.Seal.Nonce, b.Seal.Nonce) {
		t.Errorf("%+v and %+v, %v, %v", a.Seal, b.Seal, errA, errB)
	}
}

// Attacks 004 and 130: neither a bomb nor a trivial work factor, when writing and when reading.
func TestAttack004And130TheWorkFactorIsBoundedOnBothSides(t *testing.T) {
	good := withAbandon(t)
	for name, c := range map[string]struct {
		params  Params
		network spend.Network
	}{
		"memory bomb":              {Params{memoryKiBMax + 1, 1, 1}, spend.BitcoinRegtest},
		"time bomb":                {Params{memoryKiBTest, passesMax + 1, 1}, spend.BitcoinRegtest},
		"both together":            {Params{memoryKiBMax, passesMax, 1}, spend.BitcoinRegtest},
		"lane bomb":                {Params{memoryKiBTest, 1, lanesMax + 1}, spend.BitcoinRegtest},
		"no lanes":                 {Params{memoryKiBTest, 1, 0}, spend.BitcoinRegtest},
		"no passes":                {Params{memoryKiBTest, 0, 1}, spend.BitcoinRegtest},
		"less than a test network": {Params{memoryKiBTest - 1, 1, 1}, spend.BitcoinRegtest},
		"test parameters, mainnet": {TestParams(), spend.BitcoinMainnet},
		"half the memory, mainnet": {Params{memoryKiBFloor / 2, 16, 4}, spend.BitcoinMainnet},
		"two passes only, mainnet": {Params{memoryKiBMax, 2, 4}, spend.BitcoinMainnet},
	} {
		made := creation("X", &stream{seed: "s"})
		made.Params, made.Network = c.params, c.network
		_, err := good.Import(made, ParseMnemonic(abandon12))
		refused(t, "writing, "+name, err, "key-file-kdf")
		f, err := good.read("A")
		if err != nil {
			t.Fatal(err)
		}
		f.record.Network = c.network
		f.KDF.MemoryKiB, f.KDF.Passes, f.KDF.Lanes = c.params.MemoryKiB, c.params.Passes, c.params.Lanes
		refused(t, "reading, "+name, f.checkSeal(), "key-file-kdf")
		if c.network == spend.BitcoinRegtest {
			_, err := decode(f.encode())
			refused(t, "decoding, "+name, err, "key-file-kdf")
		}
	}
	for network, p := range map[spend.Network]Params{spend.BitcoinMainnet: DefaultParams(), spend.BitcoinRegtest: TestParams()} {
		if err := p.check(network); err != nil {
			t.Errorf("%+v on %s: %v", p, network, err)
		}
	}
}

// Attack 005: what was unsealed must derive the wallet that the file names.
func TestAttack005ASealOverAnotherSeedOpensNothing(t *testing.T) {
	store := withAbandon(t)
	f, err := store.read("A")
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Repeat([]byte{1}, 16)
	forged, err := seal(creation("A", &stream{seed: "s"}), f.record, other)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, store, "A", forged.encode())
	key, err := store.Unlock("A", secret(passphrase))
	refused(t, "another seed under the right seal", err, "key-mismatch")
	if key != nil {
		t.Error("it opened")
	}
	if strings.Contains(err.Error(), hex.EncodeToString(other)) {
		t.Errorf("the refusal repeats the seed: %v", err)
	}
}

// Attack 130: a thief cannot tell a wrong passphrase from a changed file.
func TestAttack130WrongPassphraseAndTamperedFileGiveOneError(t *testing.T) {
	store := withAbandon(t)
	_, wrong := store.Unlock("A", secret("not the passphrase"))
	refused(t, "wrong passphrase", wrong, "key-locked")
	for _, s := range []Secret{{}, secret(""), secret(passphrase + " "), secret(strings.ToUpper(passphrase))} {
		_, err := store.Unlock("A", s)
		if err == nil || err.Error() != wrong.Error() {
			t.Errorf("another wrong passphrase: %v", err)
		}
	}
	f, err := store.read("A")
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"salt":       func() { f.KDF.Salt[0] ^= 1 },
		"passes":     func() { f.KDF.Passes++ },
		"memory":     func() { f.KDF.MemoryKiB++ },
		"nonce":      func() { f.Seal.Nonce[23] ^= 0x80 },
		"ciphertext": func() { f.Seal.Ciphertext[3] ^= 1 },
		"tag":        func() { f.Seal.Ciphertext[len(f.Seal.Ciphertext)-1] ^= 1 },
	} {
		if f, err = decode(fileOf(t, store, "A")); err != nil {
			t.Fatal(err)
		}
		spoil()
		changed := newStore(t)
		replace(t, changed, "A", f.encode())
		if _, err := changed.Unlock("A", secret(passphrase)); err == nil || err.Error() != wrong.Error() {
			t.Errorf("changed %s: %v, want the words of a wrong passphrase", name, err)
		}
	}
}

// The seal covers the public part: a record that another seed proved cannot stand over this one's ciphertext.
func TestAttack130ARecordCannotBeExchanged(t *testing.T) {
	store, other := withAbandon(t), newStore(t)
	if _, _, err := other.Create(creation("A", &stream{seed: "s"}), entropyFixture("other")); err != nil {
		t.Fatal(err)
	}
	mine, errA := store.read("A")
	theirs, errB := other.read("A")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	theirs.KDF, theirs.Seal = mine.KDF, mine.Seal
	replace(t, other, "A", theirs.encode())
	_, err := other.Unlock("A", secret(passphrase))
	refused(t, "another record over the same seal", err, "key-locked")
}

func TestAttack130NoChangedByteOpensAKey(t *testing.T) {
	store := withAbandon(t)
	raw := fileOf(t, store, "A")
	spoiled := newStore(t)
	for i := range raw {
		bent := bytes.Clone(raw)
		bent[i] ^= 0x20 // the bit between capitals and small letters, so that hexadecimal digits stay digits
		replace(t, spoiled, "A", bent)
		if key, err := spoiled.Unlock("A", secret(passphrase)); err == nil {
			t.Fatalf("byte %d changed from %q to %q, and %v opened", i, raw[i], bent[i], key)
		}
	}
}

func TestPassphraseIsNeverEmptyAndLongOnMainnet(t *testing.T) {
	store := newStore(t)
	c := creation("A", &stream{seed: "s"})
	for _, s := range []Secret{{}, secret("")} {
		c.Passphrase = s
		_, err := store.Import(c, ParseMnemonic(abandon12))
		refused(t, "no passphrase", err, "passphrase-short")
	}
	c.Network, c.Params, c.Passphrase = spend.BitcoinMainnet, Params{}, secret("eleven char")
	_, err := store.Import(c, ParseMnemonic(abandon12))
	refused(t, "11 characters on mainnet", err, "passphrase-short")
	c.Network = "bitcoin:elsewhere"
	_, err = store.Import(c, ParseMnemonic(abandon12))
	refused(t, "an unknown network", err, "network-unknown")
}

// Attack 007: no way of printing or encoding gives a secret away, at any depth, exported or not.
func TestAttack007NothingPrintsASecret(t *testing.T) {
	store := withAbandon(t)
	key := unlock(t, store, "A")
	entropy, err := entropyOf(strings.Fields(abandon12))
	if err != nil {
		t.Fatal(err)
	}
	held, ok := key.holder.(*softwareKey)
	if !ok {
		t.Fatal("the key is not in memory")
	}
	child, err := held.account().Derive(0)
	if err != nil {
		t.Fatal(err)
	}
	private, err := held.account().ECPrivKey()
	if err != nil {
		t.Fatal(err)
	}
	branch := held.branches[0]().scalar.Bytes()
	secrets := [][]byte{branch[:], []byte(passphrase), private.Serialize(), seedOf(entropy), []byte(held.account().String()), []byte(child.String()), held.receipts.private()}
	made := creation("A", &stream{seed: "s"})
	words, dice := ParseMnemonic("zoo wrong zebra"), Entropy{Extra: secret(passphrase)}
	type hidden struct {
		s Secret
		m Mnemonic
		k *Key
		h *softwareKey
		r receiptSigner
		c Creation
	}
	for name, value := range map[string]any{
		"secret": made.Passphrase, "pointer to a secret": &made.Passphrase, "words": words, "key": key, "software key": held,
		"receipt": key.Receipt(), "creation": made, "entropy": dice, "store": store,
		"hidden": hidden{made.Passphrase, words, key, held, held.receipts, made}, "pointer to hidden": &hidden{made.Passphrase, words, key, held, held.receipts, made},
		"list": []any{made.Passphrase, words, key, held, held.receipts}, "map": map[string]any{"x": hidden{s: made.Passphrase, m: words, k: key, h: held, r: held.receipts}},
	} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%!"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		if encoded, err := json.Marshal(value); err == nil {
			out.Write(encoded)
		}
		leaks(t, name, out.String(), secrets)
		if strings.Contains(out.String(), "zebra") {
			t.Errorf("%s prints its words", name)
		}
	}
}

// leaks looks for secrets as text, in both kinds of hexadecimal, as decimal lists, and as base64 heads.
func leaks(t *testing.T, name, text string, secrets [][]byte) {
	t.Helper()
	for i, secret := range secrets {
		list := strings.Trim(fmt.Sprint(secret[:8]), "[]")
		for _, form := range []string{string(secret), hex.EncodeToString(secret[:8]), strings.ToUpper(hex.EncodeToString(secret[:8])), list} {
			if strings.Contains(text, form) {
				t.Errorf("%s prints secret %d as %q:\n%s", name, i, form, text)
			}
		}
	}
}

func TestSecretsAreWiped(t *testing.T) {
	raw := []byte(passphrase)
	s := NewSecret(raw)
	s.Wipe()
	if !bytes.Equal(raw, make([]byte, len(raw))) || len(s.bytes()) != 0 {
		t.Errorf("after Wipe: %q", raw)
	}
	Secret{}.Wipe()
	key := unlock(t, withAbandon(t), "A")
	held, ok := key.holder.(*softwareKey)
	if !ok {
		t.Fatal("the key is not in memory")
	}
	if err := key.Close(); err != nil {
		t.Fatal(err)
	}
	for _, branch := range held.branches {
		if b := branch(); !b.scalar.IsZero() || !bytes.Equal(b.chain, make([]byte, 32)) {
			t.Error("Close left a branch key")
		}
	}
	if _, err := held.account().ECPrivKey(); err == nil || !bytes.Equal(held.receipts.private(), make([]byte, 64)) {
		t.Error("Close left key bytes")
	}
}

// Files are read as they are written: nothing else says the same thing.
func TestKeyFilesHaveOneSpelling(t *testing.T) {
	raw := string(fileOf(t, withAbandon(t), "A"))
	if _, err := decode([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"trailing line":     raw + "\n",
		"trailing object":   raw + "{}",
		"no final newline":  strings.TrimSuffix(raw, "\n"),
		"indentation":       strings.Replace(raw, "  \"kind\"", "\t\"kind\"", 1),
		"unknown field":     strings.Replace(raw, "  \"kind\"", "  \"note\": 1,\n  \"kind\"", 1),
		"repeated field":    strings.Replace(raw, "  \"kind\": \"software\"", "  \"kind\": \"software\",\n  \"kind\": \"software\"", 1),
		"field in capitals": strings.Replace(raw, "\"kdf\"", "\"KDF\"", 1),
		"number form":       strings.Replace(raw, "\"passes\": 1", "\"passes\": 1e0", 1),
		"another version":   strings.Replace(raw, "keystore/v1", "keystore/v2", 1),
		"another kind":      strings.Replace(raw, "\"software\"", "\"token\"", 1),
		"unknown kind":      strings.Replace(raw, "\"software\"", "\"paper\"", 1),
		"another cipher":    strings.Replace(raw, "xchacha20-poly1305", "aes-256-gcm", 1),
		"another kdf":       strings.Replace(raw, "argon2id", "argon2i", 1),
		"null seal":         raw[:strings.Index(raw, "  \"seal\"")] + "  \"seal\": null\n}\n",
		"too long":          raw + strings.Repeat(" ", fileMax),
	} {
		if text == raw {
			t.Fatalf("%s: the test changes nothing", name)
		}
		_, err := decode([]byte(text))
		refused(t, name, err, "key-file-unreadable")
	}
}

func FuzzKeyFile(f *testing.F) {
	entropy := make([]byte, 16)
	key, err := deriveSoftware(entropy, spend.BitcoinRegtest)
	if err != nil {
		f.Fatal(err)
	}
	record, err := key.record("A")
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := seal(creation("A", &stream{seed: "s"}), record, entropy)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed.encode())
	f.Add([]byte(`{"coldsign": "keystore/v1", "kind": "token", "token": {}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		parsed, err := decode(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(parsed.encode(), raw) {
			t.Errorf("read %q, would write %q", raw, parsed.encode())
		}
		if _, err := parsed.record.PubKey(wallet.Receive, 0); err != nil {
			t.Error(err)
		}
	})
}

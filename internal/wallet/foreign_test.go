package wallet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// extendedOnly is a wallet that formats without fixed keys can say.
func extendedOnly(t testing.TB) wallet.Wallet {
	t.Helper()
	w, err := wallet.New("WARM-1", spend.Warm, 2, records(seeded(t, 1, spend.BitcoinRegtest), seeded(t, 3, spend.BitcoinRegtest), seeded(t, 4, spend.BitcoinRegtest)))
	must(t, err)
	return w
}

func labelOf(w wallet.Wallet) wallet.Label {
	return wallet.Label{Name: w.Name(), Tier: w.Tier(), Network: w.Network()}
}

type format struct {
	export func(wallet.Wallet) ([]byte, error)
	read   func([]byte, wallet.Label, ...wallet.Option) (wallet.Wallet, error)
	fixed  bool // can say keys without children
}

func formats() map[string]format {
	plain := func(raw []byte, l wallet.Label, options ...wallet.Option) (wallet.Wallet, error) {
		return wallet.FromDescriptor(string(raw), l, options...)
	}
	return map[string]format{
		"descriptor": {func(w wallet.Wallet) ([]byte, error) { return []byte(w.Descriptor()), nil }, plain, true},
		"bsms":       {wallet.Wallet.BSMS, wallet.FromBSMS, true},
		"specter":    {wallet.Wallet.Specter, wallet.FromSpecter, true},
		"coldcard":   {wallet.Wallet.Coldcard, wallet.FromColdcard, false},
		"caravan":    {wallet.Wallet.Caravan, wallet.FromCaravan, false},
	}
}

func TestForeignFormatsRoundTrip(t *testing.T) {
	for name, f := range formats() {
		wallets := []wallet.Wallet{extendedOnly(t)}
		if f.fixed {
			wallets = append(wallets, pinned(t, spend.BitcoinRegtest), pinned(t, spend.BitcoinMainnet))
		} else {
			_, err := f.export(pinned(t, spend.BitcoinRegtest))
			refused(t, err, "export-fixed-key")
		}
		for _, w := range wallets {
			file, err := f.export(w)
			must(t, err)
			back, err := f.read(file, labelOf(w), wallet.AcceptUnproven())
			must(t, err)
			if back.ID() != w.ID() || back.Descriptor() != w.Descriptor() {
				t.Errorf("%s: another wallet came back:\n%s", name, file)
			}
			if again, err := f.export(back); err != nil || name != "specter" && name != "caravan" && !bytes.Equal(again, file) {
				t.Errorf("%s: exported again as\n%s, %v", name, again, err)
			}
			proven, err := f.read(file, labelOf(w), wallet.KnownKeys(w.Keys()...))
			must(t, err)
			if !bytes.Equal(proven.Marshal(), w.Marshal()) || proven.Unproven() != nil {
				t.Errorf("%s: with its records offered the wallet is not the same", name)
			}
		}
	}
}

// Attack 055 where other products have no proofs: the absence is said in the file, consented to, and shown ever after.
func TestAttack055UnprovenKeysNeedConsentAndStayVisible(t *testing.T) {
	w := extendedOnly(t)
	for name, f := range formats() {
		file, err := f.export(w)
		must(t, err)
		_, err = f.read(file, labelOf(w))
		refused(t, err, "key-unproven")
		mixed, err := f.read(file, labelOf(w), wallet.KnownKeys(w.Keys()[1]), wallet.AcceptUnproven())
		must(t, err)
		if got := mixed.Unproven(); len(got) != 2 || got[0] != 0 || got[1] != 2 {
			t.Errorf("%s: unproven keys %v, want 0 and 2", name, got)
		}
		stored := mixed.Marshal()
		if n := bytes.Count(stored, []byte(`"proof": "none"`)); n != 2 {
			t.Errorf("%s: %d keys marked without proof", name, n)
		}
		_, err = wallet.Parse(stored)
		refused(t, err, "key-unproven")
		back, err := wallet.Parse(stored, wallet.AcceptUnproven())
		must(t, err)
		if len(back.Unproven()) != 2 || !bytes.Equal(back.Marshal(), stored) {
			t.Errorf("%s: the marks did not survive the file", name)
		}
	}
	// A proof cannot be dropped from a record that claims one of our devices, consent or not.
	for _, r := range w.Keys() {
		r.Proof = nil
		refused(t, r.Verify(), "key-unproven")
		file := replaced(t, w.Marshal(), hexOf(w.Keys()[0].Proof), "none")
		_, err := wallet.Parse(file, wallet.AcceptUnproven())
		refused(t, err, "key-unproven")
	}
	forged := w.Keys()[0]
	forged.Device = wallet.DeviceForeign
	refused(t, forged.Verify(), "key-device")
}

// BIP129, "Mode: NO_ENCRYPTION": both descriptor records. They are 1-of-2 and 2-of-2, which no wallet of ours may be, so
// the descriptors are checked here and the refusals below.
func TestDescriptorsOfBIP129(t *testing.T) {
	const keys = "wsh(sortedmulti(1,[59865f44/48'/0'/0'/2']026d15412460ba0d881c21837bb999233896085a9ed4e5445bd637c10e579768ba,[b7044ca6/48'/0'/0'/2']030baf0497ab406ff50cb48b4013abac8a0338758d2fd54cd934927afa57cc2062))#rzx9dffd"
	const template = "wsh(sortedmulti(2,[1cf0bf7e/48'/0'/0'/2']xpub6FL8FhxNNUVnG64YurPd16AfGyvFLhh7S2uSsDqR3Qfcm6o9jtcMYwh6DvmcBF9qozxNQmTCVvWtxLpKTnhVLN3Pgnu2D3pAoXYFgVyd8Yz/**,[4fc1dd4a/48'/0'/0'/2']xpub6EebMbEps7ZcV3FYEnddRsvrFWDrt2tiPmCeM7pPXQEmphvq9ZfJ1LWFUDjf3vxCeBuPrfyGrMazWUsYsetrnHatQZVLJH7LsgCjtMqdzgj/**))"
	const template2 = "wsh(sortedmulti(2,[b7868815/48'/0'/0'/2']xpub6FA5rfxJc94K1kNtxRby1hoHwi7YDyTWwx1KUR3FwskaF6HzCbZMz3zQwGnCqdiFeMTPV3YneTGS2YQPiuNYsSvtggWWMQpEJD4jXU7ZzEh/**,[eedff89a/48'/0'/0'/2']xpub6EhJvMneoLWAf8cuyLBLQiKiwh89RAmqXEqYeFuaCEHdHwxSRfzLrUxKXEBap7nZSHAYP7Jfq6gZmucotNzpMQ9Sb1nTqerqW8hrtmx6Y6o/**))"
	for text, want := range map[string]string{
		keys: "bc1quqy523xu3l8che3s8vja8n33qtg0uyugr9l5z092s3wa50p8t7rqy6zumf",
		strings.ReplaceAll(template, "/**", "/<0;1>/*"):  "bc1qrgc6p3kylfztu06ysl752gwwuekhvtfh9vr7zg43jvu60mutamcsv948ej",
		strings.ReplaceAll(template2, "/**", "/<0;1>/*"): "bc1qhs4u273g4azq7kqqpe6vh5wfhasfmrq7nheyzsnq77humd7rwtkqagvakf",
	} {
		d, err := wallet.ParseUnchecked(text)
		must(t, err)
		s, err := d.Derive(spend.BitcoinMainnet, 0, 0)
		must(t, err)
		if s.Address != want {
			t.Errorf("first address %s, want %s", s.Address, want)
		}
	}
	label := wallet.Label{Name: "BSMS", Tier: spend.Cold, Network: spend.BitcoinMainnet}
	_, err := wallet.FromBSMS([]byte("BSMS 1.0\n"+template+"\n/0/*,/1/*\nbc1qrgc6p3kylfztu06ysl752gwwuekhvtfh9vr7zg43jvu60mutamcsv948ej\n"), label, wallet.AcceptUnproven())
	refused(t, err, "wallet-key-count")
	_, err = wallet.FromBSMS([]byte("BSMS 1.0\n"+keys+"\nNo path restrictions\nbc1quqy523xu3l8che3s8vja8n33qtg0uyugr9l5z092s3wa50p8t7rqy6zumf"), label, wallet.AcceptUnproven())
	refused(t, err, "wallet-key-count")
}

func TestBSMSRecordsAreStrict(t *testing.T) {
	w := extendedOnly(t)
	file, err := w.BSMS()
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	change, err := w.Derive(wallet.ChangeBranch, 0)
	must(t, err)
	for text, code := range map[string]string{
		"":                            "import-unreadable",
		string(file) + "\n":           "import-unreadable",
		strings.Join(lines[:3], "\n"): "import-unreadable",
		"BSMS 1.1\n" + strings.Join(lines[1:], "\n"):                          "import-unreadable",
		strings.ReplaceAll(string(file), "\n", "\r\n"):                        "import-unreadable",
		strings.Replace(string(file), "/0/*,/1/*", "/1/*,/0/*", 1):            "import-unreadable",
		strings.Replace(string(file), "/0/*,/1/*", "No path restrictions", 1): "import-unreadable",
		strings.Replace(string(file), lines[3], change.Address, 1):            "import-address",
		strings.Replace(string(file), "))\n", "))#aaaaaaaa\n", 1):             "descriptor-checksum",
		strings.Replace(string(file), "sortedmulti", "multi", 1):              "wallet-script",
		strings.Replace(string(file), "/**,", "/0/**,", 1):                    "wallet-script",
		strings.Repeat("x", 65<<10):                                           "import-unreadable",
	} {
		_, err := wallet.FromBSMS([]byte(text), labelOf(w), wallet.AcceptUnproven())
		refused(t, err, code)
	}
	main := labelOf(w)
	main.Network = spend.BitcoinMainnet
	_, err = wallet.FromBSMS(file, main, wallet.AcceptUnproven())
	refused(t, err, "key-network")
}

// A file as Specter Desktop writes it: upper-case fingerprints, comments, CRLF.
func TestColdcardFilesAreReadAsOtherProductsWriteThem(t *testing.T) {
	w := extendedOnly(t)
	file, err := w.Coldcard()
	must(t, err)
	text := "# Coldcard Multisig setup file (created on Specter Desktop)\r\n#\r\n" + strings.ReplaceAll(strings.Replace(string(file), "WARM-1", "Wärme, 1", 1), "\n", "\r\n")
	back, err := wallet.FromColdcard([]byte(text), labelOf(w), wallet.AcceptUnproven())
	must(t, err)
	if back.ID() != w.ID() || back.Name() != "WARM-1" {
		t.Errorf("another wallet came back, named %s", back.Name())
	}
	key := w.Keys()[0].Key
	for old, c := range map[string][2]string{
		"Format: P2WSH":              {"Format: P2WSH-P2SH", "wallet-script"},
		"Format: P2WSH\n":            {"", "wallet-script"},
		"Policy: 2 of 3":             {"Policy: 2 of 4", "import-unreadable"},
		"2 of 3":                     {"02 of 3", "import-unreadable"},
		"of 3":                       {"of 3x", "import-unreadable"},
		"Policy: 2":                  {"Policy: 1", "wallet-threshold"},
		"Policy: 2 of":               {"Policy: 0 of", "wallet-threshold"},
		"Name: WARM-1":               {"Name: WARM-1\nname: B", "import-unreadable"},
		"Name: WARM-1\n":             {"Colour: red\n", "import-unreadable"},
		"Derivation: m/48'/1'/0'/2'": {"", "key-origin"},
		"m/48'/1'/0'/2'":             {"m/48'/0'/0'/2'", "key-path"},
		"48'/1'":                     {"48'/1'/*", "import-unreadable"},
		"4BA43603: ":                 {"00000000: ", "key-fingerprint"},
		"4BA43603":                   {"4BA4360", "import-unreadable"},
		key:                          {w.Keys()[1].Key, "wallet-key-duplicate"},
		"4BA43603: " + key:           {"4BA43603: x", "key-encoding"},
		"4BA43603: " + key + "\n":    {"4BA43603\n", "import-unreadable"},
	} {
		_, err := wallet.FromColdcard(replaced(t, file, old, c[0]), labelOf(w), wallet.AcceptUnproven())
		if r := refused(t, err, c[1]); r.Code != c[1] {
			t.Errorf("  that was %q for %q", c[0], old)
		}
	}
	_, err = wallet.FromColdcard(bytes.Repeat([]byte("#"), 65<<10), labelOf(w), wallet.AcceptUnproven())
	refused(t, err, "import-unreadable")
}

func TestSpecterFilesAreStrictAndLabelsHarmless(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	file, err := w.Specter()
	must(t, err)
	for old, c := range map[string][2]string{
		`"label": "COLD-A"`:        {`"label": "Kälte 🧊"`, ""},
		`"label": "seed-1"`:        {`"label": "\u001b[2Jowned"`, ""},
		`"blockheight": 0,`:        {``, ""},
		`"blockheight": 0`:         {`"blockheight": -1`, "import-unreadable"},
		`"blockheight": `:          {`"blockheight": 1e`, "import-unreadable"},
		`"descriptor": "wsh`:       {`"descriptor": "wsi`, "descriptor-checksum"},
		`"label": "seed-1"` + "\n": {`"label": "seed-1", "pin": "1"` + "\n", "import-unreadable"},
		`"type": "other",`:         {``, "import-unreadable"},
		`"devices"`:                {`"Devices"`, "import-unreadable"},
		`"label": "COLD-A",`:       {`"label": 5,`, "import-unreadable"},
	} {
		back, err := wallet.FromSpecter(replaced(t, file, old, c[0]), labelOf(w), wallet.AcceptUnproven())
		if c[1] != "" {
			refused(t, err, c[1])
			continue
		}
		must(t, err)
		if back.ID() != w.ID() || bytes.Contains(back.Marshal(), []byte("owned")) {
			t.Errorf("%s gave another wallet, or kept its label", c[0])
		}
	}
	var shorter map[string]any
	must(t, json.Unmarshal(file, &shorter))
	shorter["devices"] = shorter["devices"].([]any)[:2]
	raw, err := json.Marshal(shorter)
	must(t, err)
	_, err = wallet.FromSpecter(raw, labelOf(w), wallet.AcceptUnproven())
	refused(t, err, "import-unreadable")

	// A change descriptor alone, and one key on another branch, are not the wallet.
	body, _, _ := strings.Cut(regtestDescriptor, "#")
	for _, steps := range []string{"/1/*", "/0/0/*", "/*", "/<1;0>/*", "/<0;2>/*"} {
		for _, text := range []string{strings.ReplaceAll(body, "/<0;1>/*", steps), strings.Replace(strings.Replace(body, "/<0;1>/*", steps, 1), "/<0;1>/*", "/0/*", 1)} {
			raw, err := json.Marshal(map[string]string{"label": "x", "descriptor": text})
			must(t, err)
			_, err = wallet.FromSpecter(raw, labelOf(w), wallet.AcceptUnproven())
			refused(t, err, "wallet-script")
		}
	}
	raw, err = json.Marshal(map[string]string{"label": "x", "descriptor": body})
	must(t, err)
	back, err := wallet.FromSpecter(raw, labelOf(w), wallet.AcceptUnproven())
	must(t, err)
	if back.ID() != w.ID() {
		t.Error("a descriptor with a tuple gave another wallet")
	}
}

func TestCaravanFilesAreStrict(t *testing.T) {
	w := extendedOnly(t)
	file, err := w.Caravan()
	must(t, err)
	for old, c := range map[string][2]string{
		`"P2WSH"`:                   {`"P2SH-P2WSH"`, "wallet-script"},
		`"network": "regtest"`:      {`"network": "mainnet"`, "wallet-network"},
		`"requiredSigners": 2`:      {`"requiredSigners": 1`, "wallet-threshold"},
		`"requiredSigners": `:       {`"requiredSigners": 1`, "wallet-threshold"},
		`"totalSigners": 3`:         {`"totalSigners": 4`, "import-unreadable"},
		`"totalSigners": `:          {`"totalSigners": -`, "import-unreadable"},
		`"m/48'/1'/0'/2'"`:          {`"Unknown"`, "key-origin"},
		`"m/48'/1'/0'`:              {`"m/48'/1'/0'/2'/0'`, "key-depth"},
		`"4ba43603"`:                {`"Unknown"`, "key-origin"},
		`"xpub": "tpub`:             {`"xpub": "vpub`, "key-encoding"},
		`"name": "WARM-1"`:          {`"name": "WARM-1", "script": "x"`, "import-unreadable"},
		`"name": "seed-1"`:          {`"name": 1`, "import-unreadable"},
		`"startingAddressIndex": 0`: {`"startingAddressIndex": 7, "uuid": "u", "ledgerPolicyHmacs": []`, ""},
		`"xfp": "4ba43603"`:         {`"xfp": "4BA43603", "method": "coldcard"`, ""},
	} {
		back, err := wallet.FromCaravan(replaced(t, file, old, c[0]), labelOf(w), wallet.AcceptUnproven())
		if c[1] != "" {
			if r := refused(t, err, c[1]); r.Code != c[1] {
				t.Errorf("  that was %q for %q", c[0], old)
			}
			continue
		}
		must(t, err)
		if back.ID() != w.ID() {
			t.Errorf("%s gave another wallet", c[0])
		}
	}
}

// Caravan's library (@caravan/multisig, braidDetailsToWalletConfig) names no keys, and need not name the wallet either.
func TestCaravanLibraryFilesAreRead(t *testing.T) {
	w := extendedOnly(t)
	var keys []map[string]string
	for _, r := range w.Keys() {
		keys = append(keys, map[string]string{"xpub": r.Key, "bip32Path": "m/48'/1'/0'/2'", "xfp": hexOf(r.Fingerprint[:])})
	}
	file := map[string]any{
		"network": "regtest", "extendedPublicKeys": keys, "quorum": map[string]int{"requiredSigners": 2, "totalSigners": 3},
		"name": "2-of-3 P2WSH regtest wallet", "addressType": "P2WSH",
	}
	for range 2 {
		raw, err := json.Marshal(file)
		must(t, err)
		back, err := wallet.FromCaravan(raw, labelOf(w), wallet.AcceptUnproven())
		must(t, err)
		if back.ID() != w.ID() {
			t.Errorf("another wallet came back: %s", back.Descriptor())
		}
		for i, r := range back.Keys() {
			if want := fmt.Sprintf("key-%d", i+1); r.Name != want {
				t.Errorf("key %d is named %q, want %q", i, r.Name, want)
			}
		}
		if format, err := wallet.Sniff(raw); err != nil || format != wallet.CaravanFormat {
			t.Errorf("taken for %q, %v", format, err)
		}
		delete(file, "name")
	}
}

// Attack 059 in a descriptor, and shapes that are no wallet of ours.
func TestAttack059PlainDescriptorsNeedOriginsAndOurShape(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	body, _, _ := strings.Cut(regtestDescriptor, "#")
	for old, c := range map[string][2]string{
		"[4ba43603/48h/1h/0h/2h]": {"", "key-origin"},
		"[ebc0ee0b]":              {"", "key-origin"},
		"[ebc0ee0b":               {"[ebc0ee0c", "key-fingerprint"},
		"ebc0ee0b]":               {"ebc0ee0b/48h]", "key-path"},
		"48h/1h/0h/2h]":           {"48h/1h/0h]", "key-depth"},
		"/<0;1>/*":                {"/0/*", "wallet-script"},
		"wsh(sortedmulti(2":       {"sh(wsh(sortedmulti(2", "wallet-script"},
		"sortedmulti":             {"multi", "wallet-script"},
	} {
		text := strings.Replace(body, old, c[0], 1)
		if strings.HasPrefix(text, "sh(") {
			text += ")"
		}
		d, err := wallet.ParseUnchecked(text)
		must(t, err)
		_, err = wallet.FromDescriptor(d.String(), labelOf(w), wallet.AcceptUnproven())
		refused(t, err, c[1])
	}
	_, err := wallet.FromDescriptor(body, labelOf(w), wallet.AcceptUnproven())
	refused(t, err, "descriptor-checksum")
	_, err = wallet.FromDescriptor(regtestDescriptor, wallet.Label{Name: "COLD", Tier: spend.Cold, Network: spend.BitcoinMainnet}, wallet.AcceptUnproven())
	refused(t, err, "key-network")
}

// Core must be told the two descriptors that the tuple stands for, each with its own checksum.
func TestCoreImportNamesBothBranches(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	raw, err := w.CoreImport(1_700_000_000)
	must(t, err)
	var entries []struct {
		Desc      string
		Active    bool
		Internal  bool
		Range     [2]int
		Timestamp int64
	}
	must(t, json.Unmarshal(raw, &entries))
	if len(entries) != 2 {
		t.Fatalf("%d descriptors", len(entries))
	}
	for branch, e := range entries {
		d, err := wallet.ParseDescriptor(e.Desc)
		must(t, err)
		want, err := w.Derive(wallet.Branch(branch), 11)
		must(t, err)
		got, err := d.Derive(spend.BitcoinRegtest, 0, 11)
		must(t, err)
		if got.Address != want.Address || e.Internal != (branch == 1) || !e.Active || e.Range != [2]int{0, 999} || e.Timestamp != 1_700_000_000 || strings.Contains(e.Desc, "<") {
			t.Errorf("branch %d is exported as %+v", branch, e)
		}
	}
}

// No importer panics, and what one reads is a wallet that its own file reads back.
func FuzzForeignFiles(f *testing.F) {
	w := extendedOnly(f)
	for _, x := range formats() {
		file, err := x.export(w)
		must(f, err)
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for name, x := range formats() {
			got, err := x.read(raw, labelOf(w), wallet.AcceptUnproven())
			if !readOrRefused(t, err) {
				continue
			}
			back, err := wallet.Parse(got.Marshal(), wallet.AcceptUnproven())
			if err != nil || back.ID() != got.ID() {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}

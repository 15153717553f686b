package wallet_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

func TestFormatsAreRecognisedAndGiveTheSameWallet(t *testing.T) {
	for _, w := range []wallet.Wallet{extendedOnly(t), pinned(t, spend.BitcoinMainnet)} {
		_, plain := w.Policy()
		for _, f := range wallet.Formats() {
			file, err := w.Export(f, time.Time{})
			if !plain && (f == wallet.ColdcardFormat || f == wallet.CaravanFormat) {
				refused(t, err, "export-fixed-key")
				continue
			}
			must(t, err)
			sniffed, err := wallet.Sniff(file)
			must(t, err)
			if sniffed != f {
				t.Errorf("%s is taken for %s", f, sniffed)
			}
			back, err := wallet.Import(file, sniffed, labelOf(w), wallet.KnownKeys(w.Keys()...))
			must(t, err)
			if !bytes.Equal(back.Marshal(), w.Marshal()) {
				t.Errorf("%s: with all records another file came back", f)
			}
			_, err = wallet.Import(file, sniffed, labelOf(w))
			refused(t, err, "key-unproven")
		}
	}
}

func TestFilesOfNoFormatAreNotGuessed(t *testing.T) {
	w := extendedOnly(t)
	_, err := wallet.Sniff(w.Marshal())
	refused(t, err, "import-own")
	for _, text := range []string{"", "{}", "[]", "hello", `{"label":"x"}`, "\x00\x01", "tpubDEg3kqr2jo5ergkJbFqRHvCpiob7wR7Hi44J7y987G1JZfbzBND77XKTyPZzGvh3uyDf8kexMJnFD9W8FuraJ4wLMsx6YuZVXRSRRcx6QdD"} {
		_, err := wallet.Sniff([]byte(text))
		refused(t, err, "import-unreadable")
	}
	if _, err := wallet.Import(nil, "electrum", labelOf(w)); err == nil {
		t.Error("an unknown format was read")
	}
	if _, err := w.Export("electrum", time.Time{}); err == nil {
		t.Error("an unknown format was written")
	}
}

// sparrowText is laid out as Sparrow 2 writes its export "Output Descriptor".
func sparrowText(t *testing.T, w wallet.Wallet) string {
	t.Helper()
	d, err := wallet.ParseDescriptor(w.Descriptor())
	must(t, err)
	receive, err := d.Branch(0)
	must(t, err)
	change, err := d.Branch(1)
	must(t, err)
	return "# Receive and change descriptor (BIP389):\n" + w.Descriptor() + "\n\n\n# Receive descriptor (Bitcoin Core):\n" + receive.String() +
		"\n\n# Change descriptor (Bitcoin Core):\n" + change.String() + "\n"
}

func TestDescriptorFilesMaySayTheirBranchesAgain(t *testing.T) {
	w := extendedOnly(t)
	text := sparrowText(t, w)
	lines := strings.Split(text, "\n")
	for name, c := range map[string]struct{ text, code string }{
		"as written":      {text, ""},
		"line ends":       {strings.ReplaceAll(text, "\n", "\r\n"), ""},
		"alone":           {w.Descriptor(), ""},
		"the change half": {strings.Replace(text, lines[8], lines[5], 1), "import-unreadable"},
		"two of three":    {strings.Join(lines[:6], "\n"), "import-unreadable"},
		"a fourth":        {text + w.Descriptor(), "import-unreadable"},
		"nothing":         {"# nothing\n", "import-unreadable"},
		"changed half":    {strings.Replace(text, "/1/*", "/2/*", 1), "descriptor-checksum"},
		"too large":       {text + strings.Repeat("\n", 64<<10), "import-unreadable"},
	} {
		back, err := wallet.Import([]byte(c.text), wallet.DescriptorFormat, labelOf(w), wallet.AcceptUnproven())
		if c.code != "" {
			if r := refused(t, err, c.code); r.Code != c.code {
				t.Errorf("  that was: %s", name)
			}
			continue
		}
		must(t, err)
		if back.ID() != w.ID() {
			t.Errorf("%s: another wallet", name)
		}
	}
	other, err := wallet.New("OTHER", spend.Cold, 3, w.Keys())
	must(t, err)
	mixed := strings.Replace(text, lines[5], strings.Split(sparrowText(t, other), "\n")[5], 1)
	_, err = wallet.Import([]byte(mixed), wallet.DescriptorFormat, labelOf(w), wallet.AcceptUnproven())
	refused(t, err, "import-unreadable")
}

// Sparrow's own layouts of other formats, which differ from ours in what binds nobody.
func TestSparrowsOtherFilesAreRead(t *testing.T) {
	w := extendedOnly(t)
	ours, err := w.BSMS()
	must(t, err)
	lines := strings.Split(string(ours), "\n")
	body, _, _ := strings.Cut(w.Descriptor(), "#")
	bsms := strings.Join([]string{"BSMS 1.0", body, "/0/*,/1/*", lines[3]}, "\n") // branches in the text and as paths, no last newline
	card := "# Coldcard Multisig setup file (created by Sparrow)\n#\nName: Warm\nPolicy: 2 of 3\nFormat: P2WSH\n\n"
	for _, k := range w.Keys() {
		card += "# derivation: m/48'/1'/0'/2'\n" + strings.ToUpper(hexOf(k.Fingerprint[:])) + ": " + k.Key + "\n\n"
	}
	caravan, err := w.Caravan()
	must(t, err)
	text := replaced(t, caravan, `"private"`, `"public"`)
	for f, file := range map[wallet.Format]string{wallet.BSMSFormat: bsms, wallet.ColdcardFormat: card, wallet.CaravanFormat: string(text)} {
		sniffed, err := wallet.Sniff([]byte(file))
		must(t, err)
		back, err := wallet.Import([]byte(file), sniffed, labelOf(w), wallet.AcceptUnproven())
		must(t, err)
		if sniffed != f || back.ID() != w.ID() {
			t.Errorf("%s: read as %s, another wallet", f, sniffed)
		}
	}
	_, err = wallet.FromBSMS([]byte(strings.Replace(bsms, "<0;1>", "<0;2>", 1)), labelOf(w), wallet.AcceptUnproven())
	refused(t, err, "wallet-script")
	_, err = wallet.FromColdcard([]byte(strings.Replace(card, "# derivation: m/48'/1'/0'/2'", "# derivation: m/48'/1'/0'", 1)), labelOf(w), wallet.AcceptUnproven())
	refused(t, err, "key-depth")
}

func TestBitcoinCoreListsAreRead(t *testing.T) {
	w := extendedOnly(t)
	raw, err := w.CoreImport(0)
	must(t, err)
	var entries []map[string]any
	must(t, json.Unmarshal(raw, &entries))
	list := func(entries ...any) string {
		out, err := json.Marshal(entries)
		must(t, err)
		return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(out))
	}
	both := map[string]any{"desc": w.Descriptor()}
	other, err := wallet.New("OTHER", spend.Cold, 3, w.Keys())
	must(t, err)
	foreign, err := other.CoreImport(0)
	must(t, err)
	var foreignEntries []map[string]any
	must(t, json.Unmarshal(foreign, &foreignEntries))
	for text, code := range map[string]string{
		string(raw):                  "",
		list(entries[1], entries[0]): "",
		list(both):                   "",
		`{"wallet_name":"x","descriptors":` + list(entries[0], entries[1]) + `}`:         "",
		strings.Replace(string(raw), `"next_index": 0`, `"next_index": 7, "next": 7`, 1): "",
		list(entries[0]):                                "wallet-script",
		list(entries[1]):                                "wallet-script",
		list(entries[0], entries[0]):                    "import-unreadable",
		list(entries[0], foreignEntries[1]):             "import-unreadable",
		list(both, entries[1]):                          "import-unreadable",
		list(entries[0], entries[1], both):              "import-unreadable",
		"[]":                                            "import-unreadable",
		string(raw) + "[]":                              "import-unreadable",
		`[{"desc":1}]`:                                  "import-unreadable",
		`[{"desc":"x","keypool":true}]`:                 "import-unreadable",
		strings.Replace(string(raw), "/0/*", "/7/*", 1): "descriptor-checksum",
	} {
		back, err := wallet.FromCore([]byte(text), labelOf(w), wallet.AcceptUnproven())
		if code != "" {
			if r := refused(t, err, code); r.Code != code {
				t.Errorf("  that was: %.200s", text)
			}
			continue
		}
		must(t, err)
		if back.ID() != w.ID() {
			t.Errorf("another wallet came back of %.200s", text)
		}
	}
}

func TestPoliciesAreThoseOfBIP388(t *testing.T) {
	w := extendedOnly(t)
	if got, ok := w.Policy(); !ok || got != "wsh(sortedmulti(2,@0/**,@1/**,@2/**))" {
		t.Errorf("policy %q, %v", got, ok)
	}
	// A placeholder always has children, so a token key has no policy to show.
	if got, ok := pinned(t, spend.BitcoinRegtest).Policy(); ok || got != "" {
		t.Errorf("policy %q of a wallet with a fixed key", got)
	}
	if _, ok := (wallet.Wallet{}).Policy(); ok {
		t.Error("the empty wallet has a policy")
	}
}

func TestExportsForCoreNameWhenToBegin(t *testing.T) {
	raw, err := extendedOnly(t).Export(wallet.CoreFormat, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	must(t, err)
	if !bytes.Contains(raw, []byte(`"timestamp": 1767312000`)) {
		t.Errorf("no beginning in\n%s", raw)
	}
	raw, err = extendedOnly(t).Export(wallet.CoreFormat, time.Time{})
	must(t, err)
	if !bytes.Contains(raw, []byte(`"timestamp": 0`)) {
		t.Errorf("not the whole chain in\n%s", raw)
	}
}

// Whatever is sniffed and read prints as the same wallet, and nothing panics.
func FuzzImport(f *testing.F) {
	w := extendedOnly(f)
	for _, x := range wallet.Formats() {
		file, err := w.Export(x, time.Time{})
		must(f, err)
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, err := wallet.Sniff(raw)
		if !readOrRefused(t, err) {
			return
		}
		got, err := wallet.Import(raw, x, labelOf(w), wallet.AcceptUnproven())
		if !readOrRefused(t, err) {
			return
		}
		back, err := wallet.Parse(got.Marshal(), wallet.AcceptUnproven())
		if err != nil || back.ID() != got.ID() {
			t.Fatalf("%s: %v", x, err)
		}
	})
}

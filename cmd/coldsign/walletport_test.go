package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

func (d *desk) read(name string) []byte {
	d.t.Helper()
	raw, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return raw
}

// add pins a wallet file in a keyholder's home, with the words that the file itself has.
func (d *desk) add(home, file string, more ...string) []string {
	d.t.Helper()
	words := strings.TrimSpace(d.must("words", d.path(file)))
	return append([]string{"wallet", "add", d.path(file), "--home", d.path(home), "--passphrase-fd", d.secret(deskPassphrase), "--words", words}, more...)
}

// keyholder makes one more home with a key, and its record.
func (d *desk) keyholder(name string) wallet.KeyRecord {
	d.t.Helper()
	d.must("init", "--home", d.path(name), "--network", "regtest")
	d.must("key", "new", name, "--home", d.path(name), "--passphrase-fd", d.secret(deskPassphrase), "--backup-fd", d.sink(name+".words"))
	d.must("key", "export", name, "--home", d.path(name), "--out", d.path(name+".key.json"))
	record, err := wallet.ParseKeyRecord(d.read(name + ".key.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	return record
}

func TestAWalletTravelsThroughEveryFormatAndComesBackTheSame(t *testing.T) {
	d := newDesk(t)
	for _, f := range wallet.Formats() {
		file, back, bare := string(f)+".export", string(f)+".wallet", string(f)+".bare"
		d.must("wallet", "export", "COLD-A", "--home", d.path("a"), "--format", string(f), "--out", d.path(file))
		d.must("wallet", "import", d.path(file), "--home", d.path("b"), "--name", "COLD-A",
			"--record", d.path("a.key.json"), "--record", d.path("c.key.json"), "--out", d.path(back))
		if !bytes.Equal(d.read(back), d.read("cold.json")) {
			t.Errorf("%s: with the others' records another file came back", f)
		}
		d.must("wallet", "import", d.path(file), "--home", d.path("b"), "--name", "COLD-A", "--format", string(f), "--out", d.path(bare))
		w, err := wallet.Parse(d.read(bare), wallet.AcceptUnproven())
		if err != nil || len(w.Unproven()) != 2 || w.ID() != d.wallet.ID() {
			t.Errorf("%s: this home's key alone is proven, found %v, %v", f, w.Unproven(), err)
		}
	}
	if out := d.must("wallet", "export", "COLD-A", "--home", d.path("a")); out != d.wallet.Descriptor()+"\n" {
		t.Errorf("the descriptor alone is %q", out)
	}
	if out := d.must("wallet", "export", "COLD-A", "--home", d.path("a"), "--format", "core", "--since", "2026-01-02"); !strings.Contains(out, `"timestamp": 1767312000`) {
		t.Errorf("no beginning in %s", out)
	}
}

func TestWrongUsageOfImportAndExportIsNamed(t *testing.T) {
	d := newDesk(t)
	d.must("wallet", "export", "COLD-A", "--home", d.path("a"), "--out", d.path("text"))
	home := []string{"--home", d.path("a")}
	for want, args := range map[string][]string{
		"has no name":                  {"wallet", "import", d.path("text")},
		`format "electrum" is none`:    {"wallet", "import", d.path("text"), "--name", "X1", "--format", "electrum"},
		"standard output":              {"wallet", "import", d.path("text"), "--name", "X1", "--json"},
		"is no day like":               {"wallet", "export", "COLD-A", "--since", "yesterday"},
		"written in one format":        {"wallet", "export", "COLD-A", "--format", "auto"},
		"no risk is named":             {"wallet", "add", d.path("cold.json"), "--accept-risk", "everything"},
		"a pool is made in a token":    {"key", "new", "p", "--pool", "6"},
		"a pool of 7 keys":             {"key", "new", "p", "--pool", "7", "--token", "treasury"},
		"a pool of 402 keys":           {"key", "new", "p", "--pool", "402", "--token", "treasury"},
		"a pool of -2 keys":            {"key", "new", "p", "--pool", "-2", "--token", "treasury"},
		"--resume takes up a pool":     {"key", "new", "p", "--resume", "--token", "treasury"},
		"coldsign wallet import takes": {"wallet", "import"},
	} {
		if o := d.run(append(args, home...)...); o.code != console.Usage || !strings.Contains(o.errs, want) {
			t.Errorf("%v: exit %d\n%s", args, o.code, o.errs)
		}
	}
	if o := d.run(append([]string{"wallet", "export", "NOBODY"}, home...)...); o.code != console.Failed || !strings.Contains(o.errs, `no wallet "NOBODY" is pinned`) {
		t.Errorf("exit %d\n%s", o.code, o.errs)
	}
	if code := d.refused("import-own", "wallet", "import", d.path("cold.json"), "--name", "X1", "--out", d.path("x"), "--home", d.path("a")); code != console.Refused {
		t.Errorf("exit %d", code)
	}
}

// Attack 055: the file of the other product has another key in the place of a cosigner's, or the key with another origin.
func TestAttack055ARecordMustFitTheImportedFile(t *testing.T) {
	d := newDesk(t)
	thief := d.keyholder("thief")
	d.must("wallet", "export", "COLD-A", "--home", d.path("a"), "--format", "caravan", "--out", d.path("caravan.json"))
	honest, b := string(d.read("caravan.json")), d.wallet.Keys()[1]
	for name, text := range map[string]string{
		"another key":         strings.Replace(honest, b.Key, thief.Key, 1),
		"another key, origin": strings.NewReplacer(b.Key, thief.Key, b.Origin()[1:9], thief.Origin()[1:9]).Replace(honest),
		"another fingerprint": strings.Replace(honest, b.Origin()[1:9], "deadbeef", 1),
	} {
		if text == honest {
			t.Fatalf("%s: nothing changed", name)
		}
		d.write("changed.json", []byte(text))
		code := d.refused("record-not-in-wallet", "wallet", "import", d.path("changed.json"), "--home", d.path("a"), "--name", "COLD-A",
			"--record", d.path("b.key.json"), "--record", d.path("c.key.json"), "--out", d.path("changed.wallet"))
		if code != console.NotAuthentic {
			t.Errorf("%s: exit %d", name, code)
		}
		if _, err := os.Stat(d.path("changed.wallet")); err == nil {
			t.Errorf("%s: a wallet file was written", name)
		}
	}
	// Two records in the order of the thief's file do not hide that one key is not there.
	d.refused("record-not-in-wallet", "wallet", "import", d.path("caravan.json"), "--home", d.path("a"), "--name", "COLD-A", "--record", d.path("thief.key.json"), "--out", d.path("x"))
}

// Attack 055 and 058: keys without proof need a consent by name, are shown ever after, and a pinned proof does not get lost.
func TestAttack055And058UnprovenKeysStayVisibleUntilTheyAreProven(t *testing.T) {
	d := newDesk(t)
	d.keyholder("e")
	d.keyholder("f")
	d.must("wallet", "create", "MIXED", d.path("a.key.json"), d.path("e.key.json"), d.path("f.key.json"), "--threshold", "2", "--out", d.path("proven.json"))
	w, err := wallet.Parse(d.read("proven.json"))
	if err != nil {
		t.Fatal(err)
	}
	sparrow, err := w.Export(wallet.SparrowFormat, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	d.write("sparrow.json", sparrow)
	o := d.run("wallet", "import", d.path("sparrow.json"), "--home", d.path("a"), "--name", "MIXED", "--out", d.path("bare.json"))
	if o.code != console.Done || strings.Count(o.errs, "WITHOUT proof of possession") != 2 || !strings.Contains(o.errs, "nobody has shown to hold 2 of its 3 keys") {
		t.Errorf("exit %d\n%s", o.code, o.errs)
	}
	if code := d.refused("key-unproven", d.add("a", "bare.json")...); code != console.Refused {
		t.Errorf("without consent: exit %d", code)
	}
	d.must(d.add("a", "bare.json", "--accept-risk", "unproven-keys")...)
	if out := d.must("wallet", "list", "--home", d.path("a")); !strings.Contains(out, "2 of 3, 2 WITHOUT PROOF") {
		t.Errorf("the list does not say it:\n%s", out)
	}
	if got := d.pinnedView("a", "MIXED"); len(got.NoProof) != 2 || got.Unproven != 2 || got.Policy != "wsh(sortedmulti(2,@0/**,@1/**,@2/**))" || got.Indexes != 0 {
		t.Errorf("as JSON: %+v", got)
	}

	// One proof arrives, then the other; the file of the same wallet may take the place of the pinned one.
	d.must("wallet", "import", d.path("sparrow.json"), "--home", d.path("a"), "--name", "MIXED", "--record", d.path("f.key.json"), "--out", d.path("half.json"))
	d.must(d.add("a", "half.json", "--accept-risk", "unproven-keys")...)
	d.must(d.add("a", "proven.json")...)
	if got := d.pinnedView("a", "MIXED"); len(got.NoProof) != 0 {
		t.Errorf("still without proof: %v", got.NoProof)
	}
	// The way back is a replacement.
	for _, file := range []string{"half.json", "bare.json"} {
		d.refused("wallet-replaced", d.add("a", file, "--accept-risk", "unproven-keys")...)
	}
	for _, tier := range []string{"hot", "warm"} { // the identity does not cover the tier
		d.must("wallet", "create", "MIXED", d.path("a.key.json"), d.path("e.key.json"), d.path("f.key.json"), "--threshold", "2", "--tier", tier, "--out", d.path(tier+".json"))
		d.refused("wallet-replaced", d.add("a", tier+".json")...)
	}
	if got := d.pinnedView("a", "MIXED"); len(got.NoProof) != 0 || got.Tier != "cold" {
		t.Errorf("something was replaced: %+v", got)
	}
}

func (d *desk) pinnedView(home, name string) walletView {
	d.t.Helper()
	var list struct{ Wallets []walletView }
	if err := json.Unmarshal([]byte(d.must("wallet", "list", "--home", d.path(home), "--json")), &list); err != nil {
		d.t.Fatal(err)
	}
	for _, v := range list.Wallets {
		if v.Name == name {
			return v
		}
	}
	d.t.Fatalf("wallet %s is not in the list", name)
	return walletView{}
}

// Attack 054: an imported wallet that has not this home's own key, or has it without the proof.
func TestAttack054AnImportedWalletNeedsTheOwnKeyWithItsProof(t *testing.T) {
	d := newDesk(t)
	d.keyholder("e")
	d.must("wallet", "export", "COLD-A", "--home", d.path("a"), "--format", "bsms", "--out", d.path("bsms"))
	d.must("wallet", "import", d.path("bsms"), "--home", d.path("e"), "--name", "COLD-A", "--out", d.path("stranger.json"))
	d.refused("own-key-missing", d.add("e", "stranger.json", "--accept-risk", "unproven-keys")...)
	// The same file in a's home: a's key is there, and nobody has proven it in this file.
	code := d.refused("own-key-missing", d.add("a", "stranger.json", "--accept-risk", "unproven-keys")...)
	if o := d.run(d.add("a", "stranger.json", "--accept-risk", "unproven-keys")...); code != console.Refused || !strings.Contains(o.errs, "without its proof") {
		t.Errorf("exit %d\n%s", code, o.errs)
	}
}

// Attack 062: whatever is wrong with a file, it is refused whole. Every file of the home is as it was.
func TestAttack062AFailedImportChangesNothing(t *testing.T) {
	d := newDesk(t)
	d.keyholder("e")
	good := map[wallet.Format]string{}
	for _, f := range wallet.Formats() {
		good[f] = d.must("wallet", "export", "COLD-A", "--home", d.path("b"), "--format", string(f))
	}
	cold := string(d.read("cold.json"))
	d.must("wallet", "create", "OTHER", d.path("b.key.json"), d.path("c.key.json"), d.path("e.key.json"), "--threshold", "3", "--out", d.path("other.json"))
	before := d.snapshot("a")
	for _, f := range wallet.Formats() {
		for name, text := range map[string]string{
			"cut off":        good[f][:len(good[f])*2/3],
			"doubled":        good[f] + good[f],
			"a lower quorum": strings.NewReplacer("multi(2", "multi(1", "Policy: 2", "Policy: 1", `"requiredSigners": 2`, `"requiredSigners": 1`).Replace(good[f]),
			"a key twice":    strings.ReplaceAll(good[f], d.wallet.Keys()[1].Key, d.wallet.Keys()[0].Key),
			"too large":      good[f] + strings.Repeat(" ", 300<<10),
			"empty":          "",
			"binary":         "\x00\xff" + good[f],
		} {
			path := d.write("bad", []byte(text))
			o := d.run("wallet", "import", path, "--home", d.path("a"), "--format", string(f), "--name", "BAD", "--out", d.path("bad.wallet"))
			if o.code == console.Done {
				t.Errorf("%s, %s: imported", f, name)
			}
			if _, err := os.Stat(d.path("bad.wallet")); err == nil {
				t.Fatalf("%s, %s: a wallet file was left", f, name)
			}
		}
	}
	for name, text := range map[string]string{
		"cut off":           cold[:len(cold)/2],
		"another checksum":  strings.Replace(cold, "#", "#q", 1),
		"one more field":    strings.Replace(cold, "{", `{"note":"x",`, 1),
		"a broken proof":    strings.Replace(cold, `"proof": "30`, `"proof": "31`, 1),
		"another threshold": strings.Replace(cold, "multi(2", "multi(1", 1),
		"no own key":        string(d.read("other.json")),
		"another name":      strings.Replace(cold, "COLD-A", "COLD-B", 1),
		"another tier":      strings.Replace(cold, `"tier": "cold"`, `"tier": "hot"`, 1),
		"another network":   strings.ReplaceAll(cold, "bitcoin:regtest", "bitcoin:signet"),
	} {
		path := d.write("bad.json", []byte(text))
		o := d.run("wallet", "add", path, "--home", d.path("a"), "--passphrase-fd", d.secret(deskPassphrase), "--words", d.wallet.Words(), "--accept-risk", "unproven-keys")
		if o.code == console.Done {
			t.Errorf("%s: pinned", name)
		}
	}
	o := d.run("wallet", "add", d.path("cold.json"), "--home", d.path("a"), "--passphrase-fd", d.secret(deskPassphrase), "--words", "other words")
	if o.code != console.Refused {
		t.Errorf("other words: exit %d", o.code)
	}
	after := d.snapshot("a")
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s has changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, before there were %d", len(after), len(before))
	}
	d.must("wallet", "address", "COLD-A", "0", "--home", d.path("a"))
}

// snapshot is every file below a home, by name.
func (d *desk) snapshot(home string) map[string]string {
	d.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(d.path(home), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files[path] = string(raw)
		return err
	})
	if err != nil || len(files) < 4 {
		d.t.Fatalf("%d files in the home, %v", len(files), err)
	}
	return files
}

func TestTiersAndNamesOfImportedWalletsAreOurs(t *testing.T) {
	d := newDesk(t)
	d.must("wallet", "export", "COLD-A", "--home", d.path("a"), "--format", "sparrow", "--out", d.path("s"))
	o := d.run("wallet", "import", d.path("s"), "--home", d.path("a"), "--name", "HOT-7", "--tier", "hot", "--out", d.path("hot.json"), "--json")
	var view walletView
	if err := json.Unmarshal([]byte(o.out), &view); err != nil || view.Name != "HOT-7" || view.Tier != string(spend.Hot) || view.ID != d.wallet.ID().String() {
		t.Errorf("%s%s, %v", o.out, o.errs, err)
	}
	for _, c := range [][3]string{{"hot-7", "hot", "wallet-name"}, {"HOT-7", "tepid", "wallet-tier"}} {
		d.refused(c[2], "wallet", "import", d.path("s"), "--home", d.path("a"), "--name", c[0], "--tier", c[1], "--out", d.path("x"))
	}
}

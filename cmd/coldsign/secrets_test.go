package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/console/ptytest"
)

// witness runs commands, well-behaved and not, and keeps everything that they say.
type witness struct {
	*stage
	said bytes.Buffer
}

// given is a secret on a file descriptor.
type given struct{ flag, secret string }

// asks runs a command twice, for people and for scripts; any exit code will do.
func (w *witness) asks(command string, secrets ...given) {
	for _, format := range []string{"", " --json"} {
		args := strings.Fields(strings.ReplaceAll(command, "@", w.dir+"/") + format)
		for _, g := range secrets {
			args = append(args, g.flag, w.secret(g.secret))
		}
		o := w.run(args...)
		w.said.WriteString(o.out + o.errs)
	}
}

// everything uses every command that reads, makes or is given a secret, with right and with wrong ones.
func (w *witness) everything(token hsmtest.Token) {
	w.t.Helper()
	for _, passphrase := range []string{deskPassphrase, "wrong " + deskPassphrase} {
		for _, command := range []string{"key new n", "wallet add @hot.json --destination --words x", "trust add @issuer.json --words x", "policy sign @policy.yaml --out @sig",
			"roster sign @roster --out @sig2", "sign @0.bundle --out @x", "refuse @1.bundle --reason unexpected --out @refusal"} {
			w.asks(command+" --home @a", given{"--passphrase-fd", passphrase})
		}
	}
	passphrase, pin := given{"--passphrase-fd", deskPassphrase}, given{"--pin-fd", hsmtest.UserPIN}
	w.must("key", "new", "made", "--home", w.path("b"), "--passphrase-fd", w.secret(deskPassphrase), "--backup-fd", w.sink("made.words"))
	w.asks("key import again --home @b", given{"--words-fd", seeds["c"]}, passphrase)
	w.asks("key import bad --home @b", given{"--words-fd", seeds["c"] + " zebra"}, passphrase)
	w.asks("key new t --home @b --token "+token.Label, pin)
	w.asks("key new t2 --home @b --token "+token.Label, given{"--pin-fd", "1" + hsmtest.UserPIN})
	w.asks("trust add @issuer.json --home @b --key t --words x", pin)
	for _, home := range []string{"a", "b"} {
		for _, command := range []string{"wallet list", "trust list", "policy template", "inspect @0.bundle", "wallet address COLD-A 0"} {
			w.asks(command + " --home @" + home + " --key " + home)
		}
		w.asks("key list --home @" + home)
		w.asks("key export " + home + " --home @" + home)
		w.asks("ledger list --home @" + home)
	}
}

// atATerminal types a passphrase and the words of a backup, and signs.
func (w *witness) atATerminal() {
	w.t.Helper()
	person := ptytest.Drive(w.t, exec.Command("coldsign", "sign", w.path("0.bundle"), "--out", w.path("0.answer"), "--home", w.path("a")), 100, 40)
	person.See("Read every output first")
	person.Type("o")
	person.See("Everything was shown")
	person.Type("s")
	person.See("last 6 characters")
	person.Type("1.5 3a67qr\r")
	person.See("passphrase of key a: ")
	person.Type("not this one\r")
	person.See("not that (2 more tries); passphrase of key a: ")
	person.Type(deskPassphrase + "\r")
	person.Exits(int(console.Done))
	w.said.WriteString(person.Transcript())
	person = ptytest.Drive(w.t, exec.Command("coldsign", "key", "import", "typed", "--home", w.path("b")), 100, 40)
	person.See("backup words")
	person.Type(seeds["a"] + "\r")
	for range 2 {
		person.See("new passphrase for key typed")
		person.Type(deskPassphrase + "\r")
	}
	person.Exits(int(console.Done))
	w.said.WriteString(person.Transcript())
}

// Attack 007: a passphrase, a PIN, a seed or its words are in nothing that any command says or writes, but the words in the
// backup that was asked for.
func TestAttack007NoSecretLeaves(t *testing.T) {
	token := hsmtest.New(t, "treasury")
	w := &witness{stage: newStage(t)}
	for name := range seeds { // what the stage wrote down for stories
		if err := os.Remove(w.path(name + ".seed")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(w.path("pass")); err != nil {
		t.Fatal(err)
	}
	for i, words := range [][]string{{"serial=1"}, {"serial=2", "coins=2,3"}} {
		o, err := w.readOrder(words, nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := w.bundle(o)
		if err != nil {
			t.Fatal(err)
		}
		w.write([]string{"0.bundle", "1.bundle"}[i], raw)
	}
	w.everything(token)
	w.atATerminal()
	made, err := os.ReadFile(w.path("made.words"))
	if err != nil || len(strings.Fields(string(made))) != 24 {
		t.Fatalf("the backup holds %q, %v", made, err)
	}
	if err := os.Remove(w.path("made.words")); err != nil {
		t.Fatal(err)
	}
	if w.said.Len() < 20_000 {
		t.Fatalf("the commands said only %d bytes; the claim would be empty", w.said.Len())
	}
	secrets := secretsOf(string(made))
	for name, secret := range secrets {
		if at := secret.FindIndex(w.said.Bytes()); at != nil {
			t.Errorf("%s was said: %q", name, around(w.said.Bytes(), at[0]))
		}
	}
	files := 0
	err = filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		for name, secret := range secrets {
			if at := secret.FindIndex(raw); at != nil {
				t.Errorf("%s is in %s: %q", name, path, around(raw, at[0]))
			}
		}
		return err
	})
	if err != nil || files < 50 {
		t.Errorf("%d files were read, %v", files, err)
	}
}

// secretsOf are the patterns that must not be found: text, its hexadecimal and its base64 form, and a few words in a row.
func secretsOf(made string) map[string]*regexp.Regexp {
	literal := func(s string) *regexp.Regexp { return regexp.MustCompile(regexp.QuoteMeta(s)) }
	list := map[string]*regexp.Regexp{
		"the passphrase":                literal("horse battery"),
		"the passphrase in hexadecimal": literal(hex.EncodeToString([]byte("horse battery"))),
		"the passphrase in base64":      literal(base64.RawStdEncoding.EncodeToString([]byte(deskPassphrase))[:20]),
		"the PIN":                       regexp.MustCompile(`(^|[^0-9A-Za-z])` + hsmtest.UserPIN + `($|[^0-9A-Za-z])`),
		"a private extended key":        regexp.MustCompile(`[xt]prv[1-9A-HJ-NP-Za-km-z]{50}`),
		"the entropy of key a":          literal(strings.Repeat("7f", 12)),
		"the entropy of key a, raw":     literal(strings.Repeat("\x7f", 12)),
	}
	for name, words := range map[string]string{"the new key": made, "key a": seeds["a"], "key b": seeds["b"], "key c": seeds["c"]} {
		list["words of "+name] = literal(strings.Join(strings.Fields(words)[2:6], " "))
	}
	return list
}

func around(text []byte, at int) []byte { return text[max(0, at-40):min(len(text), at+40)] }

// What coldsign makes in a token cannot be taken out of it, neither the account key nor the receipt key.
func TestTokenKeyIsNeverExported(t *testing.T) {
	token := hsmtest.New(t, "treasury")
	d := &desk{t: t, dir: t.TempDir()}
	d.must("init", "--home", d.path("h"), "--network", "regtest")
	d.must("key", "new", "b", "--home", d.path("h"), "--token", token.Label, "--pin-fd", d.secret(hsmtest.UserPIN))
	opened, err := hsm.Open(token.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if err := opened.Login(t.Context(), token.PIN()); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"b", "b-receipt"} {
		if err := opened.TryExport(t.Context(), label); !errors.Is(err, hsm.ErrExportRefused) {
			t.Errorf("export of %s: %v", label, err)
		}
	}
}

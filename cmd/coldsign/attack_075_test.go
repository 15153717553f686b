package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

// Attack 075: a signer that signs a hash or a message signs anything. What is no bundle is refused by its form, and no
// command and no flag offers another way.
func TestAttack075NothingButABundleIsSigned(t *testing.T) {
	d := newDesk(t)
	digest := sha256.Sum256([]byte("a transaction that nobody has seen"))
	raw := d.packet().Bytes()
	for name, data := range map[string][]byte{
		"digest": digest[:], "digest.hex": []byte(hex.EncodeToString(digest[:])), "message": []byte("I own these coins"),
		"message.eth": []byte("\x19Ethereum Signed Message:\n32" + string(digest[:])), "payment.psbt": raw, "payment.base64": []byte(d.packet().Base64()),
		"transaction": globalTx(t, raw), "empty": {}, "text": []byte("{}\n"),
	} {
		path := d.write(name, data)
		out := d.path(name + ".answer")
		if code := d.refused("not-a-bundle", "sign", path, "--home", d.path("a"), "--out", out, "--passphrase-fd", d.secret(deskPassphrase)); code == console.Done {
			t.Errorf("%s: exit %d", name, code)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s was answered", name)
		}
	}
	oracle := regexp.MustCompile(`(?i)message|digest|hash|raw|blind|force|unsafe|skip|bip-?322|eip-?191`)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if oracle.MatchString(cmd.Name()) {
			t.Errorf("a command named %s", cmd.CommandPath())
		}
		for _, word := range strings.Fields(cmd.LocalFlags().FlagUsages()) {
			if strings.HasPrefix(word, "--") && oracle.MatchString(word) {
				t.Errorf("%s has the flag %s", cmd.CommandPath(), word)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(&app{Console: &console.Console{Name: "coldsign", In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}}))
}

// Attack 075: one line of the product hands a digest to a chain key: the one that was reached through judging.
func TestAttack075OnePlaceUsesTheChainKey(t *testing.T) {
	uses := regexp.MustCompile(`\.Sign(At)?\((ctx|context)`)
	var found []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "keystore") {
			return err
		}
		text, err := os.ReadFile(path)
		for range uses.FindAll(text, -1) {
			found = append(found, path)
		}
		if bytes.Contains(text, []byte("SignDigest(")) {
			t.Errorf("%s asks a token for a signature, past the key store", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// sign.go of the command calls Session.Sign, which opens and judges; sign.go of room signing calls Key.SignAt.
	want := []string{filepath.Join("internal", "signing", "sign.go"), "sign.go"}
	if strings.Join(found, " ") != strings.Join(want, " ") {
		t.Errorf("chain keys are used in %v, want %v", found, want)
	}
}

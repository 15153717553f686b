package console

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// given returns a file descriptor that holds text.
func given(t *testing.T, text string) int {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return int(r.Fd())
}

func TestSecretFromADescriptorIsItsFirstLine(t *testing.T) {
	c, _ := words()
	fd := given(t, "correct horse\r\nsecond\n")
	for _, want := range []string{"correct horse", "second"} {
		secret, err := c.Secret("passphrase", fd)
		if err != nil || string(secret.Bytes()) != want {
			t.Fatalf("%q, %v", secret.Bytes(), err)
		}
	}
	if _, err := c.Secret("passphrase", fd); CodeOf(err) != Usage {
		t.Errorf("at the end of input: %v", err)
	}
}

func TestSecretRefusesWhatNobodyMeans(t *testing.T) {
	c, _ := words()
	for _, text := range []string{"", "\n", "a\x00b\n", "a\x1bb", "\xff\n", strings.Repeat("x", secretMax+1) + "\n"} {
		if _, err := c.Secret("passphrase", given(t, text)); CodeOf(err) != Usage {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	if secret, err := c.Secret("passphrase", given(t, strings.Repeat("x", secretMax))); err != nil || len(secret.Bytes()) != secretMax {
		t.Errorf("1 KiB: %v", err)
	}
	if _, err := c.Secret("passphrase", -1); CodeOf(err) != Usage {
		t.Errorf("without a terminal: %v", err)
	}
}

func TestAttack007ASecretCannotBePrintedOrEncoded(t *testing.T) {
	c, _ := words()
	secret, err := c.Secret("passphrase", given(t, "hunter2hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	holder := struct{ hidden, Shown Secret }{secret, secret}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+verb+verb, secret, &secret, holder)
	}
	if _, err := json.Marshal(holder); err == nil {
		t.Error("JSON was made of a secret")
	}
	if err := gob.NewEncoder(&b).Encode(secret); err == nil {
		t.Error("gob was made of a secret")
	}
	if out := b.String(); strings.Contains(out, "hunter2") || strings.Contains(out, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("leaked: %s", out)
	}
	secret.Wipe()
	if string(secret.Bytes()) != strings.Repeat("\x00", 14) {
		t.Error("not wiped")
	}
}

func TestSecretIsAskedWithoutEchoAndConfirmed(t *testing.T) {
	terminal, person := sit(t, 80, 24)
	c := &Console{TTY: terminal}
	answers := func(lines ...string) {
		for i, line := range lines {
			person.waits([]string{"passphrase: ", "passphrase, again: "}[i])
			person.types(line)
		}
		person.waits(pasteOff)
	}
	done := make(chan bool)
	ask := func(lines ...string) (Secret, error) {
		go func() { answers(lines...); done <- true }()
		secret, err := c.SecretConfirm("passphrase", -1, NewSecretMin)
		<-done
		return secret, err
	}
	secret, err := ask("twelve chars!\r", "\x1b[200~twelve chars!\n\x1b[201~\r")
	if err != nil || string(secret.Bytes()) != "twelve chars!" {
		t.Errorf("agreeing: %v", err)
	}
	if strings.Contains(person.seen.String(), "twelve") {
		t.Error("the secret was echoed")
	}
	for name, lines := range map[string][]string{"short": {"eleven char\r"}, "differing": {"twelve chars!\r", "twelve chars?\r"},
		"two lines pasted": {"\x1b[200~twelve chars!\nx\x1b[201~\r"}} {
		if _, err := ask(lines...); err == nil || strings.Contains(err.Error(), "twelve") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

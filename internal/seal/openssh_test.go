package seal_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/seal"
)

// keygen runs ssh-keygen in dir and returns what it printed. OpenSSH is on every machine that Coldsign supports, so
// its absence is a failure.
func keygen(t *testing.T, dir string, stdin []byte, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TZ=UTC"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSSHVerifiesWhatWeSign(t *testing.T) {
	for name, signer := range everyKind(t) {
		for _, ns := range []seal.Namespace{seal.Approve, seal.Bundle, seal.Answer, seal.Pin, seal.Roster, seal.Policy} {
			dir := t.TempDir()
			write(t, dir, "allowed", []byte("alice namespaces=\""+string(ns)+"\" "+seal.KeyLine(signer.PublicKey())+"\n"))
			write(t, dir, "sig", sign(t, signer, ns, "exact bytes \x00\xff"))
			verify := func(message string, ns seal.Namespace) (string, error) {
				return keygen(t, dir, []byte(message), "-Y", "verify", "-f", "allowed", "-I", "alice", "-n", string(ns), "-s", "sig")
			}
			if out, err := verify("exact bytes \x00\xff", ns); err != nil || !strings.Contains(out, "Good") {
				t.Errorf("%s %s: ssh-keygen says %q, %v", name, ns, out, err)
			}
			if out, err := verify("exact bytes", ns); err == nil {
				t.Errorf("%s %s: ssh-keygen accepts another message: %q", name, ns, out)
			}
			if out, err := verify("exact bytes \x00\xff", ns+"x"); err == nil {
				t.Errorf("%s %s: ssh-keygen accepts another namespace: %q", name, ns, out)
			}
		}
	}
}

func TestWeVerifyWhatOpenSSHSigns(t *testing.T) {
	for _, kind := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa", "-b", "256"}} {
		dir := t.TempDir()
		if out, err := keygen(t, dir, nil, append(kind, "-q", "-N", "", "-f", "key")...); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		line, err := os.ReadFile(filepath.Join(dir, "key.pub"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := seal.ParseKey(string(line))
		if err != nil {
			t.Fatal(err)
		}
		printed, err := keygen(t, dir, nil, "-l", "-f", "key.pub")
		if err != nil || !strings.Contains(printed, " "+seal.Fingerprint(key)+" ") {
			t.Errorf("fingerprint %s, ssh-keygen prints %q, %v", seal.Fingerprint(key), printed, err)
		}
		for _, length := range []int{0, 1, 63, 64, 100_000} {
			message := bytes.Repeat([]byte{0xa5}, length)
			write(t, dir, "m", message)
			os.Remove(filepath.Join(dir, "m.sig"))
			if out, err := keygen(t, dir, nil, "-Y", "sign", "-f", "key", "-n", string(seal.Approve), "m"); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			armored, err := os.ReadFile(filepath.Join(dir, "m.sig"))
			if err != nil {
				t.Fatal(err)
			}
			signer, _, err := seal.Verify(armored, message, seal.Approve)
			if err != nil || !seal.Same(signer, key) {
				t.Errorf("%v, %d bytes: %v", kind, length, err)
			}
			_, _, err = seal.Verify(armored, append(message, 0), seal.Approve)
			refused(t, err, "seal-invalid")
		}
	}
}

func TestOpenSSHsOtherChoicesAreRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "m", []byte("m"))
	for _, kind := range [][]string{{"-t", "ed25519", "-f", "ed"}, {"-t", "rsa", "-b", "2048", "-f", "rsa"}} {
		if out, err := keygen(t, dir, nil, append(kind, "-q", "-N", "")...); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	for _, c := range []struct {
		code string
		args []string
	}{
		{"seal-hash", []string{"-O", "hashalg=sha256", "-f", "ed", "-n", string(seal.Approve)}},
		{"seal-namespace", []string{"-f", "ed", "-n", "file"}},
		{"seal-key-type", []string{"-f", "rsa", "-n", string(seal.Approve)}},
	} {
		os.Remove(filepath.Join(dir, "m.sig"))
		if out, err := keygen(t, dir, nil, append(append([]string{"-Y", "sign"}, c.args...), "m")...); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		armored, err := os.ReadFile(filepath.Join(dir, "m.sig"))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = seal.Verify(armored, []byte("m"), seal.Approve)
		refused(t, err, c.code)
	}
}

package internal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// build compiles a program of the project with extra environment and returns its path.
func build(t *testing.T, pkg string, env ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, text)
	}
	return out
}

func symbols(t *testing.T, binary string) string {
	t.Helper()
	text, err := exec.Command("go", "tool", "nm", binary).Output()
	if err != nil || len(text) < 1000 {
		t.Fatalf("go tool nm %s: %v, %d bytes", binary, err, len(text))
	}
	return string(text)
}

// dialers match linked code that can open or accept a connection, or start a program. crypto11 and x/crypto/ssh name net types, which is
// harmless: what counts is that no code which reaches connect(2) was linked.
var dialers = regexp.MustCompile(`(?m) [tT] (net\.\(\*Dialer\)\.\S*|net\.Dial\w*|net\.\(\*sysDialer\)\.\S*|net\.Listen\w*|net\.\(\*netFD\)\.(connect|dial|accept)|syscall\.(Connect|connect|Listen|Accept4?)|golang\.org/x/sys/unix\.(Connect|connect)|net/http\.\S+|os/exec\.\(\*Cmd\)\.\S+|os\.StartProcess|syscall\.(forkExec|StartProcess|ForkExec))$`)

const dialingControl = `package main

import "net"

func main() { _, _ = net.Dial("tcp", "127.0.0.1:1") }
`

// Attack 089: coldsign cannot reach a network, because no code that could was linked. The control shows that the
// search finds a dialer where there is one.
func TestAttack089ColdsignLinksNoDialer(t *testing.T) {
	for _, cgo := range []string{"CGO_ENABLED=0", "CGO_ENABLED=1"} {
		if found := dialers.FindAllString(symbols(t, build(t, "./cmd/coldsign", cgo)), 10); len(found) > 0 {
			t.Errorf("coldsign with %s links %s", cgo, strings.Join(found, ","))
		}
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "control.go")
	if err := os.WriteFile(source, []byte(dialingControl), 0o600); err != nil {
		t.Fatal(err)
	}
	if !dialers.MatchString(symbols(t, build(t, source, "CGO_ENABLED=0"))) {
		t.Error("the control dials, and the search did not notice")
	}
}

func dependencies(t *testing.T, pkg string) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", pkg)
	cmd.Dir = ".."
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return string(text)
}

func TestColdsignLinksNoProcessAndNoHTTP(t *testing.T) {
	deps := "\n" + dependencies(t, "./cmd/coldsign")
	for _, banned := range []string{"net/http", "os/exec", "github.com/btcsuite/btcd/rpcclient", "golang.org/x/crypto/ssh/agent"} {
		if strings.Contains(deps, "\n"+banned+"\n") {
			t.Errorf("coldsign depends on %s", banned)
		}
	}
	if !strings.Contains("\n"+dependencies(t, "./cmd/exchanged"), "\nnet/http\n") {
		t.Error("exchanged does not depend on net/http: the search is broken")
	}
}

// The online daemon depends on nothing that holds or reaches a chain key.
func TestExchangedDependsOnNoKeyCode(t *testing.T) {
	deps := dependencies(t, "./cmd/exchanged")
	for _, banned := range []string{"coldsign/internal/keystore", "coldsign/internal/signing", "coldsign/coldsign/hsm", "miekg/pkcs11", "crypto11", "go-bip39\n"} {
		if strings.Contains(deps, banned) {
			t.Errorf("exchanged depends on %s", banned)
		}
	}
}

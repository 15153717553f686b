package internal_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// refusedByCompiler builds a package with the given source as if it stood at a place in the project, and expects the
// build to fail. The file is laid over the project for this one build; nothing is written into it.
func refusedByCompiler(t *testing.T, dir, source, because string) {
	t.Helper()
	temp := t.TempDir()
	place, err := filepath.Abs(filepath.Join("..", filepath.FromSlash(dir), "probe.go"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{place: filepath.Join(temp, "probe.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"probe.go": []byte(source), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(temp, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(temp, "overlay.json"), "-o", os.DevNull, "./"+dir)
	cmd.Dir = ".."
	text, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(text), because) {
		t.Errorf("the compiler did not refuse %s because of %q: %v\n%s", dir, because, err, text)
	}
}

// Claims do not become facts: policy and review take chain.Effects, and only a chain room can make one.
func TestOnlyChainRoomsMakeEffects(t *testing.T) {
	const head = "package probe\n\nimport (\n\t\"github.com/coldsign/coldsign/internal/chain\"\n"
	refusedByCompiler(t, "internal/policy/probetoken", head+"\t\"github.com/coldsign/coldsign/internal/chain/internal/proof\"\n)\n\n"+
		"var Forged = chain.New(chain.Facts{}, proof.Done())\n", "use of internal package")
	refusedByCompiler(t, "internal/review/probefield", head+")\n\nvar Forged = chain.Effects{facts: chain.Facts{}}\n", "unexported field facts")
	refusedByCompiler(t, "internal/policy/probeliteral", head+")\n\nvar Forged = chain.New(chain.Facts{}, struct{ done bool }{true})\n", "cannot use struct")
}

// Money does not appear: a ledger credits a chain.Deposit and adjusts by an approvals.Grant, and nobody else can make one.
func TestOnlyTheirRoomsMakeDepositsAndGrants(t *testing.T) {
	const head = "package probe\n\nimport (\n\t\"github.com/coldsign/coldsign/internal/"
	refusedByCompiler(t, "internal/engine/probetoken", head+"chain\"\n\t\"github.com/coldsign/coldsign/internal/chain/internal/proof\"\n)\n\n"+
		"var Forged = chain.NewDeposit(chain.DepositFacts{}, proof.Done())\n", "use of internal package")
	refusedByCompiler(t, "internal/ledger/probefield", head+"chain\"\n)\n\nvar Forged = chain.Deposit{facts: chain.DepositFacts{}}\n", "unexported field facts")
	refusedByCompiler(t, "internal/engine/probegrant", head+"approvals\"\n)\n\nvar Forged = approvals.Grant{granted: true}\n", "unexported field granted")
	refusedByCompiler(t, "internal/ledger/probegrant", head+"approvals\"\n)\n\nvar Forged = approvals.Grant(struct{ granted bool }{true})\n", "cannot convert")
	refusedByCompiler(t, "internal/engine/probeamount", head+"ledger\"\n)\n\nvar _, _ = ledger.New().Credit(100, 1, 1)\n", "cannot use 100")
	refusedByCompiler(t, "internal/engine/proberow", head+"ledger\"\n)\n\nfunc Forge(l *ledger.Ledger) { l.rows[1].Available.Lo = 100 }\n", "l.rows undefined")
}

// The online daemon links no code that can hold a chain key: the compiler refuses the import.
func TestExchangedCannotImportTheKeyStore(t *testing.T) {
	refusedByCompiler(t, "cmd/exchanged/probekeys", "package main\n\nimport _ \"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore\"\n\nfunc main() {}\n",
		"use of internal package")
}

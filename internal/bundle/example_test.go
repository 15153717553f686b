package bundle_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/words"
	"github.com/fxamacker/cbor/v2"
)

const formatsPage = "../../docs/formats.md"

// Rewrite the page with: go test ./internal/bundle -run WorkedExample -update, then read the diff.
var updateFlag = flag.Bool("update", false, "rewrite the worked example in docs/formats.md")

// exampleBlocks is the worked example of docs/formats.md: what stands in each of its fenced blocks, by name.
func exampleBlocks(t *testing.T) map[string]string {
	body := exampleBody(t)
	raw, answer := sealed(t, body), sealedAnswer(t, exampleAnswer(t))
	e, a := open(t, raw), openAnswerLoosely(t, answer)
	id := bundle.ID(body.Intent, body.Payload)
	roster := ""
	for i, name := range []string{"alice", "bob"} {
		roster += name + ` namespaces="coldsign-approve-v1",valid-after="20260101Z",valid-before="20280101Z" ` +
			seal.KeyLine(keyOf(t, byte(2+i)).PublicKey()) + " role=approver site=zurich device=file\n"
	}
	return map[string]string{
		"keys": fmt.Sprintf("issuer  %s\nalice   %s\nbob     %s\nreceipt %s\n", seal.KeyLine(keyOf(t, 1).PublicKey()),
			seal.KeyLine(keyOf(t, 2).PublicKey()), seal.KeyLine(keyOf(t, 3).PublicKey()), seal.KeyLine(keyOf(t, 4).PublicKey())),
		"intent":        wrapped(body.Intent),
		"intent-fields": diagnosed(t, body.Intent),
		"roster":        roster,
		"approval":      string(body.Approvals[0]),
		"payload":       wrapped(body.Payload),
		"identity":      wrapped(id[:]) + words.Line(id) + "\n",
		"bundle":        wrapped(raw),
		"bundle-body":   diagnosed(t, e.Body),
		"answer":        wrapped(answer),
		"answer-body":   diagnosed(t, a.Body),
	}
}

// wrapped is hexadecimal, 32 bytes a line.
func wrapped(raw []byte) string {
	var out strings.Builder
	for len(raw) > 0 {
		n := min(32, len(raw))
		out.WriteString(hex.EncodeToString(raw[:n]) + "\n")
		raw = raw[n:]
	}
	return out.String()
}

// diagnosed is CBOR's diagnostic notation (RFC 8949 section 8), a field a line, long byte strings cut.
func diagnosed(t *testing.T, raw []byte) string {
	t.Helper()
	var fields map[int]cbor.RawMessage
	if err := cbor.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for key := 1; key <= 16; key++ {
		if value, ok := fields[key]; ok {
			text, err := cbor.Diagnose(value)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > 90 {
				text = fmt.Sprintf("%s... (%d bytes encoded)", text[:70], len(value))
			}
			fmt.Fprintf(&out, "%d: %s\n", key, text)
		}
	}
	return out.String()
}

// Attack 129: golden bytes. The page shows the same bytes that this machine produces, whatever its word size, map order
// or version of Go.
func TestAttack129TheWorkedExampleInTheDocsIsWhatWeWrite(t *testing.T) {
	page, err := os.ReadFile(formatsPage)
	if err != nil {
		t.Fatal(err)
	}
	want := exampleBlocks(t)
	seen := map[string]bool{}
	var out strings.Builder
	lines := strings.SplitAfter(string(page), "\n")
	for i := 0; i < len(lines); i++ {
		out.WriteString(lines[i])
		name, found := strings.CutPrefix(strings.TrimSpace(lines[i]), "```text example ")
		if !found {
			continue
		}
		seen[name] = true
		var got strings.Builder
		for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
			got.WriteString(lines[i])
		}
		if got.String() != want[name] && !*updateFlag {
			t.Errorf("block %q of docs/formats.md says\n%swe write\n%s", name, got.String(), want[name])
		}
		out.WriteString(want[name] + "```\n")
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("docs/formats.md has no block %q", name)
		}
	}
	if *updateFlag {
		if err := os.WriteFile(formatsPage, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The bytes on the page are read back as a reader of the page would read them, without the code that wrote them.
func TestTheWorkedExampleOpens(t *testing.T) {
	blocks := exampleBlocks(t)
	raw := unhex(t, strings.ReplaceAll(blocks["bundle"], "\n", ""))
	opened, err := bundle.Open(raw, trusted(t), now)
	if err != nil {
		t.Fatal(err)
	}
	if got := wrapped(opened.ID[:]) + opened.Words() + "\n"; got != blocks["identity"] {
		t.Errorf("identity %s", got)
	}
	answer, err := bundle.OpenAnswer(unhex(t, strings.ReplaceAll(blocks["answer"], "\n", "")), receipts(t))
	if err != nil || answer.Bundle != opened.ID {
		t.Errorf("the answer is to %x: %v", answer.Bundle, err)
	}
}

// What docs/formats.md tells a reader to type checks the approval with OpenSSH alone.
func TestTheApprovalOfTheExampleIsCheckedByOpenSSHAlone(t *testing.T) {
	blocks, dir := exampleBlocks(t), t.TempDir()
	for name, data := range map[string][]byte{"roster": []byte(blocks["roster"]), "alice.sig": []byte(blocks["approval"])} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(formatsPage)
	if err != nil {
		t.Fatal(err)
	}
	const command = "ssh-keygen -Y verify -f roster -I alice -n coldsign-approve-v1 -s alice.sig -O verify-time=20260101001000Z"
	if !bytes.Contains(page, []byte(command+" < intent\n")) {
		t.Fatalf("docs/formats.md does not show: %s < intent", command)
	}
	cmd := exec.Command("ssh-keygen", strings.Fields(command)[1:]...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(exampleBody(t).Intent)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `Good "coldsign-approve-v1" signature for alice`) {
		t.Errorf("ssh-keygen says %q, %v", out, err)
	}
}

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/scripts/jsondoc"
)

// listens serves the rig's daemon until the test ends, and returns its ready line.
func (r *rig) listens() string {
	r.t.Helper()
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- r.serve(ctx, &app{Console: &console.Console{Name: "exchanged", Out: write, Err: io.Discard, Now: r.clock}})
		write.Close()
	}()
	r.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			r.t.Error(err)
		}
	})
	return must(bufio.NewReader(read).ReadString('\n'))
}

// Every object that exchanged prints for --json is as docs/json.md says, and every schema there is printed.
func TestJSONIsAsDocumented(t *testing.T) {
	doc := must(jsondoc.Read("../../docs/json.md"))
	seen, asked := map[string]bool{}, []string{"exchanged run", "exchanged status", "exchanged halt list", "exchanged events verify", "exchanged init"}
	documented := func(line string) {
		t.Helper()
		schema, err := doc.Check("exchanged", []byte(line))
		if err != nil {
			t.Error(err)
		}
		seen[schema] = true
	}
	r := newRig(t)
	prints := func(args ...string) {
		t.Helper()
		asked = append(asked, "exchanged "+strings.Join(args, " "))
		documented(r.mustCommand(append(args, "--json")...))
	}
	_, request, err := admin.NewPersonKey("alice", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	prints("wallet", "add", r.file("hot", r.hot.Marshal()))
	prints("wallet", "list")
	prints("roster", "set", filepath.Join(r.dir, "roster"))
	prints("roster", "show")
	prints(r.vouched(bookPaper, bookOf(1, spend.BitcoinRegtest, "otc-desk", deskAddress), 0, 1)...)
	prints("book", "show")
	r.signerPolicy()
	prints(r.vouched(policyPaper, must(os.ReadFile(filepath.Join(r.dir, "policy"))), 0, 1)...)
	prints("policy", "show")
	prints("staff", "enroll", "alice", "--csr", r.file("csr", request), "--out", filepath.Join(t.TempDir(), "alice.crt"))
	prints("staff", "list")
	prints("staff", "revoke", "alice")
	prints("tls", "renew", "--host", "admin.internal")
	documented(r.listens())
	code, out, errs := r.command("status", "--json")
	documented(out)
	if code != console.Done {
		documented(errs)
	}
	code, out, errs = r.command("frobnicate", "--json")
	documented(errs)
	if code != console.Usage || out != "" {
		t.Errorf("exit %d, standard output %q", code, out)
	}
	stopped := newRig(t)
	if err := stopped.store.Halt(context.Background(), "nonce-reused", "key a gave two signatures with one nonce"); err != nil {
		t.Fatal(err)
	}
	stopped.kill()
	documented(stopped.mustCommand("halt", "list", "--json"))
	documented(stopped.mustCommand("events", "verify", "--json"))
	other := &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), time: noon}
	documented(other.mustCommand("init", "--network", "regtest", "--json"))
	for line := range strings.Lines(stopped.mustCommand("events", "list", "--json")) {
		documented(line)
	}
	documented(stopped.mustCommand("halt", "clear", "--by", "ruth", "--reason", "false alarm, ticket 41", "--json"))
	documented(stopped.mustCommand("issuer", "export", "--out", filepath.Join(t.TempDir(), "issuer.json"), "--json"))
	asked = append(asked, exchangeObjects(t, documented)...)
	asked = append(asked, "exchanged events list", "exchanged halt clear", "exchanged issuer export")
	if left := jsondoc.Unasked(newRootCmd(&app{Console: &console.Console{}}), asked); len(left) > 0 {
		t.Errorf("not asked: %q", left)
	}
	if got, want := slices.Sorted(maps.Keys(seen)), slices.Sorted(slices.Values(append(doc.Schemas("exchanged"), doc.Schemas(jsondoc.Everywhere)...))); !slices.Equal(got, want) {
		t.Errorf("schemas seen:\n%s\nof docs/json.md:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	stopped.start() // the rig closes its records at the end
}

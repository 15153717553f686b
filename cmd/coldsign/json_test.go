package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/console/ptytest"
	"github.com/coldsign/coldsign/scripts/jsondoc"
)

// jsonDesk runs commands with --json and holds what they print against docs/json.md.
type jsonDesk struct {
	*stage
	doc   jsondoc.Document
	seen  map[string]bool
	asked []string
}

func newJSONDesk(t *testing.T) *jsonDesk {
	t.Helper()
	doc, err := jsondoc.Read("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	return &jsonDesk{stage: newStage(t), doc: doc, seen: map[string]bool{}}
}

// documented claims that a line is as docs/json.md says.
func (d *jsonDesk) documented(line string) {
	d.t.Helper()
	schema, err := d.doc.Check("coldsign", []byte(line))
	if err != nil {
		d.t.Error(err)
	}
	d.seen[schema] = true
}

// prints runs a command that succeeds, and claims that its one object is documented.
func (d *jsonDesk) prints(args ...string) {
	d.t.Helper()
	d.asked = append(d.asked, "coldsign "+strings.Join(args, " "))
	d.documented(d.must(append(args, "--json")...))
}

// unlocked are the flags that unlock a keyholder's key.
func (d *jsonDesk) unlocked(home string) []string {
	return []string{"--home", d.path(home), "--passphrase-fd", d.secret(deskPassphrase)}
}

// signAtATerminal signs the bundle as a person does, with standard output in a file of its own.
func (d *jsonDesk) signAtATerminal(bundle, out string) string {
	d.t.Helper()
	d.write("pass", []byte(deskPassphrase+"\n"))
	cmd := exec.Command("sh", shell([]string{"coldsign", "sign", d.path(bundle), "--out", d.path(out), "--home", d.path("a"), "--json", "--passphrase-fd", "3", "3<pass"})...)
	cmd.Dir = d.dir
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	person := ptytest.Drive(d.t, cmd, 100, 40)
	person.See("Read every output first")
	person.Type("o")
	person.See("Everything was shown")
	person.Type("s")
	person.See("last 6 characters")
	person.Type("1.5 3a67qr\r")
	person.Exits(int(console.Done))
	return stdout.String()
}

func TestJSONIsAsDocumented(t *testing.T) {
	token := hsmtest.New(t, "treasury")
	d := newJSONDesk(t)
	d.prints("init", "--home", d.path("new"), "--network", "regtest")
	d.prints("key", "import", "a", "--home", d.path("new"), "--words-fd", d.secret(seeds["a"]), "--passphrase-fd", d.secret(deskPassphrase))
	d.prints("key", "new", "s", "--home", d.path("new"), "--backup-fd", d.sink("s.words"), "--passphrase-fd", d.secret(deskPassphrase))
	d.prints("key", "new", "b", "--home", d.path("new"), "--token", token.Label, "--pin-fd", d.secret(hsmtest.UserPIN))
	d.prints("key", "list", "--home", d.path("new"))
	d.prints("key", "export", "a", "--home", d.path("new"), "--out", d.path("record"))
	d.prints("wallet", "create", "W-1", d.path("a.key.json"), d.path("b.key.json"), d.path("h1.key.json"), "--threshold", "2", "--out", d.path("w.json"))
	words := strings.TrimSpace(d.must("words", d.path("w.json")))
	d.prints(append([]string{"wallet", "add", d.path("w.json"), "--words", words}, d.unlocked("a")...)...)
	d.prints("wallet", "list", "--home", d.path("a"))
	d.prints("wallet", "address", "COLD-A", "1", "--change", "--home", d.path("a"))
	d.prints(append([]string{"policy", "sign", d.path("policy.yaml"), "--out", d.path("p.sig")}, d.unlocked("c")...)...)
	d.prints(append([]string{"roster", "sign", d.path("roster"), "--out", d.path("r.sig")}, d.unlocked("c")...)...)
	d.write("book", []byte("coldsign: address-book/v1\nserial: 1\nnetwork: bitcoin:regtest\nentries:\n  - name: otc-desk\n"+
		"    address: \"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080\"\n    confirmed: false\n"))
	d.prints(append([]string{"book", "sign", d.path("book"), "--out", d.path("b.sig")}, d.unlocked("c")...)...)
	d.prints("wallet", "export", "COLD-A", "--format", "caravan", "--home", d.path("a"), "--out", d.path("caravan"))
	d.prints("wallet", "import", d.path("caravan"), "--name", "COLD-A", "--home", d.path("a"), "--out", d.path("imported"))
	issuer := strings.TrimSpace(d.must("words", d.path("issuer.json")))
	d.prints(append([]string{"trust", "add", d.path("issuer.json"), "--words", issuer}, d.unlocked("a")...)...)
	d.prints("trust", "list", "--home", d.path("a"))
	d.prints("policy", "template", "--home", d.path("a"), "--out", d.path("template"))
	d.prints("words", d.path("cold.json"))
	d.carries()
	d.ordersAndAnswers()
	if left := d.unasked(); len(left) > 0 {
		t.Errorf("not asked: %q", left)
	}
	if got, want := slices.Sorted(maps.Keys(d.seen)), append(d.doc.Schemas("coldsign"), d.doc.Schemas(jsondoc.Everywhere)...); !slices.Equal(got, sorted(want)) {
		t.Errorf("schemas seen:\n%s\nof docs/json.md:\n%s", strings.Join(got, "\n"), strings.Join(sorted(want), "\n"))
	}
}

// unasked names commands that a new test must ask.
func (d *jsonDesk) unasked() []string {
	return jsondoc.Unasked(newRootCmd(&app{Console: &console.Console{}}), d.asked)
}

func sorted(list []string) []string { slices.Sort(list); return list }

// carries shows and scans a payment.
func (d *jsonDesk) carries() {
	d.t.Helper()
	o, err := d.readOrder(nil, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	p, err := d.payment(o)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("payment.psbt", p.Bytes())
	d.prints("inspect", d.path("payment.psbt"), "--home", d.path("a"))
	d.prints("show", d.path("payment.psbt"), "--png", d.path("frames"))
	d.prints("scan", "--images", d.path("frames"), "--out", d.path("back.psbt"))
}

// ordersAndAnswers signs one bundle and refuses another, so that the ledger has every event.
func (d *jsonDesk) ordersAndAnswers() {
	d.t.Helper()
	for i, more := range []string{"age=1m", "age=1m", "counters=0:3"} {
		o, err := d.readOrder([]string{fmt.Sprintf("serial=%d", i+1), fmt.Sprintf("coins=%d,%d", 2*i, 2*i+1), more}, nil)
		if err != nil {
			d.t.Fatal(err)
		}
		raw, err := d.bundle(o)
		if err != nil {
			d.t.Fatal(err)
		}
		d.write(fmt.Sprintf("%d.bundle", i), raw)
	}
	d.prints("inspect", d.path("0.bundle"), "--home", d.path("a"))
	d.documented(d.signAtATerminal("0.bundle", "0.answer"))
	d.prints(append([]string{"sign", d.path("0.bundle"), "--out", d.path("0.again")}, d.unlocked("a")...)...)
	d.prints(append([]string{"refuse", d.path("1.bundle"), "--reason", "unexpected", "--out", d.path("1.refusal")}, d.unlocked("a")...)...)
	d.prints("heed", d.path("1.refusal"), d.path("1.bundle"), "--home", d.path("b"))
	d.prints("ledger", "list", "--home", d.path("b"))
	var read struct{ Words string } // as another keyholder reads them
	if err := json.Unmarshal([]byte(d.must("inspect", d.path("2.bundle"), "--home", d.path("b"), "--json")), &read); err != nil {
		d.t.Fatal(err)
	}
	d.prints(append([]string{"ledger", "reconcile", "--bundle", d.path("2.bundle"), "--counter", "3", "--words", read.Words}, d.unlocked("a")...)...)
	d.prints("ledger", "list", "--home", d.path("a"))
	for _, wrong := range [][]string{{"init", "--network", "moonnet"}, {"key", "export", "nobody", "--home", d.path("a")}} {
		o := d.run(append(wrong, "--json")...)
		if o.out != "" || o.code == console.Done {
			d.t.Errorf("%v: exit %d, standard output %q", wrong, o.code, o.out)
		}
		d.documented(o.errs)
	}
}

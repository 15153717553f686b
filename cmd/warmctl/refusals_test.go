package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

var update = flag.Bool("update", false, "write the examples into docs/refusals anew")

// fails runs one command line and returns its error, before it is reported.
func (r *rig) fails(args ...string) error {
	c := &console.Console{Name: "warmctl", In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Now: r.now}
	root := newRootCmd(&app{Console: c})
	root.SetArgs(append(args, "--home", r.home))
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	return root.Execute()
}

// approves tries to approve the top-up, after one change to what the daemon offers or to the time.
func approves(change func(*rig)) func(*rig) error {
	return func(r *rig) error {
		change(r)
		r.propose()
		return r.fails("topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5")
	}
}

// The examples of docs/refusals/warmctl.md.
func TestRefusalsOfWarmctl(t *testing.T) {
	acts := page.Examples{}
	for code, act := range ofWarmctl() {
		acts[code] = func(t *testing.T) error { t.Chdir(t.TempDir()); return act(newRig(t)) }
	}
	page.Check(t, "../../docs/refusals/warmctl.md", "warmctl", acts, *update)
}

func ofWarmctl() map[string]func(*rig) error {
	return map[string]func(*rig) error{
		"answer-unreadable": func(r *rig) error {
			if err := os.WriteFile("letter.txt", []byte("hello"), 0o600); err != nil {
				return err
			}
			return r.fails("bundle", "import", "letter.txt")
		},
		"approver-is-proposer": approves(func(r *rig) { r.intent.Proposer = "alice" }),
		"bundle-other-intent": func(r *rig) error {
			other := r.intent
			other.Amount = money.Sats(1)
			r.sealBundle(must(bundle.EncodeIntent(other)))
			return r.fails("bundle", "export", "7", "--out", "request.bundle")
		},
		"change-malformed": func(r *rig) error {
			r.changes = newChangeDesk("operator")
			r.changes.raw = []byte("x")
			return r.fails("change", "show", r.changes.id())
		},
		"change-other": func(r *rig) error {
			r.changes = newChangeDesk("operator")
			r.changes.called = "0123456789abcdef"
			return r.fails("change", "show", r.changes.called)
		},
		"intent-expired":   approves(func(r *rig) { r.time = noon.Add(73 * time.Hour) }),
		"network-mismatch": approves(func(r *rig) { r.intent.Network = spend.BitcoinSignet }),
		"payment-to-ours": func(r *rig) error {
			r.pays()
			r.topUp.Plan = &admin.Plan{Address: must(r.hot.Derive(wallet.Receive, 903)).Address}
			return r.fails("topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5")
		},
		"pin-changed": func(r *rig) error {
			r.exchangePins()
			return r.fails("topup", "show", "7")
		},
		"topup-mismatch": approves(func(r *rig) { r.intent.Serial = 8 }),
		"wallet-conflict": func(r *rig) error {
			return r.fails("wallet", "add", r.file("other", testWallet("COLD-BTC-A", spend.Cold, "d", "e", "f").Marshal()))
		},
		"wallet-unpinned": approves(func(r *rig) { r.intent.To[0] ^= 1 }),
	}
}

package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

var update = flag.Bool("update", false, "write the examples into docs/refusals anew")

// here copies the stage into a folder that the test then works in, so that files have the same names in every run.
func (s *stage) here(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	if err := s.copyTo(dir); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	copied, d := *s, *s.desk
	d.t, d.dir = t, "."
	copied.desk = &d
	return &copied
}

// fails runs one command line and returns its error, before it is reported.
func (d *desk) fails(args ...string) error {
	c := &console.Console{Name: "coldsign", In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: io.Discard, Now: time.Now, NoStyle: true}
	root := newRootCmd(&app{Console: c})
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	return root.Execute()
}

// adds runs wallet add or trust add in the home of key a.
func (s *stage) adds(noun string, args ...string) error {
	return s.fails(append([]string{noun, "add", "--home", "a", "--passphrase-fd", s.secret(deskPassphrase)}, args...)...)
}

// request is the bundle of an order, in a file.
func (s *stage) request() {
	s.t.Helper()
	o := order{serial: 1, amount: money.Sats(150_000_000), coins: []uint32{0, 1}, approvals: []string{"alice", "bob"}, age: time.Minute,
		lifetime: time.Hour, network: spend.BitcoinRegtest}
	raw, err := s.bundle(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("request.bundle", raw)
	p, err := s.payment(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("payment.psbt", p.Bytes())
}

// edited writes a copy of a file with one text exchanged.
func (s *stage) edited(from, to, old, new string) {
	s.t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil || !bytes.Contains(raw, []byte(old)) {
		s.t.Fatalf("%s has no %q: %v", from, old, err)
	}
	s.write(to, bytes.Replace(raw, []byte(old), []byte(new), 1))
}

// The examples of docs/refusals/coldsign.md.
func TestRefusalsOfColdsign(t *testing.T) {
	s := newStage(t)
	acts := page.Examples{}
	for _, part := range []map[string]func(*stage) error{ofColdsignFiles(), ofColdsignPins()} {
		for code, act := range part {
			acts[code] = func(t *testing.T) error { return act(s.here(t)) }
		}
	}
	page.Check(t, "../../docs/refusals/coldsign.md", "coldsign", acts, *update)
}

func ofColdsignFiles() map[string]func(*stage) error {
	return map[string]func(*stage) error{
		"file-exists": func(s *stage) error {
			s.request()
			s.write("answer.cbor", []byte("an earlier answer"))
			return s.fails("sign", "request.bundle", "--home", "a", "--out", "answer.cbor")
		},
		"not-a-bundle": func(s *stage) error {
			s.request()
			return s.fails("sign", "payment.psbt", "--home", "a", "--out", "answer.cbor")
		},
		"not-showable": func(s *stage) error {
			s.write("letter.txt", []byte("hello"))
			return s.fails("show", "letter.txt")
		},
		"other-kind": func(s *stage) error {
			return s.fails("roster", "sign", "policy.yaml", "--home", "a", "--out", "policy.sig")
		},
		"owner-unknown": func(s *stage) error {
			s.request()
			return s.fails("inspect", "payment.psbt", "--home", "nowhere")
		},
		"words-elsewhere": func(s *stage) error {
			s.request()
			return s.fails("words", "request.bundle")
		},
	}
}

func ofColdsignPins() map[string]func(*stage) error {
	return map[string]func(*stage) error{
		"book-not-newer": func(s *stage) error {
			s.write("book.yaml", []byte("coldsign: address-book/v1\nserial: 1\nnetwork: bitcoin:regtest\nentries:\n"+
				"  - name: otc-desk\n    address: \"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080\"\n    confirmed: false\n"))
			words := strings.TrimSpace(s.must("words", "book.yaml"))
			s.must(append([]string{"trust", "add", "book.yaml", "--home", "a", "--passphrase-fd", s.secret(deskPassphrase), "--words", words},
				s.vouched("book", "book.yaml")...)...)
			s.edited("book.yaml", "book2.yaml", "otc-desk", "desk-otc")
			return s.adds("trust", "book2.yaml")
		},
		"key-exists": func(s *stage) error {
			return s.fails("key", "new", "a", "--home", "a", "--token", "treasury", "--pin-fd", s.secret("1234"))
		},
		"network-mismatch": func(s *stage) error {
			raw, err := bundle.Issuer{Name: stageIssuer, Network: spend.BitcoinSignet, Key: s.issuer.PublicKey()}.Marshal()
			if err != nil {
				return err
			}
			s.write("issuer-signet.json", raw)
			return s.adds("trust", "issuer-signet.json")
		},
		"own-key-missing": func(s *stage) error { return s.adds("wallet", "hot.json") },
		"policy-not-newer": func(s *stage) error {
			s.edited("policy.yaml", "policy2.yaml", `"20 BTC"`, `"200 BTC"`)
			return s.adds("trust", "policy2.yaml")
		},
		"record-not-in-wallet": func(s *stage) error {
			raw, err := s.wallet.Export(wallet.DescriptorFormat, time.Time{})
			if err != nil {
				return err
			}
			s.write("wallet.txt", raw)
			return s.fails("wallet", "import", "wallet.txt", "--home", "a", "--name", "COLD-A", "--record", "h1.key.json", "--out", "imported.json")
		},
		"wallet-replaced": func(s *stage) error {
			s.compose("COLD-A", "other.json", spend.Cold, "a", "b", "h1")
			return s.adds("wallet", "other.json")
		},
		"words-differ": func(s *stage) error {
			s.compose("COLD-B", "second.json", spend.Cold, "a", "b", "h1")
			return s.adds("wallet", "second.json", "--words", strings.TrimSpace(s.must("words", "cold.json")))
		},
	}
}

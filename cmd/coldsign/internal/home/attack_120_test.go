package home_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/spend"
)

// Attack 120: a ledger or a home file that somebody wrote is read or refused, and never brings the signer down. A ledger
// that is read takes one more line, and is then read with all of its lines.
func FuzzLedger(f *testing.F) {
	first := filepath.Join(f.TempDir(), "first")
	made, err := home.Create(first, spend.BitcoinRegtest)
	if err != nil {
		f.Fatal(err)
	}
	ledger, err := made.Ledger(true)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range []home.Entry{{Event: home.Reserved, Bundle: "aa", Key: "a", Outpoints: []string{"x:0"}, Leaving: "1", Counter: 1},
		{Event: home.Signed, Bundle: "aa", Key: "a", Counter: 1, Answer: []byte{1}}} {
		if err := ledger.Append(noon, e); err != nil {
			f.Fatal(err)
		}
	}
	ledger.Close()
	text, err := os.ReadFile(filepath.Join(first, "ledger.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"seq":1}` + "\n"))
	f.Add(bytes.Repeat([]byte("[\n"), 100))
	dir := filepath.Join(f.TempDir(), "home")
	h, err := home.Create(dir, spend.BitcoinRegtest)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "ledger.jsonl"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := h.Ledger(true)
		if err != nil {
			return
		}
		lines := len(l.Entries())
		err = l.Append(noon, home.Entry{Event: home.Declined, Bundle: "bb"})
		l.Close()
		if err != nil {
			t.Fatalf("a ledger that was read takes no line: %v", err)
		}
		again, err := h.Ledger(false)
		if errors.Is(err, home.ErrBroken) || err == nil && len(again.Entries()) != lines+1 {
			t.Fatalf("%d lines, then one more, and then: %v", lines, err)
		}
	})
}

package home_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newHome(t *testing.T) (*home.Home, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	h, err := home.Create(dir, spend.BitcoinRegtest)
	if err != nil {
		t.Fatal(err)
	}
	return h, dir
}

func openLedger(t *testing.T, h *home.Home) *home.Ledger {
	t.Helper()
	l, err := h.Ledger(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func receipt(t *testing.T, seed byte) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func add(t *testing.T, l *home.Ledger, e home.Entry) {
	t.Helper()
	if err := l.Append(noon, e); err != nil {
		t.Fatal(err)
	}
}

func TestAHomeIsMadeOnceAndServesOneNetwork(t *testing.T) {
	_, dir := newHome(t)
	if _, err := home.Create(dir, spend.BitcoinMainnet); !errors.Is(err, home.ErrExists) {
		t.Errorf("a second init: %v", err)
	}
	h, err := home.Open(dir)
	if err != nil || h.Network() != spend.BitcoinRegtest {
		t.Errorf("opened %v %v", h, err)
	}
	if _, err := home.Open(t.TempDir()); !errors.Is(err, home.ErrNone) {
		t.Errorf("a folder that is no home: %v", err)
	}
}

// Attack 122: two signers sharing one ledger.
func TestAttack122SecondWriterIsRefused(t *testing.T) {
	h, _ := newHome(t)
	first := openLedger(t, h)
	if _, err := h.Ledger(true); !errors.Is(err, home.ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	if _, err := h.Ledger(false); err != nil {
		t.Errorf("a reader beside a writer: %v", err)
	}
	first.Close()
	if again, err := h.Ledger(true); err != nil {
		t.Errorf("after the first ended: %v", err)
	} else {
		again.Close()
	}
}

func TestEveryChangeOfALedgerIsNoticed(t *testing.T) {
	h, dir := newHome(t)
	l := openLedger(t, h)
	for _, bundle := range []string{"aa", "bb", "cc"} {
		add(t, l, home.Entry{Event: home.Reserved, Bundle: bundle, Key: "a", Leaving: "100", Counter: l.NextCounter("a")})
	}
	l.Close()
	path := filepath.Join(dir, "ledger.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for name, text := range map[string]string{
		"an amount edited":   strings.Replace(string(whole), `"leaving":"100"`, `"leaving":"900"`, 1),
		"a line removed":     lines[0] + lines[2],
		"lines swapped":      lines[1] + lines[0] + lines[2],
		"a line doubled":     lines[0] + lines[0] + lines[1] + lines[2],
		"a field added":      strings.Replace(string(whole), `"leaving"`, `"more":1,"leaving"`, 1),
		"the first line cut": lines[1] + lines[2],
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Ledger(false); !errors.Is(err, home.ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Attack 121: a power cut in the middle of a write leaves half a line. It was never acknowledged, and the next writer goes on.
func TestAttack121HalfWrittenLineIsCutOff(t *testing.T) {
	h, dir := newHome(t)
	l := openLedger(t, h)
	add(t, l, home.Entry{Event: home.Reserved, Bundle: "aa", Key: "a", Leaving: "1", Counter: 1})
	l.Close()
	path := filepath.Join(dir, "ledger.jsonl")
	whole, _ := os.ReadFile(path)
	for cut := 1; cut < len(whole); cut++ {
		if err := os.WriteFile(path, append(bytes.Clone(whole), whole[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if cut == len(whole)-1 && whole[cut] != '\n' {
			t.Fatal("the ledger line does not end in a newline")
		}
		again, err := h.Ledger(true)
		if err != nil {
			t.Fatalf("half a line of %d bytes: %v", cut, err)
		}
		add(t, again, home.Entry{Event: home.Signed, Bundle: "aa", Key: "a", Counter: 1})
		again.Close()
		if l, err := h.Ledger(false); err != nil || len(l.Entries()) != 2 {
			t.Fatalf("after half a line of %d bytes: %v", cut, err)
		}
	}
}

func TestReservationsRememberCoinsForEver(t *testing.T) {
	h, _ := newHome(t)
	l := openLedger(t, h)
	add(t, l, home.Entry{Event: home.Reserved, Bundle: "aa", Key: "a", Outpoints: []string{"x:0", "y:1"}, Leaving: "1", Counter: 1, Expires: 1})
	if got := l.Conflicts("bb", "a", []string{"z:0", "y:1"}); len(got) != 1 || got[0].Outpoint != "y:1" || got[0].By.Bundle != "aa" {
		t.Errorf("conflicts %v", got)
	}
	if len(l.Conflicts("aa", "a", []string{"y:1"})) != 0 || len(l.Conflicts("bb", "other", []string{"y:1"})) != 0 {
		t.Error("the same bundle, or another key, conflicts with itself")
	}
	if l.NextCounter("a") != 2 || l.NextCounter("other") != 1 {
		t.Error("receipt counters do not rise by one for each key")
	}
}

func TestAClockTurnedBackIsRecordedNoEarlier(t *testing.T) {
	h, _ := newHome(t)
	l := openLedger(t, h)
	add(t, l, home.Entry{Event: home.Declined, Bundle: "aa"})
	if err := l.Append(noon.Add(-time.Hour), home.Entry{Event: home.Declined, Bundle: "bb"}); err != nil {
		t.Fatal(err)
	}
	if !l.LastSeen().Equal(noon) {
		t.Errorf("last seen %s, want %s", l.LastSeen(), noon)
	}
}

// Attack 060: a stored wallet, roster or policy is changed on the disk, moved to another name, or sealed by somebody else.
func TestAttack060TamperedPinsAreRefused(t *testing.T) {
	h, dir := newHome(t)
	l := openLedger(t, h)
	ours, theirs := receipt(t, 1), receipt(t, 2)
	pin := home.Pin{Kind: home.RosterPin, Name: "roster", Data: []byte("alice\n")}
	if err := h.Pin(l, noon, pin, home.Signatory{Key: "a", Receipt: ours}, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Pins(l, home.RosterPin, "a", ours.PublicKey()); err != nil || len(got) != 1 || string(got[0].Data) != "alice\n" {
		t.Fatalf("pins %v %v", got, err)
	}
	if got, err := h.Pins(l, home.RosterPin, "b", ours.PublicKey()); err != nil || len(got) != 0 {
		t.Errorf("another key believes it too: %v %v", got, err)
	}
	var refusal *spend.Refusal
	if _, err := h.Pins(l, home.RosterPin, "a", theirs.PublicKey()); !errors.As(err, &refusal) || refusal.Code != "pin-unsealed" {
		t.Errorf("a pin sealed by somebody else: %v", err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "pins", "roster", "*"))
	if len(files) != 1 {
		t.Fatalf("pin files %v", files)
	}
	if err := os.WriteFile(files[0], []byte("mallory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Pins(l, home.RosterPin, "a", ours.PublicKey()); !errors.As(err, &refusal) || refusal.Code != "pin-changed" {
		t.Errorf("a changed file: %v", err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Pins(l, home.RosterPin, "a", ours.PublicKey()); !errors.As(err, &refusal) || refusal.Code != "pin-changed" {
		t.Errorf("a missing file: %v", err)
	}
}

func TestPinningAgainChangesNothingAndANewVersionKeepsTheOld(t *testing.T) {
	h, dir := newHome(t)
	l := openLedger(t, h)
	by := home.Signatory{Key: "a", Receipt: receipt(t, 1)}
	for _, text := range []string{"one", "one", "two"} {
		if err := h.Pin(l, noon, home.Pin{Kind: home.PolicyPin, Name: "policy", Data: []byte(text)}, by, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.Entries()) != 2 {
		t.Errorf("%d entries, want 2", len(l.Entries()))
	}
	if got, _ := h.Pins(l, home.PolicyPin, "a", by.Receipt.PublicKey()); len(got) != 1 || string(got[0].Data) != "two" {
		t.Errorf("current %v", got)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "pins", "policy", "*")); len(files) != 2 {
		t.Errorf("files %v", files)
	}
}

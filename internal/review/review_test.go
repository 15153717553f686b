package review

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden screens; then read the diff")

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const (
	coldAddress = "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"
	hotAddress  = "bc1qwqdg6squsna38e46795at95yu9atm8azzmyvckulcc7kytlcckxswvvzej"
)

// cleanFacts pay 12.5 BTC from cold to hot.
func cleanFacts() chain.Facts {
	return chain.Facts{Network: spend.BitcoinMainnet, From: spend.WalletID{0x7f, 0x3a, 0x91, 0xc2}, FromName: "cold-btc-a", FromTier: spend.Cold,
		Threshold: 3, Keys: 5, TxID: strings.Repeat("e3", 32), Inputs: []chain.Input{
			{Outpoint: strings.Repeat("a1", 32) + ":0", Amount: money.Sats(1_000_000_000), Index: 7},
			{Outpoint: strings.Repeat("b2", 32) + ":11", Amount: money.Sats(570_183_512), Change: true, Index: 219}},
		Outputs: []chain.Output{
			{Position: 0, Amount: money.Sats(1_250_000_000), Address: hotAddress, Role: chain.Destination, Wallet: spend.WalletID{0x40, 0x11}, WalletName: "hot-btc-1", Index: 1187},
			{Position: 1, Amount: money.Sats(320_177_412), Address: coldAddress, Role: chain.Change, Wallet: spend.WalletID{0x7f, 0x3a, 0x91, 0xc2}, WalletName: "cold-btc-a", Index: 220}},
		Fee: money.Sats(6100), VirtualBytes: 430, LockTime: 930_000, Replaceable: true, PayloadBytes: 900,
		Hashes: []chain.Hash{{Name: "sha256 of the PSBT", Value: strings.Repeat("0f", 32)}}}
}

func requestOf(facts chain.Facts) Request {
	return Request{
		Intent: spend.Intent{Network: facts.Network, Purpose: spend.TopUp, Serial: 412, Issuer: "exchanged-2", From: facts.From, To: facts.Outputs[0].Wallet,
			ToIndex: 1187, Amount: facts.Outputs[0].Amount, Proposer: "treasury-watch", CreatedAt: now.Unix() - 3600, ExpiresAt: now.Unix() + 41*60 + 5},
		Effects: chaintest.Effects(facts), Bundle: [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, Policy: [32]byte{0x5e, 0xed, 0xca, 0xfe},
		Verdict: spend.Verdict{Checks: []spend.Check{{Name: "network of the payload", Detail: "bitcoin:mainnet"}, {Name: "fee", Detail: "0.00006100 BTC of 0.00500000 BTC"},
			{Name: "output 0 pays the approved amount", Detail: "12.50000000 BTC"}}},
		Approvers: []string{"a.lee (approver, zurich, fido2)", "r.sanz (approver, geneva, fido2)"}, Need: 2,
		Limits:   []string{"this transaction 12.5 of 20 BTC", "1 h 12.5 of 25 BTC", "24 h 20 of 50 BTC"},
		FromName: "cold-btc-a", ToName: "hot-btc-1", Now: now}
}

func clean() Request { return requestOf(cleanFacts()) }

func refusedRequest() Request {
	req := clean()
	req.Verdict.Checks = append(req.Verdict.Checks,
		spend.Check{Name: "output 0 pays the approved amount", Refusal: spend.Refuse("amount-mismatch", "output 0", "12.50000000 BTC", "12.50000001 BTC",
			"the issuer: build the payload for the amount that was approved")},
		spend.Check{Name: "intent has not expired", Refusal: spend.Distrust("intent-expired", "intent", "signing before 2026-11-21T11:00:00Z",
			"2026-11-21T12:00:00Z", "the proposer: make a new intent and have it approved again")})
	req.Notes = []string{"third issue of this intent"}
	return req
}

func consolidation() Request {
	facts := cleanFacts()
	facts.Outputs[0].Wallet, facts.Outputs[0].WalletName = facts.From, "cold-btc-a"
	req := requestOf(facts)
	req.ToName = "cold-btc-a"
	return req
}

func noChange() Request {
	facts := cleanFacts()
	facts.Inputs, facts.Outputs = facts.Inputs[:1], facts.Outputs[:1]
	facts.Outputs[0].Amount = money.Sats(999_993_900)
	req := requestOf(facts)
	req.Claim = "urgent!\x1b[2J sign now \u202e"
	return req
}

// shown presses keys on a fresh 80x24 session and returns the screen as plain lines.
func shown(req Request, keys ...string) string {
	s := NewSession(req)
	lines := s.Screen(80, 24)
	for _, key := range keys {
		s.Key(key)
		lines = s.Screen(80, 24)
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(stripped(line), " ") + "\n")
	}
	return b.String()
}

func TestGoldenScreens(t *testing.T) {
	for name, screens := range map[string][]txtar.File{
		"clean": {{Name: "summary", Data: []byte(shown(clean()))}, {Name: "outputs", Data: []byte(shown(clean(), "o"))}, {Name: "inputs", Data: []byte(shown(clean(), "i"))},
			{Name: "checks", Data: []byte(shown(clean(), "c"))}, {Name: "hashes", Data: []byte(shown(clean(), "h"))},
			{Name: "not-ready", Data: []byte(shown(clean(), "s"))}, {Name: "confirming", Data: []byte(shown(clean(), "o", "m", "s", "1", "2", ".", "5"))},
			{Name: "wrong", Data: []byte(shown(clean(), "o", "m", "s", "enter"))}, {Name: "declining", Data: []byte(shown(clean(), "r"))},
			{Name: "plain", Data: []byte(Plain(clean()))}},
		"refused":       {{Name: "summary", Data: []byte(shown(refusedRequest()))}, {Name: "checks", Data: []byte(shown(refusedRequest(), "c"))}},
		"consolidation": {{Name: "summary", Data: []byte(shown(consolidation()))}, {Name: "outputs", Data: []byte(shown(consolidation(), "o"))}},
		"no-change":     {{Name: "summary", Data: []byte(shown(noChange()))}},
		"unproven":      {{Name: "summary", Data: []byte(shown(Request{Now: now}))}, {Name: "outputs", Data: []byte(shown(Request{Now: now}, "o"))}},
	} {
		path := "testdata/" + name + ".txtar"
		got := txtar.Format(&txtar.Archive{Files: screens})
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from its golden:\n%s", name, got)
		}
	}
}

// hostile draws text as an attacker would choose it.
func hostile(t *rapid.T, label string) string {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\x1b[2J\x1b]0;x\a", "\r 0.1 BTC", "\u202egnp", strings.Repeat("A", 100_000),
		strings.Repeat("\u200b", 5000), "\x01\x02\x03\x04", strings.Repeat("word ", 500)})).Draw(t, label)
}

func hostileRequest(t *rapid.T) Request {
	facts := cleanFacts()
	amount := func(label string) money.Amount { return money.Sats(rapid.Int64Range(0, 1<<62).Draw(t, label)) }
	role := rapid.SampledFrom([]chain.Role{chain.Change, chain.Destination, chain.External, "gift"})
	for range rapid.IntRange(0, 40).Draw(t, "outputs") {
		facts.Outputs = append(facts.Outputs, chain.Output{Amount: amount("out"), Address: hostile(t, "address"), Script: hostile(t, "script"),
			Role: role.Draw(t, "role"), Index: rapid.Uint32().Draw(t, "index")})
	}
	facts.Inputs[0].Outpoint, facts.Inputs[0].Amount, facts.Inputs[0].Index = hostile(t, "outpoint"), amount("in"), 1<<32-1
	facts.Fee, facts.VirtualBytes = amount("fee"), rapid.Int64().Draw(t, "size")
	facts.TxID, facts.Hashes[0] = hostile(t, "txid"), chain.Hash{Name: hostile(t, "name"), Value: hostile(t, "value")}
	req := requestOf(facts)
	req.FromName, req.ToName, req.Claim = hostile(t, "from"), hostile(t, "to"), hostile(t, "claim")
	req.Notes, req.Limits, req.Approvers = []string{hostile(t, "note")}, []string{hostile(t, "limit")}, slices.Repeat([]string{hostile(t, "approver")}, 30)
	req.Intent.Issuer, req.Intent.Proposer, req.Intent.Network = hostile(t, "issuer"), hostile(t, "proposer"), spend.Network(hostile(t, "network"))
	req.Intent.ExpiresAt, req.Intent.CreatedAt = rapid.Int64().Draw(t, "expires"), rapid.Int64().Draw(t, "created")
	if rapid.Bool().Draw(t, "refused") {
		req.Verdict.Checks = append(req.Verdict.Checks, spend.Check{Name: hostile(t, "check"), Detail: hostile(t, "detail"),
			Refusal: spend.Refuse(hostile(t, "code"), hostile(t, "where"), hostile(t, "expected"), hostile(t, "found"), hostile(t, "fix"))})
	}
	return req
}

var keys = []string{"c", "i", "o", "h", "m", "s", "r", "esc", " ", "pgup", "end", "home", "enter", "1", "paste", "backspace", "x"}

func TestAttack091And092EveryScreenIsPrintableAndFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSession(hostileRequest(t))
		for range 30 {
			cols, rows := rapid.IntRange(80, 120).Draw(t, "cols"), rapid.IntRange(24, 60).Draw(t, "rows")
			lines := s.Screen(cols, rows)
			if len(lines) != rows {
				t.Fatalf("%d lines on %d rows", len(lines), rows)
			}
			for _, line := range lines {
				text := stripped(line)
				if len(text) > 80 {
					t.Fatalf("%d columns: %q", len(text), text)
				}
				for _, c := range []byte(text) {
					if c < ' ' || c > '~' {
						t.Fatalf("%q", line)
					}
				}
			}
			s.Key(rapid.SampledFrom(keys).Draw(t, "key"))
		}
	})
}

func TestAttack092NothingIsShownOrTakenBelow80x24(t *testing.T) {
	for _, size := range [][2]int{{79, 24}, {80, 23}, {10, 10}, {1, 1}, {0, 0}} {
		s := NewSession(clean())
		s.Screen(80, 24)
		s.Key("o")
		lines := s.Screen(size[0], size[1])
		if strings.Contains(strings.Join(lines, "\n"), "12.5") || len(lines) > size[1] {
			t.Errorf("%v shows %q", size, lines)
		}
		for _, line := range lines {
			if len(line) > max(size[0], 1) {
				t.Errorf("%v: %q", size, line)
			}
		}
		if seen, _ := s.OutputsSeen(); seen != 0 {
			t.Errorf("%v: outputs count as seen", size)
		}
		for _, key := range []string{"s", "r", "1"} {
			s.Key(key)
		}
		if s.State() != Viewing {
			t.Errorf("%v took keys", size)
		}
	}
}

// Every line that the screens can show is in Plain, and every line of Plain is on some screen.
func TestPlainHasTheSameContentAsTheScreens(t *testing.T) {
	for _, req := range []Request{clean(), refusedRequest(), consolidation(), noChange(), many(40), {Now: now}} {
		plain := strings.Split(Plain(req), "\n")
		s := NewSession(req)
		onScreens := map[string]bool{"": true}
		for _, key := range []string{"m", "o", "i", "c", "h"} {
			s.Screen(80, 24)
			s.Key(key)
			for range 40 {
				lines := s.Screen(80, 24)
				for _, line := range append(slices.Clone(lines[:2]), lines[3:21]...) {
					text := strings.TrimRight(stripped(line), " ")
					onScreens[text] = true
					if !slices.Contains(plain, text) {
						t.Errorf("only on the screen: %q", text)
					}
				}
				s.Key(" ")
			}
		}
		for _, line := range plain {
			if !onScreens[line] && line != strings.ToUpper(line) { // page titles stand in upper case
				t.Errorf("only in the plain text: %q", line)
			}
		}
	}
}

func TestAddressGroupsAlternateAndAreNeverShortened(t *testing.T) {
	lines := grouped(hotAddress)
	if got := strings.ReplaceAll(stripped(strings.Join(lines, "")), " ", ""); got != hotAddress {
		t.Errorf("shown as %s", got)
	}
	if want := markBright + "bc1q " + markDim + "wqdg " + markBright + "6squ "; !strings.HasPrefix(lines[0], want) {
		t.Errorf("%q", lines[0])
	}
}

func TestRatioNeverShowsLessThanIsPaid(t *testing.T) {
	for _, c := range []struct {
		fee, by int64
		scale   uint64
		places  uint8
		want    string
	}{{6100, 430, 10, 1, "14.2"}, {6100, 1_250_000_000, 1_000_000, 4, "0.0005"}, {1, 2_100_000_000_000_000, 1_000_000, 4, "0.0001"}, {430, 430, 10, 1, "1.0"}, {431, 430, 10, 1, "1.1"}, {1, 0, 10, 1, "?"}} {
		if got := ratio(money.Sats(c.fee), money.Sats(c.by).Units(), c.scale, c.places); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.fee, c.by, got, c.want)
		}
	}
}

package review

import (
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// many is a clean request with extra change outputs, so that the outputs take several pages.
func many(outputs int) Request {
	facts := cleanFacts()
	for i := range outputs {
		facts.Outputs = append(facts.Outputs, chain.Output{Position: 2 + i, Amount: money.Sats(int64(1000 + i)), Address: coldAddress, Role: chain.Change,
			Wallet: facts.From, Index: uint32(300 + i)})
	}
	return requestOf(facts)
}

// press shows the screen before each key, as a terminal does.
func press(s *Session, keys ...string) {
	for _, key := range keys {
		s.Screen(80, 24)
		s.Key(key)
	}
	s.Screen(80, 24)
}

func typed(text string) []string { return append(strings.Split(text, ""), "enter") }

const right = "12.5 wvvzej"

func TestAPersonReadsThenRetypesThenItIsApproved(t *testing.T) {
	s := NewSession(clean())
	press(s, "o", "m", "s")
	if !s.Confirming() {
		t.Fatal("not asked")
	}
	press(s, typed(right)...)
	if s.State() != Approved || !s.Done() {
		t.Errorf("state %d", s.State())
	}
}

func TestAttack045NothingIsConfirmedBeforeEveryOutputWasSeen(t *testing.T) {
	s := NewSession(many(10))
	press(s, " ", "s") // such a summary has two pages
	if s.Confirming() {
		t.Fatal("confirming after the summary alone")
	}
	press(s, "o")
	for pages := 0; ; pages++ {
		seen, of := s.OutputsSeen()
		if of != 12 || seen == of && pages == 0 {
			t.Fatalf("%d of %d seen on the first page", seen, of)
		}
		press(s, "s")
		if s.Confirming() {
			if seen != of {
				t.Fatalf("confirming with %d of %d seen", seen, of)
			}
			return
		}
		press(s, "m", "s")
		if s.Confirming() {
			t.Fatalf("confirming from the summary with %d of %d seen", seen, of)
		}
		press(s, "o", " ")
		if pages > 20 {
			t.Fatal("the last output is never shown")
		}
	}
}

func TestJumpingToTheEndDoesNotCountAsSeeing(t *testing.T) {
	s := NewSession(many(30))
	press(s, "o", "end", "s")
	if seen, of := s.OutputsSeen(); seen == of || s.Confirming() {
		t.Errorf("%d of %d, confirming %v", seen, of, s.Confirming())
	}
}

func TestTheLastOutputIsOnTheLastPageOfAnyHeight(t *testing.T) {
	for rows := 24; rows < 70; rows++ {
		s := NewSession(many(33))
		s.Screen(80, rows)
		s.Key("o")
		for range 40 {
			s.Screen(80, rows)
			s.Key(" ")
		}
		if seen, of := s.OutputsSeen(); seen != of {
			t.Errorf("%d rows: %d of %d", rows, seen, of)
		}
	}
}

func TestThreeWrongTriesLock(t *testing.T) {
	s := NewSession(clean())
	press(s, "o", "s")
	press(s, typed("12.5 WVVZEJ")...)
	press(s, "esc", "s") // going back gives no new tries
	press(s, "paste")
	if s.State() != Confirming {
		t.Fatalf("state %d after two wrong tries", s.State())
	}
	press(s, typed("yes")...)
	if s.State() != Locked || !s.Done() {
		t.Errorf("state %d", s.State())
	}
	press(s, typed(right)...)
	if s.State() != Locked {
		t.Error("a locked session went on")
	}
}

func TestAttack093AndAttack128OnlyTypedASCIICounts(t *testing.T) {
	s := NewSession(clean())
	press(s, "o", "s", "\uff11", "unknown", "1", "x", "backspace", "2", ".", "9", "ctrl-u")
	press(s, typed(right)...)
	if s.State() != Approved {
		t.Errorf("state %d, input %q", s.State(), s.input)
	}
}

func TestARefusedRequestCannotBeConfirmed(t *testing.T) {
	for name, req := range map[string]Request{"refused": refusedRequest(), "unproven": {Now: now, Verdict: clean().Verdict},
		"nothing judged": func() Request { r := clean(); r.Verdict = spend.Verdict{}; return r }(), "nothing at all": {}} {
		s := NewSession(req)
		for range 50 {
			press(s, " ")
		}
		press(s, "o")
		for range 50 {
			press(s, " ")
		}
		press(s, "s")
		press(s, typed(right)...)
		if s.Confirming() || s.Done() {
			t.Errorf("%s: state %d", name, s.State())
		}
		press(s, "q")
		if s.State() != Refused {
			t.Errorf("%s: state %d after leaving", name, s.State())
		}
		if Confirm(req).Check(right) {
			t.Errorf("%s: the plain confirmation accepts", name)
		}
	}
}

func TestUnprovenEffectsShowNoAmount(t *testing.T) {
	req := clean()
	req.Effects = chain.Effects{}
	if text := Plain(req); strings.Contains(text, "12.500 000 00") || strings.Contains(text, "bc1q") {
		t.Errorf("shown:\n%s", text)
	}
}

// The page says "verified" and names the intent's wallets; no clean verdict makes it say so of another output.
func TestAVerdictThatMissedAContradictionIsRefusedByTheReview(t *testing.T) {
	for name, change := range map[string]func(*chain.Facts){
		"external":              func(f *chain.Facts) { f.Outputs[0].Role = chain.External },
		"another wallet":        func(f *chain.Facts) { f.Outputs[0].Wallet = spend.WalletID{9} },
		"change of another":     func(f *chain.Facts) { f.Outputs[1].Wallet = spend.WalletID{9} },
		"spends another wallet": func(f *chain.Facts) { f.From = spend.WalletID{9} },
		"paid twice":            func(f *chain.Facts) { f.Outputs[1] = f.Outputs[0] },
		"nobody paid":           func(f *chain.Facts) { f.Outputs = f.Outputs[1:] },
		"no address":            func(f *chain.Facts) { f.Outputs[0].Address = "" },
		"endless address":       func(f *chain.Facts) { f.Outputs[1].Address = strings.Repeat("a", 97) },
		"another asset":         func(f *chain.Facts) { f.Outputs[0].Amount = money.New(money.Asset{Symbol: "ETH"}, money.U128{Lo: 1}) },
	} {
		facts, req := cleanFacts(), clean()
		change(&facts)
		req.Effects = chaintest.Effects(facts)
		if s := newSheet(req); s.clean() || s.refusals[0].Code != "review-unprovable" || strings.Contains(Plain(req), "[verified]") {
			t.Errorf("%s: shown as clean", name)
		}
	}
}

func TestDecliningGivesAReasonFromTheList(t *testing.T) {
	for _, r := range reasons() {
		s := NewSession(clean())
		press(s, "r", "x", r.key)
		if s.State() != Declined || s.Reason() != r.code {
			t.Errorf("%s: state %d, reason %q", r.key, s.State(), s.Reason())
		}
	}
	s := NewSession(clean())
	press(s, "r", "esc")
	if s.State() != Viewing {
		t.Error("no way back")
	}
}

func TestConfirmationIsTheAmountAndTheEndOfTheAddress(t *testing.T) {
	c := Confirm(clean())
	for _, text := range []string{right, "12.50 wvvzej", "12.50000000 wvvzej", "  12.5   wvvzej "} {
		if !c.Check(text) {
			t.Errorf("%q is refused", text)
		}
	}
	for _, text := range []string{"", "yes", "y", "12.5", "wvvzej", "wvvzej 12.5", "12.5wvvzej", "12.50000001 wvvzej", "12.49999999 wvvzej", "12,5 wvvzej", "012.5 wvvzej",
		"+12.5 wvvzej", "12.5 WVVZEJ", "12.5 vvzej", "12.5 " + hotAddress, "12.5 wvvzej x", "1.25e1 wvvzej", "12.500 000 00 wvvzej", "\uff112.5 wvvzej", "12.5\u00a0wvvzej",
		"12.5\twvvzej", "12.500000000 wvvzej", "12.5 BTC wvvzej"} {
		if c.Check(text) {
			t.Errorf("%q is accepted", text)
		}
	}
	if (Confirmation{}).Check("") || (Confirmation{}).Check("0 ") {
		t.Error("the zero confirmation accepts")
	}
}

func TestAConsolidationIsConfirmedByFeeAndInputs(t *testing.T) {
	c := Confirm(consolidation())
	if !strings.HasPrefix(c.Prompt, "Nothing leaves.") || !c.Check("0.000061 2") || c.Check("12.5 wvvzej") || c.Check("0.000061 3") || c.Check("0.00006101 2") {
		t.Errorf("%+v", c)
	}
}

func TestAttack046NoChangeIsSaidAloud(t *testing.T) {
	if text := Plain(noChange()); !strings.Contains(text, "CHANGE    NONE: nothing returns") {
		t.Errorf("shown:\n%s", text)
	}
	if slices.Contains(strings.Split(Plain(clean()), "\n"), "NONE") {
		t.Error("said of a payload with change")
	}
}

func TestEveryReasonIsACodeThatAnAnswerCanCarry(t *testing.T) {
	for _, c := range Codes() {
		if c[0] != strings.ToLower(c[0]) || strings.ContainsAny(c[0], " _") || len(c[0]) > 48 || c[1] == "" {
			t.Errorf("%q", c)
		}
	}
}

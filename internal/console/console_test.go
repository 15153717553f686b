package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
)

func words() (*Console, *bytes.Buffer) {
	var b bytes.Buffer
	return &Console{Name: "coldsign", Out: &b, Err: &b, Now: func() time.Time { return time.Unix(0, 0) }}, &b
}

func TestCodeOfIsTheCommandsCodeElseTheFirstRefusals(t *testing.T) {
	policy := spend.Refuse("amount-mismatch", "output 0", "1", "2", "")
	seal := spend.Distrust("seal-invalid", "seal", "", "", "")
	broken := spend.Malformed("psbt-trailing", "psbt", "3 bytes")
	plain := errors.New("disk full")
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, Done}, {plain, Failed}, {policy, Refused}, {seal, NotAuthentic}, {broken, NotAuthentic},
		{errors.Join(plain, seal, policy), NotAuthentic}, {errors.Join(policy, seal), Refused},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", policy)), Refused},
		{Fail(Waiting, policy), Waiting}, {Fail(Failed, policy, "a hint"), Refused},
		{Fail(Failed, Fail(KeyUnavailable, plain), "a hint"), KeyUnavailable}, {Fail(Failed, plain), Failed},
		{fmt.Errorf("prompt: %w", ErrInterrupted), Interrupted}, {Fail(Paused, plain), Paused},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%v exits %d (%v), want %d", c.err, got, got, c.want)
		}
	}
}

func TestEveryExitCodeHasAMeaning(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range Codes() {
		if code.String() == "unknown" || seen[code.String()] {
			t.Errorf("code %d means %q", code, code)
		}
		seen[code.String()] = true
	}
}

func TestReportPrintsEveryRefusalInItsContext(t *testing.T) {
	c, out := words()
	first := spend.Refuse("amount-mismatch", "output 0", "12.50000000 BTC", "12.50000001 BTC", "ask the issuer for a new bundle")
	second := spend.Distrust("intent-expired", "intent", "", "10:00", "")
	c.Report(Fail(Failed, fmt.Errorf("topup.bundle: %w", errors.Join(first, fmt.Errorf("approvals: %w", second), errors.New("and so on"))),
		"coldsign bundle show topup.bundle"), false)
	want := `coldsign: topup.bundle: refused: amount-mismatch at output 0
  expected: 12.50000000 BTC
  found:    12.50000001 BTC
hint: ask the issuer for a new bundle
coldsign: topup.bundle: approvals: refused: intent-expired at intent
  found:    10:00
coldsign: topup.bundle: and so on
hint: coldsign bundle show topup.bundle
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out, want)
	}
}

func TestReportAsJSONIsOneObject(t *testing.T) {
	c, out := words()
	c.Report(Fail(Declined, errors.New("said no"), "try again"), true)
	if want := `{"schema":"coldsign.error/v1","code":4,"error":"said no","refusals":[],"hints":["try again"]}` + "\n"; out.String() != want {
		t.Errorf("printed %s", out)
	}
	out.Reset()
	c.Report(errors.Join(spend.Refuse("a", "b", "c", "d\x1b\u202e\U0001F600", "e"), errors.New("x")), true)
	want := `{"schema":"coldsign.error/v1","code":3,"error":"a at b: expected c, found d\u001b\u202e\ud83d\ude00; x",` +
		`"refusals":[{"code":"a","where":"b","expected":"c","found":"d\u001b\u202e\ud83d\ude00","fix":"e"}],"hints":[]}` + "\n"
	if out.String() != want || !json.Valid(out.Bytes()) {
		t.Errorf("printed %s\nwant    %s", out, want)
	}
}

func TestJSONPutsTheSchemaFirstAndOnce(t *testing.T) {
	c, out := words()
	if err := c.JSON("coldsign.x/v1", struct{ A string }{"<é>"}); err != nil || out.String() != `{"schema":"coldsign.x/v1","A":"<\u00e9>"}`+"\n" {
		t.Errorf("%s %v", out, err)
	}
	out.Reset()
	if err := c.JSON("coldsign.x/v1", struct{}{}); err != nil || out.String() != `{"schema":"coldsign.x/v1"}`+"\n" {
		t.Errorf("%s %v", out, err)
	}
	for _, v := range []any{1, []int{1}, nil, map[string]int{"schema": 1}} {
		if err := c.JSON("coldsign.x/v1", v); err == nil {
			t.Errorf("%v was written", v)
		}
	}
}

func TestAttack091NothingFromOutsideReachesTheTerminalRaw(t *testing.T) {
	for in, want := range map[string]string{
		"plain ~!": "plain ~!", "\x1b[2J": `\x1b[2J`, "\x1b]0;t\a": `\x1b]0;t\x07`, "\u009b2J": `\u{9b}2J`, "a\rb\nc": `a\x0db\x0ac`,
		"\u202egpj.exe": `\u{202e}gpj.exe`, "a\u200bb\u0301": `a\u{200b}b\u{301}`, "\u0430": `\u{430}`, "\xff\xc3": `\xff\xc3`, `\x1b`: `\\x1b`,
		"\x7f": `\x7f`, "\ufffd": `\u{fffd}`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q prints as %q, want %q", in, got, want)
		}
	}
	long := Printable(strings.Repeat("\u202e", 100_000))
	if len(long) > printableMax+100 || !strings.HasSuffix(long, " bytes more]") {
		t.Errorf("100,000 characters print as %d: %s", len(long), long[len(long)-40:])
	}
	c, out := words()
	c.Report(fmt.Errorf("\x1b[2J\r%s", "x"), false)
	c.Hint("\x1b")
	c.Say("%s", "\u202e")
	if want := "coldsign: \\x1b[2J\\x0dx\nhint: \\x1b\ncoldsign: \\u{202e}\n"; out.String() != want {
		t.Errorf("%q", out)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range []byte(Printable(s)) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q lets %#x through", s, c)
			}
		}
	})
}

func TestTableAlignsAndEscapes(t *testing.T) {
	var b bytes.Buffer
	err := Table(&b, []string{"NAME", "TIER"}, [][]string{{"cold-btc-a", "cold"}, {"h\x1b", "hot"}, {"x"}})
	if want := "NAME        TIER\ncold-btc-a  cold\nh\\x1b       hot\nx\n"; err != nil || b.String() != want {
		t.Errorf("%v\n%q", err, b.String())
	}
}

func TestProgressIsSilentWithoutATerminalAndForShortJobs(t *testing.T) {
	c, out := words()
	now := time.Unix(0, 0)
	c.Now = func() time.Time { return now }
	p := c.Progress("frames", 3)
	now = now.Add(time.Minute)
	p.At(2)
	p.End()
	if out.Len() != 0 {
		t.Errorf("a log got %q", out)
	}
	terminal, person := sit(t, 80, 24)
	c.Err = terminal.file
	p = c.Progress("frames", 3)
	p.At(1)
	now = now.Add(2 * time.Second)
	p.At(2)
	p.At(3)
	p.End()
	person.waits("frames 2 of 3")
	if terminal.Write([]byte("end")); strings.Contains(person.seen.String(), "3 of 3") {
		t.Error("drawn twice within a tenth of a second")
	}
}

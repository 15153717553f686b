package review

import (
	"strings"
	"testing"
)

// Attack 128: digits of another script look like ours, and a comma like a point. None of them is even taken as typed,
// and a confirmation that has them is wrong.
func TestAttack128ForeignDigitsAreNotTyped(t *testing.T) {
	for _, text := range []string{"\uff11\uff12.5 wvvzej", "\u0661\u0662.5 wvvzej", "12\u066b5 wvvzej", "12.\U0001d7d3 wvvzej", "12.5\u00a0wvvzej", "12.5 wvvzej\u200b"} {
		s := NewSession(clean())
		press(s, "o", "s")
		if !s.Confirming() {
			t.Fatal("not asked")
		}
		for _, r := range text {
			press(s, string(r))
		}
		if strings.ContainsFunc(s.input, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q was taken as %q", text, s.input)
		}
		if Confirm(clean()).Check(text) {
			t.Errorf("%q confirms", text)
		}
	}
	for _, text := range []string{"12,5 wvvzej", "12.500,00 wvvzej", "1.250e1 wvvzej", "12'5 wvvzej", "12 5 wvvzej"} {
		if Confirm(clean()).Check(text) {
			t.Errorf("%q confirms", text)
		}
	}
}

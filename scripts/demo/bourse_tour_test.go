//go:build clients

package main

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The README's tour of the exchange is typed as it stands, on a terminal, in the shell that make exchange-shell opens.
func TestTheReadmesTourOfTheExchange(t *testing.T) {
	s, _ := stage(t)
	b := newBourse(s)
	ctx := t.Context()
	if err := b.found(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.quote(); err != nil {
		t.Fatal(err)
	}
	if err := b.writeBot(filepath.Join("..", "..", clientsDir)); err != nil {
		t.Fatal(err)
	}
	claims := map[string]string{
		"curl":                     `"asks":\[\["60000\.0`,
		"node bot.mjs":             `filled 0.02 BTC at 60000`,
		"node orders.mjs":          `open buy 0.01 at 54000`,
		"node withdraw.mjs":        `withdrawal \d+ asked for`,
		"exchanged withdrawals":    `0\.00500000 BTC .* held`,
		"exchanged journal verify": `are whole and genuine`,
	}
	seen := map[string]int{}
	for _, line := range tourOf(t, "exchange tour", 7) {
		text := b.typed(t, line)
		for begin, claim := range claims {
			if strings.HasPrefix(line, begin) {
				seen[begin]++
				if !regexp.MustCompile(claim).MatchString(strings.ReplaceAll(text, "\r", "")) {
					t.Errorf("%s does not show %q:\n%s", line, claim, text)
				}
			}
		}
		if strings.HasPrefix(line, "kill ") { // a person takes longer to type the next line than the successor to listen
			if err := b.answers(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for begin := range claims {
		if seen[begin] == 0 {
			t.Errorf("the tour does not have %q", begin)
		}
	}
}

// answers waits until a gateway answers the bot.
func (b *bourse) answers(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	return b.patient(ctx, func() error { _, err := b.free(b.bot, "BTC"); return err })
}

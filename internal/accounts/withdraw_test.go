package accounts_test

import (
	"fmt"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"pgregory.net/rapid"
)

// none is a limit of a day that nobody reaches.
var none = money.U128{Hi: 1<<64 - 1, Lo: 1<<64 - 1}

// withdrawing returns a book whose account 1 may withdraw with the keys, and the time at which it may.
func withdrawing(t testing.TB, rules accounts.Rules, keys ...string) (*accounts.Book, []string, exchange.Millis) {
	b := bookOf(t, 1, rules)
	now := start
	var names []string
	for _, key := range keys {
		names, now = append(names, withdrawKey(t, b, 1, key, now)), now+minute
	}
	addAddress(t, b, 1, "bcrt1qa", now)
	return b, names, now + 25*hour
}

// Control 80: the 51st withdrawal in any 60 seconds is refused, whatever key and address it comes from.
func TestControl080The51stWithdrawalInAny60SecondsIsRefused(t *testing.T) {
	b, keys, now := withdrawing(t, accounts.Rules{}, "a", "b", "c")
	from := []string{home, "2001:db8::1", "2001:db8::2"}
	ask := func(i int, at exchange.Millis) exchange.Code {
		body := exchange.WithdrawBody{Asset: 1, Amount: money.U128{Lo: 1}, Address: "bcrt1qa", Key: keys[i%3], From: from[i%3]}
		_, code := b.CheckWithdraw(1, body, none, at)
		if code == exchange.Done {
			b.Withdrew(1, 1, body.Amount, at)
		}
		return code
	}
	for i := range 50 {
		if code := ask(i, now+exchange.Millis(i)*second); code != exchange.Done {
			t.Fatal(i, code)
		}
	}
	if code := ask(50, now+59_999); code != exchange.OverLimit {
		t.Error("a 51st within 59.999 s:", code)
	}
	if code := ask(51, now+60_000); code != exchange.Done {
		t.Error("the first of the next window:", code)
	}
	if code := ask(52, now+60_001); code != exchange.OverLimit {
		t.Error("the window does not roll:", code)
	}
}

func TestControl080NoScheduleGetsMoreThanTheLimitIntoAWindow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := accounts.DefaultRules()
		rules.WithdrawalsMax, rules.AttemptsMax = rapid.IntRange(1, 6).Draw(rt, "max"), 1<<30
		b, keys, now := withdrawing(t, rules, "a")
		var passed []exchange.Millis
		for range rapid.IntRange(1, 60).Draw(rt, "attempts") {
			now += exchange.Millis(rapid.SampledFrom([]int{0, 1, 5_000, 20_000, 59_999, 60_000, 60_001}).Draw(rt, "pause"))
			recent := 0
			for _, at := range passed {
				if now-at < minute {
					recent++
				}
			}
			body := exchange.WithdrawBody{Asset: 1, Address: "bcrt1qa", Key: keys[0], From: home}
			_, code := b.CheckWithdraw(1, body, none, now)
			if (code == exchange.Done) != (recent < rules.WithdrawalsMax) {
				rt.Fatalf("with %d of %d in the window: %d", recent, rules.WithdrawalsMax, code)
			}
			if code == exchange.Done {
				b.Withdrew(1, 1, body.Amount, now)
				passed = append(passed, now)
			}
		}
	})
}

func TestNoScheduleGetsMoreThanTheAmountIntoADay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, keys, now := withdrawing(t, accounts.DefaultRules(), "a")
		most := money.U128{Lo: 1000}
		type done struct {
			at     exchange.Millis
			asset  exchange.Asset
			amount uint64
		}
		var passed []done
		for range rapid.IntRange(1, 40).Draw(rt, "attempts") {
			now += exchange.Millis(rapid.IntRange(0, int(9*hour)).Draw(rt, "pause"))
			amount := rapid.Uint64Range(1, 1100).Draw(rt, "amount")
			body := exchange.WithdrawBody{Asset: 1, Amount: money.U128{Lo: amount}, Address: "bcrt1qa", Key: keys[0], From: home}
			_, code := b.CheckWithdraw(1, body, most, now)
			exact, wide := amount, amount // of a day, and of a day and a slice
			for _, d := range passed {
				if d.at > now-24*hour {
					exact += d.amount
				}
				if d.at > now-24*hour-15*minute {
					wide += d.amount
				}
			}
			if code == exchange.Done && exact > most.Lo || code != exchange.Done && wide <= most.Lo {
				rt.Fatalf("%d in a day, %d in a slice more: %d", exact, wide, code)
			}
			if code == exchange.Done {
				b.Withdrew(1, 1, body.Amount, now)
				passed = append(passed, done{now, 1, amount})
			}
		}
	})
}

func TestAmountsThatDoNotFitAreOverTheLimit(t *testing.T) {
	b, keys, now := withdrawing(t, accounts.DefaultRules(), "a")
	huge := money.U128{Hi: 1<<64 - 1, Lo: 1<<64 - 1}
	body := exchange.WithdrawBody{Asset: 1, Amount: huge, Address: "bcrt1qa", Key: keys[0], From: home}
	b.Withdrew(1, 1, huge, now)
	b.Withdrew(1, 1, huge, now)
	if _, code := b.CheckWithdraw(1, body, huge, now); code != exchange.OverLimit {
		t.Error(code)
	}
}

// Control 79: a thousand withdrawals a second are an attack; the key is over within that second, and somebody is told.
func TestControl079AFloodFreezesTheKeyWithinItsSecond(t *testing.T) {
	b, keys, now := withdrawing(t, accounts.Rules{}, "a", "b")
	body := exchange.WithdrawBody{Asset: 1, Amount: money.U128{Lo: 1}, Address: "bcrt1qa", Key: keys[0], From: home}
	passed, frozen := 0, exchange.Millis(0)
	for i := range exchange.Millis(1000) {
		freeze, code := b.CheckWithdraw(1, body, none, now+i)
		if code == exchange.Done {
			b.Withdrew(1, 1, body.Amount, now+i)
			passed++
		}
		if freeze != nil {
			if code != exchange.OverLimit || !freeze.Key.Revoked || freeze.Key.Secret != nil || frozen != 0 {
				t.Fatalf("%+v %d", freeze, code)
			}
			frozen = i
		}
		if frozen != 0 && i > frozen && code != exchange.NotAllowed {
			t.Fatal("a frozen key is heard:", code)
		}
	}
	if passed > 50 || frozen == 0 || frozen > 999 {
		t.Errorf("%d passed, frozen after %d ms", passed, frozen)
	}
	if tickets := b.Tickets(); len(tickets) != 1 || tickets[0].Key != keys[0] || tickets[0].Account != 1 || tickets[0].At != now+frozen {
		t.Errorf("%+v", tickets)
	}
	body.Key = keys[1]
	if _, code := b.CheckWithdraw(1, body, none, now+2*minute); code != exchange.Done {
		t.Error("the account's other key is frozen too:", code)
	}
}

func TestATypicalCustomerNeverMeetsTheFlood(t *testing.T) {
	b, keys, now := withdrawing(t, accounts.Rules{}, "a")
	body := exchange.WithdrawBody{Asset: 1, Amount: money.U128{Lo: 1}, Address: "bcrt1qa", Key: keys[0], From: home}
	for i := range 500 {
		now += 1500
		if _, code := b.CheckWithdraw(1, body, none, now); code != exchange.Done {
			t.Fatal(i, code)
		}
		b.Withdrew(1, 1, body.Amount, now)
	}
}

func TestTheOldestTicketsGo(t *testing.T) {
	rules := accounts.DefaultRules()
	rules.AttemptsMax, rules.KeyDelay = 1, 0
	b := bookOf(t, 40, rules)
	now := start
	for i := range 1010 {
		now += minute
		id := exchange.Account(i%40 + 1)
		key := withdrawKey(t, b, id, fmt.Sprint("n", i), now)
		for range 2 {
			b.CheckWithdraw(id, exchange.WithdrawBody{Asset: 1, Key: key, From: home}, none, now)
		}
	}
	if tickets := b.Tickets(); len(tickets) != 1000 || tickets[0].Number != 11 || tickets[999].Number != 1010 {
		t.Error(len(tickets))
	}
}

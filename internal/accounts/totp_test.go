package accounts_test

import (
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
)

func TestOneTimeCodesAreThoseOfRFC6238(t *testing.T) {
	// Appendix B, SHA-1; its codes of 8 digits end in ours of 6.
	for seconds, want := range map[exchange.Millis]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924",
		2000000000: "69279037", 20000000000: "65353130"} {
		if got := accounts.OneTimeCode(totpSecret, seconds*second); got != want[2:] {
			t.Errorf("at %d s: %s, want %s", seconds, got, want[2:])
		}
	}
}

// Control 31: a code counts once, in its own step and the two beside it.
func TestControl031AOneTimeCodeCountsOnce(t *testing.T) {
	b := bookOf(t, 2, accounts.Rules{})
	n := 0
	add := func(id exchange.Account, code string, at exchange.Millis) exchange.Code {
		n++
		_, result := b.AddAddress(id, exchange.AddressBody{Asset: 1, Address: "bcrt1q" + string(rune('a'+n)), Code: code}, at)
		return result
	}
	const step = 30 * second
	now := start - start%step
	before, middle, after := accounts.OneTimeCode(totpSecret, now-step), accounts.OneTimeCode(totpSecret, now), accounts.OneTimeCode(totpSecret, now+step)
	for i, c := range []struct {
		account exchange.Account
		code    string
		at      exchange.Millis
		want    exchange.Code
	}{
		{1, before, now, exchange.Done}, {1, before, now, exchange.SecondFactorWrong},
		{1, middle, now, exchange.Done}, {1, middle, now + 1, exchange.SecondFactorWrong}, {1, middle, now + step, exchange.SecondFactorWrong},
		{1, after, now + 2*step - 1, exchange.Done}, {1, after, now + 2*step, exchange.SecondFactorWrong},
		{2, after, now, exchange.Done}, {2, middle, now, exchange.SecondFactorWrong}, {2, before, now, exchange.SecondFactorWrong}, // older than the one taken
	} {
		if got := add(c.account, c.code, c.at); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
}

func TestControl031GuessingCodesLocksThem(t *testing.T) {
	b := bookOf(t, 1, accounts.Rules{})
	body := exchange.AddressBody{Asset: 1, Address: "bcrt1qa"}
	for range 10 {
		body.Code = "000000"
		if _, code := b.AddAddress(1, body, start); code != exchange.SecondFactorWrong {
			t.Fatal(code)
		}
	}
	body.Code = accounts.OneTimeCode(totpSecret, start+14*minute)
	if _, code := b.AddAddress(1, body, start+14*minute); code != exchange.SecondFactorWrong {
		t.Error("a right code after ten wrong ones:", code)
	}
	body.Code = accounts.OneTimeCode(totpSecret, start+15*minute)
	if _, code := b.AddAddress(1, body, start+15*minute); code != exchange.Done {
		t.Error("the lock does not end:", code)
	}
}

func TestControl031WithoutASecretNoCodeIsRight(t *testing.T) {
	b := accounts.New(accounts.Options{Opener: sealer(t)})
	b.Open(exchange.AccountBody{Name: "anna"}, start)
	moved := exchange.AccountBody{Name: "bert", Number: 2, TOTP: seal(t, 1, accounts.TOTPName, totpSecret)} // sealed for another account
	b.Open(moved, start)
	for id := range exchange.Account(2) {
		body := exchange.AddressBody{Asset: 1, Address: "bcrt1qa", Code: accounts.OneTimeCode(totpSecret, start)}
		if _, code := b.AddAddress(id+1, body, start); code != exchange.SecondFactorWrong {
			t.Error(id+1, code)
		}
	}
}

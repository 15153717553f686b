package accounts_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// Control 31: after two people took the passkeys away, nothing new counts for withdrawals until the longer cool-down
// ends; what the customer had before goes on.
func TestControl031AResetIsFollowedByALongerCoolDown(t *testing.T) {
	b := bookOf(t, 1, passkeyRules())
	p := enrolled(t, b, 1, start)
	now := start + minute
	for i, intent := range []exchange.CustomerIntent{{Key: payout(t, 1, "old")}, {Address: to("bcrt1qold")}} {
		intent.Account, intent.Created = 1, now+exchange.Millis(i)
		if _, no := b.Approve(1, p.Approve(intent), now+exchange.Millis(i)); no != nil {
			t.Fatal(no)
		}
	}
	now += 25 * hour
	for i, intent := range []exchange.CustomerIntent{{Address: to("bcrt1qwaits")}, {Key: payout(t, 1, "waits")}} {
		intent.Account, intent.Created = 1, now-1+exchange.Millis(i)
		if _, no := b.Approve(1, p.Approve(intent), now); no != nil {
			t.Fatal(no)
		}
	}
	done, code := b.ResetFactors(exchange.FactorReset{Account: 1}, now)
	if code != exchange.Done || len(done.Passkeys) != 1 || !done.Passkeys[0].Removed || len(done.Addresses) != 1 || done.Addresses[0].Usable != now+72*hour || len(done.Keys) != 1 || done.Keys[0].Usable != now+72*hour {
		t.Fatalf("%+v %d", done, code)
	}
	watch(t, b).refuses("the lost passkey", func() *accounts.Refusal {
		_, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now + 1, Address: to("bcrt1qthief")}), now+1)
		return no
	}, exchange.EvidenceRefused, "not one of this account")
	next := enrolled(t, b, 1, now+minute)
	if done, no := b.Approve(1, next.Approve(exchange.CustomerIntent{Account: 1, Created: now + minute, Address: to("bcrt1qnew")}), now+minute); no != nil || done.Address.Usable != now+72*hour {
		t.Fatalf("%+v %+v", done, no)
	}
	if done, no := b.Approve(1, next.Approve(exchange.CustomerIntent{Account: 1, Created: now + 2*minute, Key: payout(t, 1, "new")}), now+2*minute); no != nil || done.Key.Usable != now+72*hour {
		t.Fatalf("%+v %+v", done, no)
	}
	at := now + 71*hour
	for address, want := range map[string]exchange.Code{"bcrt1qold": exchange.Done, "bcrt1qwaits": exchange.AddressWaiting, "bcrt1qnew": exchange.AddressWaiting} {
		if _, code := b.CheckWithdraw(1, exchange.WithdrawBody{Asset: 1, Address: address, Key: name64("old"), From: home}, none, at); code != want {
			t.Errorf("%s: %d, want %d", address, code, want)
		}
	}
	if _, code := b.ResetFactors(exchange.FactorReset{Account: 1, Codes: true}, at); code != exchange.Done {
		t.Fatal(code)
	}
	offer(t, b, 1, at)
	body := enrolment(p, 1, at) // it was found again
	body.Code = ""
	if _, no := b.Enrol(1, body, at); no != nil {
		t.Errorf("an account whose codes are lost too: %+v", no)
	}
}

// An exchange that began without rules for passkeys has none, and its snapshots are what they were.
func TestAnExchangeOfBeforeHasNoPasskeys(t *testing.T) {
	b := bookOf(t, 1, accounts.Rules{})
	hash := accounts.EnrolmentHash(1, enrolCode)
	if code := b.OfferEnrolment(1, exchange.EnrolBody{Hash: hash[:]}, start); code != exchange.NotAllowed {
		t.Error(code)
	}
	p := enginetest.NewPasskey()
	for name, act := range map[string]func() *accounts.Refusal{
		"enrol": func() *accounts.Refusal { _, no := b.Enrol(1, enrolment(p, 1, start), start); return no },
		"approve": func() *accounts.Refusal {
			_, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: start, Look: true}), start)
			return no
		},
		"reset": func() *accounts.Refusal {
			_, code := b.ResetFactors(exchange.FactorReset{Account: 1}, start)
			return &accounts.Refusal{Code: code}
		},
	} {
		watch(t, b).refuses(name, act, exchange.NotAllowed, "")
	}
	if raw := snapshot(t, b); string(raw[:8]) != "CSACCTS1" {
		t.Errorf("%q", raw[:8])
	}
	withdrawKey(t, b, 1, "w", start)
}

// A book with passkeys comes back from its snapshot and goes on as the one that was written; no byte of it can be another.
func TestPasskeysComeBackFromSnapshots(t *testing.T) {
	b := bookOf(t, 3, passkeyRules())
	p := enrolled(t, b, 2, start)
	offer(t, b, 3, start)
	if _, code := b.ResetFactors(exchange.FactorReset{Account: 1}, start); code != exchange.Done {
		t.Fatal(code)
	}
	raw := snapshot(t, b)
	again, err := accounts.Restore(bytes.NewReader(raw), sealer(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snapshot(t, again), raw) || !reflect.DeepEqual(again.Security(), b.Security()) || !reflect.DeepEqual(again.Passkeys(2), b.Passkeys(2)) {
		t.Error("another book came back")
	}
	body := p.Approve(exchange.CustomerIntent{Account: 2, Created: start + hour, Address: to("bcrt1qa")})
	for _, one := range []*accounts.Book{b, again} {
		if _, no := one.Approve(2, body, start+hour); no != nil {
			t.Error(no)
		}
	}
	if !bytes.Equal(snapshot(t, again), snapshot(t, b)) {
		t.Error("they went on differently")
	}
	for cut := range raw {
		if _, err := accounts.Restore(bytes.NewReader(raw[:cut]), sealer(t)); err == nil {
			t.Fatalf("the first %d of %d bytes are a book", cut, len(raw))
		}
	}
	for place := range raw {
		bent := bytes.Clone(raw)
		bent[place] ^= 1
		in := bytes.NewReader(bent)
		if other, err := accounts.Restore(in, sealer(t)); err == nil && in.Len() == 0 && !bytes.Equal(snapshot(t, other), bent) {
			t.Fatalf("byte %d may be another", place)
		}
	}
}

func TestRulesOfPasskeysBelongTogether(t *testing.T) {
	for origin, host := range map[string]string{"https://exchange.example": "exchange.example", "https://pay.exchange.example:8443": "exchange.example", "http://localhost:8080": "localhost"} {
		accounts.New(accounts.Options{Rules: accounts.DefaultRules().DefaultPasskeys(host, origin)})
	}
	for _, origins := range []string{"", "https://exchange.example/", "https://exchange.example:443", "HTTPS://exchange.example", "http://exchange.example", "https://evil.example",
		"https://evilexchange.example", "https://exchange.example  https://exchange.example", "https://u@exchange.example"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is taken", origins)
				}
			}()
			accounts.New(accounts.Options{Rules: accounts.DefaultRules().DefaultPasskeys("exchange.example", origins)})
		}()
	}
	for text, want := range map[string]string{"https://Exchange.example/": "exchange.example https://exchange.example true", "http://localhost:8080": "localhost http://localhost:8080 true",
		"https://x.example/path": "false", "http://x.example": "false", "x.example": "false", "": "false"} {
		host, origin, ok := accounts.Site(text)
		if got := fmt.Sprint(host, " ", origin, " ", ok); got != want && !(want == "false" && !ok) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

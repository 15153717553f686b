package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

const payTo = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

// withdrawer opens an account with a one-time-code secret, an address in its book and a key that may withdraw from
// 192.0.2.0/24, and lets the waiting times pass.
func (r *rig) withdrawer() *trader {
	sealer, _ := accounts.NewSealer(make([]byte, accounts.SealerKeyBytes))
	const number = 4711
	secret := []byte("one-time-code-secret")
	sealed, err := sealer.Seal(zeros{}, number, accounts.TOTPName, secret)
	if err != nil {
		r.t.Fatal(err)
	}
	tr := &trader{name: strings.Repeat("Withdraw", 8), account: number}
	customer := func(kind exchange.Kind, body func(code string) any) {
		r.pass(time.Minute) // a code counts once
		r.inWorld(func(w *enginetest.World) {
			raw := enginetest.Body(body(accounts.OneTimeCode(secret, w.Now)))
			w.Must(exchange.Command{ID: exchange.RandomID(), Kind: kind, Account: tr.account, Body: raw})
		})
	}
	r.inWorld(func(w *enginetest.World) {
		w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.AccountOpen, Body: enginetest.Body(exchange.AccountBody{Name: "w", Number: number, TOTP: sealed})})
		w.Give(tr.account, enginetest.Bitcoin, enginetest.Units(1_000_00000000))
	})
	customer(exchange.AddressAdd, func(code string) any {
		return exchange.AddressBody{Asset: enginetest.Bitcoin, Address: payTo, Code: code}
	})
	customer(exchange.KeyAdd, func(code string) any {
		body := tr.keyBody(r.t, "hmac", all|exchange.ScopeWithdraw, []string{"192.0.2.0/24"})
		body.Code = code
		return body
	})
	return tr
}

func TestWithdrawalsAreHeldAndListed(t *testing.T) {
	r := newRig(t)
	tr := r.withdrawer()
	apply := func(change ...string) answer {
		q := "coin=BTC&network=BTC&address=" + payTo + "&amount=0.5&withdrawOrderId=rent"
		for i := 0; i+1 < len(change); i += 2 {
			q = strings.Replace(q, change[i], change[i+1], 1)
		}
		return r.signed(tr, "POST", "/sapi/v1/capital/withdraw/apply", q)
	}
	if a := apply(); a.status != 401 || a.code() != -2015 {
		t.Errorf("a new key withdraws: %s", a.body)
	}
	r.pass(25 * time.Hour)
	for _, c := range []struct {
		from, to string
		code     int
	}{
		{payTo, "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry", -4035}, {"0.5", "0.00019", -4022}, {"0.5", "0.123456789", -1111}, {"0.5", "5e-1", -1100},
		{"0.5", "9999999", -4026}, {"coin=BTC", "coin=DOGE", -4018}, {"coin=BTC&network=BTC", "coin=USDT", -4019}, {"network=BTC", "network=ETH", -1130},
		{"&amount=0.5", "", -1102}, {"withdrawOrderId=rent", "addressTag=7", -1104}, {"withdrawOrderId=rent", "transactionFeeFlag=true", -1128},
	} {
		if a := apply(c.from, c.to); a.code() != c.code {
			t.Errorf("%s: %s", c.to, a.body)
		}
	}
	a := apply()
	if a.status != 200 || a.field("id") != "1" {
		t.Fatal(a.body)
	}
	if a := apply(); a.code() != -4001 {
		t.Errorf("the same withdrawOrderId again: %s", a.body)
	}
	if a := r.signed(tr, "GET", "/sapi/v1/capital/withdraw/history", "coin=BTC"); !strings.Contains(a.body, `"amount":"0.49999000","transactionFee":"0.00001000","coin":"BTC","status":4,"address":"`+payTo) {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/sapi/v1/account/apiRestrictions", ""); a.status != 200 || !strings.Contains(a.body, `"enableWithdrawals":true`) {
		t.Error(a.body)
	}
	q := raw("POST", "/sapi/v1/capital/withdraw/apply", tr.sign("coin=BTC&address="+payTo+"&amount=0.5", r.clock()), tr.name)
	q.RemoteAddr = "203.0.113.1:1"
	if a := r.send(q); a.code() != -2015 {
		t.Errorf("from a strange address: %s", a.body)
	}
}

// The engine counts attempts of a key and freezes it; the gateway hears of it at once and lets nothing more through.
func TestControl079AKeyThatFloodsWithdrawalsIsFrozen(t *testing.T) {
	r := newRig(t)
	tr := r.withdrawer()
	r.pass(25 * time.Hour)
	before := len(r.commands)
	started, frozen := r.clock(), time.Duration(0)
	for i := range 1000 {
		a := r.signed(tr, "POST", "/sapi/v1/capital/withdraw/apply", fmt.Sprintf("coin=BTC&address=%s&amount=0.0002&withdrawOrderId=w%d", payTo, i))
		if a.code() == -2015 && frozen == 0 {
			frozen = r.clock().Sub(started)
		}
	}
	reached, paid := len(r.commands)-before, len(r.draws)
	if reached > accounts.DefaultRules().AttemptsMax+1 || paid > accounts.DefaultRules().WithdrawalsMax || frozen == 0 || frozen > time.Second {
		t.Errorf("%d attempts reached the engine, %d withdrawals were taken, frozen after %v", reached, paid, frozen)
	}
}

func TestDepositAddressesAreTheAccounts(t *testing.T) {
	r := newRig(t)
	tr := r.trader("trader", "hmac", all)
	if a := r.signed(tr, "GET", "/sapi/v1/capital/deposit/address", "coin=BTC"); a.code() != -4019 {
		t.Errorf("without a deposit wallet: %s", a.body)
	}
	r.mu.Lock()
	r.addrs = []exchange.DepositAddressInfo{{Account: tr.account, Asset: enginetest.Bitcoin, Address: payTo}}
	r.mu.Unlock()
	if a := r.signed(tr, "GET", "/sapi/v1/capital/deposit/address", "coin=BTC&network=BTC"); a.field("address") != payTo || a.field("coin") != "BTC" {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/sapi/v1/capital/deposit/address/list", "coin=BTC"); !strings.Contains(a.body, payTo) {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/sapi/v1/capital/deposit/hisrec", ""); a.body != "[]" {
		t.Error(a.body)
	}
	if a := r.signed(tr, "GET", "/sapi/v1/capital/deposit/hisrec", "startTime=1&endTime=9999999999"); a.code() != -1127 {
		t.Error(a.body)
	}
}

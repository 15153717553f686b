package accounts_test

import (
	"crypto/ed25519"
	"net/netip"
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
)

// Control 84: a key that may withdraw names where it is used from, and a list that allows everybody is no list.
func TestControl084WithdrawalKeysNeedAnAllowList(t *testing.T) {
	b := bookOf(t, 1, accounts.Rules{})
	body := keyBody(t, 1, "w", exchange.ScopeWithdraw)
	body.Code = accounts.OneTimeCode(totpSecret, start)
	for _, list := range [][]string{nil, {}, {"0.0.0.0/0"}, {"::/0"}, {home, "0.0.0.0/0"}, {"::ffff:0:0/96"}, {"::ffff:0.0.0.0/96"}, {"0.0.0.0/1", "128.0.0.0/1"}, {"nonsense"}} {
		body.Allowed = list
		if _, code := b.AddKey(1, body, start); code != exchange.Malformed {
			t.Errorf("%q: %d", list, code)
		}
	}
	body.Allowed = []string{"203.0.113.0/24", "::ffff:198.51.100.9", "198.51.100.9"}
	info, code := b.AddKey(1, body, start)
	if code != exchange.Done || !slices.Equal(info.Allowed, []string{"203.0.113.0/24", "198.51.100.9/32"}) {
		t.Fatal(info, code)
	}
	addAddress(t, b, 1, "bcrt1qa", start+minute)
	later := start + 50*hour
	for from, want := range map[string]exchange.Code{"203.0.113.255": exchange.Done, "::ffff:203.0.113.1": exchange.Done, "198.51.100.9": exchange.Done,
		"203.0.114.0": exchange.NotAllowed, "198.51.100.8": exchange.NotAllowed, "2001:db8::1": exchange.NotAllowed, "": exchange.NotAllowed, "x": exchange.NotAllowed} {
		if _, code := b.CheckWithdraw(1, exchange.WithdrawBody{Asset: 1, Address: "bcrt1qa", Key: body.Key, From: from}, none, later); code != want {
			t.Errorf("from %q: %d, want %d", from, code, want)
		}
	}
}

func TestControl084BlocksOfAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.0/24": "203.0.113.0/24", "203.0.113.7": "203.0.113.7/32", "10.1.0.0/16": "10.1.0.0/16",
		"2001:db8::/32": "2001:db8::/32", "2001:db8::7": "2001:db8::7/128", "::ffff:203.0.113.7": "203.0.113.7/32",
		"203.0.113.1/24": "", "10.0.0.0/15": "", "10.0.0.0/8": "", "0.0.0.0/0": "", "0.0.0.0": "", "0.0.0.0/16": "",
		"2001:d00::/24": "", "::/0": "", "::/32": "", "::": "", "::ffff:0.0.0.0/96": "", "::ffff:0:0/112": "", "fe80::1%eth0": "", "fe80::1%eth0/64": "",
		"203.0.113.7/33": "", "203.0.113.7/-1": "", "203.0.113.07": "", "": "", "/": "", "203.0.113.0/24 ": "", "224.0.0.0/16": "", "ff02::/32": "",
	} {
		block, ok := accounts.ParseBlock(text)
		if ok != (want != "") || ok && block.String() != want {
			t.Errorf("%q: %v %t, want %q", text, block, ok, want)
		}
	}
	for _, c := range []struct {
		ip, block string
		want      bool
	}{
		{"203.0.113.7", "203.0.113.0/24", true}, {"::ffff:203.0.113.7", "203.0.113.0/24", true}, {"203.0.114.7", "203.0.113.0/24", false},
		{"2001:db8::1", "2001:db8::/32", true}, {"2001:db9::1", "2001:db8::/32", false}, {"fe80::1%eth0", "fe80::/64", true},
		{"203.0.113.7", "2001:db8::/32", false}, {"2001:db8::1", "203.0.113.0/24", false}, {"203.0.113.7", "0.0.0.0/0", false}, {"203.0.113.7", "x", false},
	} {
		if accounts.Allowed(netip.MustParseAddr(c.ip), []string{c.block}) != c.want {
			t.Errorf("%s in %s: not %t", c.ip, c.block, c.want)
		}
	}
	if !accounts.Allowed(netip.MustParseAddr(home), nil) || accounts.Allowed(netip.Addr{}, nil) {
		t.Error("an empty list is wrong")
	}
}

// Control 85: a key that may withdraw needs a one-time code and a day; another scope means another key.
func TestControl085WithdrawalKeysNeedACodeAndADay(t *testing.T) {
	b := bookOf(t, 1, accounts.Rules{})
	addAddress(t, b, 1, "bcrt1qa", start)
	now := start + 30*hour
	body := keyBody(t, 1, "w", exchange.ScopeTrade|exchange.ScopeWithdraw)
	body.Allowed = []string{home}
	for _, code := range []string{"", "000000", "12345", accounts.OneTimeCode(totpSecret, now+61*second), accounts.OneTimeCode(totpSecret, now-61*second)} {
		body.Code = code
		if _, code := b.AddKey(1, body, now); code != exchange.SecondFactorWrong {
			t.Errorf("%q: %d", body.Code, code)
		}
	}
	body.Code = accounts.OneTimeCode(totpSecret, now)
	info, code := b.AddKey(1, body, now)
	if code != exchange.Done || info.Usable != now+24*hour {
		t.Fatal(info, code)
	}
	ask := exchange.WithdrawBody{Asset: 1, Address: "bcrt1qa", Key: body.Key, From: home}
	for at, want := range map[exchange.Millis]exchange.Code{now: exchange.NotAllowed, now + 24*hour - 1: exchange.NotAllowed, now + 24*hour: exchange.Done} {
		if _, code := b.CheckWithdraw(1, ask, none, at); code != want {
			t.Errorf("after %d ms: %d", at-now, code)
		}
	}
	trading := keyBody(t, 1, "t", exchange.ScopeTrade)
	if info, code := b.AddKey(1, trading, now); code != exchange.Done || info.Usable != now {
		t.Fatal(info, code)
	}
	ask.Key = trading.Key
	if _, code := b.CheckWithdraw(1, ask, none, now+48*hour); code != exchange.NotAllowed {
		t.Error("a trading key withdraws:", code)
	}
	trading.Scopes, trading.Allowed, trading.Code = exchange.ScopeWithdraw, []string{home}, accounts.OneTimeCode(totpSecret, now+minute)
	if _, code := b.AddKey(1, trading, now+minute); code != exchange.AlreadyExists {
		t.Error("a key got another scope:", code)
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	b := bookOf(t, 2, accounts.Rules{})
	good := keyBody(t, 1, "a", exchange.ScopeRead)
	for what, change := range map[string]func(*exchange.KeyBody){
		"no scope": func(k *exchange.KeyBody) { k.Scopes = 0 }, "a scope that is none": func(k *exchange.KeyBody) { k.Scopes = 8 },
		"a short name": func(k *exchange.KeyBody) { k.Key = k.Key[1:] }, "a name with a dash": func(k *exchange.KeyBody) { k.Key = "-" + k.Key[1:] },
		"another kind": func(k *exchange.KeyBody) { k.Kind = "rsa" }, "a secret in clear": func(k *exchange.KeyBody) { k.Secret = []byte(name64("secret")) },
		"a secret of another key":     func(k *exchange.KeyBody) { k.Secret = seal(t, 1, name64("b"), []byte(name64("secret"))) },
		"a secret of another account": func(k *exchange.KeyBody) { k.Secret = seal(t, 2, k.Key, []byte(name64("secret"))) },
		"a short secret":              func(k *exchange.KeyBody) { k.Secret = seal(t, 1, k.Key, []byte("short")) },
		"a public key of zeros":       func(k *exchange.KeyBody) { k.Kind, k.Secret = accounts.Ed25519, make([]byte, 32) },
		"a public key of 31 bytes": func(k *exchange.KeyBody) {
			k.Kind, k.Secret = accounts.Ed25519, []byte("0123456789012345678901234567890")
		},
		"a label with a line break": func(k *exchange.KeyBody) { k.Label = "a\nb" }, "a label that is no text": func(k *exchange.KeyBody) { k.Label = "\xff" },
		"too many blocks": func(k *exchange.KeyBody) { k.Allowed = slices.Repeat([]string{home}, 33) },
	} {
		body := good
		change(&body)
		if _, code := b.AddKey(1, body, start); code != exchange.Malformed {
			t.Errorf("%s: %d", what, code)
		}
	}
	if _, code := b.AddKey(1, good, start); code != exchange.Done {
		t.Error(code)
	}
	if _, code := b.AddKey(3, good, start); code != exchange.UnknownAccount {
		t.Error(code)
	}
	if got, ok := b.LookupKey(good.Key); !ok || got.Account != 1 || len(b.Keys(1)) != 1 {
		t.Error(got)
	}
}

func TestRevokedKeysAreOverForGood(t *testing.T) {
	b := bookOf(t, 2, accounts.Rules{})
	public, _, _ := ed25519.GenerateKey(nil)
	body := exchange.KeyBody{Key: name64("e"), Scopes: exchange.ScopeTrade, Kind: accounts.Ed25519, Secret: public}
	if _, code := b.AddKey(1, body, start); code != exchange.Done {
		t.Fatal(code)
	}
	if _, code := b.RevokeKey(2, body.Key); code != exchange.WrongState {
		t.Error("another account revokes a key:", code)
	}
	info, code := b.RevokeKey(1, body.Key)
	if code != exchange.Done || !info.Revoked || info.Secret != nil {
		t.Error(info, code)
	}
	if _, code := b.RevokeKey(1, body.Key); code != exchange.WrongState {
		t.Error(code)
	}
	if _, code := b.AddKey(1, body, start); code != exchange.AlreadyExists {
		t.Error("the name of a revoked key is given again:", code)
	}
	for i := range 30 {
		body.Key = name64("m" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		if _, code := b.AddKey(1, body, start); code != exchange.Done {
			t.Fatal(i, code)
		}
	}
	body.Key = name64("last")
	if _, code := b.AddKey(1, body, start); code != exchange.OverLimit {
		t.Error("a thirty-first key:", code)
	}
}

func FuzzParseBlock(f *testing.F) {
	for _, text := range []string{"203.0.113.0/24", "::ffff:0:0/96", "fe80::1%eth0/64", "2001:db8::/48"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		block, ok := accounts.ParseBlock(text)
		if !ok {
			return
		}
		again, ok := accounts.ParseBlock(block.String())
		if !ok || again != block || block.Addr().Is4In6() || block.Bits() < 16 {
			t.Fatalf("%q is %v, and that is %v", text, block, again)
		}
	})
}

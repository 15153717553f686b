package accounts_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
)

const (
	second = exchange.Millis(1000)
	minute = 60 * second
	hour   = 60 * minute
	start  = exchange.Millis(1_790_000_000_000)
	home   = "203.0.113.7"
)

var totpSecret = []byte("12345678901234567890") // of RFC 6238, appendix B

func sealer(t testing.TB) *accounts.Sealer {
	t.Helper()
	s, err := accounts.NewSealer(bytes.Repeat([]byte{7}, accounts.SealerKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, account exchange.Account, name string, secret []byte) []byte {
	t.Helper()
	sealed, err := sealer(t).Seal(rand.Reader, account, name, secret)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// bookOf returns a book with the accounts 1 to n, each with the one-time-code secret of the RFC.
func bookOf(t testing.TB, n int, rules accounts.Rules) *accounts.Book {
	t.Helper()
	b := accounts.New(accounts.Options{Rules: rules, Opener: sealer(t)})
	for id := exchange.Account(1); id <= exchange.Account(n); id++ {
		body := exchange.AccountBody{Name: fmt.Sprint("customer-", id), Number: uint64(id), TOTP: seal(t, id, accounts.TOTPName, totpSecret)}
		if info, code := b.Open(body, start); code != exchange.Done || info.ID != id {
			t.Fatal(info, code)
		}
	}
	return b
}

// name64 makes the name of a key that ends in text.
func name64(text string) string { return strings.Repeat("k", 64-len(text)) + text }

func keyBody(t testing.TB, account exchange.Account, name string, scopes exchange.Scope) exchange.KeyBody {
	t.Helper()
	return exchange.KeyBody{Key: name64(name), Scopes: scopes, Kind: accounts.HMAC, Secret: seal(t, account, name64(name), []byte(name64("secret"))), Label: "bot"}
}

// withdrawKey adds a key that may withdraw from home, and returns its name. It spends the code of now.
func withdrawKey(t testing.TB, b *accounts.Book, account exchange.Account, name string, now exchange.Millis) string {
	t.Helper()
	body := keyBody(t, account, name, exchange.ScopeRead|exchange.ScopeWithdraw)
	body.Allowed, body.Code = []string{home, "2001:db8::/48"}, accounts.OneTimeCode(totpSecret, now)
	if _, code := b.AddKey(account, body, now); code != exchange.Done {
		t.Fatal(code)
	}
	return body.Key
}

func addAddress(t testing.TB, b *accounts.Book, account exchange.Account, text string, now exchange.Millis) {
	t.Helper()
	body := exchange.AddressBody{Asset: 1, Address: text, Code: accounts.OneTimeCode(totpSecret, now)}
	if _, code := b.AddAddress(account, body, now); code != exchange.Done {
		t.Fatal(code)
	}
}

func TestAccountsAreFoundByTheNumberTheyGot(t *testing.T) {
	b := accounts.New(accounts.Options{})
	for i, c := range []struct {
		name   string
		number uint64
		want   exchange.Account
		code   exchange.Code
	}{
		{"anna", 0, 1, exchange.Done}, {"bert", 3, 3, exchange.Done}, {"carl", 0, 2, exchange.Done}, {"dora", 0, 4, exchange.Done},
		{"emil", 3, 0, exchange.AlreadyExists}, {"anna", 9, 0, exchange.AlreadyExists}, {"fritz", 1 << 53, 1 << 53, exchange.Done},
		{"gerd", 1<<53 + 1, 0, exchange.Malformed}, {"", 0, 0, exchange.Malformed}, {"a b", 0, 0, exchange.Malformed},
		{strings.Repeat("x", 65), 0, 0, exchange.Malformed}, {"hans\n", 0, 0, exchange.Malformed}, {strings.Repeat("x", 64), 0, 5, exchange.Done},
	} {
		info, code := b.Open(exchange.AccountBody{Name: c.name, Number: c.number}, start)
		if code != c.code || info.ID != c.want {
			t.Fatalf("%d: %+v %d", i, info, code)
		}
		if code != exchange.Done {
			continue
		}
		if got, ok := b.Account(c.want); !ok || got.Name != c.name || got.Created != start {
			t.Fatalf("%d: %+v", i, got)
		}
	}
	if _, ok := b.Account(0); ok {
		t.Error("the house is an account")
	}
	if _, ok := b.Terms(77); ok || b.Len() != 6 {
		t.Error(b.Len())
	}
}

// Who has no fees of its own pays the usual ones, as they are now. Nought can be an account's own fee.
func TestAnAccountWithoutFeesOfItsOwnPaysTheUsualOnes(t *testing.T) {
	b := bookOf(t, 3, accounts.Rules{})
	usual := exchange.DefaultFees{MakerPPM: 500, TakerPPM: 1000}
	before := snapshot(t, b)
	if code := b.SetDefault(exchange.DefaultFees{TakerPPM: 100_001}); code != exchange.Malformed {
		t.Fatal(code)
	}
	if !bytes.Equal(snapshot(t, b), before) {
		t.Fatal("a refusal changed the book")
	}
	if code := b.SetDefault(usual); code != exchange.Done || b.Fees() != usual {
		t.Fatal(code)
	}
	if _, code := b.SetFees(exchange.FeesChange{Account: 2, Free: true, TakerPPM: 1}); code != exchange.Malformed {
		t.Fatal("free, and yet a fee")
	}
	if _, code := b.SetFees(exchange.FeesChange{Account: 2, Free: true}); code != exchange.Done {
		t.Fatal(code)
	}
	if _, code := b.SetFees(exchange.FeesChange{Account: 3, MakerPPM: 7}); code != exchange.Done {
		t.Fatal(code)
	}
	b.Open(exchange.AccountBody{Name: "later"}, start)
	want := map[exchange.Account]exchange.DefaultFees{1: usual, 2: {}, 3: {MakerPPM: 7}, 4: usual}
	again, err := accounts.Restore(bytes.NewReader(snapshot(t, b)), sealer(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, book := range []*accounts.Book{b, again} {
		book.EachTerms(func(id exchange.Account, terms accounts.Terms) {
			info, _ := book.Account(id)
			got := exchange.DefaultFees{MakerPPM: info.MakerPPM, TakerPPM: info.TakerPPM}
			if got != want[id] || terms.MakerPPM != got.MakerPPM || terms.TakerPPM != got.TakerPPM || info.Own != (id == 2 || id == 3) {
				t.Errorf("account %d pays %+v, terms %+v, own %v", id, got, terms, info.Own)
			}
		})
	}
	if _, code := b.SetFees(exchange.FeesChange{Account: 3}); code != exchange.Done {
		t.Fatal(code)
	}
	if info, _ := b.Account(3); info.TakerPPM != usual.TakerPPM || info.Own {
		t.Errorf("an account whose own fees were taken from it pays %+v", info)
	}
}

func TestFeesAndStateAreSet(t *testing.T) {
	b := bookOf(t, 1, accounts.Rules{})
	if info, code := b.SetFees(exchange.FeesChange{Account: 1, MakerPPM: 100, TakerPPM: 200}); code != exchange.Done || info.TakerPPM != 200 {
		t.Fatal(info, code)
	}
	if _, code := b.SetFees(exchange.FeesChange{Account: 1, MakerPPM: 100_001}); code != exchange.Malformed {
		t.Error("a fee above ten per cent is set:", code)
	}
	if _, code := b.SetFees(exchange.FeesChange{Account: 2}); code != exchange.UnknownAccount {
		t.Error(code)
	}
	if info, code := b.SetState(exchange.StateChange{Account: 1, State: exchange.AccountFrozen}); code != exchange.Done || info.State != exchange.AccountFrozen {
		t.Fatal(info, code)
	}
	if terms, ok := b.Terms(1); !ok || terms != (accounts.Terms{State: exchange.AccountFrozen, MakerPPM: 100, TakerPPM: 200}) {
		t.Error(terms)
	}
	if _, code := b.AddKey(1, keyBody(t, 1, "a", exchange.ScopeRead), start); code != exchange.NotAllowed {
		t.Error("a frozen account gets a key:", code)
	}
	if allocs := testing.AllocsPerRun(100, func() { b.Terms(1) }); allocs != 0 {
		t.Error(allocs)
	}
}

func TestAddressesWaitAndGoAtOnce(t *testing.T) {
	b := bookOf(t, 1, accounts.Rules{})
	key := withdrawKey(t, b, 1, "w", start)
	later := start + 25*hour
	addAddress(t, b, 1, "bcrt1qa", later)
	body := exchange.WithdrawBody{Asset: 1, Address: "bcrt1qa", Key: key, From: home}
	for _, c := range []struct {
		at   exchange.Millis
		want exchange.Code
	}{{later, exchange.AddressWaiting}, {later + 24*hour - 1, exchange.AddressWaiting}, {later + 24*hour, exchange.Done}} {
		if _, code := b.CheckWithdraw(1, body, none, c.at); code != c.want {
			t.Errorf("after %d ms: %d", c.at-later, code)
		}
	}
	if _, code := b.AddAddress(1, exchange.AddressBody{Asset: 1, Address: "bcrt1qa"}, later); code != exchange.AlreadyExists {
		t.Error(code)
	}
	if info, code := b.RemoveAddress(1, exchange.AddressBody{Asset: 1, Address: "bcrt1qa"}); code != exchange.Done || !info.Removed {
		t.Error(info, code)
	}
	if _, code := b.CheckWithdraw(1, body, none, later+24*hour); code != exchange.UnknownAddress {
		t.Error("a removed address is paid to:", code)
	}
	if _, code := b.RemoveAddress(1, exchange.AddressBody{Asset: 1, Address: "bcrt1qa"}); code != exchange.UnknownAddress {
		t.Error(code)
	}
	addAddress(t, b, 1, "bcrt1qa", later+25*hour)
	if _, code := b.CheckWithdraw(1, body, none, later+25*hour); code != exchange.AddressWaiting {
		t.Error("an address that came back did not wait again:", code)
	}
	if entries := b.Addresses(1); len(entries) != 1 || entries[0].Usable != later+49*hour {
		t.Error(entries)
	}
	for _, bad := range []exchange.AddressBody{{Asset: 0, Address: "a"}, {Asset: 1}, {Asset: 1, Address: "a b"}, {Asset: 1, Address: strings.Repeat("a", 129)}, {Asset: 1, Address: "a", Label: "\x00"}} {
		if _, code := b.AddAddress(1, bad, later); code != exchange.Malformed {
			t.Errorf("%+v: %d", bad, code)
		}
	}
}

// A million accounts are usual; the memory of one decides whether the engine's machine is.
func TestAnIdleAccountTakesLessThan256Bytes(t *testing.T) {
	const n = 200_000
	sealed := seal(t, 1, accounts.TOTPName, totpSecret)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := accounts.New(accounts.Options{})
	for i := range n {
		if _, code := b.Open(exchange.AccountBody{Name: fmt.Sprintf("customer-%08d", i), Number: uint64(i + 1), TOTP: sealed}, start); code != exchange.Done {
			t.Fatal(code)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / n
	t.Logf("%d bytes an account", each)
	if each > 256 || b.Len() != n {
		t.Errorf("%d bytes an account", each)
	}
}

package accounts_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"pgregory.net/rapid"
)

func snapshot(t testing.TB, b *accounts.Book) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := b.Snapshot(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// act is one command to a book, drawn so that it often succeeds; it returns what the book answered. Nothing in it is
// random by itself, so two books are told the same.
func act(t *rapid.T, sealed map[string][]byte) func(*accounts.Book) string {
	id := exchange.Account(rapid.IntRange(1, 4).Draw(t, "account"))
	now := start + exchange.Millis(rapid.IntRange(0, 40).Draw(t, "time"))*20*minute
	name := name64(rapid.StringMatching(`[a-c]`).Draw(t, "key"))
	asset := exchange.Asset(rapid.IntRange(1, 2).Draw(t, "asset"))
	code := accounts.OneTimeCode(totpSecret, now)
	switch rapid.IntRange(0, 8).Draw(t, "what") {
	case 0:
		return func(b *accounts.Book) string {
			return fmt.Sprint(b.Open(exchange.AccountBody{Name: fmt.Sprint("customer", id), Number: uint64(id), TOTP: sealed[fmt.Sprint(id)]}, now))
		}
	case 1, 2:
		body := exchange.KeyBody{Key: name, Kind: accounts.HMAC, Scopes: exchange.ScopeWithdraw, Secret: sealed[fmt.Sprint(id)+name], Allowed: []string{home}, Code: code}
		return func(b *accounts.Book) string { return fmt.Sprint(b.AddKey(id, body, now)) }
	case 3:
		return func(b *accounts.Book) string { return fmt.Sprint(b.RevokeKey(id, name)) }
	case 4:
		return func(b *accounts.Book) string {
			return fmt.Sprint(b.AddAddress(id, exchange.AddressBody{Asset: asset, Address: "x", Label: "é", Code: code}, now))
		}
	case 5:
		return func(b *accounts.Book) string {
			return fmt.Sprint(b.RemoveAddress(id, exchange.AddressBody{Asset: asset, Address: "x"}))
		}
	case 6:
		return func(b *accounts.Book) string {
			return fmt.Sprint(b.SetState(exchange.StateChange{Account: id, State: exchange.AccountState(asset - 1)})) +
				fmt.Sprint(b.SetFees(exchange.FeesChange{Account: id, MakerPPM: uint32(asset-1) * 5, Free: asset == 1 && id == 1})) +
				fmt.Sprint(b.SetDefault(exchange.DefaultFees{TakerPPM: uint32(id - 1)}))
		}
	}
	body := exchange.WithdrawBody{Asset: asset, Amount: money.U128{Lo: 3}, Address: "x", Key: name, From: home}
	return func(b *accounts.Book) string {
		freeze, code := b.CheckWithdraw(id, body, money.U128{Lo: 10}, now)
		if code == exchange.Done {
			b.Withdrew(id, asset, body.Amount, now)
		}
		return fmt.Sprint(freeze, code)
	}
}

func TestASnapshotIsTheBook(t *testing.T) {
	sealed := map[string][]byte{}
	for id := range exchange.Account(5) {
		sealed[fmt.Sprint(id)] = seal(t, id, accounts.TOTPName, totpSecret)
		for _, key := range []string{"a", "b", "c"} {
			sealed[fmt.Sprint(id)+name64(key)] = seal(t, id, name64(key), []byte(name64("secret")))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		rules := accounts.Rules{AddressDelay: minute, KeyDelay: 0, WithdrawalsMax: 3, AttemptsMax: 4}
		b := accounts.New(accounts.Options{Rules: rules, Opener: sealer(t)})
		for range rapid.IntRange(0, 60).Draw(rt, "before") {
			act(rt, sealed)(b)
		}
		raw := snapshot(t, b)
		in := bytes.NewReader(append(bytes.Clone(raw), "what follows"...))
		again, err := accounts.Restore(in, sealer(t))
		if err != nil {
			rt.Fatal(err)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "what follows" {
			rt.Fatalf("%d bytes too many were read", len("what follows")-len(rest))
		}
		for range rapid.IntRange(0, 40).Draw(rt, "after") {
			do := act(rt, sealed)
			if one, two := do(b), do(again); one != two {
				rt.Fatalf("the book says %s, the restored one %s", one, two)
			}
		}
		if !bytes.Equal(snapshot(t, b), snapshot(t, again)) {
			rt.Fatal("the two went apart")
		}
	})
}

// full returns a book that has something of everything.
func full(t testing.TB) *accounts.Book {
	b, keys, now := withdrawing(t, accounts.Rules{AddressDelay: 1, KeyDelay: 1, WithdrawalsMax: 2, AttemptsMax: 3}, "a", "b")
	b.Open(exchange.AccountBody{Name: "odd", Number: 77}, now)
	for range 5 {
		b.CheckWithdraw(1, exchange.WithdrawBody{Asset: 1, Key: keys[0], From: home}, none, now)
	}
	b.Withdrew(1, 1, money.U128{Hi: 1}, now)
	b.AddAddress(1, exchange.AddressBody{Asset: 1, Address: "wrong", Code: "000000"}, now)
	return b
}

func TestASnapshotThatWasCutOrChangedIsRefusedOrIsAnotherBook(t *testing.T) {
	raw := snapshot(t, full(t))
	for cut := range len(raw) {
		if _, err := accounts.Restore(bytes.NewReader(raw[:cut]), sealer(t)); !errors.Is(err, exchange.ErrBytes) {
			t.Fatalf("the first %d of %d bytes: %v", cut, len(raw), err)
		}
	}
	for bit := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		b, err := accounts.Restore(bytes.NewReader(flipped), sealer(t))
		if err == nil && !bytes.Equal(snapshot(t, b), flipped) {
			t.Fatalf("with bit %d flipped it is read as something else", bit)
		}
	}
}

func TestASnapshotWithTwoOfAnythingIsRefused(t *testing.T) {
	one, other := accounts.New(accounts.Options{}), accounts.New(accounts.Options{})
	one.Open(exchange.AccountBody{Name: "aa", Number: 1}, start)
	one.Open(exchange.AccountBody{Name: "ab", Number: 2}, start)
	raw := snapshot(t, one)
	if _, err := accounts.Restore(bytes.NewReader(bytes.Replace(raw, []byte("ab"), []byte("aa"), 1)), nil); !errors.Is(err, exchange.ErrBytes) {
		t.Error("two accounts of one name:", err)
	}
	if _, err := accounts.Restore(bytes.NewReader(snapshot(t, other)), nil); err != nil {
		t.Error("an empty book is refused:", err)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add(snapshot(f, full(f)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := accounts.Restore(bytes.NewReader(raw), nil)
		if err != nil {
			return
		}
		if out := snapshot(t, b); !bytes.HasPrefix(raw, out) {
			t.Fatalf("%x is read and written as %x", raw, out)
		}
	})
}

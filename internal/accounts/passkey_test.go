package accounts_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

const enrolCode = "0123-4567-89AB-CDEF-GHJK"

func passkeyRules() accounts.Rules {
	return accounts.DefaultRules().DefaultPasskeys(enginetest.PasskeyHost, enginetest.PasskeyOrigin)
}

// offer opens an account for its first passkey.
func offer(t testing.TB, b *accounts.Book, id exchange.Account, now exchange.Millis) {
	t.Helper()
	hash := accounts.EnrolmentHash(id, enrolCode)
	if code := b.OfferEnrolment(id, exchange.EnrolBody{Hash: hash[:]}, now); code != exchange.Done {
		t.Fatal(code)
	}
}

func enrolment(p *enginetest.Passkey, id exchange.Account, now exchange.Millis) exchange.PasskeyBody {
	body := p.Body(id, now)
	body.Enrol, body.Code = strings.ToLower(enrolCode), accounts.OneTimeCode(totpSecret, now)
	return body
}

// enrolled returns a passkey that is the first one of an account.
func enrolled(t testing.TB, b *accounts.Book, id exchange.Account, now exchange.Millis) *enginetest.Passkey {
	t.Helper()
	p := enginetest.NewPasskey()
	offer(t, b, id, now)
	if _, no := b.Enrol(id, enrolment(p, id, now), now); no != nil {
		t.Fatal(no)
	}
	return p
}

func payout(t testing.TB, id exchange.Account, name string) *exchange.KeyBody {
	body := keyBody(t, id, name, exchange.ScopeRead|exchange.ScopeWithdraw)
	body.Allowed = []string{home}
	return &body
}

func to(address string) *exchange.AddressBody {
	return &exchange.AddressBody{Asset: 1, Address: address, Label: "cold"}
}

// untouched reports whether a refused act left the book as it was.
func untouched(t *testing.T, b *accounts.Book, name string, act func() *accounts.Refusal, want exchange.Code, why string) {
	t.Helper()
	before := snapshot(t, b)
	no := act()
	if no == nil || no.Code != want || !strings.Contains(no.Why, why) {
		t.Errorf("%s: %+v, want %d and %q", name, no, want, why)
	}
	if !bytes.Equal(before, snapshot(t, b)) {
		t.Errorf("%s changed the book", name)
	}
}

// Control 85: where a passkey is required, no code makes what money leaves by; the customer's passkey does, and it waits.
func TestControl085WithdrawalKeysAndAddressesNeedThePasskey(t *testing.T) {
	b := bookOf(t, 1, passkeyRules())
	key, address := payout(t, 1, "w"), to("bcrt1qa")
	key.Code, address.Code = accounts.OneTimeCode(totpSecret, start), accounts.OneTimeCode(totpSecret, start)
	if _, code := b.AddKey(1, *key, start); code != exchange.EvidenceRefused {
		t.Errorf("a withdrawal key by a code: %d", code)
	}
	if _, code := b.AddAddress(1, *address, start); code != exchange.EvidenceRefused {
		t.Errorf("an address by a code: %d", code)
	}
	if _, code := b.AddKey(1, keyBody(t, 1, "reads", exchange.ScopeRead|exchange.ScopeTrade), start); code != exchange.Done {
		t.Errorf("a key that reads and trades needs no passkey: %d", code)
	}
	p := enrolled(t, b, 1, start)
	key.Code, address.Code = "", ""
	now := start + hour
	done, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Key: key}), now)
	if no != nil || done.Key.Usable != now+24*hour || done.Key.Key != key.Key {
		t.Fatalf("%+v %+v", done, no)
	}
	now += minute
	done, no = b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Address: address}), now)
	if no != nil || done.Address.Usable != now+24*hour || done.Address.Address != "bcrt1qa" {
		t.Fatalf("%+v %+v", done, no)
	}
	body := exchange.WithdrawBody{Asset: 1, Address: "bcrt1qa", Key: key.Key, From: home}
	if _, code := b.CheckWithdraw(1, body, none, now+23*hour); code != exchange.NotAllowed {
		t.Errorf("before the cool-down: %d", code)
	}
	if _, code := b.CheckWithdraw(1, body, none, now+24*hour); code != exchange.Done {
		t.Errorf("after the cool-down: %d", code)
	}
}

// Control 85: a passkey signs one intent. What is changed afterwards, moved to another account, late, early or sent again
// is refused, and so is every assertion that is not a verified user's at this exchange's own page.
func TestControl085AnAssertionIsForOneIntentOnce(t *testing.T) {
	b := bookOf(t, 2, passkeyRules())
	mine, theirs := enrolled(t, b, 1, start), enrolled(t, b, 2, start)
	now := start + hour
	intent := func() exchange.CustomerIntent {
		return exchange.CustomerIntent{Account: 1, Created: now, Nonce: enginetest.Nonce(), Key: payout(t, 1, "w")}
	}
	swapped := func(change func(*exchange.CustomerIntent)) func() exchange.ApprovalBody {
		return func() exchange.ApprovalBody {
			i := intent()
			body := mine.Approve(i)
			change(&i)
			body.Intent = enginetest.Body(i)
			return body
		}
	}
	with := func(change func(*enginetest.Passkey)) func() exchange.ApprovalBody {
		return func() exchange.ApprovalBody {
			p := *mine
			change(&p)
			return p.Approve(intent())
		}
	}
	cut := func(change func(*exchange.ApprovalBody)) func() exchange.ApprovalBody {
		return func() exchange.ApprovalBody { body := mine.Approve(intent()); change(&body); return body }
	}
	const other = "something else was approved"
	for name, c := range map[string]struct {
		body func() exchange.ApprovalBody
		code exchange.Code
		why  string
	}{
		"another scope":             {swapped(func(i *exchange.CustomerIntent) { i.Key.Scopes |= exchange.ScopeTrade }), exchange.EvidenceRefused, other},
		"another list":              {swapped(func(i *exchange.CustomerIntent) { i.Key.Allowed = []string{"198.51.100.66"} }), exchange.EvidenceRefused, other},
		"another secret":            {swapped(func(i *exchange.CustomerIntent) { i.Key.Secret = payout(t, 1, "w").Secret }), exchange.EvidenceRefused, other},
		"an address instead":        {swapped(func(i *exchange.CustomerIntent) { i.Key, i.Address = nil, to("bcrt1qthief") }), exchange.EvidenceRefused, other},
		"a passkey removed":         {swapped(func(i *exchange.CustomerIntent) { i.Key, i.Remove = nil, mine.Credential }), exchange.EvidenceRefused, other},
		"another time":              {swapped(func(i *exchange.CustomerIntent) { i.Created++ }), exchange.EvidenceRefused, other},
		"another nonce":             {swapped(func(i *exchange.CustomerIntent) { i.Nonce[0]++ }), exchange.EvidenceRefused, other},
		"another account's intent":  {swapped(func(i *exchange.CustomerIntent) { i.Account = 2 }), exchange.Malformed, ""},
		"two actions":               {swapped(func(i *exchange.CustomerIntent) { i.Look = true }), exchange.Malformed, ""},
		"no action":                 {swapped(func(i *exchange.CustomerIntent) { i.Key = nil }), exchange.Malformed, ""},
		"a code beside it":          {swapped(func(i *exchange.CustomerIntent) { i.Key.Code = "123456" }), exchange.Malformed, ""},
		"another account's passkey": {func() exchange.ApprovalBody { return theirs.Approve(intent()) }, exchange.EvidenceRefused, "not one of this account"},
		"its name on mine": {func() exchange.ApprovalBody { x := theirs.Approve(intent()); x.Credential = mine.Credential; return x },
			exchange.EvidenceRefused, "signature"},
		"nobody verified":       {with(func(p *enginetest.Passkey) { p.Flags = 1 }), exchange.EvidenceRefused, "did not verify its user"},
		"nobody there":          {with(func(p *enginetest.Passkey) { p.Flags = 4 }), exchange.EvidenceRefused, "nobody touched"},
		"a copied passkey":      {with(func(p *enginetest.Passkey) { p.Flags |= 8 }), exchange.EvidenceRefused, "another kind"},
		"copied without may":    {with(func(p *enginetest.Passkey) { p.Flags |= 16 }), exchange.EvidenceRefused, "cannot be"},
		"another page":          {with(func(p *enginetest.Passkey) { p.Origin = "https://exchange.example.evil" }), exchange.EvidenceRefused, "not of this exchange"},
		"a page without TLS":    {with(func(p *enginetest.Passkey) { p.Origin = "http://exchange.example" }), exchange.EvidenceRefused, "not of this exchange"},
		"no page":               {with(func(p *enginetest.Passkey) { p.Origin = "" }), exchange.EvidenceRefused, "not of this exchange"},
		"another site's":        {with(func(p *enginetest.Passkey) { p.Host = "evil.example" }), exchange.EvidenceRefused, "another site"},
		"inside another page":   {with(func(p *enginetest.Passkey) { p.More = `,"topOrigin":"https://evil.example"` }), exchange.EvidenceRefused, "inside another"},
		"a member twice":        {with(func(p *enginetest.Passkey) { p.More = `,"crossOrigin":false` }), exchange.EvidenceRefused, "no JSON object"},
		"a registration":        {with(func(p *enginetest.Passkey) { p.Kind = "webauthn.create" }), exchange.EvidenceRefused, "another kind than webauthn.get"},
		"a counter that stands": {with(func(p *enginetest.Passkey) { p.Still, p.Counter = true, 1 }), exchange.EvidenceRefused, "counter is 1 after 1"},
		"a counter gone back":   {with(func(p *enginetest.Passkey) { p.Still, p.Counter = true, 0 }), exchange.EvidenceRefused, "counter is 0 after 1"},
		"bytes behind the data": {cut(func(x *exchange.ApprovalBody) { x.Authenticator = append(x.Authenticator, 0) }), exchange.EvidenceRefused, "behind"},
		"data cut short":        {cut(func(x *exchange.ApprovalBody) { x.Authenticator = x.Authenticator[:36] }), exchange.EvidenceRefused, "36 bytes"},
		"a credential in it":    {func() exchange.ApprovalBody { return madeInstead(mine, intent()) }, exchange.EvidenceRefused, "made a credential"},
		"no signature":          {cut(func(x *exchange.ApprovalBody) { x.Signature = nil }), exchange.EvidenceRefused, "signature"},
		"a long signature":      {cut(func(x *exchange.ApprovalBody) { x.Signature = append(x.Signature, make([]byte, 200)...) }), exchange.EvidenceRefused, "signature"},
		"long client data":      {with(func(p *enginetest.Passkey) { p.More = `,"x":"` + strings.Repeat("x", 4096) + `"` }), exchange.EvidenceRefused, "at most 4096"},
	} {
		body := c.body()
		untouched(t, b, name, func() *accounts.Refusal { _, no := b.Approve(1, body, now); return no }, c.code, c.why)
		if name == "another account's intent" {
			untouched(t, b, "there", func() *accounts.Refusal { _, no := b.Approve(2, body, now); return no }, exchange.EvidenceRefused, "not one of this account")
		}
	}
	good := mine.Approve(intent())
	for name, at := range map[string]exchange.Millis{"late": now + 10*minute, "early": now - minute - 1} {
		untouched(t, b, name, func() *accounts.Refusal { _, no := b.Approve(1, good, at); return no }, exchange.EvidenceRefused, "took too long")
	}
	if _, no := b.Approve(1, good, now); no != nil {
		t.Fatal(no)
	}
	untouched(t, b, "again", func() *accounts.Refusal { _, no := b.Approve(1, good, now); return no }, exchange.EvidenceRefused, "carried out already")
	late := intent()
	late.Key, late.Created = payout(t, 1, "x"), now-1
	untouched(t, b, "approved before", func() *accounts.Refusal { _, no := b.Approve(1, mine.Approve(late), now); return no }, exchange.EvidenceRefused, "a later approval was")
}

// madeInstead is an authenticator that answers with a new credential, and signs it.
func madeInstead(p *enginetest.Passkey, i exchange.CustomerIntent) exchange.ApprovalBody {
	body := p.Approve(i)
	body.Authenticator[32] |= 1 << 6
	body.Authenticator = append(append(append(body.Authenticator, make([]byte, 16)...), 0, 32), p.Credential...)
	body.Authenticator = append(body.Authenticator, p.COSE()...)
	body.Signature = p.Sign(body.Client, body.Authenticator)
	return body
}

// Control 31: the first passkey needs the operator's code and a code of the customer's, each once and in time; the next
// one needs the first.
func TestControl031TheFirstPasskeyNeedsTwoCodesAndTheNextThePasskey(t *testing.T) {
	b := bookOf(t, 2, passkeyRules())
	p := enginetest.NewPasskey()
	try := func(change func(*exchange.PasskeyBody), now exchange.Millis) func() *accounts.Refusal {
		return func() *accounts.Refusal {
			body := enrolment(p, 1, now)
			change(&body)
			_, no := b.Enrol(1, body, now)
			return no
		}
	}
	as := func(*exchange.PasskeyBody) {}
	untouched(t, b, "nobody offered", try(as, start), exchange.EvidenceRefused, "enrolment code")
	offer(t, b, 2, start)
	untouched(t, b, "another account's code", try(as, start), exchange.EvidenceRefused, "enrolment code")
	offer(t, b, 1, start)
	untouched(t, b, "a wrong code", try(func(x *exchange.PasskeyBody) { x.Enrol = "0123" }, start), exchange.EvidenceRefused, "enrolment code")
	untouched(t, b, "a day later", try(as, start+24*hour), exchange.EvidenceRefused, "wrong, old")
	untouched(t, b, "a slow hand", func() *accounts.Refusal { _, no := b.Enrol(1, enrolment(p, 1, start), start+10*minute); return no }, exchange.EvidenceRefused, "too long")
	untouched(t, b, "made for another account", func() *accounts.Refusal { _, no := b.Enrol(1, enrolment(p, 2, start), start); return no }, exchange.EvidenceRefused, "something else")
	untouched(t, b, "a short nonce", try(func(x *exchange.PasskeyBody) { x.Nonce = x.Nonce[:15] }, start), exchange.Malformed, "")
	if no := try(func(x *exchange.PasskeyBody) { x.Code = "000000" }, start)(); no == nil || no.Code != exchange.SecondFactorWrong {
		t.Errorf("without the customer's code: %+v", no)
	}
	if no := try(as, start)(); no != nil {
		t.Fatal(no)
	}
	untouched(t, b, "the code again", try(as, start+2*minute), exchange.AlreadyExists, "")
	p2 := enginetest.NewEdPasskey()
	untouched(t, b, "the code again for another", func() *accounts.Refusal {
		_, no := b.Enrol(1, enrolment(p2, 1, start+2*minute), start+2*minute)
		return no
	}, exchange.EvidenceRefused, "used before")
	hash := accounts.EnrolmentHash(1, enrolCode)
	if code := b.OfferEnrolment(1, exchange.EnrolBody{Hash: hash[:]}, start); code != exchange.WrongState {
		t.Errorf("an offer to an account that has a passkey: %d", code)
	}
	now := start + hour
	body := p2.Body(1, now)
	done, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Passkey: &body}), now)
	if no != nil || done.Passkey.Algorithm != -8 {
		t.Fatalf("%+v %+v", done, no)
	}
	now += minute
	if _, no := b.Approve(1, p2.Approve(exchange.CustomerIntent{Account: 1, Created: now, Address: to("bcrt1qa")}), now); no != nil {
		t.Errorf("the second passkey approves too: %+v", no)
	}
	again := p2.Body(1, now+1)
	untouched(t, b, "one passkey twice", func() *accounts.Refusal {
		_, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now + 1, Passkey: &again}), now+1)
		return no
	}, exchange.AlreadyExists, "")
	if got := b.Passkeys(1); len(got) != 2 || got[0].Algorithm != -7 || got[1].Label != "phone" {
		t.Errorf("%+v", got)
	}
}

// Registrations of what nobody can check later are refused.
func TestControl031AuthenticatorsThatCannotBeCheckedAreRefused(t *testing.T) {
	b := bookOf(t, 1, passkeyRules())
	offer(t, b, 1, start)
	p := enginetest.NewPasskey()
	good := enrolment(p, 1, start)
	at := bytes.Index(good.Attestation, p.COSE())
	change := func(act func(x *exchange.PasskeyBody)) exchange.PasskeyBody {
		x := good
		x.Attestation = bytes.Clone(good.Attestation)
		act(&x)
		return x
	}
	set := func(place int, raw ...byte) exchange.PasskeyBody {
		return change(func(x *exchange.PasskeyBody) { copy(x.Attestation[at+place:], raw) })
	}
	for name, body := range map[string]exchange.PasskeyBody{
		"RS256":                 set(4, 0x38, 0x24), // as far as it gets
		"ES384":                 set(4, 0x38, 0x22),
		"another curve":         set(6, 2),
		"another type":          set(2, 3),
		"a point off the curve": set(12, 0, 0, 0, 0, 0, 0, 0, 1),
		"cut":                   change(func(x *exchange.PasskeyBody) { x.Attestation = x.Attestation[:len(x.Attestation)-1] }),
		"more":                  change(func(x *exchange.PasskeyBody) { x.Attestation = append(x.Attestation, 0) }),
		"nothing":               change(func(x *exchange.PasskeyBody) { x.Attestation = nil }),
		"long":                  change(func(x *exchange.PasskeyBody) { x.Attestation = make([]byte, 16<<10+1) }),
		"an assertion": change(func(x *exchange.PasskeyBody) {
			_, data, _ := p.Assert([32]byte{})
			x.Attestation = enginetest.Attestation(data)
		}),
		"a statement of none": change(func(x *exchange.PasskeyBody) {
			x.Attestation = bytes.Replace(x.Attestation, []byte("attStmt\xa0"), []byte("attStmt\xa1\x01\x02"), 1)
		}),
		"a member more": change(func(x *exchange.PasskeyBody) {
			x.Attestation = append([]byte{0xa4, 0x61, 'x', 1}, x.Attestation[1:]...)
		}),
		"a member twice": change(func(x *exchange.PasskeyBody) {
			x.Attestation = append([]byte{0xa4, 0x63, 'f', 'm', 't', 0x61, 'x'}, x.Attestation[1:]...)
		}),
	} {
		untouched(t, b, name, func() *accounts.Refusal { _, no := b.Enrol(1, body, start); return no }, exchange.EvidenceRefused, "")
	}
	for name, spoil := range map[string]func(*enginetest.Passkey){"unverified": func(p *enginetest.Passkey) { p.Flags = 1 }, "another site": func(p *enginetest.Passkey) { p.Host = "x" },
		"another page": func(p *enginetest.Passkey) { p.Origin = "https://x" }, "an assertion's client data": func(p *enginetest.Passkey) { p.Kind = "webauthn.get" },
		"a short name": func(p *enginetest.Passkey) { p.Credential = p.Credential[:15] }, "a long name": func(p *enginetest.Passkey) { p.Credential = make([]byte, 1024) }} {
		p := enginetest.NewPasskey()
		spoil(p)
		body := enrolment(p, 1, start)
		untouched(t, b, name, func() *accounts.Refusal { _, no := b.Enrol(1, body, start); return no }, exchange.EvidenceRefused, "")
	}
	if _, no := b.Enrol(1, good, start); no != nil {
		t.Fatal(no)
	}
}

// Control 31: what the customer has is shown to a passkey's holder; a passkey is removed by one, and the last one stays.
func TestControl031APasskeyRemovesAnotherAndNotTheLast(t *testing.T) {
	b := bookOf(t, 2, passkeyRules())
	p, stranger := enrolled(t, b, 1, start), enrolled(t, b, 2, start)
	now := start + hour
	look := p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Look: true})
	for range 2 {
		if no := b.Look(1, look, now); no != nil {
			t.Error(no)
		}
	}
	if no := b.Look(2, look, now); no == nil {
		t.Error("a look at another account")
	}
	if no := b.Look(1, look, now+10*minute); no == nil {
		t.Error("an old look")
	}
	if _, no := b.Approve(1, look, now); no == nil {
		t.Error("a look is an act")
	}
	remove := func(credential []byte, at exchange.Millis) *accounts.Refusal {
		_, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: at, Remove: credential}), at)
		return no
	}
	untouched(t, b, "the last", func() *accounts.Refusal { return remove(p.Credential, now) }, exchange.EvidenceRefused, "last passkey")
	untouched(t, b, "another's", func() *accounts.Refusal { return remove(stranger.Credential, now) }, exchange.EvidenceRefused, "not one of this account")
	second := enginetest.NewPasskey()
	body := second.Body(1, now)
	if _, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Passkey: &body}), now); no != nil {
		t.Fatal(no)
	}
	if no := remove(second.Credential, now+1); no != nil {
		t.Fatal(no)
	}
	untouched(t, b, "a removed passkey", func() *accounts.Refusal {
		_, no := b.Approve(1, second.Approve(exchange.CustomerIntent{Account: 1, Created: now + 2, Address: to("bcrt1qa")}), now+2)
		return no
	}, exchange.EvidenceRefused, "not one of this account")
}

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
	if _, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Address: to("bcrt1qwaits")}), now); no != nil {
		t.Fatal(no)
	}
	done, code := b.ResetFactors(exchange.FactorReset{Account: 1}, now)
	if code != exchange.Done || len(done.Passkeys) != 1 || !done.Passkeys[0].Removed || len(done.Addresses) != 1 || done.Addresses[0].Usable != now+72*hour || len(done.Keys) != 0 {
		t.Fatalf("%+v %d", done, code)
	}
	untouched(t, b, "the lost passkey", func() *accounts.Refusal {
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
	body := enrolment(enginetest.NewPasskey(), 1, at)
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
		untouched(t, b, name, act, exchange.NotAllowed, "")
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

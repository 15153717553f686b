package accounts_test

import (
	"bytes"
	"fmt"
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

// watched is a book that what is refused must not change.
type watched struct {
	t *testing.T
	b *accounts.Book
}

func watch(t *testing.T, b *accounts.Book) watched { return watched{t, b} }

func (w watched) refuses(name string, act func() *accounts.Refusal, want exchange.Code, why string) {
	w.t.Helper()
	before := snapshot(w.t, w.b)
	no := act()
	if no == nil || no.Code != want || !strings.Contains(no.Why, why) {
		w.t.Errorf("%s: %+v, want %d and %q", name, no, want, why)
	}
	if !bytes.Equal(before, snapshot(w.t, w.b)) {
		w.t.Errorf("%s changed the book", name)
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

// spoiled is an approval that something is wrong with, and how it is refused.
type spoiled struct {
	body func() exchange.ApprovalBody
	code exchange.Code
	why  string
}

func keyIntent(t *testing.T, now exchange.Millis) exchange.CustomerIntent {
	return exchange.CustomerIntent{Account: 1, Created: now, Nonce: enginetest.Nonce(), Key: payout(t, 1, "w")}
}

func (w watched) refusesAll(list map[string]spoiled, now exchange.Millis) {
	w.t.Helper()
	for name, c := range list {
		body := c.body()
		w.refuses(name, func() *accounts.Refusal { _, no := w.b.Approve(1, body, now); return no }, c.code, c.why)
	}
}

// Control 85: a passkey signs one intent. What is changed afterwards, moved to another account, late, early or sent again
// is refused.
func TestControl085AnAssertionIsForOneIntentOnce(t *testing.T) {
	b := bookOf(t, 2, passkeyRules())
	mine, theirs := enrolled(t, b, 1, start), enrolled(t, b, 2, start)
	now := start + hour
	swapped := func(code exchange.Code, change func(*exchange.CustomerIntent)) spoiled {
		why := map[exchange.Code]string{exchange.EvidenceRefused: "something else was approved"}[code]
		return spoiled{func() exchange.ApprovalBody {
			i := keyIntent(t, now)
			body := mine.Approve(i)
			change(&i)
			body.Intent = enginetest.Body(i)
			return body
		}, code, why}
	}
	const other, none = exchange.EvidenceRefused, exchange.Malformed
	watch(t, b).refusesAll(map[string]spoiled{
		"another scope":             swapped(other, func(i *exchange.CustomerIntent) { i.Key.Scopes |= exchange.ScopeTrade }),
		"another list":              swapped(other, func(i *exchange.CustomerIntent) { i.Key.Allowed = []string{"198.51.100.66"} }),
		"another secret":            swapped(other, func(i *exchange.CustomerIntent) { i.Key.Secret = payout(t, 1, "w").Secret }),
		"an address instead":        swapped(other, func(i *exchange.CustomerIntent) { i.Key, i.Address = nil, to("bcrt1qthief") }),
		"a passkey removed":         swapped(other, func(i *exchange.CustomerIntent) { i.Key, i.Remove = nil, mine.Credential }),
		"another time":              swapped(other, func(i *exchange.CustomerIntent) { i.Created++ }),
		"another nonce":             swapped(other, func(i *exchange.CustomerIntent) { i.Nonce[0]++ }),
		"another account's intent":  swapped(none, func(i *exchange.CustomerIntent) { i.Account = 2 }),
		"two actions":               swapped(none, func(i *exchange.CustomerIntent) { i.Look = true }),
		"no action":                 swapped(none, func(i *exchange.CustomerIntent) { i.Key = nil }),
		"a short nonce":             swapped(none, func(i *exchange.CustomerIntent) { i.Nonce = i.Nonce[:15] }),
		"a code beside it":          swapped(none, func(i *exchange.CustomerIntent) { i.Key.Code = "123456" }),
		"another account's passkey": {func() exchange.ApprovalBody { return theirs.Approve(keyIntent(t, now)) }, exchange.EvidenceRefused, "not one of this account"},
		"its name on mine": {func() exchange.ApprovalBody {
			x := theirs.Approve(keyIntent(t, now))
			x.Credential = mine.Credential
			return x
		}, exchange.EvidenceRefused, "signature"},
	}, now)
	address := exchange.CustomerIntent{Account: 1, Created: now, Address: to("bcrt1qmine")}
	elsewhere := mine.Approve(address)
	address.Address, address.Nonce = to("bcrt1qthief"), enginetest.Nonce()
	elsewhere.Intent = enginetest.Body(address)
	watch(t, b).refuses("another address", func() *accounts.Refusal { _, no := b.Approve(1, elsewhere, now); return no }, exchange.EvidenceRefused, "something else")
	respelled := mine.Approve(keyIntent(t, now))
	respelled.Intent = bytes.Replace(respelled.Intent, []byte{1, 1}, []byte{1, 0x18, 1}, 1) // account 1 in two bytes
	respelled.Client, respelled.Authenticator, respelled.Signature = mine.Assert(accounts.ApprovalChallenge(1, respelled.Intent))
	watch(t, b).refuses("another spelling", func() *accounts.Refusal { _, no := b.Approve(1, respelled, now); return no }, exchange.Malformed, "")
	good := mine.Approve(keyIntent(t, now))
	watch(t, b).refuses("at another account", func() *accounts.Refusal { _, no := b.Approve(2, good, now); return no }, exchange.Malformed, "")
	for name, at := range map[string]exchange.Millis{"late": now + 10*minute, "early": now - minute - 1} {
		watch(t, b).refuses(name, func() *accounts.Refusal { _, no := b.Approve(1, good, at); return no }, exchange.EvidenceRefused, "took too long")
	}
	if _, no := b.Approve(1, good, now); no != nil {
		t.Fatal(no)
	}
	watch(t, b).refuses("again", func() *accounts.Refusal { _, no := b.Approve(1, good, now); return no }, exchange.EvidenceRefused, "carried out already")
	late := keyIntent(t, now-1)
	late.Key = payout(t, 1, "x")
	watch(t, b).refuses("approved before", func() *accounts.Refusal { _, no := b.Approve(1, mine.Approve(late), now); return no }, exchange.EvidenceRefused, "a later approval was")
}

// Control 85: an assertion counts when the account's authenticator recognised its user, at this exchange's own page, and
// is no copy.
func TestControl085AnAssertionIsAVerifiedUsersAtOurPage(t *testing.T) {
	b := bookOf(t, 1, passkeyRules())
	mine := enrolled(t, b, 1, start)
	now := start + hour
	with := func(why string, change func(*enginetest.Passkey)) spoiled {
		return spoiled{func() exchange.ApprovalBody {
			p := *mine
			change(&p)
			return p.Approve(keyIntent(t, now))
		}, exchange.EvidenceRefused, why}
	}
	cut := func(why string, change func(*exchange.ApprovalBody)) spoiled {
		return spoiled{func() exchange.ApprovalBody {
			body := mine.Approve(keyIntent(t, now))
			change(&body)
			return body
		}, exchange.EvidenceRefused, why}
	}
	watch(t, b).refusesAll(map[string]spoiled{
		"nobody verified":       with("did not verify its user", func(p *enginetest.Passkey) { p.Flags = 1 }),
		"nobody there":          with("nobody touched", func(p *enginetest.Passkey) { p.Flags = 4 }),
		"a copied passkey":      with("another kind", func(p *enginetest.Passkey) { p.Flags |= 8 }),
		"copied without may":    with("cannot be", func(p *enginetest.Passkey) { p.Flags |= 16 }),
		"another page":          with("not of this exchange", func(p *enginetest.Passkey) { p.Origin = "https://exchange.example.evil" }),
		"a page without TLS":    with("not of this exchange", func(p *enginetest.Passkey) { p.Origin = "http://exchange.example" }),
		"no page":               with("not of this exchange", func(p *enginetest.Passkey) { p.Origin = "" }),
		"another site's":        with("another site", func(p *enginetest.Passkey) { p.Host = "evil.example" }),
		"inside another page":   with("inside another", func(p *enginetest.Passkey) { p.More = `,"topOrigin":"https://evil.example"` }),
		"a member twice":        with("no JSON object", func(p *enginetest.Passkey) { p.More = `,"crossOrigin":false` }),
		"a registration":        with("another kind than webauthn.get", func(p *enginetest.Passkey) { p.Kind = "webauthn.create" }),
		"a counter that stands": with("counter is 1 after 1", func(p *enginetest.Passkey) { p.Still, p.Counter = true, 1 }),
		"a counter gone back":   with("counter is 0 after 1", func(p *enginetest.Passkey) { p.Still, p.Counter = true, 0 }),
		"long client data":      with("at most 4096", func(p *enginetest.Passkey) { p.More = `,"x":"` + strings.Repeat("x", 4096) + `"` }),
		"bytes behind the data": cut("behind", func(x *exchange.ApprovalBody) { x.Authenticator = append(x.Authenticator, 0) }),
		"data cut short":        cut("36 bytes", func(x *exchange.ApprovalBody) { x.Authenticator = x.Authenticator[:36] }),
		"no signature":          cut("signature", func(x *exchange.ApprovalBody) { x.Signature = nil }),
		"a long signature":      cut("signature", func(x *exchange.ApprovalBody) { x.Signature = append(x.Signature, make([]byte, 200)...) }),
		"a credential in it":    {func() exchange.ApprovalBody { return madeInstead(mine, keyIntent(t, now)) }, exchange.EvidenceRefused, "made a credential"},
		"crossOrigin": cut("inside another", func(x *exchange.ApprovalBody) {
			x.Client = bytes.Replace(x.Client, []byte(`"crossOrigin":false`), []byte(`"crossOrigin":true`), 1)
			x.Signature = mine.Sign(x.Client, x.Authenticator)
		}),
	}, now)
	if _, no := b.Approve(1, mine.Approve(exchange.CustomerIntent{Account: 1, Created: now - 1, Address: to("bcrt1qa")}), now); no != nil {
		t.Fatal(no)
	}
	copied := *mine
	copied.Still = true
	watch(t, b).refuses("a copy", func() *accounts.Refusal { _, no := b.Approve(1, copied.Approve(keyIntent(t, now)), now); return no }, exchange.EvidenceRefused, "counter")
	zero := enginetest.NewPasskey() // hardware that does not count says zero each time
	zero.Still = true
	body := zero.Body(1, now)
	if _, no := b.Approve(1, mine.Approve(exchange.CustomerIntent{Account: 1, Created: now, Passkey: &body}), now); no != nil {
		t.Fatal(no)
	}
	for i := range exchange.Millis(2) {
		if _, no := b.Approve(1, zero.Approve(exchange.CustomerIntent{Account: 1, Created: now + 1 + i, Address: to(fmt.Sprint("bcrt1q", i))}), now+1); no != nil {
			t.Error(no)
		}
	}
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
	watch(t, b).refuses("nobody offered", try(as, start), exchange.EvidenceRefused, "enrolment code")
	offer(t, b, 2, start)
	watch(t, b).refuses("another account's code", try(as, start), exchange.EvidenceRefused, "enrolment code")
	offer(t, b, 1, start)
	watch(t, b).refuses("a wrong code", try(func(x *exchange.PasskeyBody) { x.Enrol = "0123" }, start), exchange.EvidenceRefused, "enrolment code")
	watch(t, b).refuses("a day later", try(as, start+24*hour), exchange.EvidenceRefused, "wrong, old")
	watch(t, b).refuses("a slow hand", func() *accounts.Refusal { _, no := b.Enrol(1, enrolment(p, 1, start), start+10*minute); return no }, exchange.EvidenceRefused, "too long")
	watch(t, b).refuses("made for another account", func() *accounts.Refusal { _, no := b.Enrol(1, enrolment(p, 2, start), start); return no }, exchange.EvidenceRefused, "something else")
	watch(t, b).refuses("a short nonce", try(func(x *exchange.PasskeyBody) { x.Nonce = x.Nonce[:15] }, start), exchange.Malformed, "")
	if no := try(func(x *exchange.PasskeyBody) { x.Code = "000000" }, start)(); no == nil || no.Code != exchange.SecondFactorWrong {
		t.Errorf("without the customer's code: %+v", no)
	}
	if no := try(as, start)(); no != nil {
		t.Fatal(no)
	}
	watch(t, b).refuses("the code again", try(as, start+2*minute), exchange.AlreadyExists, "")
	p2 := enginetest.NewEdPasskey()
	watch(t, b).refuses("the code again for another", func() *accounts.Refusal {
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
	watch(t, b).refuses("one passkey twice", func() *accounts.Refusal {
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
		"another curve":         set(6, 2),
		"another type":          set(2, 3),
		"a point off the curve": set(12, 0, 0, 0, 0, 0, 0, 0, 1),
		"cut":                   change(func(x *exchange.PasskeyBody) { x.Attestation = x.Attestation[:len(x.Attestation)-1] }),
		"more":                  change(func(x *exchange.PasskeyBody) { x.Attestation = append(x.Attestation, 0) }),
		"nothing":               change(func(x *exchange.PasskeyBody) { x.Attestation = nil }),
		"long":                  change(func(x *exchange.PasskeyBody) { x.Attestation = enginetest.Attested(x.Attestation, 16<<10) }),
		"a tag":                 change(func(x *exchange.PasskeyBody) { x.Attestation = append([]byte{0xd9, 0xd9, 0xf7}, x.Attestation...) }),
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
		watch(t, b).refuses(name, func() *accounts.Refusal { _, no := b.Enrol(1, body, start); return no }, exchange.EvidenceRefused, "")
	}
	for name, spoil := range map[string]func(*enginetest.Passkey){"unverified": func(p *enginetest.Passkey) { p.Flags = 1 }, "another site": func(p *enginetest.Passkey) { p.Host = "x" },
		"RS256": func(p *enginetest.Passkey) { p.Algorithm = -257 }, "ES384": func(p *enginetest.Passkey) { p.Algorithm = -35 }, "EdDSA of a point": func(p *enginetest.Passkey) { p.Algorithm = -8 },
		"another page": func(p *enginetest.Passkey) { p.Origin = "https://x" }, "an assertion's client data": func(p *enginetest.Passkey) { p.Kind = "webauthn.get" },
		"a short name": func(p *enginetest.Passkey) { p.Credential = p.Credential[:15] }, "a long name": func(p *enginetest.Passkey) { p.Credential = make([]byte, 1024) }} {
		p := enginetest.NewPasskey()
		spoil(p)
		body := enrolment(p, 1, start)
		watch(t, b).refuses(name, func() *accounts.Refusal { _, no := b.Enrol(1, body, start); return no }, exchange.EvidenceRefused, "")
	}
	good.Attestation = enginetest.Attested(good.Attestation, 16<<10-300) // whoever made it
	crossed := enginetest.NewEdPasskey()
	crossed.Algorithm = -7
	watch(t, b).refuses("ES256 of Ed25519", func() *accounts.Refusal { _, no := b.Enrol(1, enrolment(crossed, 1, start), start); return no }, exchange.EvidenceRefused, "algorithm -7")
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
		if may, no := b.Check(1, look, now); no != nil || !may {
			t.Error(may, no)
		}
	}
	if may, no := b.Check(2, look, now); no == nil || may {
		t.Error("a look at another account")
	}
	if may, no := b.Check(1, look, now+10*minute); no == nil || may {
		t.Error("an old look")
	}
	if may, no := b.Check(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Address: to("bcrt1qa")}), now); no != nil || may {
		t.Error("an approval of something else is a look", no)
	}
	if _, no := b.Approve(1, look, now); no == nil {
		t.Error("a look is an act")
	}
	remove := func(credential []byte, at exchange.Millis) *accounts.Refusal {
		_, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: at, Remove: credential}), at)
		return no
	}
	watch(t, b).refuses("the last", func() *accounts.Refusal { return remove(p.Credential, now) }, exchange.EvidenceRefused, "last passkey")
	watch(t, b).refuses("another's", func() *accounts.Refusal { return remove(stranger.Credential, now) }, exchange.EvidenceRefused, "not one of this account")
	second := enginetest.NewPasskey()
	body := second.Body(1, now)
	if _, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: now, Passkey: &body}), now); no != nil {
		t.Fatal(no)
	}
	if _, code := b.SetState(exchange.StateChange{Account: 1, State: exchange.AccountFrozen}); code != exchange.Done {
		t.Fatal(code)
	}
	watch(t, b).refuses("of a frozen account", func() *accounts.Refusal { return remove(second.Credential, now+1) }, exchange.NotAllowed, "")
	if _, code := b.SetState(exchange.StateChange{Account: 1}); code != exchange.Done {
		t.Fatal(code)
	}
	if no := remove(second.Credential, now+1); no != nil {
		t.Fatal(no)
	}
	watch(t, b).refuses("a removed passkey", func() *accounts.Refusal {
		_, no := b.Approve(1, second.Approve(exchange.CustomerIntent{Account: 1, Created: now + 2, Address: to("bcrt1qa")}), now+2)
		return no
	}, exchange.EvidenceRefused, "not one of this account")
	register := func(p2 *enginetest.Passkey, at exchange.Millis) *accounts.Refusal {
		body := p2.Body(1, at)
		_, no := b.Approve(1, p.Approve(exchange.CustomerIntent{Account: 1, Created: at, Passkey: &body}), at)
		return no
	}
	if no := register(second, now+3); no != nil {
		t.Errorf("a removed one comes back: %+v", no)
	}
	for i := range exchange.Millis(8) {
		if no := register(enginetest.NewPasskey(), now+4+i); no != nil {
			t.Fatal(no)
		}
	}
	watch(t, b).refuses("the eleventh", func() *accounts.Refusal { return register(enginetest.NewPasskey(), now+20) }, exchange.OverLimit, "")
}

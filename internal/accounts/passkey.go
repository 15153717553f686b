package accounts

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/exchange"
)

// What a passkey approves is a CustomerIntent: the challenge that its hardware signs is
//
//	SHA-256("coldsign passkey approval 1" 0x00, account 8, bytes of the intent)
//
// and that of a registration is
//
//	SHA-256("coldsign passkey registration 1" 0x00, account 8, created 8, nonce 16)
//
// with numbers big endian, so that neither stands for the other, nor for another account. An enrolment code is stored as
//
//	SHA-256("coldsign enrolment 1" 0x00, account 8, code)
//
// An intent counts once because its time has to be later than that of the last one that was carried out, and for
// intentLife, so that what was approved and lost on its way is not found later.
const (
	passkeysMax = 10
	nonceLen    = 16
	intentLife  = 10 * minute
	intentAhead = minute // how far a gateway's clock may be ahead
)

// Why something is refused, where more than one place says it.
const (
	tooLate = "this took too long, or a clock is wrong: begin again"
	// WrongEnrolment says that no enrolment of that code is open.
	WrongEnrolment = "the enrolment code is wrong, old, or was used before"
	// NeedsPasskey says why no code makes a withdrawal key or address where the rules require a passkey.
	NeedsPasskey = "withdrawal keys and addresses are made with the customer's passkey, on the gateway's page /security"
)

// passkey is one credential of an account.
type passkey struct {
	credential string
	label      string
	key        publicKey
	added      exchange.Millis
	counter    uint32
	syncable   bool
}

func (p *passkey) info(id exchange.Account) exchange.PasskeyInfo {
	return exchange.PasskeyInfo{Account: id, Credential: []byte(p.credential), Label: p.label, Algorithm: p.key.algorithm, Added: p.added, Synced: p.syncable}
}

// factors are what an account has of passkeys.
type factors struct {
	passkeys []passkey       // in the order in which they were registered
	approved exchange.Millis // time of the last intent that was carried out
	calm     exchange.Millis // until then nothing new counts for withdrawals: the passkeys were taken away
	enrol    string          // hash of the enrolment code; empty: none is open
	until    exchange.Millis // when it ends
}

// factorsOf returns what an account has of passkeys, to be read.
func (b *Book) factorsOf(id exchange.Account) *factors {
	if f := b.factors[id]; f != nil {
		return f
	}
	return &factors{}
}

// factorsFor returns it to be written.
func (b *Book) factorsFor(id exchange.Account) *factors {
	f := b.factors[id]
	if f == nil {
		f = &factors{}
		b.factors[id] = f
	}
	return f
}

// ApprovalChallenge is what an account's passkey has to sign, to approve an intent.
func ApprovalChallenge(id exchange.Account, intent []byte) [sha256.Size]byte {
	return hashOf("coldsign passkey approval 1", id, intent)
}

// RegistrationChallenge is what a new passkey is made with.
func RegistrationChallenge(id exchange.Account, created exchange.Millis, nonce []byte) [sha256.Size]byte {
	return hashOf("coldsign passkey registration 1", id, append(binary.BigEndian.AppendUint64(nil, uint64(created)), nonce...))
}

// EnrolmentHash is how an enrolment code is stored. Case, spaces and hyphens do not count: people type it.
func EnrolmentHash(id exchange.Account, code string) [sha256.Size]byte {
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	return hashOf("coldsign enrolment 1", id, []byte(code))
}

func hashOf(domain string, id exchange.Account, rest []byte) [sha256.Size]byte {
	return sha256.Sum256(append(binary.BigEndian.AppendUint64(append([]byte(domain), 0), uint64(id)), rest...))
}

// Refusal says why something is not done.
type Refusal struct {
	Code exchange.Code
	Why  string // of EvidenceRefused and Malformed
}

// code is Done of no refusal.
func (r *Refusal) code() exchange.Code {
	if r == nil {
		return exchange.Done
	}
	return r.Code
}

func refused(code exchange.Code) *Refusal { return &Refusal{Code: code} }

func doubted(why string) *Refusal { return &Refusal{exchange.EvidenceRefused, why} }

// OfferEnrolment opens an account for its first passkey, to whoever knows the code of the hash. A later offer takes the
// place of an earlier one. An account that has a passkey takes more by that one alone.
func (b *Book) OfferEnrolment(id exchange.Account, body exchange.EnrolBody, now exchange.Millis) exchange.Code {
	a := b.find(id)
	switch {
	case b.rules.PasskeyRP == "":
		return exchange.NotAllowed
	case a == nil:
		return exchange.UnknownAccount
	case len(body.Hash) != sha256.Size:
		return exchange.Malformed
	case a.state != exchange.AccountActive:
		return exchange.NotAllowed
	case len(b.factorsOf(id).passkeys) > 0:
		return exchange.WrongState
	}
	f := b.factorsFor(id)
	f.enrol, f.until = string(body.Hash), now+b.rules.EnrolLife
	return exchange.Done
}

// Enrol registers an account's first passkey. It needs the enrolment code, once, and a one-time code where the account
// has a secret for them: the operator's terminal prints the first and does not have the second.
func (b *Book) Enrol(id exchange.Account, body exchange.PasskeyBody, now exchange.Millis) (exchange.PasskeyInfo, *Refusal) {
	a := b.find(id)
	switch {
	case b.rules.PasskeyRP == "":
		return exchange.PasskeyInfo{}, refused(exchange.NotAllowed)
	case a == nil:
		return exchange.PasskeyInfo{}, refused(exchange.UnknownAccount)
	case a.state != exchange.AccountActive:
		return exchange.PasskeyInfo{}, refused(exchange.NotAllowed)
	case !inTime(body.Created, now):
		return exchange.PasskeyInfo{}, doubted(tooLate)
	}
	p, no := b.newPasskey(id, body, now)
	if no != nil {
		return exchange.PasskeyInfo{}, no
	}
	if hash := EnrolmentHash(id, body.Enrol); !b.Offered(id, hash[:], now) {
		return exchange.PasskeyInfo{}, doubted(WrongEnrolment)
	}
	if len(a.totp()) > 0 && !b.spendCode(a, body.Code, now) {
		return exchange.PasskeyInfo{}, refused(exchange.SecondFactorWrong)
	}
	f := b.factorsFor(id)
	f.enrol, f.until = "", 0
	return b.addPasskey(id, p), nil
}

func inTime(created, now exchange.Millis) bool {
	return created <= now+intentAhead && created > now-intentLife
}

// newPasskey judges a registration; nothing is stored.
func (b *Book) newPasskey(id exchange.Account, body exchange.PasskeyBody, now exchange.Millis) (passkey, *Refusal) {
	if len(body.Nonce) != nonceLen || !isLabel(body.Label) {
		return passkey{}, refused(exchange.Malformed)
	}
	c := ceremony{&b.rules, "webauthn.create", RegistrationChallenge(id, body.Created, body.Nonce)}
	made, err := c.register(body.Client, body.Attestation)
	switch {
	case err != nil:
		return passkey{}, doubted(err.Error())
	case b.credentials[string(made.credential)] != 0:
		return passkey{}, refused(exchange.AlreadyExists)
	case len(b.factorsOf(id).passkeys) >= passkeysMax:
		return passkey{}, refused(exchange.OverLimit)
	}
	return passkey{string(made.credential), body.Label, made.key, now, made.counter, made.syncable}, nil
}

func (b *Book) addPasskey(id exchange.Account, p passkey) exchange.PasskeyInfo {
	f := b.factorsFor(id)
	f.passkeys = append(f.passkeys, p)
	b.credentials[p.credential] = id
	return p.info(id)
}

// Approved is what an intent did: one of its records is set.
type Approved struct {
	Key     *exchange.KeyInfo
	Address *exchange.AddressInfo
	Passkey *exchange.PasskeyInfo
}

// Approve carries out what a customer's passkey approved. Whether the text of an address is one of the asset's network
// is the engine's to know.
func (b *Book) Approve(id exchange.Account, body exchange.ApprovalBody, now exchange.Millis) (Approved, *Refusal) {
	intent, p, counter, no := b.judge(id, body)
	if no != nil {
		return Approved{}, no
	}
	switch {
	case !inTime(intent.Created, now):
		return Approved{}, doubted(tooLate)
	case intent.Look:
		return Approved{}, refused(exchange.Malformed)
	}
	done, no := b.carryOut(intent, p, now)
	if no != nil {
		return Approved{}, no
	}
	f := b.factorsFor(id)
	f.approved = intent.Created
	for i := range f.passkeys {
		if f.passkeys[i].credential == string(body.Credential) {
			f.passkeys[i].counter = counter
		}
	}
	return done, nil
}

// Check says whether an approval would count, as far as can be known without carrying it out, and whether it is one to
// look at what the account has. It changes nothing: a look may be taken again while it is fresh, and what a stranger sends
// is found out before it is journalled.
func (b *Book) Check(id exchange.Account, body exchange.ApprovalBody, now exchange.Millis) (look bool, no *Refusal) {
	intent, _, _, no := b.judge(id, body)
	if no == nil && intent.Created <= now-intentLife { // now may be long ago, when nothing happens
		no = doubted(tooLate)
	}
	return intent.Look && no == nil, no
}

// Offered reports whether an account may register its first passkey with the code of a hash.
func (b *Book) Offered(id exchange.Account, hash []byte, now exchange.Millis) bool {
	f := b.factorsOf(id)
	return f.enrol != "" && now < f.until && subtle.ConstantTimeCompare(hash, []byte(f.enrol)) == 1
}

// judge verifies an approval: the intent's bytes, that it comes after the last one, and the assertion over it.
func (b *Book) judge(id exchange.Account, body exchange.ApprovalBody) (exchange.CustomerIntent, *passkey, uint32, *Refusal) {
	f := b.factorsOf(id)
	var p *passkey
	for i := range f.passkeys {
		if f.passkeys[i].credential == string(body.Credential) {
			p = &f.passkeys[i]
		}
	}
	intent, ok := readIntent(body.Intent)
	switch {
	case b.rules.PasskeyRP == "":
		return intent, nil, 0, refused(exchange.NotAllowed)
	case !ok || intent.Account != id:
		return intent, nil, 0, refused(exchange.Malformed)
	case p == nil:
		return intent, nil, 0, doubted("that passkey is not one of this account")
	case intent.Created <= f.approved:
		return intent, nil, 0, doubted("this was carried out already, or a later approval was: begin again")
	}
	c := ceremony{&b.rules, "webauthn.get", ApprovalChallenge(id, body.Intent)}
	said, err := c.assert(p, body.Client, body.Authenticator, body.Signature)
	if err != nil {
		return intent, nil, 0, doubted(err.Error())
	}
	return intent, p, said.counter, nil
}

// readIntent reads an intent, which has one spelling and one action, and no code in it: the passkey is the factor.
func readIntent(raw []byte) (exchange.CustomerIntent, bool) {
	i, err := exchange.DecodeBody[exchange.CustomerIntent](raw)
	if err != nil {
		return i, false
	}
	again, err := exchange.EncodeBody(i)
	actions := 0
	for _, set := range []bool{i.Key != nil, i.Address != nil, i.Passkey != nil, len(i.Remove) > 0, i.Look} {
		if set {
			actions++
		}
	}
	if err != nil || !bytes.Equal(raw, again) || actions != 1 || len(i.Nonce) != nonceLen {
		return i, false
	}
	return i, !(i.Key != nil && i.Key.Code != "" || i.Address != nil && i.Address.Code != "" || i.Passkey != nil && (i.Passkey.Code != "" || i.Passkey.Enrol != ""))
}

func (b *Book) carryOut(intent exchange.CustomerIntent, by *passkey, now exchange.Millis) (Approved, *Refusal) {
	byPasskey := func(*account) *Refusal { return nil }
	switch id := intent.Account; {
	case intent.Key != nil:
		info, no := b.addKey(id, *intent.Key, now, byPasskey)
		return Approved{Key: &info}, no
	case intent.Address != nil:
		info, no := b.addAddress(id, *intent.Address, now, byPasskey)
		return Approved{Address: &info}, no
	case b.find(id).state != exchange.AccountActive:
		return Approved{}, refused(exchange.NotAllowed)
	case intent.Passkey != nil:
		p, no := b.newPasskey(id, *intent.Passkey, now)
		if no != nil {
			return Approved{}, no
		}
		info := b.addPasskey(id, p)
		return Approved{Passkey: &info}, nil
	default:
		info, no := b.removePasskey(id, string(intent.Remove))
		return Approved{Passkey: &info}, no
	}
}

// removePasskey takes one away, but not the last: an account without one would be open to an enrolment code again, and
// that needs two people.
func (b *Book) removePasskey(id exchange.Account, credential string) (exchange.PasskeyInfo, *Refusal) {
	f := b.factorsOf(id)
	place := slices.IndexFunc(f.passkeys, func(p passkey) bool { return p.credential == credential })
	switch {
	case place < 0:
		return exchange.PasskeyInfo{}, doubted("that passkey is not one of this account")
	case len(f.passkeys) == 1:
		return exchange.PasskeyInfo{}, doubted("the last passkey stays: register another one first")
	}
	info := f.passkeys[place].info(id)
	info.Removed = true
	f.passkeys = slices.Delete(f.passkeys, place, place+1)
	delete(b.credentials, credential)
	return info, nil
}

// Reset is what a reset of an account's factors changed.
type Reset struct {
	Account   exchange.AccountInfo
	Passkeys  []exchange.PasskeyInfo
	Keys      []exchange.KeyInfo
	Addresses []exchange.AddressInfo
}

// ResetFactors takes all passkeys from an account, because two people say that its customer lost them; with Codes, the
// one-time-code secret too. What is new or waits then waits for the rules' ResetDelay: who deceived two people, or is
// them, cannot have anything paid to a new address before the customer had time to notice.
func (b *Book) ResetFactors(c exchange.FactorReset, now exchange.Millis) (Reset, exchange.Code) {
	a := b.find(c.Account)
	switch {
	case b.rules.PasskeyRP == "":
		return Reset{}, exchange.NotAllowed
	case a == nil:
		return Reset{}, exchange.UnknownAccount
	}
	var out Reset
	f := b.factorsFor(c.Account)
	for i := range f.passkeys {
		info := f.passkeys[i].info(c.Account)
		info.Removed = true
		out.Passkeys = append(out.Passkeys, info)
		delete(b.credentials, f.passkeys[i].credential)
	}
	*f = factors{approved: f.approved, calm: max(f.calm, now+b.rules.ResetDelay)}
	if c.Codes {
		a.text = a.name()
	}
	for _, k := range a.holdings().keys {
		if k.info.Scopes&exchange.ScopeWithdraw != 0 && !k.info.Revoked && k.info.Usable > now && k.info.Usable < f.calm {
			k.info.Usable = f.calm
			out.Keys = append(out.Keys, k.record())
		}
	}
	for i := range a.more.addresses {
		if e := &a.more.addresses[i]; e.usable > now && e.usable < f.calm {
			e.usable = f.calm
			out.Addresses = append(out.Addresses, e.info(c.Account))
		}
	}
	out.Account, _ = b.Account(c.Account)
	return out, exchange.Done
}

// Passkeys returns an account's passkeys in the order in which they were registered.
func (b *Book) Passkeys(id exchange.Account) []exchange.PasskeyInfo {
	var out []exchange.PasskeyInfo
	for _, p := range b.factorsOf(id).passkeys {
		out = append(out, p.info(id))
	}
	return out
}

// Security returns the rules of passkeys.
func (b *Book) Security() exchange.SecurityInfo {
	info := exchange.SecurityInfo{RP: b.rules.PasskeyRP, Required: b.rules.PasskeyRequired, EnrolLife: b.rules.EnrolLife}
	if info.RP != "" {
		info.Origins = strings.Split(b.rules.PasskeyOrigins, " ")
	}
	return info
}

// secondFactor is the way without a passkey: a one-time code, where the rules still take one.
func (b *Book) secondFactor(code string, now exchange.Millis) func(*account) *Refusal {
	return func(a *account) *Refusal {
		switch {
		case b.rules.PasskeyRequired:
			return doubted(NeedsPasskey)
		case !b.spendCode(a, code, now):
			return refused(exchange.SecondFactorWrong)
		}
		return nil
	}
}

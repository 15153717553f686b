// Package accounts decides what a customer's keys and addresses may do: API keys, passkeys, one-time codes, address books
// and withdrawal limits.
//
// A Book is part of the engine's state: it is changed by commands in the journal's order, with the time of their frame,
// and gives the same answers and the same snapshot bytes wherever the journal is replayed. Methods return the record
// as it now is, for the event, and a code; a code other than Done has changed no record. Three counters move with a
// refusal all the same, and a replay moves them too: wrong one-time codes, attempts to withdraw, and the freeze that
// too many attempts lead to.
//
// What leaves the house needs four things that a thief of one of them does not have. A key with ScopeWithdraw has an
// allow-list of addresses, was made with the customer's passkey, and waits (24 hours by default) before it counts; the
// address paid to was added with a passkey and waited as long; an account makes at most 50 withdrawals in any 60 seconds,
// by whatever key; and a key that keeps asking is frozen within the flood's first second. A key never gets another scope:
// whoever wants one makes a new key.
//
// A passkey approves an intent: the bytes of the key or address itself (passkey.go). The book verifies the assertion by
// rules that are written out in this package (webauthn.go, clientdata.go) and in no library, because they are part of
// history: the same journal gives the same verdicts with every version of the program, or it is not the same journal. A
// rule that has to change gets a number in Rules. Where the rules do not require passkeys, a one-time code does as well;
// a journal that began without rules for passkeys has none.
//
// Secrets are stored as a Sealer sealed them (sealer.go). The book opens one only to judge a one-time code.
//
// What may never happen here: a secret in clear outside memory, a clock of its own, or a result that depends on the
// order of a map.
package accounts

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Rules are the times and limits that a book goes by. They decide what commands do, so they belong to the journal's
// beginning: a replay under other rules is another history.
type Rules struct {
	AddressDelay   exchange.Millis // until a new address can be paid to
	KeyDelay       exchange.Millis // until a new key with ScopeWithdraw may withdraw
	WithdrawalsMax int             // of one account in any 60 seconds
	AttemptsMax    int             // of one key in 60 seconds; one more freezes the key

	// Passkeys, which an exchange has from its beginning or not at all.
	PasskeyRP       string          // the host that passkeys are bound to; empty: there are none, and all else here is zero
	PasskeyOrigins  string          // of pages that may ask for them, with a space between
	PasskeyRequired bool            // withdrawal keys and addresses need one; a one-time code does not do
	EnrolLife       exchange.Millis // until an enrolment code ends
	ResetDelay      exchange.Millis // after passkeys were taken away, until anything new counts for withdrawals
}

// DefaultRules returns what an exchange has that sets nothing else.
func DefaultRules() Rules {
	return Rules{AddressDelay: 24 * 3600_000, KeyDelay: 24 * 3600_000, WithdrawalsMax: 50, AttemptsMax: 100}
}

// valid reports whether the rules are ones that a book can go by.
func (r Rules) valid() bool {
	return r.AddressDelay >= 0 && r.KeyDelay >= 0 && r.WithdrawalsMax > 0 && r.WithdrawalsMax <= 10_000 && r.AttemptsMax > 0 && r.validPasskeys()
}

// Valid reports whether the rules are ones that a book can go by.
func (r Rules) Valid() bool { return r.valid() }

// Opener opens what a Sealer sealed. The engine's segment alone has one.
type Opener interface {
	Open(account exchange.Account, name string, sealed []byte) ([]byte, error)
}

// Options make a Book.
type Options struct {
	Rules  Rules
	Opener Opener // nil: every one-time code is refused
}

// Limits of what is remembered for one account. They keep its record in a snapshot below recordMax.
const (
	nameMax      = 64 // bytes, of an account's name and of labels
	keysMax      = 30 // live ones
	keysEverMax  = 1000
	addressesMax = 500
	addressMax   = 128 // bytes of one address
	ticketsMax   = 1000
	numberMax    = 1 << 53 // of accounts, so that every JSON reader can hold it
	sealedMax    = 256     // bytes of a sealed secret
)

// account is one customer. A million of them are usual and most do nothing, so what few have is behind a pointer and
// the two texts share one allocation.
type account struct {
	id           exchange.Account
	created      exchange.Millis
	text         string // the name, and behind it the sealed one-time-code secret
	maker, taker uint32 // of its own; see fees
	step         uint32 // of the last one-time code that was taken
	nameLen      uint8
	state        exchange.AccountState
	free         bool // it pays nothing, whatever others pay
	more         *holdings
}

// holdings are what an account has beside its name.
type holdings struct {
	keys       []*key    // in the order in which they were made
	addresses  []address // in the order in which they were added
	recent     []exchange.Millis
	days       []dayWindow // by asset, rising
	wrong      uint32      // one-time codes in a row
	wrongSince exchange.Millis
}

func (a *account) name() string { return a.text[:a.nameLen] }
func (a *account) totp() []byte { return []byte(a.text[a.nameLen:]) }

func (a *account) holdings() *holdings {
	if a.more == nil {
		a.more = &holdings{}
	}
	return a.more
}

// own reports whether the account's fees were set for it.
func (a *account) own() bool { return a.free || a.maker != 0 || a.taker != 0 }

// fees are what the account pays: its own, or those of everybody who has none.
func (b *Book) fees(a *account) (maker, taker uint32) {
	if a.own() {
		return a.maker, a.taker
	}
	return b.usual.MakerPPM, b.usual.TakerPPM
}

func (b *Book) info(a *account) exchange.AccountInfo {
	maker, taker := b.fees(a)
	return exchange.AccountInfo{ID: a.id, Name: a.name(), State: a.state, MakerPPM: maker, TakerPPM: taker, TOTP: a.totp(), Created: a.created, Own: a.own()}
}

// chunkSize accounts are allocated together, so that a book that grows copies nothing.
const chunkSize = 1 << 10

// Book is all accounts, keys and address books. It is used by one goroutine.
type Book struct {
	rules  Rules
	opener Opener
	chunks [][]account
	count  int
	odd    map[exchange.Account]int // places of the accounts whose number is not their place plus one
	names  map[string]int           // places
	keys   map[string]*key
	// What few accounts have: their passkeys, and whose a credential is.
	factors     map[exchange.Account]*factors
	credentials map[string]exchange.Account
	usual       exchange.DefaultFees
	free        exchange.Account // no number below it can be given to a new account
	// tickets are the newest ones; issued numbers them for good.
	tickets []exchange.TicketInfo
	issued  uint64
}

// New returns an empty book. Rules that are all zero are the default ones.
func New(o Options) *Book {
	if o.Rules == (Rules{}) {
		o.Rules = DefaultRules()
	}
	if !o.Rules.valid() {
		panic(fmt.Sprintf("accounts: rules that no book can go by: %+v", o.Rules)) // a mistake in the program, not in a command
	}
	return &Book{rules: o.Rules, opener: o.Opener, odd: map[exchange.Account]int{}, names: map[string]int{}, keys: map[string]*key{}, free: 1,
		factors: map[exchange.Account]*factors{}, credentials: map[string]exchange.Account{}}
}

func (b *Book) at(place int) *account { return &b.chunks[place/chunkSize][place%chunkSize] }

func (b *Book) find(id exchange.Account) *account {
	if place := uint64(id) - 1; place < uint64(b.count) {
		if a := b.at(int(place)); a.id == id {
			return a
		}
	}
	if place, ok := b.odd[id]; ok {
		return b.at(place)
	}
	return nil
}

// put takes in an account whose number and name are not taken.
func (b *Book) put(a account) *account {
	if b.count%chunkSize == 0 {
		b.chunks = append(b.chunks, make([]account, chunkSize))
	}
	place := b.count
	b.count++
	*b.at(place) = a
	b.names[a.name()] = place
	if a.id != exchange.Account(place+1) {
		b.odd[a.id] = place
	}
	return b.at(place)
}

// Open makes an account. It gets the number that the body asks for, or the lowest one that was never given when the
// body asks for none. Whoever seals the one-time-code secret needs the number first, and so asks for one.
func (b *Book) Open(body exchange.AccountBody, now exchange.Millis) (exchange.AccountInfo, exchange.Code) {
	id := exchange.Account(body.Number)
	switch {
	case body.Number > numberMax, !isName(body.Name), len(body.TOTP) > sealedMax:
		return exchange.AccountInfo{}, exchange.Malformed
	case body.Number == 0 && len(body.TOTP) > 0: // sealed for no account, so it can never be opened
		return exchange.AccountInfo{}, exchange.Malformed
	}
	if _, taken := b.names[body.Name]; taken || id != 0 && b.find(id) != nil {
		return exchange.AccountInfo{}, exchange.AlreadyExists
	}
	if id == 0 {
		for id = b.free; b.find(id) != nil; id++ {
		}
		b.free = id + 1
	}
	a := b.put(account{id: id, created: now, text: body.Name + string(body.TOTP), nameLen: uint8(len(body.Name))})
	return b.info(a), exchange.Done
}

// Account returns an account.
func (b *Book) Account(id exchange.Account) (exchange.AccountInfo, bool) {
	a := b.find(id)
	if a == nil {
		return exchange.AccountInfo{}, false
	}
	return b.info(a), true
}

// Accounts visits every account in the order in which they were opened, until visit returns false.
func (b *Book) Accounts(visit func(exchange.AccountInfo) bool) {
	for place := range b.count {
		if !visit(b.info(b.at(place))) {
			return
		}
	}
}

// Terms are what an order needs to know of its account.
type Terms struct {
	State              exchange.AccountState
	MakerPPM, TakerPPM uint32
}

// Terms returns state and fees of an account, without allocating.
func (b *Book) Terms(id exchange.Account) (Terms, bool) {
	a := b.find(id)
	if a == nil {
		return Terms{}, false
	}
	return b.terms(a), true
}

func (b *Book) terms(a *account) Terms {
	maker, taker := b.fees(a)
	return Terms{State: a.state, MakerPPM: maker, TakerPPM: taker}
}

// EachTerms visits the terms of every account, without allocating.
func (b *Book) EachTerms(visit func(exchange.Account, Terms)) {
	for place := range b.count {
		a := b.at(place)
		visit(a.id, b.terms(a))
	}
}

// Len returns how many accounts there are.
func (b *Book) Len() int { return b.count }

// FeeMax, in parts per million, is ten per cent: a fee above it is a slip of the finger that two people did not see.
const FeeMax = 100_000

// Fees returns what accounts pay that have no fees of their own.
func (b *Book) Fees() exchange.DefaultFees { return b.usual }

// SetDefault sets them.
func (b *Book) SetDefault(f exchange.DefaultFees) exchange.Code {
	if f.MakerPPM > FeeMax || f.TakerPPM > FeeMax {
		return exchange.Malformed
	}
	b.usual = f
	return exchange.Done
}

// SetFees sets the fees of an account, or takes its own from it.
func (b *Book) SetFees(c exchange.FeesChange) (exchange.AccountInfo, exchange.Code) {
	a := b.find(c.Account)
	if a == nil {
		return exchange.AccountInfo{}, exchange.UnknownAccount
	}
	if c.MakerPPM > FeeMax || c.TakerPPM > FeeMax || c.Free && (c.MakerPPM != 0 || c.TakerPPM != 0) {
		return exchange.AccountInfo{}, exchange.Malformed
	}
	a.maker, a.taker, a.free = c.MakerPPM, c.TakerPPM, c.Free
	return b.info(a), exchange.Done
}

// SetState freezes an account or lets it act again.
func (b *Book) SetState(c exchange.StateChange) (exchange.AccountInfo, exchange.Code) {
	a := b.find(c.Account)
	if a == nil {
		return exchange.AccountInfo{}, exchange.UnknownAccount
	}
	if c.State > exchange.AccountFrozen {
		return exchange.AccountInfo{}, exchange.Malformed
	}
	a.state = c.State
	return b.info(a), exchange.Done
}

// isName reports whether text can name an account: it goes into logs, URLs and file names as it is.
func isName(text string) bool {
	if text == "" || len(text) > nameMax {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case isAlphanumeric(c), c == '-', c == '_', c == '.', c == '@', c == '+', c == ':':
		default:
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

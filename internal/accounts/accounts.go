// Package accounts decides what a customer's keys and addresses may do: API keys, one-time codes, address books and
// withdrawal limits. What may never happen here: a secret in clear outside memory, or a clock of its own.
package accounts

import (
	"io"
	"net/netip"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// Rules are the times and limits that a book goes by. They decide what commands do, so they belong to the journal's
// beginning: a replay under other rules is another history.
type Rules struct {
	AddressDelay   exchange.Millis // until a new address can be paid to
	KeyDelay       exchange.Millis // until a new key with ScopeWithdraw may withdraw
	WithdrawalsMax int             // of one account in any 60 seconds
	AttemptsMax    int             // of one key in 60 seconds; one more freezes the key
}

// DefaultRules returns what an exchange has that sets nothing else.
func DefaultRules() Rules {
	return Rules{AddressDelay: 24 * 3600_000, KeyDelay: 24 * 3600_000, WithdrawalsMax: 50, AttemptsMax: 100}
}

// Opener opens what a Sealer sealed. The engine's segment alone has one.
type Opener interface {
	Open(account exchange.Account, name string, sealed []byte) ([]byte, error)
}

// Options make a Book.
type Options struct {
	Rules  Rules
	Opener Opener // nil: every one-time code is refused
}

// Book is all accounts, keys and address books. It is used by one goroutine.
type Book struct{ rules Rules }

// New returns an empty book.
func New(o Options) *Book { return &Book{rules: o.Rules} }

// Open makes an account.
func (b *Book) Open(body exchange.AccountBody, now exchange.Millis) (exchange.AccountInfo, exchange.Code) {
	return exchange.AccountInfo{}, exchange.NotAllowed
}

// Account returns an account.
func (b *Book) Account(id exchange.Account) (exchange.AccountInfo, bool) {
	return exchange.AccountInfo{}, false
}

// Terms are what an order needs to know of its account.
type Terms struct {
	State              exchange.AccountState
	MakerPPM, TakerPPM uint32
}

// Terms returns state and fees of an account, without allocating.
func (b *Book) Terms(id exchange.Account) (Terms, bool) { return Terms{}, false }

// Len returns how many accounts there are.
func (b *Book) Len() int { return 0 }

// SetFees sets the fees of an account.
func (b *Book) SetFees(c exchange.FeesChange) (exchange.AccountInfo, exchange.Code) {
	return exchange.AccountInfo{}, exchange.NotAllowed
}

// SetState freezes an account or lets it act again.
func (b *Book) SetState(c exchange.StateChange) (exchange.AccountInfo, exchange.Code) {
	return exchange.AccountInfo{}, exchange.NotAllowed
}

// AddKey makes an API key.
func (b *Book) AddKey(id exchange.Account, body exchange.KeyBody, now exchange.Millis) (exchange.KeyInfo, exchange.Code) {
	return exchange.KeyInfo{}, exchange.NotAllowed
}

// RevokeKey ends an API key.
func (b *Book) RevokeKey(id exchange.Account, name string) (exchange.KeyInfo, exchange.Code) {
	return exchange.KeyInfo{}, exchange.NotAllowed
}

// LookupKey returns a key, its secret sealed.
func (b *Book) LookupKey(name string) (exchange.KeyInfo, bool) { return exchange.KeyInfo{}, false }

// AddAddress puts an address into the account's withdrawal book.
func (b *Book) AddAddress(id exchange.Account, body exchange.AddressBody, now exchange.Millis) (exchange.AddressInfo, exchange.Code) {
	return exchange.AddressInfo{}, exchange.NotAllowed
}

// RemoveAddress takes an address out of the account's withdrawal book, at once.
func (b *Book) RemoveAddress(id exchange.Account, body exchange.AddressBody) (exchange.AddressInfo, exchange.Code) {
	return exchange.AddressInfo{}, exchange.NotAllowed
}

// Ticket asks the operator to look at something.
type Ticket struct {
	Number  uint64
	Account exchange.Account
	Key     string
	Why     string
	At      exchange.Millis
}

// Freeze is a key that a flood of withdrawals ended, and the ticket about it.
type Freeze struct {
	Key    exchange.KeyInfo
	Ticket Ticket
}

// CheckWithdraw says whether the account may withdraw now. It counts the attempt. dayMax is the most of the asset that
// may leave the account in 24 hours; zero: no limit. A Freeze is returned beside OverLimit when this attempt froze the
// key: the key's record has changed although the withdrawal was refused. After the amount is on hold the caller says so
// with Withdrew.
func (b *Book) CheckWithdraw(id exchange.Account, body exchange.WithdrawBody, dayMax money.U128, now exchange.Millis) (*Freeze, exchange.Code) {
	return nil, exchange.NotAllowed
}

// Withdrew counts a withdrawal that CheckWithdraw allowed and the ledger holds.
func (b *Book) Withdrew(id exchange.Account, asset exchange.Asset, amount money.U128, now exchange.Millis) {
}

// Tickets returns the newest tickets, oldest first.
func (b *Book) Tickets() []Ticket { return nil }

// Snapshot writes the book: the same book gives the same bytes.
func (b *Book) Snapshot(w io.Writer) error { return nil }

// Restore reads exactly what Snapshot wrote and not a byte more. The rules are those of the snapshot.
func Restore(r io.Reader, opener Opener) (*Book, error) { return nil, exchange.ErrBytes }

// Sealer seals secrets at rest with AES-256-GCM under a key-encryption key.
type Sealer struct{}

// NewSealer returns a sealer under a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) { return &Sealer{}, nil }

// Seal seals a secret of a key, or the one-time-code secret of an account (name TOTPName).
func (s *Sealer) Seal(random io.Reader, account exchange.Account, name string, secret []byte) ([]byte, error) {
	return nil, nil
}

// Open opens what Seal sealed for the same account and name.
func (s *Sealer) Open(account exchange.Account, name string, sealed []byte) ([]byte, error) {
	return nil, exchange.ErrBytes
}

// TOTPName is the name under which an account's one-time-code secret is sealed.
const TOTPName = "totp"

// NewSecret draws the secret of an hmac key, or the public name of any key: 64 characters of a-z, A-Z, 0-9.
func NewSecret(random io.Reader) (string, error) { return "", nil }

// VerifyHMAC reports whether signature is the hexadecimal HMAC-SHA256 of payload, in constant time.
func VerifyHMAC(secret, payload []byte, signature string) bool { return false }

// VerifyEd25519 reports whether signature is the base64 Ed25519 signature of payload by the key's public key.
func VerifyEd25519(public, payload []byte, signature string) bool { return false }

// Allowed reports whether ip is in one of the blocks. An empty list allows everybody.
func Allowed(ip netip.Addr, blocks []string) bool { return false }

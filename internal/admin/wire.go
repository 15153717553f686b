// Package admin is the staff API: JSON over mutual TLS between warmctl and the daemon, with both ends and the small
// certificate authority in one room, so that they cannot drift apart.
//
// Transport: TLS 1.3 and nothing older, no session resumption, a client certificate in every connection. The common
// name of that certificate is the person, and the certificate must be, byte for byte, the one that the operator
// enrolled for that person and did not revoke. The listener binds to a loopback or private address only. Requests and
// replies are one JSON object each (no unknown key, no repeated key, no trailing data, a cap on every body), except
// bundles and answers, which travel as the exact bytes that were sealed.
//
//	GET  /v1/status                       Status
//	GET  /v1/wallets                      Wallets
//	GET  /v1/topups                       TopUps
//	POST /v1/topups             Proposal  TopUp      the proposer is the certificate's person
//	GET  /v1/topups/{id}                  TopUp
//	POST /v1/topups/{id}/approvals Approving TopUp   an armored SSHSIG over the exact intent bytes
//	GET  /v1/topups/{id}/bundle           octets     the sealed bundle
//	POST /v1/answers            octets    Answered   one sealed answer
//	POST /v1/psbts              octets    Answered   a plain PSBT with another wallet's signatures
//	POST /v1/plans              Planning  Plan       what any of the four would take
//	POST /v1/consolidations  Consolidation TopUp     merge a wallet's small coins
//	POST /v1/payments           Paying    TopUp      pay an entry of the address book
//	POST /v1/children           Bearing   TopUp      a child that pays for a stuck transaction
//	GET  /v1/entries?wallet=NAME          Entries    the address book as the daemon has it
//	POST /v1/topups/{id}/bump   Bumping   TopUp      the same with a higher fee
//	POST /v1/topups/{id}/cancel Cancelling TopUp     end it, unless it is signed
//	GET  /v1/events?after=N&topup=ID      Events
//
// and of a daemon that is an exchange (exchange.go):
//
//	GET  /v1/engine                       EngineStatus
//	GET  /v1/changes                      Changes
//	POST /v1/changes            octets    Change     a draft; serial, proposer and times are the daemon's to set
//	GET  /v1/changes/{id}                 Change
//	POST /v1/changes/{id}/approvals Approving Change an armored SSHSIG over the exact bytes of the change
//	GET  /v1/accounts                     Accounts
//	POST /v1/accounts      AccountOpening Account
//	POST /v1/accounts/{id}/keys KeyAdding Key        the secret is in this reply alone
//	POST /v1/accounts/{id}/keys/{key}/revoke Key
//	POST /v1/accounts/{id}/addresses AddressChanging Account
//	POST /v1/accounts/{id}/enrolment      Enrolment  the code is in this reply alone
//	GET  /v1/withdrawals?account=N        Withdrawals
//	POST /v1/operations         Operating Operation
//
// Nothing here grants authority over money: an approval counts because its signature verifies against the roster, an
// answer because it verifies against the pinned wallet. What may never happen here: a request that is served without
// an enrolled certificate, a secret in a reply, a connection over an older TLS, a listener on a public address.
package admin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/coldsign/coldsign/internal/money"
)

// Schemas of the replies; warmctl prints the same objects under --json.
const (
	SchemaStatus   = "coldsign.status/v1"
	SchemaWallets  = "coldsign.wallets/v1"
	SchemaTopUps   = "coldsign.topups/v1"
	SchemaTopUp    = "coldsign.topup/v1"
	SchemaAnswered = "coldsign.answered/v1"
	SchemaEvents   = "coldsign.events/v1"
	SchemaPlan     = "coldsign.plan/v1"
	SchemaEntries  = "coldsign.entries/v1"
	SchemaError    = "coldsign.error/v1"
)

// Caps on what crosses the wire, in bytes.
const (
	requestMax  = 64 << 10 // an armored signature needs about 1 KiB
	answerMax   = 1 << 20  // 500 inputs need about 80 KiB
	psbtMax     = 12 << 20 // a plain PSBT of 8 MiB, in base64
	bundleMax   = 8 << 20  // a stripped PSBT with the previous transactions of 500 inputs
	documentMax = 8 << 20  // the longest listing
)

// EventsMax is how many events one request returns at most.
const EventsMax = 500

// Amount is money as the wire writes it: a decimal string with its asset, never a number.
type Amount struct {
	Value string `json:"value"`
	Asset string `json:"asset"`
}

// AmountOf writes an amount.
func AmountOf(a money.Amount) Amount { return Amount{a.Decimal(), a.Asset().Symbol} }

// Status is the state of the daemon.
type Status struct {
	Schema          string       `json:"schema"`
	Network         string       `json:"network"`
	Issuer          string       `json:"issuer"`
	IssuerKey       string       `json:"issuer_key"` // authorized_keys form; signers pin it from `exchanged issuer export`
	Version         string       `json:"version"`
	Person          string       `json:"person"` // who the certificate says is asking
	Time            time.Time    `json:"time"`
	Height          uint32       `json:"height"`
	BlockHash       string       `json:"block_hash"`
	Following       bool         `json:"following"` // the last look at the node succeeded
	Trouble         []string     `json:"trouble"`   // what stands in the way, in sentences; empty when all is well
	RosterVersion   string       `json:"roster_version"`
	RosterPeople    []string     `json:"roster_people"`
	ApprovalsNeeded int          `json:"approvals_needed"`
	Tiers           []TierStatus `json:"tiers"`
}

// TierStatus is one watched wallet.
type TierStatus struct {
	Wallet  string `json:"wallet"`
	From    string `json:"from"`
	Balance Amount `json:"balance"` // confirmed and not reserved
	Floor   Amount `json:"floor"`
	Target  Amount `json:"target"`
	Below   bool   `json:"below"`
	TopUp   string `json:"topup,omitempty"` // the live top-up of this wallet
}

// Wallets lists the registered wallets.
type Wallets struct {
	Schema  string   `json:"schema"`
	Wallets []Wallet `json:"wallets"`
}

// Wallet is one registered wallet and what it holds.
type Wallet struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Tier      string `json:"tier"`
	Threshold int    `json:"threshold"`
	Keys      int    `json:"keys"`
	Unproven  int    `json:"unproven_keys"` // keys that nobody proved to hold
	Words     string `json:"words"`
	Balance   Amount `json:"balance"`   // every coin of the wallet in the chain
	Reserved  Amount `json:"reserved"`  // of these, coins that a live top-up spends
	Spendable Amount `json:"spendable"` // free, and deep enough
}

// TopUps lists top-ups, newest first.
type TopUps struct {
	Schema string  `json:"schema"`
	TopUps []TopUp `json:"topups"`
}

// TopUp is one top-up and how far it came. Intent holds the exact bytes that people approve: whoever shows it to a
// person decodes these bytes and derives names and addresses from wallets pinned at their own side. The other fields
// are the daemon's word and serve orientation only.
type TopUp struct {
	Schema        string     `json:"schema,omitempty"`
	ID            string     `json:"id"`
	Kind          string     `json:"kind"`  // topup, consolidation, payment, child; of the second and the last nothing leaves
	State         string     `json:"state"` // proposed, approved, sealed, signed, broadcast, confirmed, cancelled, expired
	Intent        []byte     `json:"intent"`
	IntentHash    string     `json:"intent_hash"`
	Words         string     `json:"words"` // twelve words of the intent's hash
	From          string     `json:"from"`
	To            string     `json:"to"`
	ToIndex       uint32     `json:"to_index"`
	Amount        Amount     `json:"amount"`
	Proposer      string     `json:"proposer"`
	CreatedAt     time.Time  `json:"created_at"`
	ExpiresAt     time.Time  `json:"expires_at"`
	Need          int        `json:"approvals_needed"`
	Approvals     []Approval `json:"approvals"`
	Bundle        string     `json:"bundle,omitempty"`       // identity, hexadecimal
	BundleWords   string     `json:"bundle_words,omitempty"` // twelve words that every signer shows
	Signers       int        `json:"signatures_needed"`
	Answers       []Answer   `json:"answers"`
	TxID          string     `json:"txid,omitempty"`
	Fee           *Amount    `json:"fee,omitempty"`
	Plan          *Plan      `json:"plan,omitempty"`       // of the bundle; before it is sealed, as it was planned
	Replaced      int        `json:"replaced,omitempty"`   // earlier bundles that this one stands for
	Replacing     bool       `json:"replacing,omitempty"`  // the bundle is to replace TxID, which is under way
	RefusedBy     []string   `json:"refused_by,omitempty"` // keyholders who refused, each with the reason
	Confirmations int        `json:"confirmations"`
	Waiting       string     `json:"waiting,omitempty"` // what it waits for, in a sentence
	Ended         string     `json:"ended,omitempty"`   // who cancelled it and why
	Entry         string     `json:"entry,omitempty"`   // of a payment: the entry of the address book
}

// Approval is one counted approval.
type Approval struct {
	Person string `json:"person"`
	Role   string `json:"role"`
	Device string `json:"device"`
	Key    string `json:"key"` // SHA256 fingerprint
}

// Answer is one accepted answer of a signer.
type Answer struct {
	Position int       `json:"position"` // of the key in the spending wallet
	Key      string    `json:"key"`      // name of that key
	At       time.Time `json:"at"`
	Signed   bool      `json:"signed"`
	Refusal  string    `json:"refusal,omitempty"` // code, when the signer refused
	Receipt  bool      `json:"receipt"`           // sealed by the signer; false for signatures out of a plain PSBT
}

// Plan is what a bundle asks of signers and of a QR session.
type Plan struct {
	Schema       string `json:"schema,omitempty"`
	Amount       Amount `json:"amount"` // that arrives
	Fee          Amount `json:"fee"`
	FeeRate      Amount `json:"fee_rate"` // in sat/vB
	Change       Amount `json:"change"`
	VirtualBytes int64  `json:"virtual_bytes"`
	Inputs       int    `json:"inputs"`
	PayloadBytes int    `json:"payload_bytes"` // the PSBT, without previous transactions
	BundleBytes  int    `json:"bundle_bytes"`  // everything that crosses the gap
	Frames       int    `json:"frames"`        // of the QR series; 0 when there is none that long
	Seconds      int    `json:"seconds"`       // that the series takes at 5 frames a second
	Bundles      int    `json:"bundles"`       // that merging every small coin takes, this one with them
	Exact        bool   `json:"exact"`         // measured on the sealed bytes

	Address string  `json:"address,omitempty"` // of a payment: what the daemon's copy of the book says; signers go by their own
	Lifted  *Lifted `json:"lifted,omitempty"`  // of a child: what it pays for
}

// Lifted says what a child does for a stuck transaction, as far as the daemon and its node know it. Signers judge the
// child alone.
type Lifted struct {
	Parent       string `json:"parent"`        // txid
	Transactions int    `json:"transactions"`  // that no block has: the parent and its ancestors
	VirtualBytes int64  `json:"virtual_bytes"` // of these
	Fee          Amount `json:"fee"`           // of these
	RateAlone    Amount `json:"rate_alone"`    // that miners see without the child
	PackageRate  Amount `json:"package_rate"`  // that they see with it
	HighestRate  Amount `json:"highest_rate"`  // that the limits allow
	HighestBy    string `json:"highest_by"`    // the limit that binds
	CapsKnown    bool   `json:"caps_known"`    // the daemon knows the signers' limits
}

// Planning asks what something would take. Kind is one of the four kinds of top-ups.
type Planning struct {
	Kind    string   `json:"kind"`
	Wallet  string   `json:"wallet"`
	Below   string   `json:"below"`             // of a consolidation, as in Consolidation
	Payment *Paying  `json:"payment,omitempty"` // of a payment
	Child   *Bearing `json:"child,omitempty"`   // of a child
}

// Paying asks to pay an entry of the address book. There is no address in it: that stands in the book.
type Paying struct {
	Wallet string `json:"wallet"`
	Entry  string `json:"entry"`
	Amount string `json:"amount"` // BTC
}

// Bearing asks for a child of a stuck transaction.
type Bearing struct {
	Of      string `json:"of"`       // number of a top-up, or txid
	Output  string `json:"output"`   // of that transaction, from 0; empty: change, else the largest of ours
	FeeRate string `json:"fee_rate"` // sat/vB that both are to reach together
}

// Entries lists the address book.
type Entries struct {
	Schema  string  `json:"schema"`
	Entries []Entry `json:"entries"`
}

// Entry is one entry of the address book.
type Entry struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Consolidation asks to merge the small coins of a wallet into one at its own next index.
type Consolidation struct {
	Wallet string `json:"wallet"`
	Below  string `json:"below"` // BTC; larger coins are left alone; empty: none is
}

// Bumping asks for a higher fee.
type Bumping struct {
	FeeRate string `json:"fee_rate"` // sat/vB, with up to three decimals
}

// Cancelling ends a top-up.
type Cancelling struct {
	Reason     string   `json:"reason"`
	AcceptRisk []string `json:"accept_risk"` // named consents; GivenSignatures
}

// GivenSignatures is the consent to cancel although keyholders have signed already.
const GivenSignatures = "given-signatures"

// Kinds of top-ups.
const (
	KindTopUp         = "topup"
	KindConsolidation = "consolidation"
	KindPayment       = "payment"
	KindChild         = "child"
)

// feeRates count satoshi per virtual byte with three decimals, so their units are satoshi per 1000 virtual bytes.
func feeRates() money.Asset { return money.Asset{Symbol: "sat/vB", Decimals: 3} }

// RateOf writes a fee rate that is given in satoshi per 1000 virtual bytes.
func RateOf(rate int64) Amount {
	return AmountOf(money.New(feeRates(), money.U128{Lo: uint64(max(rate, 0))}))
}

// ParseRate reads a fee rate in sat/vB as satoshi per 1000 virtual bytes.
func ParseRate(text string) (int64, error) {
	rate, err := money.Parse(text, feeRates())
	if err != nil {
		return 0, err
	}
	units, fits := rate.Int64()
	if !fits || units < 1 {
		return 0, fmt.Errorf("fee rate %s sat/vB is not above zero", text)
	}
	return units, nil
}

// Proposal asks for a top-up of a watched wallet. An empty wallet means the only one. There is no address and no
// amount in it: both come from the pinned wallets and the configured tiers.
type Proposal struct {
	Wallet string `json:"wallet"`
}

// Approving carries one approval: an SSHSIG in its armour, as `ssh-keygen -Y sign` writes it.
type Approving struct {
	Signature string `json:"signature"`
}

// Answered says what an answer did.
type Answered struct {
	Schema  string `json:"schema"`
	TopUp   TopUp  `json:"topup"`
	Changed bool   `json:"changed"` // false when exactly this answer was there before
}

// Events lists events in the order they happened.
type Events struct {
	Schema string  `json:"schema"`
	Events []Event `json:"events"`
}

// Event is one step, written before its effect.
type Event struct {
	Seq    uint64          `json:"seq"`
	At     time.Time       `json:"at"`
	TopUp  string          `json:"topup,omitempty"`
	What   string          `json:"what"`   // kebab case, e.g. intent-sealed
	Detail json.RawMessage `json:"detail"` // an object; its keys depend on What
}

// Actor is who made a request: the person of the certificate, and from where.
type Actor struct {
	Person      string
	Address     string // remote IP address
	Certificate string // SHA-256 of the certificate, hexadecimal
}

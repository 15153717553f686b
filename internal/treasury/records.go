package treasury

import (
	"context"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/spend"
)

// State is where an intent stands.
type State string

// The states.
const (
	Proposed  State = "proposed"
	Approved  State = "approved"
	Sealed    State = "sealed"
	Signed    State = "signed"
	Broadcast State = "broadcast"
	Confirmed State = "confirmed"
	Cancelled State = "cancelled"
	Expired   State = "expired"
)

// Live reports whether the intent may still move money or has not yet settled.
func (s State) Live() bool { return s != Confirmed && s != Cancelled && s != Expired }

// Intent is an intent's record.
type Intent struct {
	spend.Intent
	ID        [32]byte // SHA-256 of Bytes
	Bytes     []byte   // the encoding that people approve
	State     State
	Request   string // the proposer's idempotency key
	Plan      []byte // JSON: what it would take, when it was proposed
	UpdatedAt int64
	Parent    chainhash.Hash // the stuck transaction that it pays for; zero when it pays for none
}

// Stays reports whether the wallet pays itself, and nothing leaves: a consolidation or a child.
func (i Intent) Stays() bool { return i.From == i.To }

// Merges reports whether the intent is a consolidation.
func (i Intent) Merges() bool { return i.Stays() && !i.IsChild() }

// IsChild reports whether the intent spends an output of a stuck transaction, to pay for it (CPFP).
func (i Intent) IsChild() bool { return i.Parent != chainhash.Hash{} }

// Pays reports whether the intent pays an entry of the address book.
func (i Intent) Pays() bool { return i.Purpose == spend.Payment }

// Proposal is what a new intent is stored with.
type Proposal struct {
	Request string
	To      spend.WalletID
	Plan    []byte
	Coins   []wire.OutPoint // that it was planned with, if it was; they are not reserved
	Stuck   [][]byte        // of a child: the transactions that it pays for, ancestors first, its parent last
}

// Draft is what the records give a new intent.
type Draft struct {
	Serial  uint64
	ToIndex uint32 // receive index of the destination, reserved for this intent
}

// Approval is one person's signature over an intent's bytes.
type Approval struct {
	Person    string
	Key       string // fingerprint
	Signature []byte // armored SSHSIG
	At        int64  // Unix seconds; set by the records
}

// Intents keeps intents and their approvals.
type Intents interface {
	// Propose stores a new intent; the same request again returns the intent it made the first time, and false.
	Propose(ctx context.Context, p Proposal, write func(Draft) (spend.Intent, []byte, error)) (Intent, bool, error)
	// Planned returns the coins that an intent was planned with.
	Planned(ctx context.Context, serial uint64) ([]wire.OutPoint, error)
	// Stuck returns the transactions that a child pays for.
	Stuck(ctx context.Context, serial uint64) ([][]byte, error)
	// Void ends a child, signed or not, whose parent can never be confirmed.
	Void(ctx context.Context, serial uint64, reason string) error
	// Approve adds an approval and moves proposed to approved when judge finds them enough.
	Approve(ctx context.Context, serial uint64, a Approval, judge func(Intent, []Approval) (bool, error)) (Intent, error)
	Approvals(ctx context.Context, serial uint64) ([]Approval, error)
	Intent(ctx context.Context, serial uint64) (Intent, error)
	Intents(ctx context.Context, states ...State) ([]Intent, error)
	// Reason says why an intent was cancelled.
	Reason(ctx context.Context, serial uint64) (string, error)
	// Cancel ends an intent that is not signed; its coins stay reserved until nobody can sign its bundle any more.
	Cancel(ctx context.Context, serial uint64, by, reason string) error
	// Expire ends unsigned intents whose time is over, frees their coins and returns their serials.
	Expire(ctx context.Context) ([]uint64, error)
}

// Bundle is a sealed bundle of an intent.
type Bundle struct {
	ID       [32]byte
	Serial   uint64
	Bytes    []byte // as sealed
	Payload  []byte // the PSBT inside, without its proofs
	Plan     []byte // JSON: how it was built
	TxID     chainhash.Hash
	SealedAt int64
	Live     bool
}

// Sealing is a bundle with everything that becomes true together with it.
type Sealing struct {
	Bundle      Bundle
	Coins       []wire.OutPoint
	HasChange   bool
	ChangeIndex uint32
	Replaces    *[32]byte // the live bundle that it takes the place of
}

// Answer is what a signer gave back for a bundle.
type Answer struct {
	Bundle   [32]byte
	Position int
	Bytes    []byte
	Counter  uint64
	Bare     bool   // without receipt: Bytes is the packet with the signatures of that key
	Refusal  string // code; empty when it signed
	At       int64
	Nonces   []Nonce
}

// Nonce is the public half of a signature's nonce with what it signed. Two digests under one nonce give the key away.
type Nonce struct {
	PubKey [33]byte
	R      [32]byte
	Digest [32]byte
}

// Bundles keeps bundles and answers.
type Bundles interface {
	// Seal moves approved to sealed, reserves the coins and uses the change index up, all or nothing. With Replaces the
	// state stays.
	Seal(ctx context.Context, s Sealing) error
	LiveBundle(ctx context.Context, serial uint64) (Bundle, error)
	Bundle(ctx context.Context, id [32]byte) (Bundle, error)
	// BundleOf returns the bundle that was sealed for a transaction.
	BundleOf(ctx context.Context, txid chainhash.Hash) (Bundle, error)
	// Lineage returns the identities of an intent's bundles, the first one first.
	Lineage(ctx context.Context, serial uint64) ([][32]byte, error)
	// AddAnswer stores a verified answer; the same bytes again change nothing and give false.
	AddAnswer(ctx context.Context, a Answer) (fresh bool, err error)
	Answers(ctx context.Context, bundle [32]byte) ([]Answer, error)
	// Receipts returns the last counter of each key of a wallet, by position.
	Receipts(ctx context.Context, id spend.WalletID) (map[int]uint64, error)
}

// Transaction is the final transaction of an intent.
type Transaction struct {
	TxID   chainhash.Hash
	Raw    []byte
	Serial uint64
	Height uint32 // of the block that has it, 0 while none has
}

// Transactions keeps final transactions.
type Transactions interface {
	// Finish moves the intent to signed with the final transaction of the live bundle, which may be sent from here on.
	Finish(ctx context.Context, bundle [32]byte, raw []byte) (Transaction, error)
	MarkBroadcast(ctx context.Context, serial uint64) error
	// Transaction returns the one in a block, else the last that was finished.
	Transaction(ctx context.Context, serial uint64) (Transaction, bool, error)
	// TransactionOf returns a transaction of ours by its identity.
	TransactionOf(ctx context.Context, txid chainhash.Hash) (Transaction, bool, error)
	// Unconfirmed returns, for each intent, the last transaction, unless a block has one.
	Unconfirmed(ctx context.Context) ([]Transaction, error)
	Confirmations(ctx context.Context, txid chainhash.Hash) (uint32, error)
}

// Pinned is a pinned wallet's file under its identity.
type Pinned struct {
	ID   spend.WalletID
	Name string
	Tier spend.Tier
	File []byte
}

// Script is one scriptPubKey of a wallet.
type Script struct {
	Branch, Index uint32
	ScriptPubKey  []byte
}

// Counter says how far a branch of a wallet is used and watched.
type Counter struct{ Next, Watched uint32 }

// Wallets keeps pinned wallets and the scripts watched for them.
type Wallets interface {
	AddWallet(ctx context.Context, w Pinned, scripts []Script) error
	AddScripts(ctx context.Context, id spend.WalletID, scripts []Script) error
	Wallets(ctx context.Context) ([]Pinned, error)
	Counter(ctx context.Context, id spend.WalletID, branch uint32) (Counter, error)
}

// Coin is an output of the chain that pays one of our scripts.
type Coin struct {
	Outpoint      wire.OutPoint
	Branch, Index uint32
	Value         int64
	PrevTx        []byte
}

// Balance sums the unspent coins of a wallet, in satoshi. Leaving are the reserved ones that go to another wallet.
type Balance struct{ Total, Reserved, Leaving, Spendable int64 }

// Owner says whose a script is.
type Owner struct {
	Wallet        spend.WalletID
	Branch, Index uint32
}

// Coins reads what the chain gave us.
type Coins interface {
	// Owner says whose a script is, or false. No coin needs to lie there.
	Owner(ctx context.Context, scriptPubKey []byte) (Owner, bool, error)
	// ReservedBy returns the serial of the intent that holds a coin, 0 when none does.
	ReservedBy(ctx context.Context, coin wire.OutPoint) (uint64, error)
	Tip(ctx context.Context) (uint32, chainhash.Hash, error)
	Spendable(ctx context.Context, id spend.WalletID, depth uint32) ([]Coin, error)
	Balance(ctx context.Context, id spend.WalletID, depth uint32) (Balance, error)
}

// Halt is a standing alarm: while there is one, nothing is proposed, sealed or finished.
type Halt struct {
	Code, Text string
	At         int64
}

// Event is one line of the append-only list.
type Event struct {
	Seq  uint64
	At   int64
	Kind string
	Text string // JSON
}

// Journal keeps events and alarms.
type Journal interface {
	Note(ctx context.Context, kind string, detail any) error
	Events(ctx context.Context, after uint64, limit int) ([]Event, error)
	Halt(ctx context.Context, code, text string) error
	Halts(ctx context.Context) ([]Halt, error)
}

// Records is the durable memory. Each method is one transaction with its own event.
type Records interface {
	Intents
	Bundles
	Transactions
	Wallets
	Coins
	Journal
}

// Node is the chain's side of sending.
type Node interface {
	// FeeRate returns satoshi per 1000 virtual bytes, already clamped.
	FeeRate(ctx context.Context, blocks int) (int64, error)
	// Broadcast hands a transaction over; one that the node has already is a success.
	Broadcast(ctx context.Context, raw []byte) (chainhash.Hash, error)
	// Waiting returns a transaction that the node holds and no block has, witnesses included, or false.
	Waiting(ctx context.Context, txid chainhash.Hash) ([]byte, bool, error)
	// Output returns the amount of an output that the chain has and has not spent, or false. It is the node's word.
	Output(ctx context.Context, at wire.OutPoint) (int64, bool, error)
}

// Package treasury follows a top-up from the need to the chain.
//
// A watched wallet falls below its floor, or a person asks: an intent is proposed. Two different people approve its
// exact bytes. A PSBT is built and sealed into a bundle, and its coins are reserved. Signers answer, in any order. Enough
// answers give a final transaction, which is stored, then sent, then followed until it is deep enough.
//
//	need -> proposed -> approved -> sealed -> signed -> broadcast -> confirmed
//
// A consolidation goes the same way: a wallet pays itself, so that many small coins become one; and so does a payment to
// an entry of the address book that keyholders signed. While no block has the transaction, its fee may be raised: a
// bundle that replaces the first spends the same coins to the same destination, and takes from change alone. Where that
// is not possible a child may be proposed, which spends an output of ours in the stuck transaction back to its wallet.
//
// Step drives every intent as far as it can go now. It is called in a loop and after every event, and it may be killed
// between any two of its lines: each transition is one durable act of the records, which name the state it leaves, so a
// Step that runs again finds what is left to do and repeats nothing. What goes to the node was stored before, and only
// those stored bytes are ever sent.
//
// The room holds no authority. People's signatures are judged here, and again by every signer; amounts and destinations
// come from pinned wallets and configured tiers; what signers give back is verified before it is stored, and the final
// transaction runs through the script engine before it may be sent.
//
// What may never happen here: a destination that was typed, a transaction sent that was not stored, two transactions for
// one intent that could both be confirmed, one key counted twice, a chain key.
package treasury

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Tier says how much a wallet should hold and what it is filled from. Wallets are named; names resolve to pinned
// wallets only.
type Tier struct {
	Wallet, From  string
	Floor, Target money.Amount // below Floor a top-up up to Target is proposed
}

// Rules are the daemon's configuration.
type Rules struct {
	Network       spend.Network
	Issuer        string // our name in the signers' trust files
	Tiers         []Tier
	Lifetime      time.Duration // of an intent: nothing signs it afterwards
	Confirmations uint32        // depth at which coins may be spent
	Need          int           // different people who must approve
	FeeBlocks     int           // confirmation target of the fee estimate
	FeeRateMin    int64         // satoshi per 1000 vB that a child pays at least for itself
	FeeRateMax    int64         // satoshi per 1000 vB that a bump or a child may pay
	InputsMax     int           // coins that a bundle spends at most
	FramesMax     int           // frames of the QR series of a bundle at most; 0 when bundles travel as files
	VetoAbove     money.Amount  // from this amount on one keyholder's signed refusal cancels; zero: none does
}

// Check refuses rules that make no sense together.
func (r Rules) Check() error {
	if _, err := wallet.Params(r.Network); err != nil {
		return err
	}
	if r.Need < 2 {
		return fmt.Errorf("approvals_needed is %d, at least 2", r.Need)
	}
	if r.Lifetime < time.Minute || r.Lifetime > 30*24*time.Hour {
		return fmt.Errorf("intent lifetime is %s, between 1m and 720h", r.Lifetime)
	}
	if r.Confirmations < 1 || r.Confirmations > 1000 {
		return fmt.Errorf("confirmations is %d, between 1 and 1000", r.Confirmations)
	}
	if r.FeeBlocks < 1 || r.FeeBlocks > 1008 {
		return fmt.Errorf("fee target is %d blocks, between 1 and 1008", r.FeeBlocks)
	}
	if r.FeeRateMax < 1 || r.InputsMax < 2 || r.InputsMax > inputsMax || r.FramesMax < 0 || r.FramesMax > transport.FramesMax {
		return fmt.Errorf("fee cap %d, inputs_max %d, frames_max %d: need a cap, 2 to %d inputs and 0 to %d frames", r.FeeRateMax,
			r.InputsMax, r.FramesMax, inputsMax, transport.FramesMax)
	}
	seen := map[string]bool{}
	for _, tier := range r.Tiers {
		if tier.Wallet == "" || tier.From == "" || tier.Wallet == tier.From {
			return fmt.Errorf("tier of wallet %q is filled from %q", tier.Wallet, tier.From)
		}
		if seen[tier.Wallet] {
			return fmt.Errorf("wallet %q has two tiers", tier.Wallet)
		}
		seen[tier.Wallet] = true
		if tier.Floor.IsZero() || tier.Floor.Cmp(tier.Target) >= 0 {
			return fmt.Errorf("tier of wallet %q: floor %s is not below target %s, or is zero", tier.Wallet, tier.Floor, tier.Target)
		}
	}
	return nil
}

// inputsMax is as many inputs as an answer has room for.
const inputsMax = 960

// Outside is everything that the treasury does not decide itself.
type Outside struct {
	Records  Records
	Node     Node
	Sealer   ssh.Signer                       // the issuer key: seals bundles, can move nothing
	Roster   func() (approvals.Roster, error) // the roster as it is now
	Book     func() (Paper, error)            // the address book as it is now; nil: there is none
	Policy   func() (Paper, error)            // the signers' policy, for what is better known before a signer refuses; nil: it is not known
	Followed func() error                     // nil while the chain is followed to its tip
	Now      func() time.Time
	Random   io.Reader
	Log      *slog.Logger

	Customers Customers // of an exchange; nil: there are none
}

// Customers know which receive addresses are customers'. What the treasury paid to one would be credited to somebody: the
// house's money would be gone without anybody having stolen it.
type Customers interface {
	// Deposit reports whether customers pay to the receive addresses of a wallet.
	Deposit(id spend.WalletID) bool
	// Whose says in words whose address a script is; empty: no customer's.
	Whose(ctx context.Context, script []byte) (string, error)
}

// refuseDeposits refuses to have a wallet pay its own receive addresses when these are customers'.
func (t *Treasury) refuseDeposits(w wallet.Wallet) error {
	if t.Customers == nil || !t.Customers.Deposit(w.ID()) {
		return nil
	}
	return spend.Refuse("deposit-wallet", "wallet "+w.Name(), "a wallet whose receive addresses are its own", "customers pay to them: what it paid itself would be credited to one",
		"sweep it to another wallet: exchanged.yaml, tiers, from: "+w.Name())
}

// Treasury is the work. Its methods may be called from several goroutines; one act runs at a time.
type Treasury struct {
	rules Rules
	Outside

	mu      sync.Mutex
	wallets map[spend.WalletID]wallet.Wallet
	trouble map[uint64]error   // why an intent did not get further at the last step, by serial
	needs   []error            // why a tier could not be topped up at the last step
	failed  map[string]attempt // what the daemon could not propose, by wallet
	sent    map[string]uint32  // height at which a transaction was last handed to the node, by txid
	lost    map[uint64]uint32  // height at which the parent of a child was first seen to be lost, by the child's serial
	asked   map[uint64]uint32  // height at which that was last asked
}

// Person is who asks for something, and from where; it goes into the events.
type Person struct {
	Name        string `json:"person"`
	Address     string `json:"address,omitempty"`
	Certificate string `json:"certificate,omitempty"`
}

// New opens the treasury over its records and loads the pinned wallets.
func New(ctx context.Context, rules Rules, outside Outside) (*Treasury, error) {
	if err := rules.Check(); err != nil {
		return nil, err
	}
	for _, paper := range []*func() (Paper, error){&outside.Book, &outside.Policy} {
		if *paper == nil {
			*paper = func() (Paper, error) { return Paper{}, nil }
		}
	}
	t := &Treasury{rules: rules, Outside: outside, wallets: map[spend.WalletID]wallet.Wallet{},
		trouble: map[uint64]error{}, sent: map[string]uint32{}, failed: map[string]attempt{}, lost: map[uint64]uint32{}, asked: map[uint64]uint32{}}
	pinned, err := outside.Records.Wallets(ctx)
	if err != nil {
		return nil, fmt.Errorf("pinned wallets: %w", err)
	}
	for _, record := range pinned {
		w, err := wallet.Parse(record.File, wallet.AcceptUnproven())
		if err != nil {
			return nil, fmt.Errorf("pinned wallet %s: %w", record.Name, err)
		}
		if w.ID() != record.ID || w.Network() != rules.Network {
			return nil, fmt.Errorf("pinned wallet %s: the record is of another wallet or network", record.Name)
		}
		t.wallets[w.ID()] = w
	}
	return t, nil
}

// Step does everything that can be done now. It returns what stood in the way, joined; each intent goes on for itself,
// so one that is stuck does not hold up the others.
func (t *Treasury) Step(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.step(ctx)
}

func (t *Treasury) step(ctx context.Context) error {
	if err := t.watchFurther(ctx); err != nil {
		return err
	}
	ended, err := t.Records.Expire(ctx)
	if err != nil {
		return fmt.Errorf("expiry: %w", err)
	}
	for _, serial := range ended {
		t.Log.Warn("top-up expired", "topup", serial)
		delete(t.trouble, serial)
	}
	halts, err := t.Records.Halts(ctx)
	if err != nil {
		return fmt.Errorf("alarms: %w", err)
	}
	if len(halts) > 0 {
		return fmt.Errorf("halted by %s: %s", halts[0].Code, halts[0].Text)
	}
	var all []error
	if err := t.watchParents(ctx); err != nil {
		all = append(all, fmt.Errorf("parents: %w", err))
	}
	live, err := t.Records.Intents(ctx, liveStates()...)
	if err != nil {
		return fmt.Errorf("live top-ups: %w", err)
	}
	for _, intent := range live {
		if err := t.advance(ctx, intent); err != nil {
			all = append(all, fmt.Errorf("top-up %d: %w", intent.Serial, err))
		}
	}
	all = append(all, t.send(ctx), t.watchTiers(ctx))
	return errors.Join(all...)
}

// advance takes one intent through every transition that is open to it.
func (t *Treasury) advance(ctx context.Context, intent Intent) (err error) {
	defer func() {
		if delete(t.trouble, intent.Serial); err != nil {
			t.trouble[intent.Serial] = err
		}
	}()
	if intent.State == Approved {
		if err := t.seal(ctx, intent); err != nil {
			return err
		}
		if intent, err = t.Records.Intent(ctx, intent.Serial); err != nil {
			return err
		}
	}
	switch intent.State {
	case Sealed, Signed, Broadcast: // the last two while a replacement waits for its signatures
		return t.finish(ctx, intent)
	}
	return nil
}

func liveStates() []State { return []State{Proposed, Approved, Sealed, Signed, Broadcast} }

// refuseEnded refuses to go on with an intent whose time is over, before the records have noticed.
func (t *Treasury) refuseEnded(intent Intent) error {
	if now := t.Now().Unix(); now >= intent.ExpiresAt {
		return spend.Distrust("intent-expired", fmt.Sprintf("top-up %d", intent.Serial),
			"a time before "+time.Unix(intent.ExpiresAt, 0).UTC().Format(time.RFC3339), time.Unix(now, 0).UTC().Format(time.RFC3339),
			"propose it again; approvals bind the old expiry and do not carry over")
	}
	return nil
}

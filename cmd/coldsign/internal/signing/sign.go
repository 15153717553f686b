package signing

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// Declined is what Ask returns when the person at the screen refused. It is recorded, and counts toward the refusals that
// lock a wallet: who presses people to look again and again gets no further than who shows them a bad bundle.
type Declined struct {
	Reason string // code
}

// ConfirmationWrong is the reason when somebody typed the confirmation wrongly until no try was left.
const ConfirmationWrong = "confirmation-wrong"

func (d Declined) Error() string { return "refused by the keyholder: " + d.Reason }

// Session is one key about to sign, with everything it needs of the world outside as arguments. Whoever gives Unlock
// closes the key afterwards.
type Session struct {
	Home   *home.Home
	Ledger *home.Ledger  // opened for writing
	Info   keystore.Info // public part of the key
	Unlock func(context.Context) (*keystore.Key, error)
	Now    func() time.Time
	Rand   io.Reader
	Ask    func(review.Request) error // shows the screen; nil means the person confirmed, Declined that the person refused
}

// Result is what a signing act gave.
type Result struct {
	Answer      []byte // sealed, as it leaves
	Counter     uint64
	Signatures  int
	Again       bool // the stored answer to a bundle that was signed before
	Position    int  // of the key in the wallet, from 0
	Examination Examination
}

// Sign opens raw, judges it, asks the keyholder, unlocks the key, and gives the answer. The key is unlocked last: while a
// person reads, it lies sealed. A bundle that this key signed before gives the stored answer again, byte for byte, and
// needs no key.
func (s *Session) Sign(ctx context.Context, raw []byte) (Result, error) {
	digest := sha256.Sum256(raw)
	x, err := s.Examine(raw)
	if err != nil {
		return Result{}, err
	}
	position, ours := Position(x.Scope.From, s.Info.Record)
	if !ours || position+1 != x.KeyNumber {
		return Result{}, spend.Refuse("key-not-in-wallet", "wallet "+x.Scope.From.Name(), "a wallet that key "+s.Info.Name+" belongs to",
			"other keys", "sign with one of the wallet's keys: coldsign key list")
	}
	id := hex.EncodeToString(x.Opened.ID[:])
	if e, ok := s.Ledger.Answered(id, s.Info.Name); ok && len(s.refused(x, id)) == 0 {
		return Result{Answer: e.Answer, Counter: e.Counter, Again: true, Position: position, Examination: x}, nil
	}
	if err := s.mayReserve(x, id); err != nil {
		return Result{}, err
	}
	if err := s.ask(x, id); err != nil {
		return Result{}, err
	}
	key, err := s.unlock(ctx)
	if err != nil {
		return Result{}, err
	}
	reservation, err := s.reserve(x, id)
	if err != nil {
		return Result{}, err
	}
	if sha256.Sum256(raw) != digest || x.Opened.Digest != digest {
		return Result{}, spend.Distrust("bundle-changed", "bundle", "the bytes that were reviewed", "other bytes", "stop, and examine this machine")
	}
	signatures, err := s.signatures(ctx, key, x, position)
	if err != nil {
		return Result{}, err
	}
	return s.answer(key, x, position, reservation, signatures)
}

// Examine does everything that comes before a person is asked.
func (s *Session) Examine(raw []byte) (Examination, error) {
	beliefs, err := s.beliefs()
	if err != nil {
		return Examination{}, err
	}
	return Examine(beliefs, s.Ledger, raw, s.Now())
}

// beliefs reads what the key has sealed, by the receipt key of its public record. That record is only as good as its
// file until the key is unlocked, which unlock checks.
func (s *Session) beliefs() (Beliefs, error) {
	receipt, err := seal.ParseKey(s.Info.Record.Receipt)
	if err != nil {
		return Beliefs{}, err
	}
	return Load(s.Home, s.Ledger, s.Info.Name, receipt)
}

// unlock opens the key and compares it with the public record that everything so far was believed by.
func (s *Session) unlock(ctx context.Context) (*keystore.Key, error) {
	key, err := s.Unlock(ctx)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(key.Record().Marshal(), s.Info.Record.Marshal()) || seal.KeyLine(key.Receipt().PublicKey()) != s.Info.Record.Receipt {
		return nil, spend.Distrust("key-mismatch", "key "+s.Info.Name, "the key of its public record", "another one", "treat this home as tampered with: stop")
	}
	return key, nil
}

// mayReserve refuses a bundle whose verdict is not clean, one that a keyholder refused before, and one whose coins this
// key gave away already. Waiting for a time-lock is recorded, and counts as nobody's refusal.
func (s *Session) mayReserve(x Examination, id string) error {
	others := append(s.refused(x, id), s.conflicts(x, id)...)
	refusals := append(x.Verdict.Refusals(), others...)
	if x.Verdict.Clean() && len(refusals) == 0 {
		return nil
	}
	errs := make([]error, len(refusals))
	for i, r := range refusals {
		errs[i] = r
	}
	if len(errs) == 0 {
		errs = append(errs, spend.Refuse("nothing-judged", "policy", "at least one check", "none", "report this as a defect"))
	}
	e := home.Entry{Event: home.Declined, Bundle: id, Key: s.Info.Name, Reason: "nothing-judged", Wallet: x.Opened.Intent.From.String()}
	if len(refusals) > 0 {
		e.Reason = refusals[0].Code
	}
	if len(others) == 0 && policy.OnlyTimeLock(x.Verdict) {
		e.Event = home.Withheld
	}
	if err := s.Ledger.Append(s.Now(), e); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ask shows the bundle to the keyholder, and records it when that person refuses.
func (s *Session) ask(x Examination, id string) error {
	err := s.Ask(x.Request())
	var declined Declined
	if !errors.As(err, &declined) {
		return err
	}
	return errors.Join(err, s.Ledger.Append(s.Now(), home.Entry{Event: home.Declined, Bundle: id, Key: s.Info.Name, Reason: declined.Reason,
		Wallet: x.Opened.Intent.From.String()}))
}

// conflicts refuses coins that this key signed away before. The one exception is a bundle that replaces an earlier one,
// pays the same place and lets no more leave. It must share a coin with every bundle of that line, and not only with the
// one it names: two that share none could both be confirmed.
func (s *Session) conflicts(x Examination, id string) []*spend.Refusal {
	var out []*spend.Refusal
	line := s.replaces(x, id)
	found := s.Ledger.Conflicts(id, s.Info.Name, outpoints(x.Effects))
	for _, c := range found {
		if slices.Contains(line, c.By.Bundle) && s.leavesNoMore(x, c.By) {
			if differs := paysTheSame(x, c.By); differs != nil {
				out = append(out, differs)
			}
			continue
		}
		out = append(out, spend.Refuse("coin-already-signed", "input "+c.Outpoint, "a coin that this key never signed away",
			fmt.Sprintf("it was signed for bundle %s on %s", c.By.Bundle[:16], c.By.Time.Format(time.RFC3339)),
			"treasury staff: finish that bundle, or issue one that replaces it and lets no more leave"))
	}
	for _, earlier := range line {
		if !slices.ContainsFunc(found, func(c home.Conflict) bool { return c.By.Bundle == earlier }) {
			out = append(out, spend.Refuse("replacement-shares-no-coin", "bundle "+id[:16], "a coin in common with every bundle that it replaces",
				"none in common with bundle "+earlier[:16], "treasury staff: build the replacement from the coins of the first bundle"))
		}
	}
	return out
}

// replaces lists the bundles in whose place x is to stand: the one it names, those that named the same one, and every
// other that shares a coin with the named one, as far as this key signed them. By this rule each of them shares a coin
// with each. A key that was not asked for the first bundle, or for one in between, knows the line all the same.
func (s *Session) replaces(x Examination, id string) []string {
	named := hex.EncodeToString(x.Opened.Replaces[:])
	var line []string
	for _, e := range s.Ledger.Entries() {
		if e.Event == home.Reserved && e.Key == s.Info.Name && e.Bundle != id && (e.Bundle == named || e.Replaces == named) {
			line = append(line, e.Bundle)
		}
	}
	earlier, signed := s.Ledger.Reservation(named, s.Info.Name)
	if !signed {
		return line
	}
	for _, c := range s.Ledger.Conflicts(named, s.Info.Name, earlier.Outpoints) {
		if c.By.Bundle != id && !slices.Contains(line, c.By.Bundle) {
			line = append(line, c.By.Bundle)
		}
	}
	return line
}

// paysTheSame refuses a replacement that pays the destination another amount than the earlier bundle did: a higher fee
// is taken from change alone (attack 116).
func paysTheSame(x Examination, earlier home.Entry) *spend.Refusal {
	before, now := cmp.Or(earlier.Amount, earlier.Leaving), x.Opened.Intent.Amount.Units().String()
	if before == now {
		return nil
	}
	return spend.Refuse("replacement-differs", "bundle "+earlier.Bundle[:16], before+" satoshi to the destination, as before", now+" satoshi",
		"treasury staff: raise the fee out of change alone: warmctl topup bump")
}

// leavesNoMore reports whether x pays the place that an earlier bundle paid, and no more than that one did.
func (s *Session) leavesNoMore(x Examination, earlier home.Entry) bool {
	before, err := money.ParseU128(earlier.Leaving)
	now, errNow := policy.Leaving(x.Effects.Facts())
	intent := x.Opened.Intent
	return err == nil && errNow == nil && now.Units().Cmp(before) <= 0 && earlier.To == x.destination() && earlier.ToIndex == intent.ToIndex
}

func outpoints(e chain.Effects) []string {
	var out []string
	for _, in := range e.Facts().Inputs {
		out = append(out, in.Outpoint)
	}
	return out
}

// reserve is the write-ahead: after it returns, this key has promised these coins to this bundle, whatever happens.
// A reservation that a crash left without an answer is taken up again with its own counter.
func (s *Session) reserve(x Examination, id string) (home.Entry, error) {
	if e, ok := s.Ledger.Reservation(id, s.Info.Name); ok {
		return e, nil
	}
	leaving, err := policy.Leaving(x.Effects.Facts())
	if err != nil {
		return home.Entry{}, err
	}
	intent := x.Opened.Intent
	e := home.Entry{Event: home.Reserved, Bundle: id, Key: s.Info.Name, Wallet: intent.From.String(), Outpoints: outpoints(x.Effects), Amounts: amounts(x.Effects),
		Amount: intent.Amount.Units().String(), Leaving: leaving.Units().String(), To: x.destination(), ToIndex: intent.ToIndex, Change: changeIndex(x.Effects),
		Counter: s.Ledger.NextCounter(s.Info.Name), Expires: intent.ExpiresAt}
	if x.Opened.Replaces != [32]byte{} {
		e.Replaces = hex.EncodeToString(x.Opened.Replaces[:])
	}
	return e, s.Ledger.Append(s.Now(), e)
}

func changeIndex(e chain.Effects) uint32 {
	for _, o := range e.Facts().Outputs {
		if o.Role == chain.Change {
			return o.Index
		}
	}
	return 0
}

func requests(tasks []bitcoin.Task) []keystore.Request {
	out := make([]keystore.Request, len(tasks))
	for i, task := range tasks {
		out[i] = keystore.Request{Place: keystore.Place{Branch: task.Branch, Index: task.Index, PubKey: task.PubKey, Y: task.Y}, Digest: task.Digest}
	}
	return out
}

// signatures uses the key, once for each input. The key store verifies every signature with btcec against the public key
// of the task before it gives it out, and the chain room by its own implementation before it goes on.
func (s *Session) signatures(ctx context.Context, key *keystore.Key, x Examination, position int) ([]bitcoin.Signature, error) {
	out, err := x.Proven.Sign(position, func(tasks []bitcoin.Task) ([][]byte, error) {
		return key.SignAt(ctx, requests(tasks))
	})
	if err != nil {
		return nil, err
	}
	if inputs := len(x.Effects.Facts().Inputs); len(out) != inputs {
		return nil, spend.Refuse("nothing-to-sign", "bundle", fmt.Sprintf("%d inputs to sign", inputs),
			fmt.Sprintf("%d", len(out)), "sign with a key of the spending wallet")
	}
	return out, nil
}

func (s *Session) answer(key *keystore.Key, x Examination, position int, reservation home.Entry, signatures []bitcoin.Signature) (Result, error) {
	a := bundle.Answer{Bundle: x.Opened.ID, Wallet: x.Scope.From.ID(), Position: position, Counter: reservation.Counter, Policy: x.Rules.Version()}
	for _, sig := range signatures {
		a.Signatures = append(a.Signatures, bundle.AnswerSignature{Input: sig.Input, PubKey: sig.PubKey, Signature: sig.Signature})
	}
	sealed, err := bundle.SealAnswer(a, key.Receipt(), s.Rand)
	if err != nil {
		return Result{}, err
	}
	if err := s.Ledger.Append(s.Now(), home.Entry{Event: home.Signed, Bundle: reservation.Bundle, Key: s.Info.Name, Wallet: reservation.Wallet,
		Counter: reservation.Counter, Answer: sealed}); err != nil {
		return Result{}, err
	}
	return Result{Answer: sealed, Counter: reservation.Counter, Signatures: len(signatures), Position: position, Examination: x}, nil
}

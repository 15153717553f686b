package signing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
)

// ErrDeclined says that the person at the screen refused, or confirmed wrongly three times.
var ErrDeclined = errors.New("refused by the keyholder")

// Session is one key about to sign, with everything it needs of the world outside as arguments.
type Session struct {
	Home    *home.Home
	Ledger  *home.Ledger // opened for writing
	KeyName string
	Key     *keystore.Key
	Now     func() time.Time
	Rand    io.Reader
	Ask     func(review.Request) error // shows the screen; nil means the person confirmed
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

// Sign opens raw, judges it, asks the keyholder, and gives the answer. A bundle that this key signed before gives the
// stored answer again, byte for byte, and uses no key.
func (s *Session) Sign(ctx context.Context, raw []byte) (Result, error) {
	digest := sha256.Sum256(raw)
	beliefs, err := Load(s.Home, s.Ledger, s.KeyName, s.Key.Receipt().PublicKey())
	if err != nil {
		return Result{}, err
	}
	x, err := Examine(beliefs, s.Ledger, raw, s.Now())
	if err != nil {
		return Result{}, err
	}
	position, ours := Position(x.Scope.From, s.Key.Record())
	if !ours {
		return Result{}, spend.Refuse("key-not-in-wallet", "wallet "+x.Scope.From.Name(), "a wallet that key "+s.KeyName+" belongs to",
			"other keys", "sign with one of the wallet's keys: coldsign key list")
	}
	id := hex.EncodeToString(x.Opened.ID[:])
	if e, ok := s.Ledger.Answered(id, s.KeyName); ok {
		return Result{Answer: e.Answer, Counter: e.Counter, Again: true, Position: position, Examination: x}, nil
	}
	if err := s.mayReserve(x, id); err != nil {
		return Result{}, err
	}
	if err := s.Ask(x.Request()); err != nil {
		return Result{}, err
	}
	reservation, err := s.reserve(x, id)
	if err != nil {
		return Result{}, err
	}
	if sha256.Sum256(raw) != digest || x.Opened.Digest != digest {
		return Result{}, spend.Distrust("bundle-changed", "bundle", "the bytes that were reviewed", "other bytes", "stop, and examine this machine")
	}
	signatures, err := s.signatures(ctx, x, position)
	if err != nil {
		return Result{}, err
	}
	return s.answer(x, position, reservation, signatures)
}

// mayReserve refuses a bundle whose verdict is not clean, and one whose coins this key gave away already.
func (s *Session) mayReserve(x Examination, id string) error {
	refusals := append(x.Verdict.Refusals(), s.conflicts(x, id)...)
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
	first := "nothing-judged"
	if len(refusals) > 0 {
		first = refusals[0].Code
	}
	if err := s.Ledger.Append(s.Now(), home.Entry{Event: home.Declined, Bundle: id, Key: s.KeyName, Reason: first,
		Wallet: x.Opened.Intent.From.String()}); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// conflicts refuses coins that this key signed away before. The one exception is a bundle that names the earlier one as
// replaced and lets no more leave: both spend the same coin, so the chain itself takes at most one of them.
func (s *Session) conflicts(x Examination, id string) []*spend.Refusal {
	var out []*spend.Refusal
	replaced := hex.EncodeToString(x.Opened.Replaces[:])
	for _, c := range s.Ledger.Conflicts(id, s.KeyName, outpoints(x.Effects)) {
		if c.By.Bundle == replaced && s.leavesNoMore(x, c.By) {
			continue
		}
		out = append(out, spend.Refuse("coin-already-signed", "input "+c.Outpoint, "a coin that this key never signed away",
			fmt.Sprintf("it was signed for bundle %s on %s", c.By.Bundle[:16], c.By.Time.Format(time.RFC3339)),
			"treasury staff: finish that bundle, or issue one that replaces it and lets no more leave"))
	}
	return out
}

func (s *Session) leavesNoMore(x Examination, earlier home.Entry) bool {
	before, err := money.ParseU128(earlier.Leaving)
	now, errNow := policy.Leaving(x.Effects.Facts())
	return err == nil && errNow == nil && now.Units().Cmp(before) <= 0 && earlier.To == x.Opened.Intent.To.String()
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
	if e, ok := s.Ledger.Reservation(id, s.KeyName); ok {
		return e, nil
	}
	leaving, err := policy.Leaving(x.Effects.Facts())
	if err != nil {
		return home.Entry{}, err
	}
	intent := x.Opened.Intent
	e := home.Entry{Event: home.Reserved, Bundle: id, Key: s.KeyName, Wallet: intent.From.String(), Outpoints: outpoints(x.Effects),
		Leaving: leaving.Units().String(), To: intent.To.String(), ToIndex: intent.ToIndex, Change: changeIndex(x.Effects),
		Counter: s.Ledger.NextCounter(s.KeyName), Expires: intent.ExpiresAt}
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

// signatures uses the key, once for each input, and verifies every signature by two implementations before it goes on.
func (s *Session) signatures(ctx context.Context, x Examination, position int) ([]bitcoin.Signature, error) {
	tasks, err := bitcoin.Tasks(x.Packet, x.Scope, position)
	if err != nil {
		return nil, err
	}
	inputs := len(x.Effects.Facts().Inputs)
	if len(tasks) != inputs {
		return nil, spend.Refuse("nothing-to-sign", "bundle", fmt.Sprintf("%d inputs to sign", inputs),
			fmt.Sprintf("%d", len(tasks)), "sign with a key of the spending wallet")
	}
	out := make([]bitcoin.Signature, 0, len(tasks))
	for _, task := range tasks {
		der, pub, err := s.Key.Sign(ctx, task.Branch, task.Index, task.Digest)
		if err != nil {
			return nil, fmt.Errorf("input %d: %w", task.Input, err)
		}
		if pub != task.PubKey {
			return nil, spend.Distrust("key-mismatch", fmt.Sprintf("input %d", task.Input), hex.EncodeToString(task.PubKey[:]),
				hex.EncodeToString(pub[:]), "the key device gave a signature by another key; do not use it")
		}
		out = append(out, bitcoin.Signature{Input: uint32(task.Input), PubKey: pub, Signature: append(der, sighashAll)})
	}
	return out, bitcoin.VerifySignatures(x.Packet, x.Scope, out)
}

// sighashAll is the last byte of every signature: all inputs and all outputs are signed.
const sighashAll = 0x01

func (s *Session) answer(x Examination, position int, reservation home.Entry, signatures []bitcoin.Signature) (Result, error) {
	a := bundle.Answer{Bundle: x.Opened.ID, Wallet: x.Scope.From.ID(), Position: position, Counter: reservation.Counter, Policy: x.Rules.Version()}
	for _, sig := range signatures {
		a.Signatures = append(a.Signatures, bundle.AnswerSignature{Input: sig.Input, PubKey: sig.PubKey, Signature: sig.Signature})
	}
	sealed, err := bundle.SealAnswer(a, s.Key.Receipt(), s.Rand)
	if err != nil {
		return Result{}, err
	}
	if err := s.Ledger.Append(s.Now(), home.Entry{Event: home.Signed, Bundle: reservation.Bundle, Key: s.KeyName, Wallet: reservation.Wallet,
		Counter: reservation.Counter, Answer: sealed}); err != nil {
		return Result{}, err
	}
	return Result{Answer: sealed, Counter: reservation.Counter, Signatures: len(signatures), Position: position, Examination: x}, nil
}

// Refuse seals a refusal: the daemon and auditors see that this keyholder saw the bundle, and why it was not signed.
func (s *Session) Refuse(x Examination, code string) ([]byte, error) {
	position, ours := Position(x.Scope.From, s.Key.Record())
	if !ours {
		return nil, spend.Refuse("key-not-in-wallet", "wallet "+x.Scope.From.Name(), "a wallet that key "+s.KeyName+" belongs to", "other keys", "")
	}
	id := hex.EncodeToString(x.Opened.ID[:])
	if _, signed := s.Ledger.Reservation(id, s.KeyName); signed {
		return nil, spend.Refuse("already-signed", "bundle "+id[:16], "a bundle that this key did not sign", "a reservation in the signer ledger",
			"tell treasury staff: a signature that left cannot be taken back")
	}
	a := bundle.Answer{Bundle: x.Opened.ID, Wallet: x.Scope.From.ID(), Position: position, Policy: x.Rules.Version(), Refusal: code}
	sealed, err := bundle.SealAnswer(a, s.Key.Receipt(), s.Rand)
	if err != nil {
		return nil, err
	}
	return sealed, s.Ledger.Append(s.Now(), home.Entry{Event: home.Declined, Bundle: id, Key: s.KeyName, Reason: code,
		Wallet: x.Opened.Intent.From.String(), Answer: sealed})
}

package signing_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// errand is a top-up from COLD-A, as the daemon would build and seal it.
type errand struct {
	amount   int64
	coins    []bitcoin.Coin
	to       wallet.Wallet
	toIndex  uint32
	rate     int64
	replaces []byte // the bundle that this one takes the place of
}

// errand pays 200,000 satoshi to HOT-1 at index 7 out of the coins.
func (tr *treasury) errand(coins ...bitcoin.Coin) errand {
	return errand{amount: 200_000, coins: coins, to: tr.hot, toIndex: 7, rate: 2000}
}

// sealed builds, approves and seals an errand.
func (tr *treasury) sealed(t *testing.T, e errand) []byte {
	t.Helper()
	p, _, err := bitcoin.Build(bitcoin.Request{From: tr.cold, To: e.to, ToIndex: e.toIndex, Amount: e.amount, ChangeIndex: uint32(tr.serial), FeeRate: e.rate,
		Coins: e.coins, Height: 812, Rand: noise("errand", 0)})
	must(t, err)
	if len(p.Unsigned().TxIn) != len(e.coins) {
		t.Fatalf("%d of %d coins are spent", len(p.Unsigned().TxIn), len(e.coins))
	}
	tr.serial++
	intent, err := bundle.EncodeIntent(spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: tr.serial, Issuer: issuerName,
		From: tr.cold.ID(), To: e.to.ID(), ToIndex: e.toIndex, Amount: money.Sats(e.amount), Proposer: issuerName,
		CreatedAt: noon.Unix() - 60, ExpiresAt: noon.Unix() + 3600})
	must(t, err)
	body := bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Issuer: issuerName, SealedAt: noon.Unix() - 60}
	body.Payload, body.Proofs = p.Strip()
	for _, person := range tr.people {
		armored, err := seal.Sign(person, seal.Approve, intent, noise("approve", 0))
		must(t, err)
		body.Approvals = append(body.Approvals, armored)
	}
	if e.replaces != nil {
		opened, err := bundle.Open(e.replaces, signing.Beliefs{Network: spend.BitcoinRegtest,
			Issuers: []bundle.Issuer{{Name: issuerName, Network: spend.BitcoinRegtest, Key: tr.issuer.PublicKey()}}}, noon)
		must(t, err)
		body.Replaces = opened.ID
	}
	raw, err := bundle.Seal(body, tr.issuer, noise("seal", 0))
	must(t, err)
	return raw
}

// try signs a bundle in a session of its own, as one run of coldsign does, and counts the questions to the person.
func (tr *treasury) try(t *testing.T, raw []byte) (result signing.Result, asked int, err error) {
	t.Helper()
	ledger := tr.ledger(t)
	defer ledger.Close()
	result, err = tr.sign(ledger, raw, func(review.Request) error { asked++; return nil })
	return result, asked, err
}

func (tr *treasury) signs(t *testing.T, raw []byte) signing.Result {
	t.Helper()
	result, _, err := tr.try(t, raw)
	must(t, err)
	return result
}

// refuses demands a refusal with the code, before anybody was asked and without an answer.
func (tr *treasury) refuses(t *testing.T, name string, raw []byte, code string) {
	t.Helper()
	result, asked, err := tr.try(t, raw)
	if !slices.Contains(codesOf(err), code) {
		t.Errorf("%s: %v, want %s", name, err, code)
	}
	if asked > 0 || result.Answer != nil || result.Signatures > 0 {
		t.Errorf("%s: asked %d times, %d signatures, answer %x", name, asked, result.Signatures, result.Answer)
	}
}

// codesOf lists the codes of every refusal inside err.
func codesOf(err error) []string {
	var out []string
	var refusal *spend.Refusal
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, codesOf(e)...)
		}
	} else if errors.As(err, &refusal) {
		out = append(out, refusal.Code)
	}
	return out
}

// events counts the ledger's entries of a kind.
func (tr *treasury) events(t *testing.T, of home.Event) int {
	t.Helper()
	ledger, err := tr.home.Ledger(false)
	must(t, err)
	n := 0
	for _, e := range ledger.Entries() {
		if e.Event == of {
			n++
		}
	}
	return n
}

// Attack 063: the buffer that was reviewed is changed while the person reads. Nothing is signed.
func TestAttack063BytesChangedDuringTheReviewAreNotSigned(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	good := tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...))
	for _, at := range []int{0, len(good) / 2, len(good) - 1} {
		raw := bytes.Clone(good)
		ledger := tr.ledger(t)
		result, err := tr.sign(ledger, raw, func(review.Request) error { raw[at] ^= 1; return nil })
		ledger.Close()
		if !slices.Contains(codesOf(err), "bundle-changed") || result.Answer != nil {
			t.Errorf("byte %d: answer of %d bytes, %v", at, len(result.Answer), err)
		}
	}
	if n := tr.events(t, home.Signed); n != 0 {
		t.Errorf("%d answers in the ledger", n)
	}
	tr.signs(t, good) // the untouched bundle is signed still
}

// tired is a context that ends after some questions: the key asks it before each signature.
type tired struct {
	context.Context
	after int
}

func (c *tired) Err() error {
	if c.after--; c.after < 0 {
		return context.Canceled
	}
	return nil
}

// Attack 069: nothing was signed, and the program ends as if it had been. Whoever declines, a key that does not open,
// and one that fails at the first or the last input, give an error and no answer.
func TestAttack069NothingSignedIsNeverSuccess(t *testing.T) {
	broken := errors.New("the token was pulled out")
	for name, c := range map[string]struct {
		asked, opened error
		signatures    int
	}{"declined": {asked: signing.Declined{Reason: "unexpected"}, signatures: 9}, "not opened": {opened: broken, signatures: 9}, "first input": {signatures: 0}, "last input": {signatures: 1}} {
		tr := newTreasury(t, 2, 3)
		raw := tr.sealed(t, errand{amount: 400_000, coins: tr.coins(t, 0, 2), to: tr.hot, toIndex: 7, rate: 2000})
		ledger := tr.ledger(t)
		s := signing.Session{Home: tr.home, Ledger: ledger, Info: keystore.Info{Name: "COLD-A-0", Record: tr.key.Record()},
			Unlock: func(context.Context) (*keystore.Key, error) { return tr.key, c.opened }, Now: func() time.Time { return noon },
			Rand: noise("session", 0), Ask: func(review.Request) error { return c.asked }}
		result, err := s.Sign(&tired{context.Background(), c.signatures}, raw)
		if err == nil || result.Answer != nil || result.Signatures != 0 {
			t.Errorf("%s: %d signatures, answer of %d bytes, %v", name, result.Signatures, len(result.Answer), err)
		}
		if n := tr.events(t, home.Signed); n != 0 {
			t.Errorf("%s: the ledger says signed", name)
		}
		ledger.Close()
	}
}

// Attack 073: two live bundles spend one coin, and both are signed.
func TestAttack073ACoinIsSignedAwayOnce(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	coins := tr.coins(t, 0, 3)
	first := tr.sealed(t, tr.errand(coins[0]))
	tr.signs(t, first)
	again := tr.errand(coins[0])
	again.amount--
	tr.refuses(t, "the coin again", tr.sealed(t, again), "coin-already-signed")
	both := tr.errand(coins[0], coins[1])
	both.amount = 400_000
	tr.refuses(t, "the coin among others", tr.sealed(t, both), "coin-already-signed")
	other := tr.sealed(t, tr.errand(coins[2]))
	tr.signs(t, other)
	wrong := tr.errand(coins[0])
	wrong.amount, wrong.replaces = 150_000, other
	tr.refuses(t, "replacing another bundle", tr.sealed(t, wrong), "coin-already-signed")
	more := tr.errand(coins[0])
	more.amount, more.replaces = 200_001, first
	tr.refuses(t, "a satoshi more", tr.sealed(t, more), "coin-already-signed")
	dearer := tr.errand(coins[0])
	dearer.replaces, dearer.rate = first, 9000
	tr.signs(t, tr.sealed(t, dearer))
}

// Attack 073: the second replacement shares a coin with the first one and none with the bundle that was signed at the
// beginning: both could be confirmed, and twice the amount would leave.
func TestAttack073AReplacementSharesACoinWithEveryEarlierBundle(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	coins := tr.coins(t, 0, 4)
	pay := func(rate int64, replaces []byte, coins ...bitcoin.Coin) []byte {
		return tr.sealed(t, errand{amount: 400_000, coins: coins, to: tr.hot, toIndex: 7, rate: rate, replaces: replaces})
	}
	first := pay(2000, nil, coins[0], coins[1])
	tr.signs(t, first)
	second := pay(3000, first, coins[1], coins[2])
	tr.signs(t, second)
	tr.refuses(t, "slips away", pay(4000, second, coins[2], coins[3]), "replacement-shares-no-coin")
	third := pay(5000, second, coins[1], coins[2]) // it shares one with each
	tr.signs(t, third)
	tr.refuses(t, "names only the first", pay(6000, first, coins[0], coins[3]), "replacement-shares-no-coin")
	tr.refuses(t, "names a bundle that was never signed", pay(6000, pay(7000, nil, coins[3], coins[0]), coins[0], coins[1]), "coin-already-signed")
}

// Attack 074: a bundle that was signed is presented again: the same bytes, no question, no key, no new line anywhere.
func TestAttack074AgainGivesTheSameAnswer(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	raw := tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...))
	first := tr.signs(t, raw)
	before, err := os.ReadFile(tr.ledgerPath())
	must(t, err)
	for range 3 {
		again, asked, err := tr.try(t, raw)
		must(t, err)
		if !again.Again || !bytes.Equal(again.Answer, first.Answer) || again.Counter != first.Counter || asked != 0 {
			t.Errorf("again %v, counter %d, asked %d, same bytes %v", again.Again, again.Counter, asked, bytes.Equal(again.Answer, first.Answer))
		}
	}
	after, err := os.ReadFile(tr.ledgerPath())
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Errorf("the ledger has grown by %d lines", strings.Count(string(after), "\n")-strings.Count(string(before), "\n"))
	}
}

// pinHot2 pins a second hot wallet, which the policy allows to be paid as well.
func (tr *treasury) pinHot2(t *testing.T) wallet.Wallet {
	t.Helper()
	w := newWallet(t, t.TempDir(), "HOT-2", 2, 3)
	rules := policy.Template(spend.BitcoinRegtest, policy.Wallet{ID: tr.cold.ID(), Name: "COLD-A", Tier: spend.Cold},
		policy.Wallet{ID: tr.hot.ID(), Name: "HOT-1", Tier: spend.Hot}, policy.Wallet{ID: w.ID(), Name: "HOT-2", Tier: spend.Hot})
	ledger := tr.ledger(t)
	defer ledger.Close()
	for _, p := range []home.Pin{{Kind: home.WalletPin, Name: "HOT-2", Data: w.Marshal()}, {Kind: home.PolicyPin, Name: "policy", Data: rules}} {
		p.Signatures = tr.vouchers(t, p, tr.cold.Threshold())
		must(t, tr.home.Pin(ledger, noon, p, home.Signatory{Key: "COLD-A-0", Receipt: tr.key.Receipt()}, noise("pin", 0)))
	}
	return w
}

// Attack 116: a fee bump that pays somewhere else, or that is nothing but fee.
func TestAttack116AFeeBumpChangesOnlyFeeAndChange(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	other := tr.pinHot2(t)
	coins := tr.coins(t, 0, 2)
	first := tr.sealed(t, tr.errand(coins[0]))
	tr.signs(t, first)
	for name, c := range map[string]struct {
		change func(e *errand)
		code   string
	}{
		"to another index":  {func(e *errand) { e.toIndex = 8 }, "coin-already-signed"},
		"to another wallet": {func(e *errand) { e.to = other }, "coin-already-signed"},
		"more":              {func(e *errand) { e.amount = 200_100 }, "coin-already-signed"},
		"a fee that drains": {func(e *errand) { e.amount, e.rate = 150_000, 600_000 }, "fee-above-percent"},
	} {
		bump := tr.errand(coins[0])
		bump.replaces, bump.rate = first, 9000
		c.change(&bump)
		tr.refuses(t, name, tr.sealed(t, bump), c.code)
	}
	bump := tr.errand(coins[0])
	bump.replaces, bump.rate = first, 9000
	tr.signs(t, tr.sealed(t, bump))
}

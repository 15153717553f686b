package signing_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// holder is one of the keyholders of the treasury's cold wallet: a key of the home with the pins of the first, and a
// clock of its own.
type holder struct {
	*treasury
	name string
	key  *keystore.Key
	now  time.Time
}

// holder unlocks key i and pins for it whatever key 0 has pinned.
func (tr *treasury) holder(t *testing.T, i int) *holder {
	t.Helper()
	h := &holder{tr, fmt.Sprintf("COLD-A-%d", i), tr.key, noon}
	if i == 0 {
		return h
	}
	store, err := keystore.Open(tr.home.KeysDir(), nil)
	must(t, err)
	h.key, err = store.Unlock(h.name, keystore.NewSecret([]byte(passphrase)))
	must(t, err)
	t.Cleanup(func() { _ = h.key.Close() })
	ledger := tr.ledger(t)
	defer ledger.Close()
	for _, kind := range []home.Kind{home.WalletPin, home.IssuerPin, home.RosterPin, home.PolicyPin, home.BookPin} {
		pins, err := tr.home.Pins(ledger, kind, "COLD-A-0", tr.key.Receipt().PublicKey())
		must(t, err)
		for _, p := range pins {
			must(t, tr.home.Pin(ledger, noon, p, home.Signatory{Key: h.name, Receipt: h.key.Receipt()}, noise("pin", i)))
		}
	}
	return h
}

// pinned is what key 0 has pinned of a kind.
func (tr *treasury) pinned(t *testing.T, kind home.Kind) home.Pin {
	t.Helper()
	ledger := tr.ledger(t)
	defer ledger.Close()
	pins, err := tr.home.Pins(ledger, kind, "COLD-A-0", tr.key.Receipt().PublicKey())
	must(t, err)
	return pins[0]
}

// pin pins a file for key 0, signed by the first n keyholders.
func (tr *treasury) pin(t *testing.T, kind home.Kind, text string, n int) {
	t.Helper()
	ledger := tr.ledger(t)
	defer ledger.Close()
	p := home.Pin{Kind: kind, Name: string(kind), Data: []byte(text)}
	p.Signatures = tr.vouchers(t, p, n)
	must(t, tr.home.Pin(ledger, noon, p, home.Signatory{Key: "COLD-A-0", Receipt: tr.key.Receipt()}, noise("pin", 0)))
}

// rules pins the policy with edits, each old text and new text.
func (tr *treasury) rules(t *testing.T, edits ...string) {
	t.Helper()
	text := string(tr.pinned(t, home.PolicyPin).Data)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the policy has no %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	tr.pin(t, home.PolicyPin, text, 2)
}

// asked is a request of the daemon.
type asked struct {
	coins    int // first of two coins that are spent
	amount   int64
	created  time.Time
	life     time.Duration
	rate     int64
	counters []bundle.Counter
	entry    string // of the address book, instead of the hot wallet
	address  string // that is really paid
}

func (tr *treasury) ask(coins int) asked {
	return asked{coins: coins, amount: 300_000, created: noon.Add(-time.Minute), life: 48 * time.Hour, rate: 2000}
}

// sealed builds what was asked, has it approved, and seals it.
func (tr *treasury) seal(t *testing.T, a asked) []byte {
	t.Helper()
	tr.serial++
	p, _, err := bitcoin.Build(bitcoin.Request{From: tr.cold, To: tr.hot, ToIndex: 7, Amount: a.amount, ChangeIndex: uint32(tr.serial), FeeRate: a.rate,
		Coins: tr.coins(t, a.coins, 2), Height: 812, Rand: noise("ask", 0)})
	must(t, err)
	asks := spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: tr.serial, Issuer: issuerName, From: tr.cold.ID(),
		To: tr.hot.ID(), ToIndex: 7, Amount: money.Sats(a.amount), Proposer: issuerName, CreatedAt: a.created.Unix(), ExpiresAt: a.created.Add(a.life).Unix()}
	if a.entry != "" {
		asks.Purpose, asks.To, asks.ToIndex, asks.Entry = spend.Payment, spend.WalletID{}, 0, a.entry
	}
	intent, err := bundle.EncodeIntent(asks)
	must(t, err)
	body := bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Issuer: issuerName, SealedAt: a.created.Unix(), Counters: a.counters}
	body.Payload, body.Proofs = p.Strip()
	if a.address != "" {
		body.Payload = paying(t, body.Payload, a.address)
	}
	for _, person := range tr.people {
		armored, err := seal.Sign(person, seal.Approve, intent, noise("approve", 0))
		must(t, err)
		body.Approvals = append(body.Approvals, armored)
	}
	raw, err := bundle.Seal(body, tr.issuer, noise("seal", 0))
	must(t, err)
	return raw
}

// paying puts another address in the place of the destination, which is the output without derivations.
func paying(t *testing.T, payload []byte, to string) []byte {
	t.Helper()
	p, err := psbt.NewFromRawBytes(bytes.NewReader(payload), false)
	must(t, err)
	decoded, err := address.DecodeAddress(to, &chaincfg.RegressionNetParams)
	must(t, err)
	for i := range p.Outputs {
		if len(p.Outputs[i].Bip32Derivation) == 0 {
			p.UnsignedTx.TxOut[i].PkScript, err = txscript.PayToAddrScript(decoded)
			must(t, err)
		}
	}
	var out bytes.Buffer
	must(t, p.Serialize(&out))
	return out.Bytes()
}

// session is coldsign with the holder's key unlocked.
func (h *holder) session(ledger *home.Ledger) *signing.Session {
	return &signing.Session{Home: h.home, Ledger: ledger, Info: keystore.Info{Name: h.name, Record: h.key.Record()},
		Unlock: func(context.Context) (*keystore.Key, error) { return h.key, nil }, Now: func() time.Time { return h.now }, Rand: noise("session", 0),
		Ask: func(review.Request) error { return nil }}
}

// signs is `coldsign sign` by the holder, confirmed at the screen.
func (h *holder) signs(t *testing.T, raw []byte) (signing.Result, error) {
	t.Helper()
	ledger := h.ledger(t)
	defer ledger.Close()
	return h.session(ledger).Sign(context.Background(), raw)
}

// examined is the bundle as the holder sees it.
func (h *holder) examined(t *testing.T, raw []byte) (signing.Beliefs, signing.Examination, error) {
	t.Helper()
	ledger := h.ledger(t)
	defer ledger.Close()
	b, err := signing.Load(h.home, ledger, h.name, h.key.Receipt().PublicKey())
	must(t, err)
	x, err := signing.Examine(b, ledger, raw, h.now)
	return b, x, err
}

// refuses is `coldsign refuse` by the holder.
func (h *holder) refuses(t *testing.T, raw []byte) ([]byte, error) {
	t.Helper()
	_, x, err := h.examined(t, raw)
	must(t, err)
	ledger := h.ledger(t)
	defer ledger.Close()
	return h.session(ledger).Refuse(context.Background(), x, "unexpected")
}

// heeds is `coldsign heed` by the holder.
func (h *holder) heeds(t *testing.T, refusal, raw []byte) error {
	t.Helper()
	_, x, err := h.examined(t, raw)
	must(t, err)
	ledger := h.ledger(t)
	defer ledger.Close()
	_, err = h.session(ledger).Heed(x, refusal)
	return err
}

// saved and restore are a backup of the whole signer ledger.
func (tr *treasury) saved(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(tr.ledgerPath())
	must(t, err)
	return raw
}

// gives fails the test unless err refuses with exactly the codes.
func gives(t *testing.T, what string, err error, codes ...string) {
	t.Helper()
	if got := codesOf(err); !slices.Equal(got, codes) || (err == nil) != (len(codes) == 0) {
		t.Errorf("%s: %q (%v), want %q", what, got, err, codes)
	}
}

package signing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
)

// gap is `coldsign ledger reconcile`, without its words.
func (h *holder) gap(t *testing.T, raw []byte, to uint64) (signing.Gap, error) {
	t.Helper()
	ledger := h.ledger(t)
	defer ledger.Close()
	b, err := signing.Load(h.home, ledger, h.name, h.key.Receipt().PublicKey())
	must(t, err)
	g, err := signing.FindGap(b, ledger, raw, to, h.now)
	if err != nil {
		return g, err
	}
	return g, signing.Reconcile(ledger, h.now, g)
}

// Attack 114: a ledger that was taken back to an older copy forgets what left and which coins were signed away. The issuer
// has seen the receipts, and says so; the signer refuses until the gap is counted at its most.
func TestAttack114ARestoredLedgerIsRefusedUntilReconciled(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	a := tr.holder(t, 0)
	backup := tr.saved(t)
	var receipt uint64
	for i := range 3 {
		signed, err := a.signs(t, tr.seal(t, tr.ask(2*i)))
		must(t, err)
		receipt = signed.Counter
	}
	ask := tr.ask(6)
	ask.counters = []bundle.Counter{{Position: 0, Counter: receipt}, {Position: 1, Counter: 900}}
	raw := tr.seal(t, ask)
	_, err := a.signs(t, raw)
	gives(t, "a ledger that knows its own receipts", err)

	tr.forget(t, backup)
	_, err = a.signs(t, raw)
	gives(t, "the restored ledger", err, "ledger-rolled-back")
	_, _, err = a.examined(t, raw)
	gives(t, "its inspection", err, "ledger-rolled-back")

	for to, code := range map[uint64]string{0: "gap-unlikely", 2: "gap-unlikely", 1001: "gap-unlikely", 1 << 63: "gap-unlikely"} {
		_, err := a.gap(t, raw, to)
		gives(t, "a counter that cannot be", err, code)
	}
	g, err := a.gap(t, raw, 4) // four answers were found, one more than the issuer has seen
	must(t, err)
	if g.Last != 0 || g.To != 4 || g.Leaving.Decimal() != "80.00000000" { // 4 times transaction_max
		t.Errorf("%+v", g)
	}
	_, err = a.gap(t, raw, 4)
	gives(t, "a second reconciliation", err, "ledger-current")
	_, err = a.signs(t, raw)
	gives(t, "the windows are full of what is not known", err, "limit-window", "limit-window")
	a.now = noon.Add(24*time.Hour + time.Second)
	ask.created = a.now
	signed, err := a.signs(t, tr.seal(t, ask))
	gives(t, "a day later", err)
	if signed.Counter != 5 {
		t.Errorf("receipt %d after the gap, want 5", signed.Counter)
	}
}

// The issuer's word can make a signer refuse, and nothing else: a claim that is lower, or about others, changes nothing.
func TestCountersOfTheIssuerOnlyRefuse(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	a := tr.holder(t, 0)
	for i, counters := range [][]bundle.Counter{nil, {{Position: 1, Counter: 5}, {Position: 2, Counter: 7}}, {{Position: 0, Counter: 1}}, {{Position: 0, Counter: 3}}} {
		ask := tr.ask(2 * i)
		ask.counters = counters
		signed, err := a.signs(t, tr.seal(t, ask))
		gives(t, "an old claim", err)
		if signed.Counter != uint64(i)+1 {
			t.Errorf("receipt %d", signed.Counter)
		}
	}
}

// Attack 026: a coin that had another amount when it was signed for before. Previous transactions prove amounts, so the
// ledger is edited here to show that the check stands.
func TestAttack026ACoinKeepsItsAmount(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	a, b := tr.holder(t, 0), tr.holder(t, 1)
	raw := tr.seal(t, tr.ask(0))
	_, err := a.signs(t, raw)
	must(t, err)
	_, err = b.signs(t, raw)
	gives(t, "the same amounts", err)
	ledger := tr.ledger(t)
	var before home.Entry
	for _, e := range ledger.Entries() {
		if e.Event == home.Reserved {
			before = e
		}
	}
	must(t, ledger.Close())
	if strings.Join(before.Amounts, " ") != "250000 250000" {
		t.Fatalf("the ledger keeps amounts %q of %q", before.Amounts, before.Outpoints)
	}
	other := newTreasury(t, 2, 3)
	ledger = other.ledger(t)
	must(t, ledger.Append(noon, home.Entry{Event: home.Reserved, Key: "COLD-A-0", Bundle: "00", Leaving: "0", Counter: 1,
		Outpoints: before.Outpoints, Amounts: []string{"250000", "249999"}}))
	must(t, ledger.Close())
	_, _, err = other.holder(t, 0).examined(t, raw)
	gives(t, "another amount", err, "coin-amount-changed")
}

// Attack 114 again, by time: many bundles at once, a restart between any two, and a clock that jumps, all meet one limit.
func TestAttack114SplitBundlesMeetOneLimit(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	tr.rules(t, "serial: 1", "serial: 2", `max: "25 BTC"`, `max: "0.01 BTC"`) // in one hour
	a := tr.holder(t, 0)
	bundles := make([][]byte, 5) // all made before any is signed
	for i := range bundles {
		bundles[i] = tr.seal(t, tr.ask(2*i))
	}
	for i, raw := range bundles[:3] { // each opens home and ledger anew
		_, err := a.signs(t, raw)
		gives(t, "within the limit", err)
		a.now = a.now.Add(time.Duration(i) * time.Minute)
	}
	_, err := a.signs(t, bundles[3])
	gives(t, "one too many", err, "limit-window")
	a.now = noon.Add(-30 * time.Second)
	_, err = a.signs(t, bundles[3])
	gives(t, "a clock that went back", err, "clock-rolled-back", "limit-window")
	a.now = noon.Add(3*time.Minute + time.Hour)
	_, err = a.signs(t, bundles[4])
	gives(t, "an hour later", err)
}

// Attack 123: a clock that was never set, that is behind or ahead of the issuer's, or that was turned back.
func TestAttack123AWrongClockSignsNothing(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	a := tr.holder(t, 0)
	ask := tr.ask(0)
	ask.life = 24 * time.Hour
	raw := tr.seal(t, ask)
	for what, c := range map[string]struct {
		now  time.Time
		code string
	}{
		"1970":                       {time.Unix(0, 0), "bundle-not-yet-valid"},
		"the firmware's day":         {time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC), "bundle-not-yet-valid"},
		"six minutes behind":         {ask.created.Add(-6 * time.Minute), "bundle-not-yet-valid"},
		"ahead by the bundle's life": {ask.created.Add(24 * time.Hour), "bundle-expired"},
		"2106":                       {time.Unix(1<<32, 0), "bundle-expired"},
	} {
		a.now = c.now
		_, err := a.signs(t, raw)
		gives(t, what, err, c.code)
	}
	a.now = noon.Add(time.Hour)
	_, err := a.signs(t, raw)
	gives(t, "a good clock", err)
	a.now = noon.Add(30 * time.Minute)
	_, err = a.signs(t, tr.seal(t, tr.ask(2)))
	gives(t, "turned back by half an hour", err, "clock-rolled-back")
}

// Attack 131: a backup of the key that was imported on a second machine. Its ledger is young, so the first bundle that
// names the receipts of the real one stops it; and a copy of the whole home gives a receipt that was given before, which
// the daemon refuses (room store, answer-counter-reused).
func TestAttack131ACloneOfTheKeyIsNoticed(t *testing.T) {
	tr, clone := newTreasury(t, 2, 3), newTreasury(t, 2, 3) // the same seeds and pins
	if tr.cold.ID() != clone.cold.ID() {
		t.Fatal("the clone has other keys")
	}
	signed, err := tr.holder(t, 0).signs(t, tr.seal(t, tr.ask(0)))
	must(t, err)
	ask := tr.ask(2)
	ask.counters = []bundle.Counter{{Position: 0, Counter: signed.Counter}}
	raw := tr.seal(t, ask)
	_, err = clone.holder(t, 0).signs(t, raw)
	gives(t, "the clone", err, "ledger-rolled-back")
	_, err = tr.holder(t, 0).signs(t, raw)
	gives(t, "the real one", err)
}

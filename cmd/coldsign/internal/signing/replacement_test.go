package signing_test

import (
	"strings"
	"testing"
)

// Attack 116: a replacement pays the same place less, and more becomes fee. What people approved arrives, or nothing is
// replaced; it holds within one wallet as well.
func TestAttack116AReplacementPaysTheSame(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	coins := tr.coins(t, 0, 3)
	first := tr.sealed(t, tr.errand(coins[0]))
	tr.signs(t, first)
	for _, amount := range []int64{199_999, 150_000, 1_000} {
		less := tr.errand(coins[0])
		less.amount, less.replaces, less.rate = amount, first, 9000
		tr.refuses(t, "less arrives", tr.sealed(t, less), "replacement-differs")
	}
	merge := tr.errand(coins[1:]...)
	merge.to, merge.amount = tr.cold, 480_000
	merged := tr.sealed(t, merge)
	tr.signs(t, merged)
	other := merge
	other.amount, other.replaces, other.rate = 470_000, merged, 9000
	tr.refuses(t, "a consolidation of another amount", tr.sealed(t, other), "replacement-differs")
	merge.replaces, merge.rate = merged, 9000
	tr.signs(t, tr.sealed(t, merge))
}

// Attack 073: every replacement names the first bundle. A key that was not asked for that one, or for one in between,
// knows by the name which of its own bundles belong to the line, and demands a coin in common with each of them.
func TestAttack073ALineIsKnownByItsFirstBundle(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	coins := tr.coins(t, 0, 4)
	both := errand{amount: 400_000, coins: coins[:2], to: tr.hot, toIndex: 7, rate: 2_000}
	first := tr.sealed(t, both) // other keys sign it
	wide := both
	wide.rate, wide.replaces = 5_000, first
	tr.signs(t, tr.sealed(t, wide))
	slips := tr.errand(coins[0])
	slips.rate, slips.replaces = 20_000, nil
	tr.refuses(t, "the coin again, for nobody", tr.sealed(t, slips), "coin-already-signed")
	apart := wide
	apart.coins = coins[2:]
	tr.refuses(t, "beside the line", tr.sealed(t, apart), "replacement-shares-no-coin")
	wide.rate = 9_000
	notes := tr.signs(t, tr.sealed(t, wide)).Examination.Request().Notes
	if len(notes) != 2 || !strings.HasPrefix(notes[0], "replaces bundle ") || !strings.Contains(notes[1], "refused 2 times") {
		t.Errorf("the screen notes %q", notes)
	}
}

// Attack 114: of a line of replacements one is confirmed, so the line counts once in every window: a fee bump of a large
// move is no second large move. Two bundles that share no coin count both.
func TestAttack114ALineCountsOnce(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	coins := tr.coins(t, 0, 5)
	used := func(e errand) string {
		t.Helper()
		limits := tr.signs(t, tr.sealed(t, e)).Examination.Limits
		if len(limits) != 3 {
			t.Fatalf("limits %q", limits)
		}
		return limits[2]
	}
	firstErrand := tr.errand(coins[0])
	first := tr.sealed(t, firstErrand)
	tr.signs(t, first)
	bump := tr.errand(coins[0])
	bump.replaces, bump.rate = first, 9000
	if got := used(bump); got != "24 h 0.002 of 50 BTC" {
		t.Errorf("beside what it replaces, a bump uses %q", got)
	}
	if got := used(tr.errand(coins[1])); got != "24 h 0.004 of 50 BTC" {
		t.Errorf("after a bundle and its bump, another one uses %q", got)
	}
	if got := used(tr.errand(coins[2])); got != "24 h 0.006 of 50 BTC" {
		t.Errorf("after two, the third uses %q", got)
	}
}

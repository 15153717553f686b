package matching

import (
	"math/rand/v2"
	"testing"
)

// Against a map, with owners near and far, and pages that come and go.
func TestTheRosterKnowsWhatEachOwnerHas(t *testing.T) {
	r, roster, want := rand.New(rand.NewPCG(3, 3)), newRoster(), map[Owner]claim{}
	owner := func() Owner {
		switch r.IntN(10) {
		case 0:
			return rosterMax + Owner(r.IntN(50))
		case 1:
			return Owner(r.IntN(100_000))
		}
		return 1 + Owner(r.IntN(300))
	}
	for range 200_000 {
		o, c := owner(), claim{}
		if r.IntN(2) == 0 {
			c = claim{slot(1 + r.IntN(1000)), uint32(1 + r.IntN(5))}
			want[o] = c
		} else {
			delete(want, o)
		}
		roster.set(o, c)
		if o = owner(); roster.claim(o) != want[o] {
			t.Fatalf("owner %d has %v, want %v", o, roster.claim(o), want[o])
		}
	}
	for o := range want {
		roster.set(o, claim{})
	}
	if live := len(roster.slab) - 1 - len(roster.free); live != 0 || len(roster.odd) != 0 {
		t.Errorf("nobody has an order; %d pages are kept, and %d owners far out", live, len(roster.odd))
	}
}

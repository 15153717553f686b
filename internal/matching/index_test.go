package matching

import (
	"math/rand/v2"
	"testing"
)

// Whatever identities come and go, the directory finds what a map finds, and what was dropped it does not find.
func TestTheDirectoryFindsWhatAMapFinds(t *testing.T) {
	for name, next := range map[string]func(r *rand.Rand, i int) OrderID{
		"rising":           func(_ *rand.Rand, i int) OrderID { return OrderID(i + 1) },
		"rising, in steps": func(_ *rand.Rand, i int) OrderID { return OrderID(1 + i*37) },
		"with leaps":       func(_ *rand.Rand, i int) OrderID { return OrderID(1 + i + i/5000*(gapMax+3)*idPageLen) },
		"falling":          func(_ *rand.Rand, i int) OrderID { return OrderID(10_000_000 - 11*i) },
		"anything":         func(r *rand.Rand, _ int) OrderID { return OrderID(r.Uint64() | 1) },
		"from a snapshot":  func(r *rand.Rand, i int) OrderID { return OrderID(1 + (i*7_919)%1_000_003) },
	} {
		for _, arbitrary := range []bool{false, true} {
			r, d, want := rand.New(rand.NewPCG(9, 9)), newDirectory(arbitrary), map[OrderID]slot{}
			var known []OrderID
			for i := range 60_000 {
				id := next(r, i)
				if want[id] == 0 {
					d.put(id, slot(i+1))
					want[id] = slot(i + 1)
					known = append(known, id)
				}
				for range r.IntN(3) {
					if len(known) > 200 {
						at := r.IntN(len(known))
						if r.IntN(4) > 0 { // mostly new ones, so that old ones stay behind
							at = len(known) - 1 - r.IntN(200)
						}
						gone := known[at]
						known[at] = known[len(known)-1]
						known = known[:len(known)-1]
						d.drop(gone)
						delete(want, gone)
						if d.get(gone) != 0 {
							t.Fatalf("%s, %d: %d is still there", name, i, gone)
						}
					}
				}
			}
			for id, s := range want {
				if got := d.get(id); got != s {
					t.Fatalf("%s, arbitrary %v: %d is at %d, want %d", name, arbitrary, id, got, s)
				}
			}
			for range 1000 {
				if id := OrderID(r.Uint64N(20_000_000)); d.get(id) != want[id] {
					t.Fatalf("%s: %d is at %d, want %d", name, id, d.get(id), want[id])
				}
			}
		}
	}
}

// One old order in each page of identities must not keep the page: that would be 16 KiB for an order.
func TestOldOrdersDoNotPinPages(t *testing.T) {
	d := newDirectory(false)
	const pages = 5000
	for id := OrderID(1); id < pages*idPageLen; id++ {
		d.put(id, slot(id))
		if id%idPageLen != 1 {
			d.drop(id)
		}
	}
	held := len(d.free)
	for _, p := range d.pages {
		if p != nil {
			held++
		}
	}
	if held > 4 || d.count < pages-2 || len(d.pages) > 2 && cap(d.pages) > 64 {
		t.Errorf("%d pages for %d orders in the table, list of %d", held, d.count, cap(d.pages))
	}
	for n := range OrderID(pages) {
		if id := n*idPageLen + 1; d.get(id) != slot(id) {
			t.Fatalf("order %d is at %d", id, d.get(id))
		}
	}
}

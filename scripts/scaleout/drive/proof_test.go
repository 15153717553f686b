package drive

import (
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
)

// The proof can fail: an order that was acknowledged and is not in the journal, one that is there twice, and one that the
// customer was told is not there, are each found.
func TestTheProofFindsWhatIsWrong(t *testing.T) {
	w := enginetest.Open(engine.StateOptions{})
	account := w.Customer("anna")
	r := &Replica{State: w.State, done: map[placed][]int64{{uint64(account), "a"}: {7}, {uint64(account), "b"}: {8, 9}, {uint64(account), "c"}: {10}}}
	for name, o := range map[string]Order{"lost": {account: uint64(account), client: "x", fate: Acked, number: 7}, "renumbered": {account: uint64(account), client: "a", fate: Acked, number: 8},
		"twice": {account: uint64(account), client: "b", fate: Acked, number: 8}, "ghost": {account: uint64(account), client: "c", fate: Absent}} {
		if f := r.Judge([]Order{o}); f.Err() == nil {
			t.Errorf("%s is not found: %+v", name, f)
		}
	}
	if f := r.Judge([]Order{{account: uint64(account), client: "a", fate: Acked, number: 7}, {account: uint64(account), client: "y", fate: Refused}}); f.Err() != nil || f.Acked != 1 {
		t.Errorf("an order that is right is called wrong: %+v", f)
	}
}

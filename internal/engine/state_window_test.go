package engine

import (
	"encoding/binary"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
)

// numbered is the identity of the n-th command.
func numbered(n int) (id exchange.ID) {
	binary.LittleEndian.PutUint64(id[:], uint64(n)*0x9E3779B97F4A7C15)
	binary.LittleEndian.PutUint64(id[8:], uint64(n)|1<<63)
	return id
}

func put(w *window, n int, at exchange.Millis) {
	id := numbered(n)
	a := w.add(hashOf(id), at)
	*a = answer{id: id, at: at, seq: uint64(n)}
}

func known(w *window, n int) bool {
	id := numbered(n)
	a := w.find(hashOf(id), id)
	return a != nil && a.seq == uint64(n)
}

// A signed request is good for 35 seconds, at a gateway that was started in the meantime too. Whatever the traffic, the
// engine knows the commands of the last 40 seconds again.
func TestACommandIsKnownAsLongAsItsSignatureUnderTheHeaviestLoad(t *testing.T) {
	const second = 50_000 // commands
	var w window
	for n := 1; n <= 90*second; n++ {
		at := exchange.Millis(n * 1000 / second)
		put(&w, n, at)
		if n%(5*second) == 0 {
			if from := max(1, n-40*second); !known(&w, from) || !known(&w, (from+n)/2) || !known(&w, n) {
				t.Fatalf("after %d seconds: %t %t %t", n/second, known(&w, from), known(&w, (from+n)/2), known(&w, n))
			}
		}
	}
}

// An exchange at rest remembers half a million commands at least, and its window does not grow; one whose load has ended
// gives back what the load took.
func TestTheWindowIsBounded(t *testing.T) {
	var w window
	for n := 1; n <= 3*windowLen; n++ {
		put(&w, n, exchange.Millis(n)) // a thousand a second
	}
	if !known(&w, 3*windowLen) || !known(&w, 2*windowLen+1) || known(&w, windowLen) {
		t.Error("half a million commands are remembered, and not more than twice as many")
	}
	if held := len(w.newer.answers) + len(w.older.answers); held > 2*windowLen {
		t.Errorf("%d answers are held", held)
	}
	for n := 1; n <= 2*windowMax+2; n++ { // all in one millisecond: the clock stands still
		put(&w, n<<32, 1<<40)
	}
	if held := len(w.newer.answers) + len(w.older.answers); held > 2*windowMax {
		t.Errorf("%d answers are held while the clock stands", held)
	}
	for n := 1; n <= 2*windowLen+2; n++ {
		put(&w, n, 1<<41+exchange.Millis(n))
	}
	if held := cap(w.newer.answers) + cap(w.older.answers); held > 4*windowLen {
		t.Errorf("%d places are held when the load has ended", held)
	}
}

// Package near asks memory for lines of the cache before they are needed.
//
// It exists because a book with a million orders does not fit into any cache: whoever reads one order waits about as long
// as for a hundred additions, and a command touches a dozen such places. Asked for together, the answers come together.
// Asking is one instruction (PREFETCHT0, PRFM PLDL1KEEP); on other processors it is nothing at all.
//
//	for i := range orders {
//		near.Fetch(&list, &orders[i])
//	}
//	list.Ask()
//
// What may never happen here: anything that a program can see. To ask changes no value, fails for no address, keeps nothing
// alive, and whoever forgets to ask is slower and not wrong.
package near

import "unsafe"

// listLen is how many places a list holds. Places beyond take the place of the first ones, which are then not asked for.
const listLen = 1024

// List collects places. The zero List is empty. What it holds are numbers and not pointers: a place that has gone in the
// meantime is asked for in vain.
type List struct {
	n  uint
	at [listLen]uintptr
}

// Fetch puts a place on the list.
func Fetch[T any](l *List, p *T) {
	l.at[l.n%listLen] = uintptr(unsafe.Pointer(p))
	l.n++
}

// Now asks for one place at once: where the next question hangs on this answer.
func Now[T any](p *T) { line(unsafe.Pointer(p)) }

// Ask asks for all places on the list, and empties it.
func (l *List) Ask() {
	lines(&l.at, int(min(l.n, listLen)))
	l.n = 0
}

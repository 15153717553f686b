package engine

import (
	"testing"
	"unsafe"
)

// What trading touches stands in whole lines of the cache: a record that grew by a byte would straddle them, and every
// order would wait for memory once more.
func TestRecordsFillWholeLinesOfTheCache(t *testing.T) {
	var o order
	if unsafe.Sizeof(o) != 128 || unsafe.Offsetof(o.created) != 64 || unsafe.Sizeof(answer{}) != 64 {
		t.Errorf("an order takes %d bytes, %d of them for trading; an answer %d", unsafe.Sizeof(o), unsafe.Offsetof(o.created), unsafe.Sizeof(answer{}))
	}
}

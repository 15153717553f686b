package matching

import (
	"testing"
	"unsafe"
)

func TestRecordsFillWholeLinesOfTheCache(t *testing.T) {
	if r, l, c := unsafe.Sizeof(resting{}), unsafe.Sizeof(level{}), unsafe.Sizeof(claim{}); r != 64 || l != 32 || c != 8 {
		t.Errorf("an order takes %d bytes, a level %d, a claim %d", r, l, c)
	}
}

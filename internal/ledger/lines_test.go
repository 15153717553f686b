package ledger

import (
	"testing"
	"unsafe"
)

func TestARowFillsALineOfTheCache(t *testing.T) {
	if r, h := unsafe.Sizeof(row{}), unsafe.Sizeof(holder{}); r != 64 || h != 16 {
		t.Errorf("a row takes %d bytes, an account's entry %d", r, h)
	}
}

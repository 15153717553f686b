package bitcoin_test

import (
	"slices"
	"testing"
)

// Attack 010: a key stands twice in a map of few fields and of many, near and far apart.
func TestAttack010DuplicatesInMapsOfAnySize(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	for _, size := range []int{1, 14, 15, 16, 17, 18, 40, 300} {
		fresh := []pair{}
		for i := range size {
			fresh = append(fresh, pair{[]byte{0xf0, byte(i), byte(i >> 8)}, []byte{1}})
		}
		for _, at := range slices.Compact([]int{0, size / 2, size - 1}) {
			d := open(t, good)
			last := len(d.maps) - 1
			d.maps[last] = append(slices.Clone(fresh), pair{fresh[at].key, []byte{2}})
			refusesToRead(t, "a key again at the end", d.bytes(), "psbt-duplicate-key")
			d.maps[last] = append(append(slices.Clone(fresh), pair{[]byte{0xf1}, nil}, pair{fresh[at].key, []byte{2}}), pair{[]byte{0xf2}, nil})
			refusesToRead(t, "a key again before the end", d.bytes(), "psbt-duplicate-key")
		}
	}
}

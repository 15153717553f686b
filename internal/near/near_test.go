package near_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/near"
)

func TestAskingChangesNothingAndAllocatesNothing(t *testing.T) {
	lines := make([]uint64, 900)
	for i := range lines {
		lines[i] = rand.Uint64()
	}
	var list near.List
	before := slices.Clone(lines)
	allocs := testing.AllocsPerRun(10, func() {
		for i := range lines {
			near.Fetch(&list, &lines[i])
		}
		near.Fetch[uint64](&list, nil) // an address that nobody has
		near.Now[uint64](nil)
		near.Now(&lines[0])
		list.Ask()
		list.Ask()
	})
	if allocs != 0 || !slices.Equal(lines, before) {
		t.Errorf("%v allocations; equal: %v", allocs, slices.Equal(lines, before))
	}
}

// Two million lines in no order, 128 MiB: read one by one, and asked for by the hundred first.
func BenchmarkFetch(b *testing.B) {
	type line [8]uint64
	lines := make([]line, 1<<21)
	for i := range lines {
		lines[i][0] = uint64(i)
	}
	var at [128]uint32
	var list near.List
	for _, asked := range []bool{false, true} {
		name := map[bool]string{false: "unasked", true: "asked"}[asked]
		b.Run(name, func(b *testing.B) {
			r, sum := rand.New(rand.NewPCG(1, 2)), uint64(0)
			for n := 0; n < b.N; n += len(at) {
				for i := range at {
					at[i] = r.Uint32() & (1<<21 - 1)
					if asked {
						near.Fetch(&list, &lines[at[i]])
					}
				}
				list.Ask()
				for i := range at {
					sum += lines[uint64(at[i])+sum>>63][0] // each waits for the one before it
				}
			}
			if sum == 1 {
				b.Fatal(sum)
			}
		})
	}
}

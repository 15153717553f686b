package bitcoin

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// workersMax bounds how many processors work at a time. Each needs some memory, and a transaction has few inputs.
const workersMax = 8

// workers is how many processors there are to work with.
func workers() int { return min(workersMax, runtime.GOMAXPROCS(0)) }

// inParallel does a piece of work for each number below n, on all processors, and returns the error of the lowest number.
// Which processor does what does not matter to the result: pieces share nothing that changes, and each writes only what
// is its own. All are done even when one fails, so that the same input always fails in the same way.
func inParallel(n int, work func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, workers()) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = work(i)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// evenly cuts a list into parts of at most most, as many for each processor.
func evenly[T any](list []T, most int) [][]T {
	if len(list) == 0 {
		return nil
	}
	parts := (len(list) + most - 1) / most
	if over := parts % workers(); over > 0 {
		parts += workers() - over
	}
	return slices.Collect(slices.Chunk(list, (len(list)+parts-1)/parts))
}

package bitcoin_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

func TestEveryPieceIsDoneOnceAndTheLowestErrorCounts(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 100, 1000} {
		done := make([]atomic.Int32, n)
		err := bitcoin.InParallel(n, func(i int) error {
			done[i].Add(1)
			if i%10 == 3 {
				return fmt.Errorf("piece %d", i)
			}
			return nil
		})
		for i := range done {
			if times := done[i].Load(); times != 1 {
				t.Errorf("%d pieces: piece %d was done %d times", n, i, times)
			}
		}
		if n > 3 != (err != nil) || err != nil && err.Error() != "piece 3" {
			t.Errorf("%d pieces: %v", n, err)
		}
	}
	if err := bitcoin.InParallel(1, func(int) error { return errors.New("x") }); err == nil {
		t.Error("one piece that fails")
	}
}

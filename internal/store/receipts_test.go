package store_test

import (
	"context"
	"maps"
	"testing"

	"github.com/coldsign/coldsign/internal/store"
)

func TestReceiptsAreTheLastOfEachKey(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	funding := w.pay(w.cold, 1000, 1000)
	w.mine(funding)
	if seen, err := w.Receipts(ctx, w.cold); err != nil || len(seen) != 0 {
		t.Errorf("%v %v", seen, err)
	}
	_, _, first := w.sealed("one", outpoint(funding, 0))
	_, _, second := w.sealed("two", outpoint(funding, 1))
	for i, a := range []store.Answer{
		{Bundle: first.Bundle.ID, Position: 0, Counter: 41}, {Bundle: second.Bundle.ID, Position: 0, Counter: 7}, // out of order
		{Bundle: first.Bundle.ID, Position: 1, Bare: true}, {Bundle: second.Bundle.ID, Position: 2, Counter: 3, Refusal: "unexpected"},
	} {
		a.Bytes = []byte{byte(i)}
		_, err := w.AddAnswer(ctx, a)
		w.must(err)
	}
	seen, err := w.Receipts(ctx, w.cold)
	if err != nil || !maps.Equal(seen, map[int]uint64{0: 41, 2: 3}) {
		t.Errorf("%v %v", seen, err)
	}
	if seen, err := w.Receipts(ctx, w.hot); err != nil || len(seen) != 0 {
		t.Errorf("another wallet: %v %v", seen, err)
	}
}

package main

import (
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/bundle"
)

// Attack 114: every bundle tells the signers which of their receipts the daemon has seen, so that one whose memory was
// taken back to an older copy notices it. Refusals have receipts too, and a restart forgets none.
func TestAttack114ABundleNamesTheReceiptsThatWereSeen(t *testing.T) {
	r := newRig(t)
	r.toSealed()
	if opened, _, _ := r.opened(1); len(opened.Counters) != 0 {
		t.Errorf("receipts before the first answer: %v", opened.Counters)
	}
	r.signBy(1, 2)
	signed := bundle.Counter{Position: 2, Counter: r.counter}
	refusal := r.answerTo(1, 0)
	refusal.Refusal, refusal.Signatures = "unexpected", nil
	if _, err := r.give(r.sealed(refusal)); err != nil {
		t.Fatal(err)
	}
	refused := bundle.Counter{Position: 0, Counter: r.counter}
	r.restart()
	if err := r.bump(1, 9000); err != nil {
		t.Fatal(err)
	}
	if opened, _, _ := r.opened(1); !slices.Equal(opened.Counters, []bundle.Counter{refused, signed}) {
		t.Errorf("the next bundle names %v, want %v and %v", opened.Counters, refused, signed)
	}
}

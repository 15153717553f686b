package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
)

var errPower = errors.New("the power went")

// outage lets a number of writes through and then fails every one: the last one either before it is durable, or after,
// when only the caller never learned of it.
type outage struct {
	treasury.Records
	left  int
	after bool
}

func (o *outage) write(act func() error) error {
	if o.left--; o.left > 0 {
		return act()
	}
	if o.left == 0 && o.after {
		if err := act(); err != nil {
			return err
		}
	}
	return errPower
}

func (o *outage) Propose(ctx context.Context, p treasury.Proposal, write func(treasury.Draft) (spend.Intent, []byte, error)) (i treasury.Intent, fresh bool, err error) {
	err = o.write(func() error { i, fresh, err = o.Records.Propose(ctx, p, write); return err })
	return i, fresh, err
}

func (o *outage) Cancel(ctx context.Context, serial uint64, by, reason string) error {
	return o.write(func() error { return o.Records.Cancel(ctx, serial, by, reason) })
}

func (o *outage) Approve(ctx context.Context, serial uint64, a treasury.Approval, judge func(treasury.Intent, []treasury.Approval) (bool, error)) (i treasury.Intent, err error) {
	err = o.write(func() error { i, err = o.Records.Approve(ctx, serial, a, judge); return err })
	return i, err
}

func (o *outage) Seal(ctx context.Context, s treasury.Sealing) error {
	return o.write(func() error { return o.Records.Seal(ctx, s) })
}

func (o *outage) AddAnswer(ctx context.Context, a treasury.Answer) (fresh bool, err error) {
	err = o.write(func() error { fresh, err = o.Records.AddAnswer(ctx, a); return err })
	return fresh, err
}

func (o *outage) Finish(ctx context.Context, bundle [32]byte, raw []byte) (tx treasury.Transaction, err error) {
	err = o.write(func() error { tx, err = o.Records.Finish(ctx, bundle, raw); return err })
	return tx, err
}

func (o *outage) MarkBroadcast(ctx context.Context, serial uint64) error {
	return o.write(func() error { return o.Records.MarkBroadcast(ctx, serial) })
}

func (o *outage) Note(ctx context.Context, kind string, detail any) error {
	return o.write(func() error { return o.Records.Note(ctx, kind, detail) })
}

// withOutage runs the daemon's treasury over records that fail at the given write.
func (r *rig) withOutage(write int, after bool) *outage {
	o := &outage{Records: r.records, left: write, after: after}
	var err error
	r.daemon.treasury, err = treasury.New(context.Background(), r.config.rules(), treasury.Outside{Records: o, Node: r.chain, Sealer: r.sealer,
		Roster: r.roster.now, Followed: r.followed, Now: r.clock, Random: rand.Reader, Log: r.log})
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

// The power goes at every single write, before it or right after it. After the restart people do again what they do not
// see done, and exactly one transaction pays exactly once.
func TestPowerGoesAtEveryWrite(t *testing.T) {
	const writesMax = 40
	for _, after := range []bool{false, true} {
		ended := false
		for write := 1; write <= writesMax && !ended; write++ {
			t.Run(fmt.Sprintf("write %d, after %v", write, after), func(t *testing.T) {
				r := newRig(t)
				r.expireFirst() // so that the outage can also hit a proposal, that of top-up 2
				r.set(r.clock().Add(80 * 3600e9))
				o := r.withOutage(write, after)
				r.tick(context.Background()) // proposes top-up 3
				r.livesOn()
				ended = o.left > 0
				r.restart()
				r.livesOn()
				r.chain.mine()
				r.tick(context.Background())
				r.paidOnce()
			})
		}
		if !ended {
			t.Fatalf("the story takes more than %d writes", writesMax)
		}
	}
}

// livesOn does everything that people do, and lets what fails fail.
func (r *rig) livesOn() {
	r.t.Helper()
	ctx := context.Background()
	if _, err := r.treasury.Look(ctx, 3); err != nil {
		return // it was not proposed
	}
	for _, name := range []string{"alice", "bob"} {
		_, _ = r.treasury.Approve(ctx, treasury.Person{Name: name}, 3, r.approval(3, name))
	}
	r.tick(ctx)
	if raw, err := r.treasury.Sealed(ctx, 3); err != nil || len(raw) == 0 {
		return // it was not sealed
	}
	for _, position := range []int{1, 0} {
		_, _ = r.give(r.sealed(r.answerTo(3, position)))
	}
	r.tick(ctx)
}

func (r *rig) paidOnce() {
	r.t.Helper()
	if v := r.look(3); v.Intent.State != treasury.Confirmed {
		r.t.Errorf("top-up 3 ended %s, waiting for %s", v.Intent.State, v.Waiting)
	}
	if list, _ := r.treasury.List(context.Background()); len(list) != 3 {
		r.t.Errorf("%d top-ups, want 3", len(list))
	}
	if got := r.hotBalance(); got != 250000000 {
		r.t.Errorf("hot wallet holds %d satoshi", got)
	}
	for _, raw := range r.chain.sent {
		if !bytes.Equal(raw, r.chain.sent[0]) {
			r.t.Error("two different transactions were sent")
		}
	}
}

package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// stopped is a clock that a test moves.
type stopped struct{ ahead atomic.Int64 }

func (s *stopped) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// isRequest reports whether a message of the bus is a request proper, not a greeting.
func isRequest(m *nats.Msg) bool {
	h, _, err := readHeader(m.Data)
	return err == nil && h.kind == request
}

// elsewhere copies a message with another place for its reply. A NATS server lets a segment reply once to each place, so
// a hostile one that gives a place twice can only keep the reply away.
func elsewhere(m *nats.Msg) *nats.Msg {
	c := copyOf(m)
	c.Reply = "_INBOX.nobody"
	return c
}

func TestControl007AMessageWithAnyByteChangedIsNotTaken(t *testing.T) {
	bus := newHostile(t, nil)
	taken := &log{}
	serve(t, bus.other, "cmd.order.1", taken.handle)
	ask(t, bus.gateway, "cmd.order.1", "first")
	// Before the true message come copies of it, each with one byte changed; and one cut short, and one moved elsewhere.
	copies := 0
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if !inward || !isRequest(m) {
			return []*nats.Msg{m}
		}
		var out []*nats.Msg
		for i := range m.Data {
			bad := elsewhere(m)
			bad.Data[i] ^= 0x20
			out = append(out, bad)
		}
		short := elsewhere(m)
		short.Data = short.Data[:len(short.Data)-1]
		copies = len(out) + 1
		return append(out, short, m)
	})
	if got := ask(t, bus.gateway, "cmd.order.1", "second"); got != "did: second" {
		t.Error(got)
	}
	if did := taken.list(); !slices.Equal(did, []string{"first", "second"}) {
		t.Errorf("taken: %q", did)
	}
	if s := bus.other.Stats(); int(s.Forged+s.Strange+s.Replayed) != copies {
		t.Errorf("%+v of %d", s, copies)
	}
}

func TestControl007AMessageMovedToAnotherSubjectIsNotTaken(t *testing.T) {
	bus := newHostile(t, nil)
	orders, funds := &log{}, &log{}
	serve(t, bus.other, "cmd.order.1", orders.handle)
	serve(t, bus.other, "cmd.withdraw", funds.handle)
	ask(t, bus.gateway, "cmd.withdraw", "first")
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if !inward {
			return []*nats.Msg{m}
		}
		moved := elsewhere(m)
		moved.Subject = "cmd.withdraw"
		return []*nats.Msg{moved, m}
	})
	ask(t, bus.gateway, "cmd.order.1", "an order")
	bus.rule(nil)
	ask(t, bus.gateway, "cmd.withdraw", "last")
	if did := funds.list(); !slices.Equal(did, []string{"first", "last"}) {
		t.Errorf("taken as a withdrawal: %q", did)
	}
}

func TestControl007AMessageThatComesTwiceIsTakenOnce(t *testing.T) {
	bus := newHostile(t, nil)
	taken := &log{}
	serve(t, bus.other, "cmd.order.1", taken.handle)
	var kept []*nats.Msg
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if !inward {
			return []*nats.Msg{m}
		}
		kept = append(kept, copyOf(m))
		return []*nats.Msg{m, elsewhere(m), elsewhere(m)}
	})
	for _, text := range []string{"1", "2", "3"} {
		ask(t, bus.gateway, "cmd.order.1", text)
	}
	// And everything once more, later, greetings included.
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if !inward {
			return []*nats.Msg{m}
		}
		var out []*nats.Msg
		for _, old := range kept {
			out = append(out, elsewhere(old))
		}
		return append(out, m)
	})
	ask(t, bus.gateway, "cmd.order.1", "4")
	if did := taken.list(); !slices.Equal(did, []string{"1", "2", "3", "4"}) {
		t.Errorf("taken: %q", did)
	}
	if got := bus.other.Stats().Replayed; got != 2*3+3 {
		t.Errorf("%d replays counted", got)
	}
}

func TestControl007WhatComesOutOfOrderIsNotTaken(t *testing.T) {
	bus := newHostile(t, nil)
	taken := &log{}
	serve(t, bus.other, "cmd.order.1", taken.handle)
	ask(t, bus.gateway, "cmd.order.1", "1")
	var held *nats.Msg
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		switch {
		case !inward:
			return []*nats.Msg{m}
		case held == nil:
			held = copyOf(m)
			return nil
		}
		return []*nats.Msg{m, held}
	})
	second := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	bus.gateway.Send(ctx, "cmd.order.1", []byte("2"), func(_ []byte, err error) { second <- err })
	ask(t, bus.gateway, "cmd.order.1", "3")
	if err := <-second; !errors.Is(err, ErrUnknown) {
		t.Errorf("the one that was held back: %v", err)
	}
	ask(t, bus.gateway, "cmd.order.1", "4")
	if did := taken.list(); !slices.Equal(did, []string{"1", "3", "4"}) {
		t.Errorf("taken: %q", did)
	}
}

func TestControl007WhatWasHeldBackTooLongIsNotTaken(t *testing.T) {
	clock := &stopped{}
	bus := newHostile(t, clock.now)
	taken := &log{}
	serve(t, bus.other, "cmd.order.1", taken.handle)
	ask(t, bus.gateway, "cmd.order.1", "1")
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if inward {
			clock.ahead.Store(int64(time.Minute)) // the bus kept it for a minute
		}
		return []*nats.Msg{m}
	})
	if _, err := bus.gateway.Request(context.Background(), "cmd.order.1", []byte("2")); !errors.Is(err, ErrLate) {
		t.Errorf("%v", err)
	}
	if did := taken.list(); !slices.Equal(did, []string{"1"}) {
		t.Errorf("taken: %q", did)
	}
}

// A recording of yesterday is played to an engine that was started again, and has forgotten what it took.
func TestControl007NothingRecordedFromAnEarlierRunIsTaken(t *testing.T) {
	bus := newHostile(t, nil)
	before := &log{}
	serve(t, bus.other, "cmd.order.1", before.handle)
	var kept []*nats.Msg
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if inward {
			kept = append(kept, copyOf(m))
		}
		return []*nats.Msg{m}
	})
	ask(t, bus.gateway, "cmd.order.1", "pay")
	bus.other.Close()
	w := world{creds: map[Segment]Credentials{Engine: bus.other.o.Credentials}}
	again, after := w.dial(t, Engine, Options{Server: bus.far}), &log{}
	serve(t, again, "cmd.order.1", after.handle)
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if !inward || len(kept) == 0 {
			return []*nats.Msg{m}
		}
		out := append(kept, m)
		kept = nil
		return out
	})
	ask(t, bus.gateway, "cmd.order.1", "new")
	if did := after.list(); !slices.Equal(did, []string{"new"}) {
		t.Errorf("taken: %q", did)
	}
}

func TestControl007AForgedReplyEndsNothing(t *testing.T) {
	bus := newHostile(t, nil)
	serve(t, bus.other, "cmd.order.1", (&log{}).handle)
	ask(t, bus.gateway, "cmd.order.1", "1")
	var last *nats.Msg
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if inward {
			return []*nats.Msg{m}
		}
		out := []*nats.Msg{}
		if last != nil { // the true reply to an earlier request, in the place of this one's
			old := copyOf(last)
			old.Subject = m.Subject
			out = append(out, old)
		}
		last = copyOf(m)
		for _, at := range []int{1, 2, 20, 28, headerSize, len(m.Data) - 1} {
			bad := copyOf(m)
			bad.Data[at] ^= 1
			out = append(out, bad)
		}
		junk := copyOf(m)
		junk.Data = []byte("junk")
		return append(out, junk, m)
	})
	for _, text := range []string{"2", "3"} {
		if got := ask(t, bus.gateway, "cmd.order.1", text); got != "did: "+text {
			t.Error(got)
		}
	}
	if got := bus.gateway.Stats().Forged; got != 7+8 {
		t.Errorf("%d forgeries counted", got)
	}
}

// The hint that a session is unknown is not sealed. Who forges it costs a greeting, and no second taking in a session.
func TestControl007AForgedHintCostsOneGreeting(t *testing.T) {
	bus := newHostile(t, nil)
	serve(t, bus.other, "cmd.order.1", (&log{}).handle)
	ask(t, bus.gateway, "cmd.order.1", "1")
	lied := 0
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		h, _, err := readHeader(m.Data)
		if inward || err != nil || h.kind != reply || lied > 0 {
			return []*nats.Msg{m}
		}
		lied++
		h.kind = stranger
		lie := copyOf(m)
		lie.Data = h.append(nil)
		return []*nats.Msg{lie}
	})
	if got := ask(t, bus.gateway, "cmd.order.1", "2"); got != "did: 2" || lied != 1 {
		t.Errorf("%q after %d lies", got, lied)
	}
}

func TestControl007EventsThatAreForgedReplayedOrMovedAreNotHeard(t *testing.T) {
	bus := newHostile(t, nil)
	stream, err := bus.other.Publisher("evt.frame.1")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(heardEvents, 64)
	if err := bus.gateway.Subscribe("evt.frame.1", heard); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "missed" {
		t.Fatal(got)
	}
	var kept []*nats.Msg
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		h, _, err := readHeader(m.Data)
		if err != nil || h.kind != event {
			return []*nats.Msg{m}
		}
		bad, future := copyOf(m), copyOf(m)
		bad.Data[headerSize] ^= 1
		binary.LittleEndian.PutUint64(future.Data[20:], h.seq+10)
		out := []*nats.Msg{bad, future}
		for _, old := range kept {
			out = append(out, copyOf(old))
		}
		kept = append(kept, copyOf(m))
		return append(out, m, copyOf(m))
	})
	for _, text := range []string{"a", "b", "c"} {
		if err := stream.Publish([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a", "b", "c"} {
		if got := <-heard; got != want {
			t.Fatalf("heard %q, not %q", got, want)
		}
	}
}

func TestAHoleInAStreamIsNoticed(t *testing.T) {
	bus := newHostile(t, nil)
	stream, err := bus.other.Publisher("evt.frame.1")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(heardEvents, 64)
	if err := bus.gateway.Subscribe("evt.frame.1", heard); err != nil {
		t.Fatal(err)
	}
	<-heard
	var lose atomic.Bool
	bus.rule(func(m *nats.Msg, inward bool) []*nats.Msg {
		if h, _, err := readHeader(m.Data); err == nil && h.kind == event && lose.Load() {
			return nil
		}
		return []*nats.Msg{m}
	})
	publish := func(text string) {
		if err := errors.Join(stream.Publish([]byte(text)), bus.other.nc.Flush(), bus.farNC.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	publish("a")
	if got := <-heard; got != "a" {
		t.Fatal(got)
	}
	lose.Store(true)
	publish("lost")
	// Nothing follows, and beats are lost as well: the silence itself makes the listener ask.
	if got := <-heard; got != "missed" {
		t.Fatal(got)
	}
	lose.Store(false)
	publish("b")
	for got := range heard {
		if got == "b" {
			break
		}
		if got != "missed" {
			t.Fatal(got)
		}
	}
}

func TestAPublisherThatWasStartedAgainIsBelievedOnlyAfterItWasAsked(t *testing.T) {
	bus := newHostile(t, nil)
	stream, err := bus.other.Publisher("evt.frame.1")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(heardEvents, 64)
	if err := bus.gateway.Subscribe("evt.frame.1", heard); err != nil {
		t.Fatal(err)
	}
	<-heard
	if err := stream.Publish([]byte("before")); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "before" {
		t.Fatal(got)
	}
	bus.other.Close()
	w := world{creds: map[Segment]Credentials{Engine: bus.other.o.Credentials}}
	again := w.dial(t, Engine, Options{Server: bus.far})
	stream, err = again.Publisher("evt.frame.1")
	if err != nil {
		t.Fatal(err)
	}
	for missed := false; ; { // the first events of the new epoch are what makes the listener ask
		if err := stream.Publish([]byte("after")); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-heard:
			if got == "after" && missed {
				return
			}
			missed = missed || got == "missed"
			if !missed {
				t.Fatalf("%q before it was told that events are missing", got)
			}
		case <-time.After(10 * time.Millisecond):
		}
	}
}

package records

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// gated is a database whose transactions wait for a word.
type gated struct {
	database
	begun chan int   // told how many calls and rows a transaction has, when it begins
	end   chan error // and nil: it is made
}

func (g *gated) commit(ctx context.Context, calls []call, many ...rows) error {
	n := len(calls)
	for _, r := range many {
		n += r.count()
	}
	g.begun <- n
	if err := <-g.end; err != nil {
		return err
	}
	return g.database.commit(ctx, calls, many...)
}

func openGated(t *testing.T) (*Records, *gated) {
	t.Helper()
	r := inSQLite(t).open()
	g := &gated{database: r.db, begun: make(chan int), end: make(chan error)}
	r.db = g
	return r, g
}

// balance is an event of a command that is one row.
func balance(seq uint64) []byte {
	b := exchange.BalanceRecord{Account: exchange.Account(seq), Asset: 1}
	return b.Append(exchange.AppendHead(nil, exchange.BalanceChanged, seq, exchange.Millis(seq)))
}

func write(t *testing.T, r *Records, seq uint64) {
	t.Helper()
	if err := r.Write(t.Context(), seq, exchange.Millis(seq), balance(seq)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsToldDuringATransactionIsTheNextOne(t *testing.T) {
	r, g := openGated(t)
	write(t, r, 1)
	if n := <-g.begun; n != 2 { // the sequence number and a balance
		t.Fatalf("the first transaction has %d rows", n)
	}
	for seq := uint64(2); seq <= 500; seq++ {
		write(t, r, seq)
	}
	if p := r.Progress(); p.Written != 0 || p.Told != 500 || p.Waiting != 499*len(balance(1)) {
		t.Errorf("%+v", p)
	}
	flushed := make(chan error, 1)
	go func() { flushed <- r.Flush(t.Context()) }()
	g.end <- nil
	if n := <-g.begun; n != 500 {
		t.Errorf("the second transaction has %d rows, want 499 and the sequence number", n)
	}
	g.end <- nil
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	if p := r.Progress(); p.Written != 500 || p.Waiting != 0 {
		t.Errorf("%+v", p)
	}
}

func TestWhoeverTellsTooMuchWaits(t *testing.T) {
	r, g := openGated(t)
	write(t, r, 1)
	<-g.begun
	much := make([]byte, 0, gatherMost)
	for len(much) < gatherMost-100 {
		much = append(much, balance(2)...)
	}
	if err := r.Write(t.Context(), 2, 2, much); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Write(ctx, 3, 3, make([]byte, 200)); !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes wait, and 200 more are taken: %v", len(much), err)
	}
	told := make(chan error, 1)
	go func() { told <- r.Write(t.Context(), 3, 3, balance(3)) }()
	g.end <- nil // there is room as soon as the next transaction has what waits
	<-g.begun
	g.end <- nil
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	<-g.begun
	g.end <- nil
	if err := r.Flush(t.Context()); err != nil || r.Progress().Written != 3 {
		t.Errorf("%+v %v", r.Progress(), err)
	}
}

func TestAFailureLeavesNoGap(t *testing.T) {
	r, g := openGated(t)
	write(t, r, 1)
	<-g.begun
	write(t, r, 2)
	full := errors.New("no room")
	g.end <- full
	if err := r.Flush(t.Context()); !errors.Is(err, full) {
		t.Fatal(err)
	}
	for seq := uint64(2); seq < 4; seq++ {
		if err := r.Write(t.Context(), seq, 1, balance(seq)); !errors.Is(err, full) {
			t.Fatalf("command %d is taken behind a gap: %v", seq, err)
		}
	}
	if last, err := r.Last(t.Context()); last != 0 || err != nil {
		t.Fatal(last, err)
	}
	write(t, r, 1)
	<-g.begun
	g.end <- nil
	if last, err := r.Last(t.Context()); last != 1 || err != nil {
		t.Fatal(last, err)
	}
}

func TestCloseWritesWhatWasTold(t *testing.T) {
	b := inSQLite(t)
	r := b.open()
	for seq := uint64(1); seq <= 100; seq++ {
		write(t, r, seq)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), 101, 1, balance(101)); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if last, err := b.open().Last(t.Context()); last != 100 || err != nil {
		t.Error(last, err)
	}
}

func TestWatchSpeaksOnlyOfWhatIsFarBehind(t *testing.T) {
	r := inSQLite(t).open()
	ctx, cancel := context.WithCancel(t.Context())
	tick, said, ended := make(chan time.Time), make(chan Progress, 10), make(chan error)
	end := uint64(1_000_000)
	go func() { ended <- r.Watch(ctx, tick, func() uint64 { return end }, func(p Progress) { said <- p }) }()
	at := time.Unix(1, 0)
	tick <- at
	if p := <-said; p.Written != 0 || p.End != end {
		t.Errorf("%+v", p)
	}
	write(t, r, 950_000)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	tick <- at.Add(time.Second)
	if p := <-said; p.Written != 950_000 || p.PerSecond != 950_000 {
		t.Errorf("the end of it: %+v", p)
	}
	tick <- at.Add(2 * time.Second)
	cancel()
	if err := <-ended; err != nil || len(said) != 0 {
		t.Error(err, len(said))
	}
}

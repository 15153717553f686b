package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

func server(t *testing.T) *storetest.Server {
	t.Helper()
	s, err := storetest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// putOut evicts whoever has the place.
func putOut(t *testing.T, o Options) {
	t.Helper()
	h, err := FindHolder(t.Context(), o)
	if err != nil || h == nil {
		t.Fatal(h, err)
	}
	if err := Evict(t.Context(), o, h); err != nil {
		t.Fatal(err)
	}
}

func TestEvictingAWriterTakesItsPlaceForGood(t *testing.T) {
	s := server(t)
	o := Options{URL: s.Loopback("postgres"), Key: key("store")}
	b := &bench{t: t, ctx: t.Context(), options: o}
	first := b.open()
	b.write(first, frame(1, 1))
	if h, err := FindHolder(t.Context(), o); err != nil || h == nil || h.Address != "127.0.0.1" || h.Last != 1 || first.Owned(t.Context()) != nil {
		t.Fatalf("%+v, %v", h, err)
	}
	putOut(t, o)
	if err := first.Owned(t.Context()); !errors.Is(err, engine.ErrSuperseded) {
		t.Fatalf("an engine with nothing to write is not told: %v", err)
	}
	second := b.open()
	b.write(second, frame(2, 2))
	b.refused(first.Append(t.Context(), frame(2, 1), nil), "journal-write-failed", "after command 1")
	// The server crashes and recovers: what was committed is there.
	if err := errors.Join(s.Kill(), s.Run(t.Context())); err != nil {
		t.Fatal(err)
	}
	b.refused(second.Append(t.Context(), frame(4, 1), nil), "journal-write-failed", "after command 3")
	third := b.open()
	if report, err := third.Verify(t.Context()); err != nil || report.Last != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
}

func TestEvictingSparesWhoeverTookThePlaceSince(t *testing.T) {
	s := server(t)
	o := Options{URL: s.Loopback("postgres"), Key: key("store")}
	b := &bench{t: t, ctx: t.Context(), options: o}
	first := b.open()
	b.write(first, frame(1, 1))
	h, err := FindHolder(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.close(first)
	second := b.open()
	if err := Evict(t.Context(), o, h); err != nil {
		t.Fatal(err)
	}
	b.write(second, frame(2, 1))
	if err := second.Owned(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestACandidateAsksOverOneConnection(t *testing.T) {
	s := server(t)
	o := Options{URL: s.Loopback("postgres"), Key: key("store")}
	b := &bench{t: t, ctx: t.Context(), options: o}
	first := b.open()
	b.write(first, frame(1, 1))
	c := NewCandidate(o)
	_, err := c.Claim(t.Context())
	b.refused(err, "journal-in-use", "")
	asking := c.table.writer.PgConn().PID()
	for range 20 {
		_, err = c.Claim(t.Context())
		b.refused(err, "journal-in-use", "")
	}
	b.close(first)
	j, err := c.Claim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := j.table.(*postgresTable).writer.PgConn().PID(); got != asking || c.Close() != nil {
		t.Fatalf("process %d of the server, it asked over %d", got, asking)
	}
	b.write(j, frame(2, 1))
	b.close(j)
	// The server is gone for a moment: an error that is no judgement, and then a new connection.
	c = NewCandidate(o)
	holder := b.open()
	_, err = c.Claim(t.Context())
	b.refused(err, "journal-in-use", "")
	if err := errors.Join(s.Stop(), s.Run(t.Context())); err != nil {
		t.Fatal(err)
	}
	holder.Close()
	if _, err = c.Claim(t.Context()); err == nil {
		t.Fatal("a broken connection had the place")
	}
	if j, err = c.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.close(j)
}

const hangs = "JOURNAL_TEST_ENGINE"

// TestMain lets this program also be the engine that hangs.
func TestMain(m *testing.M) {
	if url := os.Getenv(hangs); url != "" {
		hangingEngine(url)
		return
	}
	os.Exit(m.Run())
}

// hangingEngine says each command that it acknowledges, until it cannot make another durable.
func hangingEngine(url string) {
	j, err := Open(context.Background(), Options{URL: url, Key: key("store")})
	for next := uint64(1); err == nil; next++ {
		if err = j.Append(context.Background(), frame(next, 1), nil); err == nil {
			fmt.Println(next)
		}
	}
	fmt.Println("end:", strings.ReplaceAll(err.Error(), "\n", " "))
}

// A process is stopped in the middle of its work, put out, and goes on later: nothing that it acknowledges is missing.
func TestAStoppedEngineThatWasEvictedNeverAcknowledgesAgain(t *testing.T) {
	s := server(t)
	o := Options{URL: s.Loopback("postgres"), Key: key("store")}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), hangs+"="+o.URL)
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	said := uint64(0)
	for said < 50 && lines.Scan() {
		said, _ = strconv.ParseUint(lines.Text(), 10, 64)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, ctx: t.Context(), options: o}
	_, err = Open(t.Context(), o)
	b.refused(err, "journal-in-use", "")
	putOut(t, o)
	next := b.open()
	durable, err := next.Last(t.Context())
	if err != nil || durable < said {
		t.Fatalf("%d durable, %d acknowledged, %v", durable, said, err)
	}
	b.write(next, frame(durable+1, 5))
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	end := ""
	for lines.Scan() {
		if n, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
			said = n
		} else {
			end = lines.Text()
		}
	}
	if said > durable || !strings.Contains(end, "journal-write-failed") || cmd.Wait() != nil {
		t.Fatalf("it acknowledged command %d of %d and ended with %q", said, durable, end)
	}
	b.write(next, frame(durable+6, 1))
}

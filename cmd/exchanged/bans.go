package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// bans keeps the sentences of a table of requests in a file, so that a restart forgives nobody, and ends those that two
// people forgave.
type bans struct {
	table *limits.Table
	path  string
	log   *slog.Logger
	saved uint64 // changes of the table that the file knows

	alerts *alerts

	conn    *bus.Conn
	subject string       // of questions
	told    atomic.Int64 // when an unban was told last, or may have been missed; zero: all are known
}

// bansEvery is how long a new ban may be in memory alone. Writing takes a twentieth of the time at most, however many
// addresses attack.
const bansEvery = time.Second

const (
	unbanAgain = 5 * time.Second
	unbansMax  = 1000 // of one page
)

// counters are the segments that may keep a table of requests.
func counters() []bus.Segment { return []bus.Segment{bus.Gateway, bus.Limits} }

// unbanSubject is where a segment hears which addresses are forgiven. The engine alone sends there.
func unbanSubject(s bus.Segment) string { return "evt.unban." + s.String() }

func unbanSubjects() (out []string) {
	for _, s := range counters() {
		out = append(out, unbanSubject(s))
	}
	return out
}

// unbans reads a record of a change, and reports whether it forgives an address.
func unbans(body []byte) bool {
	change, err := exchange.DecodeBody[exchange.ChangeInfo](body)
	if err != nil {
		return false
	}
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](change.Intent)
	return err == nil && intent.Unban != ""
}

func (f folder) bansPath(s bus.Segment) string { return f.path(exchangeDir, s.String(), "bans") }

// bans reads what a segment kept. A file that nobody wrote yet holds none.
func (f folder) bans(s bus.Segment) ([]limits.Sentence, error) {
	path := f.bansPath(s)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, console.Fail(console.Failed, fmt.Errorf("%s has mode %04o: others may read it", path, info.Mode().Perm()), "chmod 600 "+path)
	}
	raw, err := console.ReadFile(path, int64(limits.FileMax))
	if err != nil {
		return nil, err
	}
	list, err := limits.ReadSentences(raw)
	if err != nil {
		return nil, console.Fail(console.Failed, fmt.Errorf("%s is damaged: %w", path, err), "bring it back from a backup; without the file everybody who was banned is forgiven")
	}
	return list, nil
}

// listens hears of unbans, from the engine alone.
func (b *bans) listens(conn *bus.Conn, s bus.Segment, subject string) error {
	b.conn, b.subject = conn, subject
	return conn.Subscribe(unbanSubject(s), b)
}

// openBans makes a segment's table of requests, with the bans that it kept.
func (s *site) openBans(name bus.Segment) (*bans, error) {
	o, err := s.config.Exchange.Limits.options()
	if err != nil {
		return nil, err
	}
	if o.Sentences, err = s.folder.bans(name); err != nil {
		return nil, err
	}
	table, err := limits.New(o)
	if err != nil {
		return nil, err
	}
	return &bans{table: table, path: s.folder.bansPath(name), log: s.log, alerts: s.alerts}, nil
}

// Missed says that an unban may be missing.
func (b *bans) Missed() { b.told.Store(time.Now().UnixMilli()) }

// Event says that there is one.
func (b *bans) Event([]byte) { b.Missed() }

// hear asks the engine whom people forgave, and forgives them here. What it was told lately it asks again, because the
// engine's records are a moment behind.
func (b *bans) hear(ctx context.Context) {
	told := b.told.Load()
	if told == 0 {
		return
	}
	now := time.Now().UnixMilli()
	list, err := b.forgiven(func(q exchange.HistoryQuestion) ([]exchange.UnbanInfo, error) {
		a, err := askEngine(ctx, b.conn, b.subject, exchange.Question{Unbans: &q})
		return a.Unbans, err
	})
	if err != nil {
		b.log.Warn("the engine does not say who was forgiven", "error", err)
		return // the next second asks again
	}
	for _, u := range list {
		if address, err := netip.ParseAddr(u.Address); err == nil && b.table.Unban(address, u.At) {
			b.log.Info("unban", "address", address)
		}
	}
	if now-told > unbanAgain.Milliseconds() {
		b.told.CompareAndSwap(told, 0)
	}
}

// forgiven asks page after page for everybody who was forgiven since the oldest sentence of the table. What came before
// that concerns nobody who is banned. A page that is not full is the last one; an unban that comes between two pages
// moves the others back, so one may be read twice and none is missed.
func (b *bans) forgiven(ask func(exchange.HistoryQuestion) ([]exchange.UnbanInfo, error)) (list []exchange.UnbanInfo, err error) {
	var since exchange.Millis
	if sentences := b.table.Sentences(); len(sentences) == 0 {
		return nil, nil
	} else {
		since = sentences[0].Since
	}
	for {
		page, err := ask(exchange.HistoryQuestion{Since: since, Limit: unbansMax, Offset: len(list)})
		if err != nil {
			return nil, err
		}
		if list = append(list, page...); len(page) < unbansMax {
			return list, nil
		}
	}
}

// keep writes the file whenever a sentence is new, until ctx ends.
func (b *bans) keep(ctx context.Context) error {
	if b.table == nil {
		<-ctx.Done()
		return nil
	}
	for pause := bansEvery; ; {
		select {
		case <-ctx.Done():
			b.tell()
			return b.save()
		case <-time.After(pause):
		}
		b.hear(ctx)
		b.tell()
		began := time.Now()
		if err := b.save(); err != nil {
			b.log.Error("bans could not be written: a restart would forget them", "error", err)
		}
		pause = max(bansEvery, 20*time.Since(began))
	}
}

// save writes the sentences if they changed.
func (b *bans) save() error {
	changes := b.table.Changes()
	if changes == b.saved {
		return nil
	}
	if err := replace(b.path, limits.AppendSentences(nil, b.table.Sentences()), 0o600); err != nil {
		return err
	}
	b.saved = changes
	return nil
}

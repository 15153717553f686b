package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/records"
)

// Messages that the engine's segment takes at a time, of each subject. What is beyond that is refused as busy.
const (
	framesAtOnce    = 256
	questionsAtOnce = 64
)

// engineSegment is the one that writes: journal, state, and the bus's questions to them.
type engineSegment struct {
	site      *site
	conn      *bus.Conn
	journal   *journal.Journal
	records   *records.Records
	snapshots *engine.Snapshots
	mark      *engine.Mark
	sealer    *accounts.Sealer
	options   engine.StateOptions
	runner    *engine.Runner
	follower  *engine.Follower
	frames    *bus.Publisher
	payments  *bus.Publisher
	unbans    []*bus.Publisher // one for each segment that may keep a table of requests
	last      uint64           // of the frame that was published last
}

// journalOptions say where the journal is.
func (s *site) journalOptions() (journal.Options, error) {
	key, err := s.folder.key32(exchangeDir, "engine", "store.key")
	if err != nil {
		return journal.Options{}, err
	}
	c := s.config.Exchange.Store
	if c.Kind == "sqlite" {
		return journal.Options{Dir: s.folder.path(exchangeDir, "engine", "journal"), Group: c.Group, Key: key}, nil
	}
	dsn, err := s.folder.secretLine(c.DSN)
	return journal.Options{URL: dsn, Group: c.Group, Key: key}, err
}

// recordsOptions say where the records are.
func (s *site) recordsOptions(key []byte) (records.Options, error) {
	c := s.config.Exchange.Store
	if c.Kind == "sqlite" {
		return records.Options{Dir: s.folder.path(exchangeDir, "engine", "records"), Key: key}, nil
	}
	dsn, err := s.folder.secretLine(c.DSN)
	return records.Options{URL: dsn, Key: key}, err
}

// secretLine reads a file of one line that others may not read.
func (f folder) secretLine(name string) (string, error) {
	path := inside(string(f), name)
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", console.Fail(console.Failed, fmt.Errorf("%s has mode %04o: others may read it", path, info.Mode().Perm()), "chmod 600 "+path)
	}
	raw, err := console.ReadFile(path, keyMax)
	if err != nil {
		return "", err
	}
	line := strings.TrimSuffix(string(raw), "\n")
	if line == "" || strings.Contains(line, "\n") {
		return "", fmt.Errorf("%s does not hold one line", filepath.Base(path))
	}
	return line, nil
}

// openEngine recovers the state and opens the subjects. The journal comes first: a second engine stops there.
func (s *site) openEngine(ctx context.Context) (work, error) {
	e := &engineSegment{site: s}
	if err := e.recover(ctx); err != nil {
		return nil, errors.Join(err, e.close())
	}
	var err error
	if e.conn, err = s.dial(ctx, bus.Engine); err != nil {
		return nil, errors.Join(err, e.close())
	}
	c := s.config.Exchange
	if e.frames, err = e.conn.Publisher(c.frameSubject()); err != nil {
		return nil, errors.Join(err, e.close())
	}
	if e.payments, err = e.conn.Publisher("evt.wallet"); err != nil {
		return nil, errors.Join(err, e.close())
	}
	for _, subject := range unbanSubjects() {
		p, err := e.conn.Publisher(subject)
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		e.unbans = append(e.unbans, p)
	}
	for subject, class := range c.classes() {
		err = errors.Join(err, e.conn.Serve(subject, framesAtOnce, e.commands(class)))
	}
	for _, subject := range []string{"qry.public", "qry.gateway", "qry.wallet", "qry.admin", "qry.limits"} {
		err = errors.Join(err, e.conn.Serve(subject, questionsAtOnce, e.question(subject)))
	}
	err = errors.Join(err, e.conn.Serve("ops.engine", 1, e.operate))
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return s.tellsItsEnd(func(ctx context.Context) error {
		s.log.Info("engine runs", "seq", e.runner.Applied())
		if err := s.app.JSON("coldsign.engine-ready/v1", map[string]any{"seq": e.runner.Applied(), "pid": os.Getpid()}); err != nil {
			return errors.Join(err, e.close())
		}
		return errors.Join(engineEnd(together(ctx, e.runner.Run, e.follower.Run, e.guard, e.watchRecords, s.watchForged(e.conn))), e.close())
	}), nil
}

// watchRecords says how far the records are while they are far behind: after a long absence they write for a while.
func (e *engineSegment) watchRecords(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	return e.records.Watch(ctx, tick.C, e.runner.Applied, func(p records.Progress) {
		e.site.log.Info("records catch up", "written", p.Written, "end", p.End, "per_second", int(p.PerSecond), "waiting_bytes", p.Waiting)
	})
}

// engineEnd gives an engine's end its exit code. Another engine's frame is a refusal, and final. A write that failed is
// not: a database server was restarted, or a disk hung, and whoever starts the engine again learns what is durable.
func engineEnd(err error) error {
	var refusal *spend.Refusal
	switch {
	case errors.Is(err, engine.ErrSuperseded):
		return console.Fail(console.Refused, err, "one engine writes a journal: end this one, or start it with --standby")
	case errors.As(err, &refusal) && refusal.Code == "journal-write-failed":
		return console.Fail(console.Failed, errors.New(err.Error()), refusal.Fix)
	}
	return err
}

// recover opens the journal and makes the state that it describes.
func (e *engineSegment) recover(ctx context.Context) error {
	at := e.site.folder
	options, err := e.site.journalOptions()
	if err != nil {
		return err
	}
	if e.options, e.sealer, err = at.stateOptions(); err != nil {
		return err
	}
	dir := at.path(exchangeDir, "engine", "snapshots")
	if e.snapshots, err = engine.OpenSnapshots(dir, options.Key, nil); err != nil {
		return err
	}
	if e.mark, err = engine.OpenMark(dir); err != nil {
		return err
	}
	state, err := e.state(ctx, options)
	if err != nil {
		return err
	}
	e.last = state.Seq()
	tail := engine.NewTail()
	e.runner = engine.NewRunner(engine.RunnerOptions{Journal: e.journal, State: state, Mark: e.mark, Tail: tail, Publish: e.publish,
		Now: func() exchange.Millis { return exchange.Millis(time.Now().UnixMilli()) }})
	e.follower, err = e.follow(ctx, options.Key, tail)
	return err
}

// follow makes the second state, which writes records and snapshots. It begins from a snapshot that the records are not
// behind.
func (e *engineSegment) follow(ctx context.Context, key []byte, tail *engine.Tail) (*engine.Follower, error) {
	options, err := e.site.recordsOptions(key)
	if err != nil {
		return nil, err
	}
	if e.records, err = records.Open(ctx, options); err != nil {
		return nil, err
	}
	known, err := e.records.Last(ctx)
	if err != nil {
		return nil, err
	}
	shadow := engine.NewState(e.options)
	if known > 0 {
		if shadow, _, err = engine.Recover(ctx, e.journal, engine.RecoverOptions{State: e.options, Snapshots: e.snapshots, AtMost: known, Bounded: true, To: known}); err != nil {
			return nil, err
		}
	}
	return engine.NewFollower(ctx, engine.FollowerOptions{Journal: e.journal, State: shadow, Tail: tail, Snapshots: e.snapshots, Sinks: []engine.Sink{e.records}})
}

// state opens the journal for writing and makes the state that it describes. A standby follows the engine that writes,
// and takes its place when that one ends.
func (e *engineSegment) state(ctx context.Context, options journal.Options) (*engine.State, error) {
	from := engine.RecoverOptions{State: e.options, Snapshots: e.snapshots, Mark: e.mark}
	if e.site.standby {
		return e.takeOver(ctx, options, from)
	}
	var err error
	if e.journal, err = openJournal(ctx, options); err != nil {
		return nil, err
	}
	state, done, err := engine.Recover(ctx, e.journal, from)
	e.recovered(done)
	return state, err
}

// openJournal opens the journal for writing. A PostgreSQL server gives up the place of an engine that was killed only
// when it notices, so the one that is started in its stead asks for a while before it says that there are two.
func openJournal(ctx context.Context, o journal.Options) (*journal.Journal, error) {
	const tries, every = 20, 100 * time.Millisecond
	for try := 1; ; try++ {
		j, err := journal.Open(ctx, o)
		var refusal *spend.Refusal
		if o.URL == "" || try == tries || !errors.As(err, &refusal) || refusal.Code != "journal-in-use" {
			return j, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(every):
		}
	}
}

func (e *engineSegment) recovered(done engine.Recovery) {
	for _, passed := range done.PassedOver {
		e.site.log.Warn("a snapshot was passed over", "error", passed)
		e.site.alerts.raise(alertSnapshot, "snapshot", passed.Error())
	}
	e.site.log.Info("state recovered", "snapshot", done.Snapshot, "replayed", done.Commands)
}

func (e *engineSegment) close() error {
	var err error
	if e.conn != nil {
		e.conn.Close()
	}
	if e.records != nil {
		err = errors.Join(err, e.records.Close())
	}
	if e.mark != nil {
		err = errors.Join(err, e.mark.Close())
	}
	if e.journal != nil {
		err = errors.Join(err, e.journal.Close())
	}
	return err
}

// publish sends what a frame did to the gateways, and what concerns payments to the wallet.
func (e *engineSegment) publish(seq uint64, _ exchange.Millis, events []byte) {
	message := binary.LittleEndian.AppendUint64(make([]byte, 0, 16+len(events)), e.last+1)
	message = append(binary.LittleEndian.AppendUint64(message, seq), events...)
	e.last = seq
	if err := e.frames.Publish(message); err != nil {
		e.site.log.Warn("events were not sent: gateways will ask anew", "seq", seq, "error", err)
	}
	wanted, unbanned := e.wantedEvents(events)
	for _, p := range e.unbans {
		if !unbanned {
			break
		}
		if err := p.Publish([]byte{1}); err != nil {
			e.site.log.Warn("an unban was not sent: its table will ask later", "seq", seq, "error", err)
		}
	}
	if len(wanted) > 0 {
		if err := e.payments.Publish(wanted); err != nil {
			e.site.log.Warn("events were not sent: the wallet will ask anew", "seq", seq, "error", err)
		}
	}
}

// wantedEvents keeps the records that the wallet's segment follows, says whether an address was forgiven, and tells people
// of tickets.
func (e *engineSegment) wantedEvents(events []byte) (payments []byte, unbanned bool) {
	var ev exchange.Event
	for len(events) > 0 {
		rest, err := ev.Read(events)
		if err != nil {
			return payments, unbanned
		}
		switch {
		case ev.Kind != exchange.RecordChanged:
		case ev.Record == exchange.DepositAddressRecord, ev.Record == exchange.WithdrawalRecord:
			payments = append(payments, events[:len(events)-len(rest)]...)
		case ev.Record == exchange.ChangeRecord:
			unbanned = unbanned || unbans(ev.Body)
		case ev.Record == exchange.TicketRecord:
			e.site.tellTicket(ev.Body)
		}
		events = rest
	}
	return payments, unbanned
}

// subjectClass is what may come on a subject: the engine decides it, whoever sent the message.
type subjectClass struct {
	segment string // as room engine names it
	kinds   []exchange.Kind
}

// classes are the subjects of commands.
func (c exchangeConfig) classes() map[string]subjectClass {
	return map[string]subjectClass{
		c.orderSubject(): {"gateway", []exchange.Kind{exchange.Place, exchange.Cancel, exchange.CancelAll, exchange.Replace, exchange.Amend}},
		"cmd.withdraw":   {"gateway", []exchange.Kind{exchange.WithdrawRequest}},
		"cmd.account":    {"gateway", []exchange.Kind{exchange.KeyAdd, exchange.KeyRevoke, exchange.AddressAdd, exchange.AddressRemove, exchange.DepositAssign, exchange.PasskeyEnrol, exchange.Approve}},
		"cmd.deposit":    {"wallet", []exchange.Kind{exchange.Deposit}},
		"cmd.settle":     {"wallet", []exchange.Kind{exchange.WithdrawSettle, exchange.WithdrawRelease}},
		"cmd.admin": {"admin", []exchange.Kind{exchange.Adjust, exchange.Change, exchange.AccountOpen, exchange.KeyAdd, exchange.KeyRevoke,
			exchange.AddressAdd, exchange.AddressRemove, exchange.PasskeyOffer}},
	}
}

func (c subjectClass) takes(kind exchange.Kind) bool {
	return slices.Contains(c.kinds, kind)
}

// commands handles one message of commands: all of them are answered, those of a kind that has no business here as not
// allowed.
func (e *engineSegment) commands(class subjectClass) bus.Handler {
	return func(ctx context.Context, _ bus.Segment, payload []byte) ([]byte, error) {
		var cmds []exchange.Command
		for len(payload) > 0 {
			cmds = append(cmds, exchange.Command{})
			rest, err := cmds[len(cmds)-1].Read(payload)
			if err != nil {
				return nil, err
			}
			payload = rest
		}
		all := make([]exchange.Outcome, len(cmds))
		fit, places := make([]exchange.Command, 0, len(cmds)), make([]int, 0, len(cmds))
		for i := range cmds {
			if class.takes(cmds[i].Kind) {
				fit, places = append(fit, cmds[i]), append(places, i)
			} else {
				all[i] = exchange.Outcome{ID: cmds[i].ID, Code: exchange.NotAllowed}
			}
		}
		out := all
		if len(fit) < len(cmds) {
			out = make([]exchange.Outcome, len(fit))
		}
		if err := e.runner.Submit(ctx, class.segment, fit, out); err != nil {
			return nil, err
		}
		if len(fit) < len(cmds) {
			for i, at := range places {
				all[at] = out[i]
			}
		}
		reply := make([]byte, 0, 160*len(all))
		for i := range all {
			reply = all[i].Append(reply)
		}
		return reply, nil
	}
}

// asks reports whether a question may come on a subject. Answers about a key hold its secret.
func asks(subject string, q exchange.Question) bool {
	if !q.Single() {
		return false
	}
	everybodys := q.Catalogue != nil || q.Depth != nil || q.Status != nil || q.Candles != nil || q.Tickers != nil || q.Trades != nil && q.Trades.Account == 0
	switch subject {
	case "qry.limits":
		return q.Unbans != nil
	case "qry.gateway":
		for _, of := range []*exchange.HistoryQuestion{q.Deposits, q.Withdraws, q.Addresses} {
			if of != nil && of.Everybodys() {
				return false
			}
		}
		return q.Accounts == nil && q.Tickets == nil
	case "qry.admin":
		return q.Key == nil
	case "qry.wallet":
		return everybodys || q.Withdraws != nil || q.Addresses != nil || q.Deposits != nil
	}
	return everybodys
}

// question handles one question of a segment.
func (e *engineSegment) question(subject string) bus.Handler {
	return func(ctx context.Context, _ bus.Segment, payload []byte) ([]byte, error) {
		q, err := exchange.DecodeBody[exchange.Question](payload)
		if err != nil {
			return nil, err
		}
		if !asks(subject, q) {
			return exchange.EncodeBody(exchange.Answer{Code: exchange.NotAllowed})
		}
		if q.Seal != nil && subject == "qry.gateway" {
			a, err := e.sealForGateway(q.Seal)
			if err != nil {
				return nil, err
			}
			return exchange.EncodeBody(a)
		}
		a, live, err := e.runner.Ask(ctx, q)
		if err != nil {
			return nil, err
		}
		if !live {
			a, err = e.records.Answer(ctx, q)
		}
		if a.Status != nil {
			e.complete(a.Status)
		}
		if err != nil {
			return nil, err
		}
		return exchange.EncodeBody(a)
	}
}

// complete adds to a status what the state does not know of itself.
func (e *engineSegment) complete(s *exchange.EngineStatus) {
	s.Records, s.Snapshot, s.Follower = e.records.Progress().Written, e.follower.SnapshotSeq(), e.follower.Seq()
	if err := e.runner.Stopped(); err != nil {
		s.Stopped = err.Error()
	}
}

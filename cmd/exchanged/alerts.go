package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// An alert is a line of JSON that is appended to a file, and sent to a receiver on the operator's own network where one
// is configured (alerts_send.go). The file is the truth and the queue: what could not be sent stays in it and is sent
// later, also after a restart. An alert holds no secret: of an API key its first six characters, never more.
//
// People who are told everything read nothing. Of one kind about one thing there is an alert at once and then one an
// hour, with a count; of one kind about whatever things twenty an hour, and one that says how many more there were. So
// an attacker decides how large the counts are, and never how many messages there are.

// The kinds of alerts. They are a contract with whoever sorts them; docs/operating.md says what to do about each.
const (
	alertKeyElsewhere   = "key-elsewhere"       // a right signature from an address that the key's list does not allow
	alertKeyNamed       = "key-named-elsewhere" // the same, of a request that needs no signature
	alertKeyEnded       = "key-ended"           // the engine ended a key: a flood of withdrawals
	alertBlocked        = "address-blocked"     // for good: a ticket
	alertStuffing       = "stuffing"            // wrong signatures for many accounts
	alertConduct        = "bot-conduct"         // what the table of conduct found
	alertEngineStopped  = "engine-stopped"      // it takes nothing more, and says why
	alertStandby        = "standby-took-over"   //
	alertSnapshot       = "snapshot-damaged"    // passed over
	alertDeposits       = "deposits-stopped"    // something about them is not authentic
	alertDepositUnknown = "deposit-unknown"     // a payment that no account is credited for
	alertDepositGone    = "deposit-gone"        // a credited one whose block left the chain
	alertHalt           = "treasury-halted"     // a standing alarm
	alertForged         = "bus-forged"          // messages that nobody of the exchange sent
	alertSegment        = "segment-died"        // and was started again
	alertEnded          = "exchange-ended"      // a segment that starting again does not help
	alertTest           = "test"                // exchanged alerts test
)

const (
	alertAgain   = time.Hour
	alertsMax    = 20 // of one kind in an hour, about different things
	alertTextMax = 500
	alertOthers  = "others"
	// alertTail is how much of the file is read at the start to know what people were told within the last hour.
	alertTail = 256 << 10
)

// alert is one line of the file.
type alert struct {
	Schema  string    `json:"schema"`
	ID      string    `json:"id"` // an alert may reach the receiver twice
	At      time.Time `json:"at"`
	Segment string    `json:"segment"`
	Kind    string    `json:"kind"`
	About   string    `json:"about"`
	Text    string    `json:"text"`
	Count   uint64    `json:"count"` // how often, since the last alert of this kind about it
}

const schemaAlert = "coldsign.alert/v1"

// alerts is a segment's way to people. A nil one tells nobody: tests of other things have none.
type alerts struct {
	path, segment string
	log           *slog.Logger
	now           func() time.Time
	written       chan struct{} // holds a token when the file grew

	mu    sync.Mutex
	kinds map[string]*alertKind
}

// alertKind is what people were told of one kind.
type alertKind struct {
	subjects map[string]*alertSubject
	since    time.Time // when the hour began whose alerts are counted
	told     int
	beyond   uint64 // that were not told because of the limit
}

// alertSubject is one thing that people were told about.
type alertSubject struct {
	told time.Time
	more uint64 // that came since
	text string // of the last one
}

func (f folder) alertsPath(segment string) string {
	if segment == "" {
		return f.path(exchangeDir, "alerts.jsonl") // the supervisor's
	}
	return f.path(exchangeDir, segment, "alerts.jsonl")
}

// openAlerts begins where the file ends: what people were told within the last hour is not told again.
func openAlerts(path, segment string, log *slog.Logger, now func() time.Time) *alerts {
	a := &alerts{path: path, segment: segment, log: log, now: now, written: make(chan struct{}, 1), kinds: map[string]*alertKind{}}
	list, err := readAlerts(path, alertTail)
	if err != nil {
		log.Error("alerts of before cannot be read: some may be told again", "error", err)
	}
	for _, one := range list {
		if age := now().Sub(one.At); age < 0 || age >= alertAgain || one.Segment != segment {
			continue
		}
		k := a.kind(one.Kind, one.At)
		if k.told++; one.About != alertOthers {
			k.subjects[one.About] = &alertSubject{told: one.At, text: one.Text}
		}
	}
	return a
}

func (a *alerts) kind(name string, now time.Time) *alertKind {
	k := a.kinds[name]
	if k == nil {
		k = &alertKind{subjects: map[string]*alertSubject{}, since: now}
		a.kinds[name] = k
	}
	return k
}

// raise tells people that something happened, or counts it. It never waits for the receiver.
func (a *alerts) raise(kind, about, text string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.settle(kind, now)
	k := a.kind(kind, now)
	s := k.subjects[about]
	switch {
	case s != nil:
		s.more, s.text = s.more+1, text
	case k.told < alertsMax:
		k.told++
		k.subjects[about] = &alertSubject{told: now, text: text}
		a.write(alert{Kind: kind, About: about, Text: text, Count: 1})
	default:
		if k.beyond++; k.beyond == 1 {
			a.write(alert{Kind: kind, About: alertOthers, Text: fmt.Sprintf("more than %d of these in an hour; further ones are counted, and told at its end", alertsMax), Count: 1})
		}
	}
}

// settle tells of one kind what was counted in an hour that is over.
func (a *alerts) settle(kind string, now time.Time) {
	k := a.kinds[kind]
	if k == nil {
		return
	}
	if now.Sub(k.since) >= alertAgain {
		if k.beyond > 0 {
			a.write(alert{Kind: kind, About: alertOthers, Text: "more of these within an hour than people were told one by one", Count: k.beyond})
		}
		k.since, k.told, k.beyond = now, 0, 0
	}
	for _, about := range slices.Sorted(maps.Keys(k.subjects)) {
		s := k.subjects[about]
		if now.Sub(s.told) < alertAgain {
			continue
		}
		if s.more == 0 {
			delete(k.subjects, about)
			continue
		}
		a.write(alert{Kind: kind, About: about, Text: s.text, Count: s.more})
		s.told, s.more = now, 0
	}
}

// settleAll does so for all kinds. Whoever runs the alerts calls it now and then.
func (a *alerts) settleAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(a.kinds)) {
		a.settle(kind, a.now())
	}
}

// write appends an alert to the file, in one write, and says it in the log too. A file that cannot be written leaves the
// log.
func (a *alerts) write(one alert) {
	one.Schema, one.ID, one.At, one.Segment = schemaAlert, exchange.RandomID().String()[:16], a.now().UTC().Truncate(time.Millisecond), a.segment
	if len(one.Text) > alertTextMax {
		one.Text = one.Text[:alertTextMax]
	}
	a.log.Warn("alert", "kind", one.Kind, "about", one.About, "text", one.Text, "count", one.Count)
	line, err := json.Marshal(one)
	if err == nil {
		err = appendLine(a.path, append(line, '\n'))
	}
	if err != nil {
		a.log.Error("an alert could not be written", "kind", one.Kind, "error", err)
		return
	}
	select {
	case a.written <- struct{}{}:
	default:
	}
}

func appendLine(path string, line []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(line)
	return errors.Join(err, file.Close())
}

// readAlerts reads the alerts of a file, or those of its last bytes. A line that a crash cut, or that is none of ours,
// is left out: the others still count.
func readAlerts(path string, most int64) ([]alert, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if from := info.Size() - most; from > 0 {
		if _, err := file.Seek(from, io.SeekStart); err != nil {
			return nil, err
		}
	}
	return parseAlerts(io.LimitReader(file, most))
}

// parseAlerts reads lines.
func parseAlerts(in io.Reader) (out []alert, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 4096), alertLineMax)
	for lines.Scan() {
		if one, ok := parseAlert(lines.Bytes()); ok {
			out = append(out, one)
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return out, err
	}
	return out, nil
}

const alertLineMax = 16 << 10

func parseAlert(line []byte) (one alert, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	return one, d.Decode(&one) == nil && one.Schema == schemaAlert && one.Kind != ""
}

package home

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// lineMax bounds one ledger line: an answer for 2,000 inputs is about 230 kB, base64 a third more.
const lineMax = 4 << 20

// Event says what a ledger line records.
type Event string

// The events of a signer ledger.
const (
	Pinned   Event = "pinned"   // a file was pinned by a key
	Vouched  Event = "vouched"  // a key signed a file for the quorum that stands behind it
	Reserved Event = "reserved" // a bundle is about to be signed: written before the key is used
	Signed   Event = "signed"   // the answer that was given
	Declined Event = "declined" // a person or the policy refused
	Withheld Event = "withheld" // nothing was wrong, but the last signature of a time-locked intent waits
	Vetoed   Event = "vetoed"   // another keyholder's sealed refusal was taken in

	// Reconciled says that this ledger was restored from an older copy: receipts that it does not know were given. What
	// they moved counts as much as the policy allows at most.
	Reconciled Event = "reconciled"
)

// Entry is one line of the signer ledger. Fields that an event does not use stay empty.
type Entry struct {
	Seq       uint64    `json:"seq"`  // from 1, without gaps
	Prev      string    `json:"prev"` // SHA-256 of the line before, hexadecimal; zeros for the first
	Time      time.Time `json:"time"`
	Event     Event     `json:"event"`
	Kind      string    `json:"kind,omitempty"`     // of a pin
	Name      string    `json:"name,omitempty"`     // of a pin
	SHA256    string    `json:"sha256,omitempty"`   // of the pinned file
	Key       string    `json:"key,omitempty"`      // name of the key that pinned, reserved, signed or declined
	Seal      string    `json:"seal,omitempty"`     // SSHSIG of a pin
	Vouchers  []string  `json:"vouchers,omitempty"` // SSHSIGs of the keyholders who stand behind a pinned file
	Bundle    string    `json:"bundle,omitempty"`   // identity, hexadecimal
	Wallet    string    `json:"wallet,omitempty"`   // spending wallet, hexadecimal
	Outpoints []string  `json:"outpoints,omitempty"`
	Amounts   []string  `json:"amounts,omitempty"`  // satoshi of each outpoint
	Intent    string    `json:"intent,omitempty"`   // SHA-256 of the intent, of a sealed refusal
	Replaces  string    `json:"replaces,omitempty"` // the bundle that a reserved one named as replaced, hexadecimal
	Amount    string    `json:"amount,omitempty"`   // satoshi that the destination is paid
	Leaving   string    `json:"leaving,omitempty"`  // satoshi that leave the wallet, fee not counted
	To        string    `json:"to,omitempty"`       // destination wallet, hexadecimal; of a payment its address
	ToIndex   uint32    `json:"to_index,omitempty"`
	Change    uint32    `json:"change,omitempty"`  // change index made
	Counter   uint64    `json:"counter,omitempty"` // of the receipt; rises by one with each reservation or sealed refusal of a key
	Expires   int64     `json:"expires,omitempty"` // Unix seconds, of the intent
	Answer    []byte    `json:"answer,omitempty"`  // sealed answer, as it left
	Reason    string    `json:"reason,omitempty"`  // refusal code of a declined bundle
}

// Ledger is the signer's memory, read whole, and open for appending when it was opened with a lock.
type Ledger struct {
	path    string
	lock    *os.File // nil when read-only
	entries []Entry
	head    [32]byte
}

// Errors that commands branch on.
var (
	ErrLocked = errors.New("the signer ledger is in use by another coldsign")
	ErrBroken = errors.New("the signer ledger is damaged")
)

// Ledger reads and checks the whole ledger. With write it takes the exclusive lock, and fails with ErrLocked when
// another process holds it: two signers never share one memory.
func (h *Home) Ledger(write bool) (*Ledger, error) {
	l := &Ledger{path: filepath.Join(h.dir, "ledger.jsonl")}
	if write {
		lock, err := os.OpenFile(filepath.Join(h.dir, "ledger.lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			lock.Close()
			return nil, ErrLocked
		}
		l.lock = lock
	}
	if err := l.load(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close releases the lock.
func (l *Ledger) Close() error {
	if l.lock == nil {
		return nil
	}
	err := l.lock.Close()
	l.lock = nil
	return err
}

// load reads every line and follows the chain. A last line without its newline is a write that a power cut stopped: it
// was never acknowledged, so a writer cuts it off; anything else that does not fit is damage.
func (l *Ledger) load() error {
	text, err := os.ReadFile(l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if len(whole) < len(text) && l.lock != nil {
		if err := os.Truncate(l.path, int64(len(whole))); err != nil {
			return err
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(whole))
	lines.Buffer(nil, lineMax)
	for lines.Scan() {
		if err := l.take(lines.Bytes()); err != nil {
			return fmt.Errorf("%w: %s line %d: %w", ErrBroken, l.path, len(l.entries)+1, err)
		}
	}
	return lines.Err()
}

func (l *Ledger) take(line []byte) error {
	var e Entry
	if err := strictJSON(line, &e); err != nil {
		return err
	}
	if e.Seq != uint64(len(l.entries))+1 {
		return fmt.Errorf("sequence %d, expected %d", e.Seq, len(l.entries)+1)
	}
	if e.Prev != hex.EncodeToString(l.head[:]) {
		return errors.New("does not follow the line before it")
	}
	l.entries, l.head = append(l.entries, e), sha256.Sum256(line)
	return nil
}

// Append writes one entry and returns only when it is on the disk. Seq, Prev and Time are filled in here; a clock that
// went back is recorded no earlier than the entry before.
func (l *Ledger) Append(now time.Time, e Entry) error {
	if l.lock == nil {
		return errors.New("the signer ledger was opened for reading")
	}
	e.Seq, e.Prev, e.Time = uint64(len(l.entries))+1, hex.EncodeToString(l.head[:]), now.UTC().Truncate(time.Second)
	if last := l.LastSeen(); e.Time.Before(last) {
		e.Time = last
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if len(line) >= lineMax {
		return fmt.Errorf("ledger entry of %d bytes, at most %d", len(line), lineMax)
	}
	if err := writeSynced(l.path, append(line, '\n'), os.O_APPEND); err != nil {
		return fmt.Errorf("signer ledger: %w", err)
	}
	return l.take(line)
}

// Entries returns all entries, oldest first. The caller must not change them.
func (l *Ledger) Entries() []Entry { return l.entries }

// LastSeen is the latest time this signer has ever recorded; a clock that shows an earlier one was turned back.
func (l *Ledger) LastSeen() time.Time {
	if len(l.entries) == 0 {
		return time.Time{}
	}
	return l.entries[len(l.entries)-1].Time
}

// Reservation returns the entry that reserved a bundle for a key.
func (l *Ledger) Reservation(bundle, key string) (Entry, bool) {
	return l.last(func(e Entry) bool { return e.Event == Reserved && e.Bundle == bundle && e.Key == key })
}

// Answered returns the answer that a key gave to a bundle.
func (l *Ledger) Answered(bundle, key string) (Entry, bool) {
	return l.last(func(e Entry) bool { return e.Event == Signed && e.Bundle == bundle && e.Key == key })
}

// Conflict is a coin that a key signed away for another bundle.
type Conflict struct {
	Outpoint string
	By       Entry
}

// Conflicts returns the reservations of other bundles by the same key that spend one of outpoints, one for each bundle.
// There is no expiry: a signature that once left can be used for ever, so its coins stay taken.
func (l *Ledger) Conflicts(bundle, key string, outpoints []string) []Conflict {
	wanted := make(map[string]bool, len(outpoints))
	for _, o := range outpoints {
		wanted[o] = true
	}
	var out []Conflict
	for _, e := range l.entries {
		if e.Event != Reserved || e.Key != key || e.Bundle == bundle {
			continue
		}
		if i := slices.IndexFunc(e.Outpoints, func(o string) bool { return wanted[o] }); i >= 0 {
			out = append(out, Conflict{e.Outpoints[i], e})
		}
	}
	return out
}

// LastCounter is the receipt counter of the last reservation or sealed refusal of a key, or the one that it was
// reconciled to.
func (l *Ledger) LastCounter(key string) uint64 {
	last, _ := l.last(func(e Entry) bool { return e.Event != Signed && e.Counter > 0 && e.Key == key })
	return last.Counter
}

// NextCounter is the receipt counter of the next reservation or sealed refusal of a key.
func (l *Ledger) NextCounter(key string) uint64 { return l.LastCounter(key) + 1 }

// Refused returns the sealed refusal that stops a bundle for a key: its own refusal of the bundle, or anybody's of the
// intent behind it when the intent is time-locked. Another payload for a refused intent is the same intent.
func (l *Ledger) Refused(bundle, intent, key string, locked bool) (Entry, bool) {
	return l.last(func(e Entry) bool {
		sealed := (e.Event == Declined || e.Event == Vetoed) && len(e.Answer) > 0
		return sealed && (e.Bundle == bundle && (e.Key == key || e.Event == Vetoed) || locked && e.Intent == intent)
	})
}

func (l *Ledger) last(match func(Entry) bool) (Entry, bool) {
	for i := len(l.entries) - 1; i >= 0; i-- {
		if match(l.entries[i]) {
			return l.entries[i], true
		}
	}
	return Entry{}, false
}

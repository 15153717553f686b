package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/words"
)

// exchangeDesk is the exchange as the staff API sees it: it keeps changes until enough people approved them, and sends
// commands. Nothing that it says decides anything: the engine judges every approval again.
type exchangeDesk struct {
	folder folder
	roster *roster
	conn   *bus.Conn
	admin  *bus.Batcher
	files  bool // approvals by keys in files count: nothing here is worth anything
	log    *slog.Logger
	now    func() time.Time
	note   func(ctx context.Context, kind string, detail any) error // into the events, for ever

	deposits *depositor // nil where none are taken
	filled   []string   // wallets that the treasury fills

	mu      sync.Mutex // of the files of changes
	closing sync.Mutex // of the files of closed tickets
}

// How long people have to approve a change, and how many changes are kept.
const (
	changeLife = 7 * 24 * time.Hour
	changesMax = 10_000
	pendingMax = 1 << 20 // bytes of one file
)

// pending is a change as its file holds it.
type pending struct {
	Intent    []byte   `cbor:"1,keyasint"`
	Approvals [][]byte `cbor:"2,keyasint"`
	Seq       uint64   `cbor:"3,keyasint"` // of the command that applied it
	Result    string   `cbor:"4,keyasint"` // why the engine refused it
}

func (k *exchangeDesk) path(id string) string {
	return k.folder.path(exchangeDir, "admin", "changes", id+".change")
}

func (k *exchangeDesk) read(id string) (pending, exchange.ChangeIntent, error) {
	unknown := admin.NewProblem(admin.Misused, "not-found", "no change is named "+console.Printable(id), "exchanged changes list", "warmctl change list")
	if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
		return pending{}, exchange.ChangeIntent{}, unknown
	}
	raw, err := console.ReadFile(k.path(id), pendingMax)
	if errors.Is(err, fs.ErrNotExist) {
		return pending{}, exchange.ChangeIntent{}, unknown
	}
	if err != nil {
		return pending{}, exchange.ChangeIntent{}, err
	}
	p, err := exchange.DecodeBody[pending](raw)
	if err != nil || admin.ChangeID(p.Intent) != id {
		return pending{}, exchange.ChangeIntent{}, spend.Distrust("change-damaged", "change "+id, "the change of that name", "other bytes", "remove the file and propose the change again")
	}
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](p.Intent)
	return p, intent, err
}

func (k *exchangeDesk) write(p pending) error {
	raw, err := exchange.EncodeBody(p)
	if err != nil {
		return err
	}
	return replace(k.path(admin.ChangeID(p.Intent)), raw, 0o600)
}

// view is a change as the wire writes it.
func (k *exchangeDesk) view(p pending, intent exchange.ChangeIntent) admin.Change {
	c := admin.Change{ID: admin.ChangeID(p.Intent), State: "proposed", Intent: p.Intent, Words: words.Line(sha256.Sum256(p.Intent)), Proposer: intent.Proposer,
		CreatedAt: timeOf(intent.Created), ExpiresAt: timeOf(intent.Expires), Need: approvals.ChangeNeed, Approvals: []admin.Approval{}, Result: p.Result, Seq: p.Seq}
	switch {
	case p.Seq != 0:
		c.State = "applied"
	case p.Result != "":
		c.State = "refused"
	case !k.now().Before(c.ExpiresAt):
		c.State = "expired"
	}
	for _, armored := range p.Approvals {
		c.Approvals = append(c.Approvals, k.approver(p.Intent, armored))
	}
	return c
}

func timeOf(at exchange.Millis) time.Time { return time.UnixMilli(int64(at)).UTC() }

// passed marks a change whose serial another one took. While the engine is silent nothing is known of serials.
func passed(c admin.Change, intent exchange.ChangeIntent, applied uint64) admin.Change {
	if c.State == "proposed" && intent.Serial <= applied {
		c.State = "passed"
	}
	return c
}

// AllChanges lists every change, newest first.
func (k *exchangeDesk) AllChanges(ctx context.Context) ([]admin.Change, error) {
	status, _ := k.status(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	entries, err := os.ReadDir(k.folder.path(exchangeDir, "admin", "changes"))
	if err != nil {
		return nil, err
	}
	out := []admin.Change{}
	for _, entry := range entries {
		id, isChange := strings.CutSuffix(entry.Name(), ".change")
		if !isChange {
			continue
		}
		p, intent, err := k.read(id)
		if err != nil {
			return nil, err
		}
		out = append(out, passed(k.view(p, intent), intent, status.Changes))
	}
	slices.SortFunc(out, func(a, b admin.Change) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

// OneChange looks one up.
func (k *exchangeDesk) OneChange(ctx context.Context, id string) (admin.Change, error) {
	status := exchange.EngineStatus{}
	if k.conn != nil {
		status, _ = k.status(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p, intent, err := k.read(id)
	if err != nil {
		return admin.Change{}, err
	}
	return passed(k.view(p, intent), intent, status.Changes), nil
}

// ProposeChange gives a draft its serial, proposer and times, and keeps it. The first roster of all is applied at once:
// nobody could approve it.
func (k *exchangeDesk) ProposeChange(ctx context.Context, by admin.Actor, draft []byte) (admin.Change, error) {
	intent, err := exchange.DecodeBody[exchange.ChangeIntent](draft)
	if err != nil {
		return admin.Change{}, admin.NewProblem(admin.Misused, "body-malformed", err.Error())
	}
	if intent.Serial != 0 || intent.Proposer != "" || intent.Created != 0 || intent.Expires != 0 || len(intent.Note) > reasonMax {
		return admin.Change{}, admin.NewProblem(admin.Misused, "body-malformed", "a draft has no serial, proposer or times, and a note of at most 200 bytes")
	}
	if err := k.sane(ctx, by, intent); err != nil {
		return admin.Change{}, err
	}
	status, err := k.status(ctx)
	if err != nil {
		return admin.Change{}, err
	}
	now := k.now()
	intent.Serial, intent.Proposer = status.Changes+1, by.Person
	intent.Created, intent.Expires = exchange.Millis(now.UnixMilli()), exchange.Millis(now.Add(changeLife).UnixMilli())
	raw, err := exchange.EncodeBody(intent)
	if err != nil {
		return admin.Change{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p := pending{Intent: raw}
	if status.Changes == 0 && intent.Roster != nil {
		if p, err = k.apply(ctx, p, intent); err != nil {
			return admin.Change{}, err
		}
	} else if err := k.judge(p); err != nil {
		return admin.Change{}, err
	}
	if list, err := os.ReadDir(k.folder.path(exchangeDir, "admin", "changes")); err != nil || len(list) >= changesMax {
		return admin.Change{}, errors.Join(err, fmt.Errorf("%d changes are kept, at most %d", len(list), changesMax))
	}
	if err := k.write(p); err != nil {
		return admin.Change{}, err
	}
	k.log.Info("change proposed", "change", admin.ChangeID(raw), "by", by.Person, "serial", intent.Serial)
	return k.view(p, intent), nil
}

// ApproveChange takes one approval, and has the engine apply the change when there are enough.
func (k *exchangeDesk) ApproveChange(ctx context.Context, by admin.Actor, id string, armored []byte) (admin.Change, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, intent, err := k.read(id)
	if err != nil {
		return admin.Change{}, err
	}
	if p.Seq != 0 {
		return k.view(p, intent), nil // it was applied already
	}
	more := p
	more.Approvals = append(slices.Clone(p.Approvals), armored)
	if err := k.judge(more); err != nil {
		return admin.Change{}, err
	}
	if err := k.inTurn(ctx, more, intent); err != nil {
		return admin.Change{}, err
	}
	if len(more.Approvals) >= approvals.ChangeNeed {
		if more, err = k.apply(ctx, more, intent); err != nil {
			return admin.Change{}, err
		}
	}
	if err := k.write(more); err != nil {
		return admin.Change{}, err
	}
	k.log.Info("change approved", "change", id, "by", by.Person, "approvals", len(more.Approvals), "seq", more.Seq)
	return k.view(more, intent), nil
}

// inTurn refuses an approval that could count no more: the engine takes changes in the order of their serials, and another
// one took this one's. With enough approvals the engine itself decides: it may have applied this one and not been heard.
func (k *exchangeDesk) inTurn(ctx context.Context, p pending, intent exchange.ChangeIntent) error {
	if len(p.Approvals) >= approvals.ChangeNeed {
		return nil
	}
	status, err := k.status(ctx)
	if err != nil || intent.Serial > status.Changes {
		return err
	}
	return admin.NewProblem(admin.Refused, "change-passed", fmt.Sprintf("serial %d was taken by another change, so this one cannot be applied any more", intent.Serial),
		"propose it again")
}

// judge refuses now what the engine would refuse later; too few approvals are no reason yet.
func (k *exchangeDesk) judge(p pending) error {
	people, err := k.roster.now()
	if err != nil {
		return err
	}
	_, err = people.Change(p.Intent, p.Approvals, k.files, k.now())
	return withoutCode(err, "approvals-insufficient")
}

// withoutCode drops the refusals of a code from a joined error.
func withoutCode(err error, code string) error {
	var refusal *spend.Refusal
	if joined, is := err.(interface{ Unwrap() []error }); is {
		var left []error
		for _, one := range joined.Unwrap() {
			left = append(left, withoutCode(one, code))
		}
		return errors.Join(left...)
	}
	if errors.As(err, &refusal) && refusal.Code == code {
		return nil
	}
	return err
}

// approver names whose approval it is.
func (k *exchangeDesk) approver(intent, armored []byte) admin.Approval {
	people, err := k.roster.now()
	if err != nil {
		return admin.Approval{}
	}
	return approvalOf(people, intent, armored)
}

// apply sends the change to the engine. The command's identity is the change's own, so sending it again changes nothing.
func (k *exchangeDesk) apply(ctx context.Context, p pending, intent exchange.ChangeIntent) (pending, error) {
	body, err := exchange.EncodeBody(exchange.ChangeBody{Intent: p.Intent, Approvals: p.Approvals})
	if err != nil {
		return p, err
	}
	sum := sha256.Sum256(body)
	kind := exchange.Change
	if intent.Balance != nil {
		kind = exchange.Adjust
	}
	o, err := k.command(ctx, exchange.Command{ID: exchange.ID(sum[:16]), Kind: kind, Body: body})
	switch {
	case err != nil:
		return p, err
	case o.Code == exchange.Done:
		p.Seq = o.Seq
	default:
		p.Result = refusalOf(o)
	}
	return p, nil
}

// command sends one command until its outcome is known, or ctx ends.
func (k *exchangeDesk) command(ctx context.Context, c exchange.Command) (exchange.Outcome, error) {
	cmds, out := []exchange.Command{c}, make([]exchange.Outcome, 1)
	for {
		err := k.admin.Do(ctx, cmds, out)
		switch {
		case err == nil && out[0].Code != exchange.Busy && out[0].Code != exchange.Superseded:
			return out[0], nil
		case errors.Is(err, bus.ErrDenied), errors.Is(err, bus.ErrTooLarge):
			return out[0], err
		}
		select {
		case <-ctx.Done():
			return out[0], admin.NewProblem(admin.Broken, "engine-silent", "the engine does not answer; whether it took the command is not known, and asking again does no harm")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

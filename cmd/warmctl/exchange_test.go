package main

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/words"
)

// changeDesk is a daemon with one change of a market, which it calls what a test says.
type changeDesk struct {
	intent    exchange.ChangeIntent
	called    string // another name for the change
	approvals [][]byte
	refused   string
	raw       []byte // in the place of the intent
}

func newChangeDesk(proposer string) *changeDesk {
	return &changeDesk{intent: exchange.ChangeIntent{Serial: 4, Proposer: proposer, Created: 1, Expires: 4_102_444_800_000,
		Market: &exchange.MarketInfo{ID: 1, Symbol: "BTCUSDT", Base: 1, Quote: 2, State: exchange.MarketHalted}}}
}

func (d *changeDesk) bytes() []byte {
	if d.raw != nil {
		return d.raw
	}
	return must(exchange.EncodeBody(d.intent))
}
func (d *changeDesk) id() string { return admin.ChangeID(d.bytes()) }
func (d *changeDesk) first() string {
	word, _, _ := strings.Cut(words.Line(sha256.Sum256(d.bytes())), " ")
	return word
}

func (d *changeDesk) view() admin.Change {
	c := admin.Change{ID: d.id(), State: "proposed", Intent: d.bytes(), Words: "what the daemon says", Proposer: "nobody", CreatedAt: noon, ExpiresAt: noon, Need: 2, Approvals: []admin.Approval{}}
	if d.called != "" {
		c.ID = d.called
	}
	for range d.approvals {
		c.Approvals = append(c.Approvals, admin.Approval{Person: "alice", Role: "approver", Device: "file", Key: "SHA256:x"})
	}
	if len(d.approvals) > 0 {
		c.State, c.Seq = "applied", 7
	}
	if d.refused != "" {
		c.State, c.Result, c.Seq = "refused", d.refused, 0
	}
	return c
}

func (d *changeDesk) AllChanges(context.Context) ([]admin.Change, error) {
	return []admin.Change{d.view()}, nil
}
func (d *changeDesk) OneChange(context.Context, string) (admin.Change, error) { return d.view(), nil }
func (d *changeDesk) ProposeChange(context.Context, admin.Actor, []byte) (admin.Change, error) {
	return d.view(), nil
}

func (d *changeDesk) ApproveChange(_ context.Context, _ admin.Actor, _ string, armored []byte) (admin.Change, error) {
	if _, _, err := seal.Verify(armored, d.bytes(), seal.Change); err != nil {
		return admin.Change{}, err
	}
	d.approvals = append(d.approvals, armored)
	return d.view(), nil
}

func TestAChangeIsShownFromItsBytesAndSigned(t *testing.T) {
	r := newRig(t)
	d := newChangeDesk("operator")
	r.changes = d
	out := r.mustRun("change", "show", d.id())
	if !strings.Contains(out, "halted") || !strings.Contains(out, "operator") || strings.Contains(out, "what the daemon says") {
		t.Errorf("shown:\n%s", out)
	}
	for _, args := range [][]string{{"--yes-word", "wrong", "--identity", r.identity}} {
		if code, _, _ := r.run(append([]string{"change", "approve", d.id()}, args...)...); code != console.Declined {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	for _, args := range [][]string{nil, {"--identity", r.identity, "--key", "x"}, {"--identity", r.identity}} {
		if code, _, _ := r.run(append([]string{"change", "approve", d.id()}, args...)...); code != console.Usage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if len(d.approvals) > 0 {
		t.Fatal("signed without consent")
	}
	file := filepath.Join(t.TempDir(), "approval")
	r.mustRun("change", "approve", d.id(), "--identity", r.identity, "--yes-word", d.first(), "--out", file)
	if raw, err := os.ReadFile(file); err != nil || len(d.approvals) != 1 || string(raw) != string(d.approvals[0]) {
		t.Errorf("%v, %d approvals", err, len(d.approvals))
	}
	r.mustRun("change", "approve", d.id(), "--signature", file, "--yes-word", d.first())
	if out := r.mustRun("change", "list"); !strings.Contains(out, "BTCUSDT") {
		t.Error(out)
	}
	d.refused = "the market does not exist"
	if code, _, errs := r.run("change", "approve", d.id(), "--signature", file, "--yes-word", d.first()); code != console.Refused || !strings.Contains(errs, d.refused) {
		t.Errorf("exit %d %s", code, errs)
	}
}

func TestAChangeThatIsAnotherOrOnesOwnIsNotSigned(t *testing.T) {
	r := newRig(t)
	d := newChangeDesk("operator")
	r.changes = d
	d.called = "0123456789abcdef"
	if code, _, errs := r.run("change", "approve", d.called, "--identity", r.identity, "--yes-word", d.first()); code != console.NotAuthentic || !strings.Contains(errs, "change-other") {
		t.Errorf("bytes of another change: exit %d %s", code, errs)
	}
	own := newChangeDesk("alice")
	r.changes = own
	if code, _, errs := r.run("change", "approve", own.id(), "--identity", r.identity, "--yes-word", own.first()); code != console.Refused || !strings.Contains(errs, "approver-is-proposer") {
		t.Errorf("one's own change: exit %d %s", code, errs)
	}
}

// desks lets a test put another desk behind the server of its rig.
type desks struct{ r *rig }

func (d desks) AllChanges(ctx context.Context) ([]admin.Change, error) {
	return d.r.changes.AllChanges(ctx)
}
func (d desks) OneChange(ctx context.Context, id string) (admin.Change, error) {
	return d.r.changes.OneChange(ctx, id)
}
func (d desks) ProposeChange(ctx context.Context, by admin.Actor, draft []byte) (admin.Change, error) {
	return d.r.changes.ProposeChange(ctx, by, draft)
}
func (d desks) ApproveChange(ctx context.Context, by admin.Actor, id string, armored []byte) (admin.Change, error) {
	return d.r.changes.ApproveChange(ctx, by, id, armored)
}

// approvesAChange prints every object about changes.
func (r *rig) approvesAChange(prints func(...string)) {
	r.changes = newChangeDesk("operator")
	prints("change", "show", r.changes.id())
	prints("change", "approve", r.changes.id(), "--identity", r.identity, "--yes-word", r.changes.first())
	prints("change", "list")
}

package approvals_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

// office is a roster of people whose keys are for changes; carl's are for intents of the treasury alone.
func office(t *testing.T) approvals.Roster {
	t.Helper()
	var file bytes.Buffer
	for i, name := range []string{"olga", "anna", "bernd", "carl"} {
		ns, role := seal.Change, "approver"
		if name == "carl" {
			ns = seal.Approve
		}
		key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(fileKey(t, 100+i).PublicKey())))
		file.WriteString(name + ` namespaces="` + string(ns) + `",valid-after="20250101Z",valid-before="20300101Z" ` + key + " role=" + role + " site=zurich device=file\n")
	}
	r, err := approvals.ParseRoster(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func changeBytes(t *testing.T, edit func(*exchange.ChangeIntent)) []byte {
	t.Helper()
	i := exchange.ChangeIntent{Serial: 1, Proposer: "olga", Created: created * 1000, Expires: (created + 3600) * 1000,
		Balance: &exchange.Adjustment{Account: 1, Asset: 1}}
	if edit != nil {
		edit(&i)
	}
	raw, err := exchange.EncodeBody(i)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// by signs the bytes as people of the office: 0 olga, 1 anna, 2 bernd, 3 carl, 4 a stranger.
func by(t *testing.T, ns seal.Namespace, raw []byte, people ...int) (out [][]byte) {
	t.Helper()
	for _, n := range people {
		armored, err := seal.Sign(fileKey(t, 100+n), ns, raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, armored)
	}
	return out
}

func TestTwoOtherPeopleGrantAChange(t *testing.T) {
	raw := changeBytes(t, nil)
	g, err := office(t).Change(raw, by(t, seal.Change, raw, 1, 2), true, now)
	if err != nil || !slices.Equal(g.Approvers(), []string{"anna", "bernd"}) || g.Intent().Balance.Account != 1 || !bytes.Equal(g.Bytes(), raw) {
		t.Errorf("%v %+v", err, g)
	}
}

func TestAChangeThatWasNotGrantedIsRefused(t *testing.T) {
	raw := changeBytes(t, nil)
	other := changeBytes(t, func(i *exchange.ChangeIntent) { i.Serial = 2 })
	two := changeBytes(t, func(i *exchange.ChangeIntent) { i.Roster = []byte("x") })
	long := changeBytes(t, func(i *exchange.ChangeIntent) { i.Expires = i.Created + 31*24*3600_000 })
	nobody := changeBytes(t, func(i *exchange.ChangeIntent) { i.Proposer = "zoe" })
	for name, c := range map[string]struct {
		code  string
		raw   []byte
		sigs  [][]byte
		files bool
		at    time.Time
	}{
		"nobody":              {"approvals-insufficient", raw, nil, true, now},
		"one":                 {"approvals-insufficient", raw, by(t, seal.Change, raw, 1), true, now},
		"one twice":           {"approver-twice", raw, by(t, seal.Change, raw, 1, 1), true, now},
		"the proposer":        {"approver-is-proposer", raw, by(t, seal.Change, raw, 0, 1), true, now},
		"a treasury approver": {"approver-role", raw, by(t, seal.Change, raw, 1, 3), true, now},
		"a stranger":          {"approver-unknown", raw, by(t, seal.Change, raw, 1, 4), true, now},
		"another purpose":     {"approval-invalid", raw, by(t, seal.Approve, raw, 1, 2), true, now},
		"another change":      {"approval-invalid", raw, by(t, seal.Change, other, 1, 2), true, now},
		"keys in files":       {"approver-file-key", raw, by(t, seal.Change, raw, 1, 2), false, now},
		"too late":            {"approvals-expired", raw, by(t, seal.Change, raw, 1, 2), true, now.Add(2 * time.Hour)},
		"too early":           {"approvals-not-yet-valid", raw, by(t, seal.Change, raw, 1, 2), true, now.Add(-time.Hour)},
		"two actions":         {"change-malformed", two, by(t, seal.Change, two, 1, 2), true, now},
		"a month and more":    {"change-malformed", long, by(t, seal.Change, long, 1, 2), true, now},
		"no such proposer":    {"proposer-unknown", nobody, by(t, seal.Change, nobody, 1, 2), true, now},
		"cut":                 {"change-malformed", raw[:len(raw)-1], by(t, seal.Change, raw[:len(raw)-1], 1, 2), true, now},
		"too many":            {"approvals-too-many", raw, slices.Repeat(by(t, seal.Change, raw, 1), 17), true, now},
	} {
		g, err := office(t).Change(c.raw, c.sigs, c.files, c.at)
		if err == nil || !slices.Contains(refusalCodes(err), c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		if g.Approvers() != nil {
			t.Errorf("%s: granted by %v", name, g.Approvers())
		}
	}
}

func refusalCodes(err error) (out []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, inner := range joined.Unwrap() {
			out = append(out, refusalCodes(inner)...)
		}
		return out
	}
	var r *spend.Refusal
	if errors.As(err, &r) {
		out = append(out, r.Code)
	}
	return out
}

// What nobody can approve is the first roster, and nothing else comes through that door.
func TestTheFirstChangeIsARoster(t *testing.T) {
	if _, _, err := approvals.First(changeBytes(t, nil), now); err == nil {
		t.Error("a balance was adjusted without approvals")
	}
	defer func() {
		if recover() == nil {
			t.Error("the zero grant was read")
		}
	}()
	approvals.Grant{}.Intent()
}

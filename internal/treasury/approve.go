package treasury

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/spend"
)

// Approve takes one person's signature over the exact intent bytes. It counts because it verifies against the roster,
// not because of who carried it; yet the carrier must be the same person, so that an approval needs both the approval
// key and the certificate.
func (t *Treasury) Approve(ctx context.Context, by Person, serial uint64, armored []byte) (View, error) {
	roster, err := t.Roster()
	if err != nil {
		return View{}, fmt.Errorf("roster: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	intent, err := t.Records.Intent(ctx, serial)
	if err != nil {
		return View{}, err
	}
	if err := t.refuseEnded(intent); err != nil {
		return View{}, err
	}
	if err := t.Records.Note(ctx, "approval-presented", request{by, serial, ""}); err != nil {
		return View{}, err
	}
	one, checks := roster.Judge(intent.Intent, intent.Bytes, [][]byte{armored}, 1, t.Now())
	if verdict := (spend.Verdict{Checks: checks}); len(one) != 1 || !verdict.Clean() {
		return View{}, refusals(checks)
	}
	if one[0].Person != by.Name {
		return View{}, spend.Refuse("approval-carried-by-other", "approval", "the certificate of "+one[0].Person, "that of "+by.Name, one[0].Person+" hands it in with their own certificate")
	}
	approval := Approval{Person: one[0].Person, Key: one[0].Key, Signature: armored}
	after, err := t.Records.Approve(ctx, serial, approval, func(intent Intent, list []Approval) (bool, error) {
		return len(t.count(roster, intent, list)) >= t.rules.Need, nil
	})
	if err != nil {
		return View{}, err
	}
	t.Log.Info("top-up approved by a person", "topup", serial, "person", by.Name, "state", string(after.State))
	if err := t.step(ctx); err != nil {
		t.Log.Warn("top-up goes no further yet", "topup", serial, "error", err.Error())
	}
	if after, err = t.Records.Intent(ctx, serial); err != nil {
		return View{}, err
	}
	return t.view(ctx, after)
}

// count returns the approvers who count now: the roster may have changed since an approval was stored.
func (t *Treasury) count(roster approvals.Roster, intent Intent, list []Approval) []approvals.Approver {
	approvers, _ := t.counting(roster, intent, list)
	return approvers
}

// counting returns the approvers who count now, with their signatures. Each is judged alone, because one that no longer
// counts would make a signer refuse the whole bundle.
func (t *Treasury) counting(roster approvals.Roster, intent Intent, list []Approval) (who []approvals.Approver, kept [][]byte) {
	for _, a := range list {
		one, checks := roster.Judge(intent.Intent, intent.Bytes, [][]byte{a.Signature}, 1, t.judgedAt(intent))
		if verdict := (spend.Verdict{Checks: checks}); len(one) != 1 || !verdict.Clean() {
			continue
		}
		known := func(other approvals.Approver) bool { return other.Person == one[0].Person }
		if !slices.ContainsFunc(who, known) {
			who, kept = append(who, one[0]), append(kept, a.Signature)
		}
	}
	return who, kept
}

// judgedAt is now, or the last second of an intent whose time is over: its approvals are still shown.
func (t *Treasury) judgedAt(intent Intent) time.Time {
	now, last := t.Now(), time.Unix(intent.ExpiresAt-1, 0)
	if now.After(last) {
		return last
	}
	return now
}

// mayPropose reports whether a person has a key on the roster that is valid now, in a role that acts.
func (t *Treasury) mayPropose(roster approvals.Roster, name string) bool {
	for _, person := range roster.People() {
		for _, key := range person.Keys {
			if person.Name == name && key.Role != approvals.RoleAuditor && key.ValidAt(t.Now()) {
				return true
			}
		}
	}
	return false
}

// refusals joins what checks refused.
func refusals(checks []spend.Check) error {
	var all []error
	for _, refusal := range (spend.Verdict{Checks: checks}).Refusals() {
		all = append(all, refusal)
	}
	if len(all) == 0 {
		return spend.Distrust("approval-not-counted", "approval", "an approval that counts", "one that does not", "report this as a defect")
	}
	return errors.Join(all...)
}

package treasury

import (
	"context"
	"errors"
	"fmt"

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
	one, checks := approvals.Judge(roster, intent.Intent, intent.Bytes, [][]byte{armored}, 1, t.Now())
	if len(one) != 1 {
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
	valid, _ := approvals.Judge(roster, intent.Intent, intent.Bytes, signatures(list), t.rules.Need, t.Now())
	return valid
}

func signatures(list []Approval) [][]byte {
	out := make([][]byte, len(list))
	for i, a := range list {
		out[i] = a.Signature
	}
	return out
}

func onRoster(roster approvals.Roster, name string) bool {
	for _, person := range roster.People() {
		if person.Name == name {
			return true
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
		return spend.Distrust("approval-not-counted", "approval", "an approval that counts", "one that does not", "")
	}
	return errors.Join(all...)
}

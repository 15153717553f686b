package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"

	"github.com/coldsign/coldsign/internal/spend"
)

// Approval is one person's signature over an intent's bytes.
type Approval struct {
	Person    string
	Key       string // fingerprint
	Signature []byte // armored SSHSIG
	At        int64  // Unix seconds; set by the store
}

// Judge says whether these approvals are enough; an error takes the newest one back. It runs inside the transaction
// and must not call the store.
type Judge func(Intent, []Approval) (enough bool, err error)

const (
	selectApprovals = "SELECT person, key, signature, at FROM approvals WHERE serial = ? ORDER BY number"
	insertApproval  = "INSERT INTO approvals(serial, person, key, signature, at) VALUES(?, ?, ?, ?, ?)"
)

// Approve adds an approval and, when the judge finds them enough, moves proposed to approved. The same signature again
// changes nothing; another one by the same person is refused (approval-repeated).
func (s *Store) Approve(ctx context.Context, serial uint64, a Approval, judge Judge) (out Intent, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if out, err = intentOf(ctx, tx, serial); err != nil {
			return err
		}
		all, err := approvalsOf(ctx, tx, serial)
		if err != nil {
			return err
		}
		for _, old := range all {
			if old.Person == a.Person && old.Key == a.Key && bytes.Equal(old.Signature, a.Signature) {
				return nil
			}
			if old.Person == a.Person || old.Key == a.Key {
				return spend.Refuse("approval-repeated", fmt.Sprintf("intent %d", serial), "one approval by each person", "a second one by "+old.Person,
					"another person of the roster approves")
			}
		}
		if err := inState(out, Proposed, Approved); err != nil {
			return err
		}
		if err := s.unexpired(out); err != nil {
			return err
		}
		out, err = s.approve(ctx, tx, out, append(all, a), judge)
		return err
	})
	if err != nil {
		return Intent{}, err
	}
	return out, nil
}

func (s *Store) approve(ctx context.Context, tx *sql.Tx, i Intent, all []Approval, judge Judge) (Intent, error) {
	fresh := &all[len(all)-1]
	fresh.At = s.now()
	if _, err := tx.ExecContext(ctx, insertApproval, int64(i.Serial), fresh.Person, fresh.Key, fresh.Signature, fresh.At); err != nil {
		return i, err
	}
	if _, err := s.log(ctx, tx, "intent-approval", fact{"serial": i.Serial, "person": fresh.Person, "key": fresh.Key}); err != nil {
		return i, err
	}
	enough, err := judge(i, all)
	if err != nil || !enough || i.State == Approved {
		return i, err
	}
	if err := s.move(ctx, tx, i, Approved); err != nil {
		return i, err
	}
	i.State, i.UpdatedAt = Approved, s.now()
	_, err = s.log(ctx, tx, "intent-approved", fact{"serial": i.Serial, "approvals": len(all)})
	return i, err
}

// Approvals returns an intent's approvals in the order they came.
func (s *Store) Approvals(ctx context.Context, serial uint64) ([]Approval, error) {
	return approvalsOf(ctx, s.reader, serial)
}

func approvalsOf(ctx context.Context, q querier, serial uint64) ([]Approval, error) {
	var out []Approval
	rows, err := q.QueryContext(ctx, selectApprovals, int64(serial))
	err = each(rows, err, func(row scanner) error {
		var a Approval
		err := row.Scan(&a.Person, &a.Key, &a.Signature, &a.At)
		out = append(out, a)
		return err
	})
	return out, err
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// Halt is a standing alarm: while there is one, nothing is proposed, sealed or finished. Blocks, answers and
// cancellations go on, since they only add to what is known.
type Halt struct {
	Code string // nonce-reused, coin-spent-unknown, or the caller's
	Text string // words for people
	At   int64  // Unix seconds
}

const (
	selectHalts = "SELECT code, text, at FROM halts ORDER BY number"
	insertHalt  = "INSERT INTO halts(code, text, at) VALUES(?, ?, ?)"
	clearHalts  = "DELETE FROM halts"
)

// Halt raises an alarm.
func (s *Store) Halt(ctx context.Context, code, text string) error {
	return s.write(ctx, func(tx *sql.Tx) error { return s.halt(ctx, tx, code, fact{"text": text}) })
}

func (s *Store) halt(ctx context.Context, tx *sql.Tx, code string, detail fact) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, insertHalt, code, string(text), s.now()); err != nil {
		return err
	}
	_, err = s.log(ctx, tx, "halted", fact{"code": code, "detail": detail})
	return err
}

// Halts returns the standing alarms.
func (s *Store) Halts(ctx context.Context) ([]Halt, error) { return haltsOf(ctx, s.reader) }

func haltsOf(ctx context.Context, q querier) ([]Halt, error) {
	var out []Halt
	rows, err := q.QueryContext(ctx, selectHalts)
	err = each(rows, err, func(row scanner) error {
		var h Halt
		err := row.Scan(&h.Code, &h.Text, &h.At)
		h.Text = words(h.Text)
		out = append(out, h)
		return err
	})
	return out, err
}

// words is what an alarm says to people: a text alone as it is, other facts with their names.
func words(detail string) string {
	var facts map[string]json.RawMessage
	if json.Unmarshal([]byte(detail), &facts) != nil {
		return detail
	}
	parts := make([]string, 0, len(facts))
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		text, list := "", []string{}
		switch {
		case json.Unmarshal(facts[name], &text) == nil:
		case json.Unmarshal(facts[name], &list) == nil:
			text = strings.Join(list, " ")
		default:
			text = string(facts[name])
		}
		if name == "text" && len(facts) == 1 {
			return text
		}
		parts = append(parts, name+" "+text)
	}
	return strings.Join(parts, ", ")
}

func refuseHalted(ctx context.Context, tx *sql.Tx) error {
	halts, err := haltsOf(ctx, tx)
	if err != nil || len(halts) == 0 {
		return err
	}
	return spend.Refuse("halted", "daemon", "no standing alarm", halts[0].Code+": "+halts[0].Text,
		"an operator looks into it, then: exchanged halt clear --by NAME --reason TEXT")
}

// ClearHalts takes the alarms down; by says who decided it, and goes into the events.
func (s *Store) ClearHalts(ctx context.Context, by, reason string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, clearHalts); err != nil {
			return err
		}
		_, err := s.log(ctx, tx, "halts-cleared", fact{"by": by, "reason": reason})
		return err
	})
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/jackc/pgx/v5"
)

// Candidate asks for the writer's place again and again, as a standby does, over one connection.
type Candidate struct {
	o     Options
	table *postgresTable // nil: not connected, or SQLite
}

// NewCandidate makes a candidate for the journal that o names.
func NewCandidate(o Options) *Candidate { return &Candidate{o: o} }

// Claim opens the journal for writing, or refuses with journal-in-use while another engine has the place. Any other error
// that is no refusal is of the connection, which the next call makes anew.
func (c *Candidate) Claim(ctx context.Context) (*Journal, error) {
	if c.o.URL == "" {
		return Open(ctx, c.o) // its lock is a file's, and asked for before anything else is touched
	}
	if c.table != nil && c.table.writer.IsClosed() {
		c.table = nil
	}
	if c.table == nil {
		t, err := openPostgres(ctx, c.o)
		if err != nil {
			return nil, err
		}
		c.table = t
	}
	if err := c.table.lock(ctx); err != nil {
		return nil, err
	}
	t := c.table
	c.table = nil
	return open(ctx, t, c.o)
}

// Close gives up waiting. It does nothing to a journal that was claimed.
func (c *Candidate) Close() error {
	if c.table == nil {
		return nil
	}
	return c.table.close()
}

// Holder is who has the writer's place in a PostgreSQL server.
type Holder struct {
	PID     int       // of the server's process for it
	Address string    // where it connected from
	Since   time.Time // when it connected
	Quiet   time.Time // since when the server has heard nothing of it
	Last    uint64    // last command of the journal, and its time
	At      exchange.Millis
}

// FindHolder looks who has the writer's place; nil when nobody has it.
func FindHolder(ctx context.Context, o Options) (*Holder, error) {
	if o.URL == "" {
		return nil, errors.New("the place in SQLite is a lock of its holder's process, and ends with it")
	}
	o.Follow = true
	j, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	t := j.table.(*postgresTable)
	var all []*Holder
	err = t.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, postgresHolder, t.lockNumber())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			h := &Holder{Last: j.last, At: j.at}
			if err := rows.Scan(&h.PID, &h.Address, &h.Since, &h.Quiet); err != nil {
				return err
			}
			all = append(all, h)
		}
		return rows.Err()
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// Evict makes the PostgreSQL server end the connection of a holder. It can never append again: its place went with the
// connection, which is never made anew, and a later epoch stands above its own, be it of a standby that took the place at
// once or one that is begun here and left to nobody. It is for an engine whose process or machine hangs.
func Evict(ctx context.Context, o Options, h *Holder) error {
	t, err := openPostgres(ctx, o)
	if err != nil {
		return err
	}
	if err := t.evict(ctx, h.PID); err != nil {
		return errors.Join(err, t.close())
	}
	if err := t.lock(ctx); err != nil {
		var refusal *spend.Refusal
		if errors.As(err, &refusal) {
			err = nil // somebody stood by
		}
		return errors.Join(err, t.close())
	}
	j, err := open(ctx, t, o)
	if err != nil {
		return err
	}
	return j.Close()
}

// Owned returns nil as long as no other writer has begun an epoch after this one's, and then an error that is
// engine.ErrSuperseded. Appending finds that out by itself; an engine that has nothing to write asks.
func (j *Journal) Owned(ctx context.Context) error {
	t, shared := j.table.(*postgresTable)
	if !shared || j.epoch == 0 {
		return nil // a file's lock ends with its process
	}
	newest, err := t.newest(ctx)
	if err != nil || newest <= j.epoch {
		return err
	}
	last, _, err := t.before(ctx, math.MaxInt64)
	if err != nil {
		return err
	}
	return explain(fmt.Errorf("epoch %d has begun after %d: %w", newest, j.epoch, errTaken), t.place(), last.first)
}

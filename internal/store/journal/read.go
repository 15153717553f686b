package journal

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
)

const (
	metaKey    = "key"
	metaPruned = "pruned"
	// metaRestore is 1 while a backup is being restored, 0 when it was restored.
	metaRestore = "restore"
	fixDamaged  = "the operator runs `exchanged journal verify`, keeps a copy of the files as they are, and restores the last backup; nothing is repaired in place"
)

func (j *Journal) damaged(r *row) error {
	return spend.Distrust("journal-damaged", fmt.Sprintf("%s, frame %d (commands %d to %d)", j.table.place(), r.first, r.first, r.first+r.count-1),
		"the bytes that were written", "other bytes, or a frame that was cut", fixDamaged)
}

func (j *Journal) gap(after, found uint64) error {
	return spend.Distrust("journal-gap", fmt.Sprintf("%s, after command %d", j.table.place(), after), fmt.Sprintf("a frame that begins with command %d", after+1),
		fmt.Sprintf("one that begins with command %d", found), fixDamaged)
}

// explain turns an error of a write into what it means for the exchange, and what to do next.
func explain(err error, place string, last uint64) error {
	after := fmt.Sprintf("%s, after command %d", place, last)
	var server *pgconn.PgError
	switch {
	case errors.Is(err, errTaken):
		return fmt.Errorf("%w: %w", engine.ErrSuperseded, spend.Refuse("journal-superseded", after, "to be the only engine that writes this journal",
			"a frame of another engine", "this engine has stopped; find the other one (its epoch is the newer one) and leave only that running"))
	case errors.Is(err, sqlite3.FULL), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EFBIG), errors.Is(err, syscall.EDQUOT),
		errors.As(err, &server) && server.Code == "53100":
		return fmt.Errorf("%w: %w", spend.Refuse("journal-full", after, "room for one more frame", "a full disk, or a limit on the size of files",
			"free space on the journal's disk, then start the engine again; what was acknowledged is kept"), err)
	}
	return fmt.Errorf("%w: %w", spend.Refuse("journal-write-failed", after, "a durable write", "an error of the disk or of the database server",
		"look at the disk (dmesg, SMART) or the server's log, then start the engine again: it finds out what is durable"), err)
}

// anchor returns what pruning left: zeros when nothing was pruned.
func (j *Journal) anchor(ctx context.Context) (seq uint64, hash [32]byte, err error) {
	raw, err := j.table.meta(ctx, metaPruned)
	if err != nil || raw == nil {
		return 0, hash, err
	}
	seq, hash, ok := j.keys.readAnchor(raw)
	if !ok {
		return 0, hash, spend.Distrust("journal-damaged", j.table.place()+", the mark of pruning", "the bytes that were written", "other bytes", fixDamaged)
	}
	return seq, hash, nil
}

// Chain returns the hash over everything up to the frame that ends with command seq.
func (j *Journal) Chain(ctx context.Context, seq uint64) ([32]byte, error) {
	pruned, hash, err := j.anchor(ctx)
	if err != nil {
		return hash, err
	}
	switch {
	case seq == pruned:
		return hash, nil
	case seq < pruned:
		return hash, j.pruned(seq, pruned)
	}
	r, found, err := j.table.before(ctx, seq+1)
	if err != nil {
		return hash, err
	}
	if !found || r.first+r.count-1 != seq {
		return hash, spend.Distrust("journal-gap", fmt.Sprintf("%s, command %d", j.table.place(), seq), "a frame that ends with it", "none",
			"the snapshot or the records are of another journal, or the journal lost its end: restore all of them from one backup")
	}
	return r.hash(), nil
}

func (j *Journal) pruned(from, upTo uint64) error {
	return spend.Refuse("journal-pruned", fmt.Sprintf("%s, command %d", j.table.place(), from), fmt.Sprintf("a command after %d", upTo), "one that was pruned",
		"start from a snapshot that knows more, or restore a backup that holds the whole journal")
}

// Read visits the frames from the one that begins with command from. See engine.Journal.
func (j *Journal) Read(ctx context.Context, from uint64, visit func(engine.Frame) error) error {
	from = max(from, 1)
	prev, err := j.link(ctx, from)
	if err != nil {
		return err
	}
	var p page
	var commands []byte
	for last, at := from-1, exchange.Millis(0); ; {
		p.reset()
		if err := j.table.page(ctx, last+1, &p); err != nil {
			return err
		}
		if len(p.rows) == 0 {
			return nil
		}
		for i := range p.rows {
			r := &p.rows[i]
			if r.first != last+1 {
				return j.gap(last, r.first)
			}
			if commands, err = j.prove(ctx, commands, r, prev); err != nil {
				return err
			}
			if r.at < at {
				return j.damaged(r)
			}
			last, at, prev = r.first+r.count-1, r.at, r.hash()
			if err := visit(engine.Frame{First: r.first, At: r.at, Commands: commands, Count: int(r.count)}); err != nil {
				return err
			}
		}
	}
}

// link returns the hash that the frame which begins with from must hold.
func (j *Journal) link(ctx context.Context, from uint64) ([32]byte, error) {
	pruned, hash, err := j.anchor(ctx)
	if err != nil {
		return hash, err
	}
	if from <= pruned {
		return hash, j.pruned(from, pruned)
	}
	return j.Chain(ctx, from-1)
}

// prove opens a row's commands into buf after checking that it follows prev.
func (j *Journal) prove(ctx context.Context, buf []byte, r *row, prev [32]byte) ([]byte, error) {
	if _, known := j.keys.epoch(r.epoch); !known {
		if err := j.learnSalts(ctx); err != nil { // a writer came after this reader opened the journal
			return nil, err
		}
	}
	if err := j.understands(r); err != nil {
		return nil, err
	}
	commands, err := j.keys.open(buf[:0], r)
	if err != nil || r.prev != prev || r.count < 1 || r.count > FrameMax {
		return nil, j.damaged(r)
	}
	return commands, nil
}

// Report is what Verify found.
type Report struct {
	Frames, First, Last uint64
	Pruned              uint64 // commands up to this one are gone
	At                  exchange.Millis
	Head                [32]byte // hash over everything
}

// Verify reads the whole journal and proves every frame: its seal, its place in the chain, that no number is missing,
// and that its bytes are as many commands as it says.
func (j *Journal) Verify(ctx context.Context) (Report, error) {
	pruned, hash, err := j.anchor(ctx)
	if err != nil {
		return Report{}, err
	}
	found := Report{Pruned: pruned, First: pruned + 1, Last: pruned, Head: hash}
	var c exchange.Command
	err = j.Read(ctx, pruned+1, func(f engine.Frame) error {
		rest := f.Commands
		for range f.Count {
			if rest, err = c.Read(rest); err != nil {
				break
			}
		}
		if err != nil || len(rest) != 0 {
			return j.damaged(&row{first: f.First, count: uint64(f.Count)})
		}
		found.Frames, found.Last, found.At = found.Frames+1, f.First+uint64(f.Count)-1, f.At
		return nil
	})
	if err == nil && found.Last > pruned {
		found.Head, err = j.Chain(ctx, found.Last)
	}
	return found, err
}

// Prune takes out the frames before the one that begins with command keep, in small transactions, each of which moves
// the mark that the chain begins from. Snapshots that are to be kept must know every command before keep.
func (j *Journal) Prune(ctx context.Context, keep uint64) error {
	for {
		done, err := j.pruneSome(ctx, keep)
		if err != nil || done {
			return err
		}
	}
}

func (j *Journal) pruneSome(ctx context.Context, keep uint64) (done bool, err error) {
	j.writing.Lock()
	defer j.writing.Unlock()
	if j.stopped != nil {
		return true, j.stopped
	}
	pruned, prev, err := j.anchor(ctx)
	if err != nil {
		return true, err
	}
	if keep > j.last+1 {
		return true, fmt.Errorf("prune before command %d: the journal ends with %d", keep, j.last)
	}
	var p page
	if err := j.table.page(ctx, pruned+1, &p); err != nil {
		return true, err
	}
	upTo := pruned
	for i := range p.rows {
		r := &p.rows[i]
		if r.first+r.count > keep || r.first+r.count-1 == j.last {
			break // the last frame stays: it says which language the journal is in
		}
		if r.first != upTo+1 || r.prev != prev {
			return true, j.damaged(r)
		}
		upTo, prev = r.first+r.count-1, r.hash()
	}
	if upTo == pruned {
		return true, nil
	}
	if err := j.table.remove(ctx, upTo+1, metaPruned, j.keys.anchor(upTo, prev)); err != nil {
		return true, j.stop(err)
	}
	return upTo+1 >= keep, nil
}

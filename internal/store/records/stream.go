package records

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// All records as one stream of bytes, the same in both databases: for every table its name, its rows, each after a 1,
// and a 0; then sequence number and time. Whole numbers are 8 bytes, amounts 16, big endian; texts and bytes have their
// length in 4 bytes before them. Sealed fields stay sealed.

const (
	fieldMax     = exchange.BodyMax + 1024
	rebuildBatch = 4 << 20 // bytes of events in one transaction
	restoreBatch = 2000    // rows in one transaction
	// unfinished stands for the sequence number while a backup is being restored.
	unfinished = -1
)

// Hash is the SHA-256 over all records. It is equal wherever the same journal was followed with the same key.
func (r *Records) Hash(ctx context.Context) ([32]byte, error) {
	if err := r.Flush(ctx); err != nil {
		return [32]byte{}, err
	}
	return r.hash(ctx)
}

func (r *Records) hash(ctx context.Context) ([32]byte, error) {
	hash := sha256.New()
	err := r.db.view(ctx, func(tx *sql.Tx) error { return stream(ctx, tx, hash) })
	return [32]byte(hash.Sum(nil)), err
}

func stream(ctx context.Context, tx *sql.Tx, w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	for _, t := range tables() {
		if err := streamTable(ctx, tx, t, out); err != nil {
			return fmt.Errorf("records: table %s: %w", t.name, err)
		}
	}
	seq, at, err := progress(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := out.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, seq), uint64(at))); err != nil {
		return err
	}
	return out.Flush()
}

func streamTable(ctx context.Context, tx *sql.Tx, t table, out *bufio.Writer) error {
	line := appendBytes(nil, []byte(t.name))
	row := make([]any, len(t.kinds))
	for i, kind := range t.kinds {
		switch kind {
		case 'i':
			row[i] = new(int64)
		case 'a':
			row[i] = amountInto{new(money.U128)}
		default:
			row[i] = new([]byte)
		}
	}
	rows, err := tx.QueryContext(ctx, t.all)
	err = each(rows, err, func() error {
		if err := rows.Scan(row...); err != nil {
			return err
		}
		line = append(line, 1)
		for _, value := range row {
			switch v := value.(type) {
			case *int64:
				line = binary.BigEndian.AppendUint64(line, uint64(*v))
			case amountInto:
				line = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(line, v.to.Hi), v.to.Lo)
			case *[]byte:
				line = appendBytes(line, *v)
			}
		}
		_, err := out.Write(line)
		line = line[:0]
		return err
	})
	if err == nil {
		_, err = out.Write(append(line, 0))
	}
	return err
}

func appendBytes(out, raw []byte) []byte {
	return append(binary.BigEndian.AppendUint32(out, uint32(len(raw))), raw...)
}

// fill puts what a stream says into empty tables, a part at a time, and the sequence number last.
func (r *Records) fill(ctx context.Context, in io.Reader) (seq int64, at int64, err error) {
	calls := []call{keepUnfinished()}
	for _, t := range tables() {
		name, err := readBytes(in)
		if err != nil || string(name) != t.name {
			return 0, 0, fmt.Errorf("%w: table %q where %q comes", errBackup, name, t.name)
		}
		for {
			args, more, err := readRow(in, t.kinds)
			if err != nil {
				return 0, 0, err
			}
			if more {
				calls = append(calls, call{query: t.put, args: args})
			}
			if len(calls) > restoreBatch || !more {
				if err := r.db.commit(ctx, calls); err != nil {
					return 0, 0, err
				}
				r.db.tidy()
				calls = calls[:1]
			}
			if !more {
				break
			}
		}
	}
	var last [16]byte
	if _, err := io.ReadFull(in, last[:]); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errBackup, err)
	}
	return int64(binary.BigEndian.Uint64(last[:])), int64(binary.BigEndian.Uint64(last[8:])), nil
}

func keepUnfinished() call {
	return call{query: updateProgress, args: []any{int64(unfinished), int64(0), int64(unfinished)}}
}

func readRow(in io.Reader, kinds string) (args []any, more bool, err error) {
	var buf [16]byte
	if _, err := io.ReadFull(in, buf[:1]); err != nil || buf[0] > 1 {
		return nil, false, errors.Join(errBackup, err)
	}
	if buf[0] == 0 {
		return nil, false, nil
	}
	for _, kind := range kinds {
		switch kind {
		case 'i':
			_, err = io.ReadFull(in, buf[:8])
			args = append(args, int64(binary.BigEndian.Uint64(buf[:])))
		case 'a':
			_, err = io.ReadFull(in, buf[:16])
			args = append(args, amount(money.U128{Hi: binary.BigEndian.Uint64(buf[:]), Lo: binary.BigEndian.Uint64(buf[8:])}))
		default:
			var raw []byte
			raw, err = readBytes(in)
			if kind == 't' {
				args = append(args, string(raw))
			} else {
				args = append(args, raw)
			}
		}
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", errBackup, err)
		}
	}
	return args, true, nil
}

func readBytes(in io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errBackup, err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > fieldMax {
		return nil, fmt.Errorf("%w: a field of %d bytes", errBackup, size)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(in, raw); err != nil {
		return nil, fmt.Errorf("%w: %w", errBackup, err)
	}
	return raw, nil
}

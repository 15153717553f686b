package journal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

// A backup file is, big endian: backupMagic; the number of epochs 8, and of each epoch its number 8, its language 4 and the
// random part of its salt 32 (a backup of version 1 has no languages: all are the first); the
// anchor of pruning 72 (zeros when nothing was pruned); the rows, each: first, count, at, epoch 8 each, prev 32, length
// of sealed 4, sealed; first = 0 ends them; the hash over the whole chain 32; SHA-256 over everything before it 32. The
// commands in it are sealed under the store key, which is not in it.
const (
	backupMagic = "coldsign journal backup v2\n"
	backupFirst = "coldsign journal backup v1\n"
	fixBackup   = "take another backup; this one was changed, cut or is of another key"
)

// Write writes a backup of the whole journal as it is when the reading comes to its end, and returns what is in it. It
// may run beside the writer. Every frame is proven on its way.
func (j *Journal) Write(ctx context.Context, to io.Writer) (Report, error) {
	sum := sha256.New()
	w := bufio.NewWriterSize(to, 1<<20)
	both := io.MultiWriter(w, sum)
	pruned, prev, err := j.anchor(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := j.writeHead(ctx, both, pruned, prev); err != nil {
		return Report{}, err
	}
	found := Report{Pruned: pruned, First: pruned + 1, Last: pruned, Head: prev}
	var p page
	var commands []byte
	for {
		p.reset()
		if err := j.table.page(ctx, found.Last+1, &p); err != nil {
			return found, err
		}
		if len(p.rows) == 0 {
			break
		}
		for i := range p.rows {
			r := &p.rows[i]
			if r.first != found.Last+1 {
				return found, j.gap(found.Last, r.first)
			}
			if commands, err = j.prove(ctx, commands, r, found.Head); err != nil {
				return found, err
			}
			found.Frames, found.Last, found.At, found.Head = found.Frames+1, r.first+r.count-1, r.at, r.hash()
			head := r.head()
			both.Write(head[:]) // of a bufio.Writer and a hash: Flush tells
			both.Write(binary.BigEndian.AppendUint32(nil, uint32(len(r.sealed))))
			if _, err := both.Write(r.sealed); err != nil {
				return found, err
			}
		}
	}
	both.Write(make([]byte, 8))
	both.Write(found.Head[:])
	w.Write(sum.Sum(nil))
	return found, w.Flush()
}

func (j *Journal) writeHead(ctx context.Context, to io.Writer, pruned uint64, hash [32]byte) error {
	salts, err := j.table.salts(ctx)
	if err != nil {
		return err
	}
	out := binary.BigEndian.AppendUint64([]byte(backupMagic), uint64(len(salts)))
	for _, epoch := range slices.Sorted(maps.Keys(salts)) {
		language, ok := languageOf(salts[epoch])
		if !ok {
			return j.damaged(&row{epoch: epoch})
		}
		out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(out, epoch), language)
		out = append(out, salts[epoch][:saltBytes]...)
	}
	if pruned == 0 {
		out = append(out, make([]byte, anchorBytes)...)
	} else {
		out = append(out, j.keys.anchor(pruned, hash)...)
	}
	_, err = to.Write(out)
	return err
}

// backupReader reads the parts of a backup and hashes them.
type backupReader struct {
	from  io.Reader
	first bool // of version 1
	err   error
}

// begin reads the mark that a backup begins with.
func (b *backupReader) begin() error {
	switch magic := string(b.bytes(len(backupMagic))); {
	case b.err == nil && magic == backupMagic:
	case b.err == nil && magic == backupFirst:
		b.first = true
	case b.err == nil && magic > backupMagic && strings.HasPrefix(magic, strings.TrimRight(backupMagic, "2\n")):
		return newer("its beginning", "a backup of version", 2, uint64(magic[len(magic)-2]-'0'))
	default:
		return unreadable("its beginning", "the mark that a backup of a journal begins with", "other bytes")
	}
	return nil
}

func (b *backupReader) bytes(n int) []byte {
	out := make([]byte, n)
	if b.err == nil {
		_, b.err = io.ReadFull(b.from, out)
	}
	return out
}

func (b *backupReader) number() uint64 { return binary.BigEndian.Uint64(b.bytes(8)) }

// Read restores a backup into the journal that o names, which must hold nothing, and returns what is in it. A backup
// that is not whole and genuine to its last byte is refused (backup-damaged). What was written of it by then is marked as
// unfinished, which Open refuses: remove it and restore another one.
func Read(ctx context.Context, o Options, from io.Reader) (Report, error) {
	if len(o.Key) != keyBytes || o.Follow {
		return Report{}, errors.New("journal options: a key of 32 bytes, and a journal to write, are needed to restore")
	}
	var t table
	var err error
	if o.Dir != "" {
		t, err = openSQLite(o)
	} else {
		t, err = openPostgres(ctx, o)
	}
	if err != nil {
		return Report{}, err
	}
	keys, err := newKeyring(o.Key)
	if err != nil {
		return Report{}, errors.Join(err, t.close())
	}
	j := &Journal{table: t, keys: keys, language: o.language()}
	found, err := j.restore(ctx, from)
	return found, errors.Join(err, t.close())
}

func (j *Journal) restore(ctx context.Context, from io.Reader) (found Report, err error) {
	if err := j.table.lock(ctx); err != nil {
		return found, err
	}
	if err := j.mustBeEmpty(ctx); err != nil {
		return found, err
	}
	if err := j.table.setMeta(ctx, metaRestore, []byte{1}); err != nil {
		return found, explain(err, j.table.place(), 0)
	}
	sum := sha256.New()
	raw := bufio.NewReaderSize(from, 1<<20)
	b := &backupReader{from: io.TeeReader(raw, sum)}
	if err := b.begin(); err != nil {
		return found, err
	}
	salts, err := j.restoreSalts(ctx, b)
	if err != nil {
		return found, err
	}
	anchor := b.bytes(anchorBytes)
	if !bytes.Equal(anchor, make([]byte, anchorBytes)) {
		seq, hash, ok := j.keys.readAnchor(anchor)
		if !ok || b.err != nil {
			return found, backupDamaged("the mark of pruning")
		}
		found.Pruned, found.Last, found.Head = seq, seq, hash
		if err := j.table.setMeta(ctx, metaPruned, anchor); err != nil {
			return found, explain(err, j.table.place(), 0)
		}
	}
	found.First = found.Last + 1
	if err := j.restoreRows(ctx, b, &found, salts); err != nil {
		return found, err
	}
	head := b.bytes(32)
	want := sum.Sum(nil)
	trailer, err := io.ReadAll(io.LimitReader(raw, 33))
	if b.err != nil || err != nil || !bytes.Equal(head, found.Head[:]) || !bytes.Equal(trailer, want) {
		return found, backupDamaged("its end")
	}
	err = errors.Join(j.table.setMeta(ctx, metaKey, j.keys.check()), j.table.setMeta(ctx, metaRestore, []byte{0})) // only now is it a journal
	return found, err
}

// unreadable refuses what is no backup at all.
func unreadable(where, expected, found string) error {
	return &spend.Refusal{Kind: spend.Unreadable, Code: "backup-unreadable", Where: where, Expected: expected, Found: found, Fix: "name what `exchanged backup` wrote"}
}

func backupDamaged(where string) error {
	return spend.Distrust("backup-damaged", where, "the bytes that were backed up under this store key", "other bytes", fixBackup)
}

func (j *Journal) mustBeEmpty(ctx context.Context) error {
	salts, err := j.table.salts(ctx)
	if err != nil {
		return err
	}
	mark, err1 := j.table.meta(ctx, metaKey)
	begun, err2 := j.table.meta(ctx, metaRestore)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if len(salts) > 0 || mark != nil || begun != nil {
		return spend.Refuse("restore-not-empty", j.table.place(), "an empty place", "a journal", "restore into a new directory or database; nothing is overwritten")
	}
	return nil
}

func (j *Journal) restoreSalts(ctx context.Context, b *backupReader) (map[uint64][]byte, error) {
	count := b.number()
	if b.err != nil || count < 1 || count > saltsMax {
		return nil, backupDamaged("its epochs")
	}
	salts := map[uint64][]byte{}
	for range count {
		epoch, language := b.number(), uint32(1)
		if !b.first {
			language = binary.BigEndian.Uint32(b.bytes(languageBytes))
		}
		salts[epoch] = withLanguage(b.bytes(saltBytes), language)
		if b.err != nil || language == 0 {
			return nil, backupDamaged("its epochs")
		}
	}
	if err := j.keys.learn(salts); err != nil {
		return nil, err
	}
	return salts, j.table.restoreSalts(ctx, salts)
}

func (j *Journal) restoreRows(ctx context.Context, b *backupReader, found *Report, salts map[uint64][]byte) error {
	var commands []byte
	var p page
	for {
		r, err := readRow(b, found.Last, salts)
		if err != nil {
			return err
		}
		if r.first == 0 || p.full() {
			if err := j.table.restoreRows(ctx, p.rows); err != nil {
				return explain(err, j.table.place(), p.rows[0].first-1)
			}
			p.reset()
		}
		if r.first == 0 {
			return nil
		}
		if err := j.understands(&r); err != nil {
			return err
		}
		if commands, err = j.prove(ctx, commands, &r, found.Head); err != nil {
			return backupDamaged(fmt.Sprintf("frame %d", r.first))
		}
		found.Frames, found.Last, found.At, found.Head = found.Frames+1, r.first+r.count-1, r.at, r.hash()
		p.rows = append(p.rows, r)
	}
}

// readRow reads one row of a backup; first is zero at their end.
func readRow(b *backupReader, last uint64, salts map[uint64][]byte) (row, error) {
	bad := backupDamaged(fmt.Sprintf("after command %d", last))
	r := row{first: b.number()}
	if b.err != nil {
		return r, bad
	}
	if r.first == 0 {
		return r, nil
	}
	r.count, r.at, r.epoch, r.prev = b.number(), exchange.Millis(b.number()), b.number(), [32]byte(b.bytes(32))
	size := binary.BigEndian.Uint32(b.bytes(4))
	if b.err != nil || r.first != last+1 || r.count < 1 || r.count > FrameMax || size > FrameMax+1024 || salts[r.epoch] == nil {
		return r, bad
	}
	if r.sealed = b.bytes(int(size)); b.err != nil {
		return r, bad
	}
	return r, nil
}

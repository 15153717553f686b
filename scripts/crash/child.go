package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/ncruces/go-sqlite3/vfs"
)

// life is what the parent tells a child: where its data are, and how it shall end.
type life struct {
	Dir, URL  string
	Point     string // where it dies; empty: the parent kills it
	Times     int64  // when it comes there for this time
	Fails     bool   // the flush there fails instead
	FileMax   uint64 // no file grows beyond this; zero: no limit
	PruneTo   uint64 // the journal is not pruned beyond this, because the parent has not read more
	Snapshots uint64 // commands between two
}

// The pipes carry messages: type 1, length 4 big endian, payload. To the child: commands. From it: ready (sequence number
// 8, state hash 32), outcomes, and a failure in words.
const (
	msgCommands = 'c'
	msgReady    = 'r'
	msgOutcomes = 'o'
	msgFailure  = 'f'
	messageMax  = 1 << 20
)

func writeMessage(w io.Writer, kind byte, payload []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))
	_, err := w.Write(append(head, payload...))
	return err
}

func readMessage(r io.Reader) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > messageMax {
		return 0, nil, fmt.Errorf("a message of %d bytes", size)
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(r, payload)
	return head[0], payload, err
}

// child runs an engine as the product does, without the HTTP in front of it.
func child(ctx context.Context, spec string) error {
	var l life
	if err := json.Unmarshal([]byte(spec), &l); err != nil {
		return err
	}
	if l.FileMax > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: l.FileMax, Max: l.FileMax}); err != nil {
			return err
		}
	}
	f := &fault{point: l.Point, fails: l.Fails}
	f.left.Store(l.Times)
	vfs.Register("faulty", fileSystem{vfs.Find("os").(vfs.VFSFilename), f})
	out := &messages{w: os.Stdout}
	err := serve(ctx, l, f, out)
	if err != nil {
		out.send(msgFailure, []byte(err.Error()))
	}
	return err
}

type messages struct {
	mu sync.Mutex
	w  io.Writer
}

func (m *messages) send(kind byte, payload []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if writeMessage(m.w, kind, payload) != nil {
		os.Exit(1) // the parent is gone
	}
}

func options(l life) journal.Options {
	o := journal.Options{Key: make([]byte, 32)}
	if l.URL != "" {
		o.URL = l.URL
		return o
	}
	o.Dir, o.FileSystem = l.Dir, "faulty"
	return o
}

// parts are what a child's engine is made of.
type parts struct {
	journal  *journal.Journal
	runner   *engine.Runner
	follower *engine.Follower
}

func assemble(ctx context.Context, l life, f *fault) (p parts, seq uint64, hash [32]byte, err error) {
	o := options(l)
	o.Faults = f.at
	if p.journal, err = journal.Open(ctx, o); err != nil {
		return p, 0, hash, err
	}
	snapshots, err := engine.OpenSnapshots(l.Dir, o.Key, f.at)
	if err != nil {
		return p, 0, hash, err
	}
	mark, err := engine.OpenMark(l.Dir)
	if err != nil {
		return p, 0, hash, err
	}
	from := engine.RecoverOptions{Snapshots: snapshots, Mark: mark}
	state, _, err := engine.Recover(ctx, p.journal, from)
	if err != nil {
		return p, 0, hash, err
	}
	second, _, err := engine.Recover(ctx, p.journal, from)
	if err != nil {
		return p, 0, hash, err
	}
	tail := engine.NewTail()
	p.follower, err = engine.NewFollower(ctx, engine.FollowerOptions{Journal: p.journal, State: second, Tail: tail, Snapshots: snapshots, SnapshotEvery: l.Snapshots, Faults: f.at,
		Prune: func(ctx context.Context, keep uint64) error { return p.journal.Prune(ctx, min(keep, l.PruneTo+1)) }})
	if err != nil {
		return p, 0, hash, err
	}
	p.runner = engine.NewRunner(engine.RunnerOptions{Journal: p.journal, State: state, Tail: tail, Mark: mark, Faults: f.at,
		Now: func() exchange.Millis { return exchange.Millis(time.Now().UnixMilli()) }})
	return p, state.Seq(), state.Hash(), nil
}

func serve(ctx context.Context, l life, f *fault, out *messages) error {
	p, seq, hash, err := assemble(ctx, l, f)
	if err != nil {
		return err
	}
	out.send(msgReady, append(binary.BigEndian.AppendUint64(nil, seq), hash[:]...))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	var running, following error
	work.Go(func() { running = p.runner.Run(ctx) })
	work.Go(func() { following = p.follower.Run(ctx) })
	in := bufio.NewReader(os.Stdin)
	var submitting sync.WaitGroup
	for {
		_, payload, err := readMessage(in)
		if err != nil {
			break // the parent has closed its end: an orderly stop
		}
		submitting.Go(func() { submit(ctx, p.runner, payload, out) })
	}
	submitting.Wait()
	cancel()
	work.Wait()
	return errors.Join(running, following, p.journal.Close())
}

func submit(ctx context.Context, r *engine.Runner, payload []byte, out *messages) {
	var commands []exchange.Command
	for len(payload) > 0 {
		var c exchange.Command
		rest, err := c.Read(payload)
		if err != nil {
			out.send(msgFailure, []byte(err.Error()))
			return
		}
		commands, payload = append(commands, c), rest
	}
	outcomes := make([]exchange.Outcome, len(commands))
	if err := r.Submit(ctx, "gateway", commands, outcomes); err != nil {
		out.send(msgFailure, []byte(err.Error()))
		return
	}
	var raw []byte
	for i := range outcomes {
		raw = outcomes[i].Append(raw)
	}
	out.send(msgOutcomes, raw)
}

package engine

import (
	"bytes"
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/coldsign/coldsign/internal/exchange"
)

// job is one call of Submit: its commands as bytes, and where their outcomes go.
type job struct {
	raw      []byte
	entries  []entry // of the commands that were let in
	outcomes []exchange.Outcome
	left     atomic.Int32 // outcomes that are still to come
	done     chan struct{}
	failed   error // set before done
}

// entry is one command that waits.
type entry struct {
	job      *job
	at       int32 // its place among the commands of the job
	from, to int32 // its bytes in job.raw
	cancel   bool
}

// add encodes a command. It reads the bytes back, because bytes that cannot be read must never reach the journal: every
// replay would stop at them.
func (j *job) add(at int, c *exchange.Command) bool {
	from := len(j.raw)
	j.raw = c.Append(j.raw)
	var again exchange.Command
	rest, err := again.Read(j.raw[from:])
	if err != nil || len(rest) != 0 {
		j.raw = j.raw[:from]
		return false
	}
	j.entries = append(j.entries, entry{j, int32(at), int32(from), int32(len(j.raw)), c.Kind == exchange.Cancel || c.Kind == exchange.CancelAll})
	return true
}

// answered counts one outcome, or failure, and tells the waiting caller after the last.
func (j *job) answered(failed error) {
	if j.left.Add(-1) == 0 {
		j.failed = failed
		j.done <- struct{}{}
	}
}

// lane is a queue of entries that reuses its memory.
type lane struct {
	entries []entry
	head    int
}

func (l *lane) len() int { return len(l.entries) - l.head }

func (l *lane) push(e entry) {
	if l.head > 0 && l.head*2 >= len(l.entries) {
		n := copy(l.entries, l.entries[l.head:])
		clear(l.entries[n:])
		l.entries, l.head = l.entries[:n], 0
	}
	l.entries = append(l.entries, e)
}

func (l *lane) pop() entry {
	e := l.entries[l.head]
	l.entries[l.head] = entry{}
	l.head++
	return e
}

func (l *lane) size() int { return int(l.entries[l.head].to - l.entries[l.head].from) }

// queue holds what waits for the next frame: cancels in a lane of their own, which goes first, so that a flood of
// orders never keeps anybody from taking theirs out.
type queue struct {
	wake chan struct{} // has a token when something came in
	jobs sync.Pool

	waiting              atomic.Int64 // commands in both lanes; written under mu
	mu                   sync.Mutex
	cancels, orders      lane
	bytes                int
	cancelsMax, queueMax int
	shut                 bool
}

func (q *queue) init(o RunnerOptions) {
	q.wake = make(chan struct{}, 1)
	q.queueMax, q.cancelsMax = cmp.Or(o.QueueMax, queueMax), cmp.Or(o.CancelsMax, queueMax)
}

func (q *queue) job(n int) *job {
	j, _ := q.jobs.Get().(*job)
	if j == nil {
		j = &job{done: make(chan struct{}, 1)}
	}
	for len(j.outcomes) < n {
		j.outcomes = append(j.outcomes, exchange.Outcome{})
	}
	return j
}

// recycle takes back a job that nobody refers to any more.
func (q *queue) recycle(j *job) {
	if cap(j.raw) > frameBytes {
		return
	}
	clear(j.outcomes) // their fills belong to the caller now
	j.raw, j.entries, j.failed = j.raw[:0], j.entries[:0], nil
	q.jobs.Put(j)
}

// put lets all of a job in, or nothing of it.
func (q *queue) put(j *job) bool {
	cancels := 0
	for i := range j.entries {
		if j.entries[i].cancel {
			cancels++
		}
	}
	orders := len(j.entries) - cancels
	j.left.Store(int32(len(j.entries)))
	q.mu.Lock()
	if q.shut || q.cancels.len()+cancels > q.cancelsMax && cancels > 0 || orders > 0 && (q.orders.len()+orders > q.queueMax || q.bytes+len(j.raw) > queueBytesMax) {
		q.mu.Unlock()
		return false
	}
	q.bytes += len(j.raw)
	for _, e := range j.entries {
		if e.cancel {
			q.cancels.push(e)
		} else {
			q.orders.push(e)
		}
	}
	first := q.waiting.Add(int64(len(j.entries))) == int64(len(j.entries))
	q.mu.Unlock()
	if first { // otherwise the one before gave the token, or whoever takes has not looked since
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// len returns how many commands wait.
func (q *queue) len() int { return int(q.waiting.Load()) }

// batch is a frame and whom its outcomes are for.
type batch struct {
	frame   Frame
	entries []entry // none of a tick
}

func newBatch(f Frame, entries []entry) *batch { return &batch{frame: f, entries: entries} }

func (b *batch) last() uint64 { return b.frame.First + uint64(b.frame.Count) - 1 }

func (b *batch) fail(err error) {
	for _, e := range b.entries {
		e.job.answered(err)
	}
}

// newTick makes the frame that says that time passed.
func newTick(first uint64, at exchange.Millis) *batch {
	c := exchange.Command{Kind: exchange.Tick}
	return newBatch(Frame{First: first, At: at, Commands: c.Append(nil), Count: 1}, nil)
}

// take makes a frame of what waits: cancels first, but a quarter of it is left to the others when there are any.
func (q *queue) take(most int, first uint64, at exchange.Millis) *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.cancels.len() + q.orders.len()
	if waiting == 0 {
		return nil
	}
	b := newBatch(Frame{First: first, At: at}, make([]entry, 0, min(waiting, most)))
	size := 0
	b.fill(&q.cancels, most-min(q.orders.len(), most/ordersShare), &size)
	b.fill(&q.orders, most, &size)
	b.frame.Count = len(b.entries)
	raw := bytes.NewBuffer(make([]byte, 0, size))
	for _, e := range b.entries {
		raw.Write(e.job.raw[e.from:e.to])
	}
	b.frame.Commands = raw.Bytes()
	q.bytes -= size
	q.waiting.Add(-int64(len(b.entries)))
	return b
}

// fill moves entries from a lane to the frame until it has most of them, or its bytes are enough.
func (b *batch) fill(l *lane, most int, size *int) {
	for len(b.entries) < most && l.len() > 0 && (len(b.entries) == 0 || *size+l.size() <= frameBytes) {
		*size += l.size()
		b.entries = append(b.entries, l.pop())
	}
}

// close lets nothing more in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut = true
}

// fail ends everything that waits, and lets nothing more in.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut = true
	for _, l := range []*lane{&q.cancels, &q.orders} {
		for l.len() > 0 {
			e := l.pop()
			q.waiting.Add(-1)
			e.job.answered(err)
		}
	}
}

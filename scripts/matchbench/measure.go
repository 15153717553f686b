package main

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// chunkLen operations are timed together; one chunk in sampleEvery is timed operation by operation instead.
const (
	chunkLen    = 1000
	sampleEvery = 8
)

// figures are what one run of one engine over one tape gave.
type figures struct {
	NsPerOp        float64
	P50, P99, P999 int64   // with the clock's own cost in them
	Allocs, Bytes  float64 // of the second half: the first warms up
	HeldMiB        float64
	Trades, Digest uint64
	Live           int
	Kept           float64 // share of chunks that were not interrupted
}

type meter struct {
	e        engine
	f        figures
	digest   digest
	spent    time.Duration
	timed    int
	chunks   int
	kept     int
	samples  []int64
	prepared [2]uint64 // allocations and bytes that the bench made for the engine
	usage    unix.Rusage
	see      func(trade) // made once: a method value is an allocation
}

// interrupted counts how often the kernel took this thread off its core against its will.
func (m *meter) interrupted() int64 {
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &m.usage); err != nil {
		panic(fmt.Sprintf("getrusage: %v", err))
	}
	return m.usage.Nivcsw
}

func measure(make func() engine, t tape) figures {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	empty := heap()
	m := &meter{e: make(), digest: fnvOffset}
	m.see = func(t trade) {
		m.f.Trades++
		m.digest = m.digest.add(t)
	}
	m.samples = append(m.samples, slices.Repeat([]int64{0}, len(t.ops)/sampleEvery+chunkLen)...)[:0]
	for i := 0; i < t.preload; i += chunkLen {
		chunk := t.ops[i:min(i+chunkLen, t.preload)]
		m.e.prepare(chunk)
		for j := range chunk {
			m.e.do(j, &chunk[j])
		}
		m.e.drain(m.see)
	}
	runtime.GC()
	ops := t.ops[t.preload:]
	half := len(ops) / 2
	m.run(ops[:half])
	before, prepared := memory(), m.prepared
	m.run(ops[half:])
	after := memory()
	m.f.Allocs = float64(after.Mallocs-before.Mallocs-(m.prepared[0]-prepared[0])) / float64(len(ops)-half)
	m.f.Bytes = float64(after.TotalAlloc-before.TotalAlloc-(m.prepared[1]-prepared[1])) / float64(len(ops)-half)
	slices.Sort(m.samples)
	at := func(perMille int) int64 {
		if len(m.samples) == 0 { // every sampled chunk was interrupted
			return 0
		}
		return m.samples[len(m.samples)*perMille/1000]
	}
	m.f.P50, m.f.P99, m.f.P999 = at(500), at(990), at(999)
	m.f.NsPerOp, m.f.Kept = float64(m.spent)/float64(max(m.timed, 1)), float64(m.kept)/float64(m.chunks)
	m.f.Digest, m.f.Live = uint64(m.digest), m.e.live()
	m.f.HeldMiB = float64(heap()-empty-uint64(8*cap(m.samples))) / (1 << 20)
	runtime.KeepAlive(t.ops)
	return m.f
}

func (m *meter) run(ops []op) {
	for i := 0; i < len(ops); i += chunkLen {
		chunk := ops[i:min(i+chunkLen, len(ops))]
		mallocs, bytes := m.e.prepare(chunk)
		m.prepared[0], m.prepared[1] = m.prepared[0]+mallocs, m.prepared[1]+bytes
		if m.chunks++; m.chunks%sampleEvery == 0 {
			m.sample(chunk)
		} else {
			m.whole(chunk)
		}
		m.e.drain(m.see)
	}
}

func (m *meter) whole(chunk []op) {
	calm := m.interrupted()
	start := time.Now()
	for j := range chunk {
		m.e.do(j, &chunk[j])
	}
	took := time.Since(start)
	if m.interrupted() == calm {
		m.spent, m.timed, m.kept = m.spent+took, m.timed+len(chunk), m.kept+1
	}
}

func (m *meter) sample(chunk []op) {
	calm, first := m.interrupted(), len(m.samples)
	for j := range chunk {
		start := time.Now()
		m.e.do(j, &chunk[j])
		m.samples = append(m.samples, int64(time.Since(start)))
	}
	if m.interrupted() != calm {
		m.samples = m.samples[:first]
		return
	}
	m.kept++
}

func memory() (s runtime.MemStats) {
	runtime.ReadMemStats(&s)
	return s
}

func heap() uint64 {
	runtime.GC()
	return memory().HeapAlloc
}

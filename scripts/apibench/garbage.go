package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

// The second part: bots that send ten orders a second each, every one from an address of its own, alone and then beside
// nineteen times as many requests that are garbage. Limits count as in the product. Bots and garbage are made by two
// processes, on the processors that the server has too. The one that makes garbage has the lowest priority, because
// attackers bring processors of their own; how much of it came is printed.
const (
	botOrders   = 10 // a second, of each
	garbageLoad = 20 // times the bots' load, of which 95 of 100 are garbage
	garbageConn = 64
)

// rubbish are the kinds, in turn: wrong signatures, keys that nobody has, requests that are none, paths that do not
// exist, and heavy queries from addresses that soon are over every limit.
const rubbishKinds = 6

// garbageReport is what the second process says.
type garbageReport struct {
	Sent     int64
	Seconds  float64
	Statuses map[int]int64
	Broken   int64 // connections that the server closed
}

// runGarbage sends garbage until the time is over.
func runGarbage(in io.Reader, out io.Writer) error {
	var plan loadPlan
	if err := json.NewDecoder(in).Decode(&plan); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(plan.Seconds*float64(time.Second)))
	defer stop()
	senders := make([]*litterer, plan.Connections)
	var wait sync.WaitGroup
	start := time.Now()
	for i := range senders {
		senders[i] = &litterer{driver: newDriver(plan, i), statuses: map[int]int64{}, random: rand.New(rand.NewPCG(plan.Seed, uint64(i)+1<<32))}
		wait.Go(func() { senders[i].litter(ctx, i) })
	}
	wait.Wait()
	report := garbageReport{Seconds: time.Since(start).Seconds(), Statuses: map[int]int64{}}
	for _, s := range senders {
		report.Sent, report.Broken = report.Sent+s.sent, report.Broken+s.broken
		for status, n := range s.statuses {
			report.Statuses[status] += n
		}
	}
	return json.NewEncoder(out).Encode(report)
}

// litterer is one sender. It comes back from another address every so often, as attackers do.
type litterer struct {
	*driver
	random   *rand.Rand
	sent     int64
	broken   int64
	statuses map[int]int64
}

// perAddress is how many requests a sender makes before it has another address: so few that limits refuse only some of it,
// and the rest is read, and its signatures are verified.
const perAddress = 60

func (l *litterer) litter(ctx context.Context, place int) {
	next := time.Now().Add(time.Duration(place) * l.plan.Every / time.Duration(l.plan.Connections))
	for ctx.Err() == nil {
		from := &net.TCPAddr{IP: net.IPv4(127, 64+byte(l.random.IntN(64)), byte(l.random.IntN(256)), 1+byte(l.random.IntN(250)))}
		conn, err := (&net.Dialer{LocalAddr: from, Timeout: time.Second}).DialContext(ctx, "tcp", l.plan.Address)
		if err != nil {
			l.broken++
			time.Sleep(10 * time.Millisecond) // no port was free
			continue
		}
		reader := bufio.NewReaderSize(conn, 8<<10)
		for range perAddress {
			if pause(ctx, &next, l.plan.Every) != nil {
				break
			}
			if _, err := conn.Write(l.rubbish()); err != nil {
				l.broken++
				break
			}
			l.sent++
			status, err := l.read(reader)
			if err != nil {
				l.broken++
				break
			}
			l.statuses[status]++
		}
		conn.Close()
	}
}

// pause waits for a sender's turn. One that is late does not catch up by a burst.
func pause(ctx context.Context, next *time.Time, every time.Duration) error {
	*next = next.Add(every)
	wait := time.Until(*next)
	if wait < -time.Second {
		*next = time.Now()
	}
	if wait <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// rubbish composes a request that must not be served.
func (l *litterer) rubbish() []byte {
	switch l.random.IntN(rubbishKinds) {
	case 0: // a wrong signature: an order whose price is changed behind it
		l.compose(time.Now())
		l.request[len(l.request)-1] ^= 1
		return l.request
	case 1: // a key that nobody has
		key := l.key.Key
		l.key.Key = fmt.Sprintf("%064x", l.random.Uint64())
		l.compose(time.Now())
		l.key.Key = key
		return l.request
	case 2: // parameters that are none
		return []byte("GET /api/v3/depth?symbol=BTCUSDT&limit=1e309&limit=NaN&%zz HTTP/1.1\r\nHost: exchange\r\n\r\n")
	case 3: // a body that is none
		return []byte("POST /api/v3/order HTTP/1.1\r\nHost: exchange\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"symbol\":[[[[[[]")
	case 4: // nothing of this API
		return fmt.Appendf(nil, "GET /wp-admin/%d.php HTTP/1.1\r\nHost: exchange\r\n\r\n", l.random.Uint32())
	default: // as much as one request can ask for
		return []byte("GET /api/v3/depth?symbol=BTCUSDT&limit=5000 HTTP/1.1\r\nHost: exchange\r\n\r\n")
	}
}

// volatile runs the second part and prints it.
func volatile(dir string, seconds float64, rounds, bots int) error {
	fmt.Printf("\norders of %d bots, %d a second each, alone and beside %d times the load, 95 of 100 garbage; limits count; bots and garbage are two\n"+
		"processes on the server's processors; %s/%s, %d processors, load %s, %d runs of %.0f s in turn, added up\n\n",
		bots, botOrders, garbageLoad, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), loadAverage(), rounds, seconds)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\torders/s\trefused\tp50 ms\tp99 ms\tmost ms\tgarbage/s\tserver MiB\t")
	var quiet, loud measured
	for i := range rounds {
		fmt.Fprintf(os.Stderr, "bench-api: garbage, round %d\n", i+1)
		alone, beside, err := volatileRun(dir, seconds, bots)
		if err != nil {
			return err
		}
		quiet.and(alone)
		loud.and(beside)
	}
	for _, m := range []struct {
		name string
		measured
	}{{"alone", quiet}, {"beside garbage", loud}} {
		fmt.Fprintf(table, "%s\t%.0f\t%d\t%.2f\t%.2f\t%.1f\t%.0f\t%.0f\t\n", m.name, m.PerSecond, refusals(m.loadReport), m.P50, m.P99, m.Max, m.garbage, m.rss)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("\nthe slowest hundredth is %.2f times as slow (goal: at most 2); answers to garbage: %v\n", loud.P99/quiet.P99, loud.statuses)
	return nil
}

// and adds another run up: quantiles are of all orders together, rates the last ones, memory the most.
func (m *measured) and(run measured) {
	var all histogram
	copy(all.buckets[:], m.Buckets)
	for i, n := range run.Buckets {
		all.buckets[i] += n
	}
	for code, n := range m.Refused {
		run.Refused[code] += n
	}
	run.Buckets, run.rss = all.buckets[:], max(run.rss, m.rss)
	run.P50, run.P99, run.Max = all.quantile(0.5), all.quantile(0.99), all.quantile(1)
	*m = run
}

func refusals(r loadReport) (n int64) {
	for _, count := range r.Refused {
		n += count
	}
	return n
}

// volatileRun starts a server, lets the bots trade alone and then beside garbage.
func volatileRun(dir string, seconds float64, bots int) (quiet, loud measured, err error) {
	s, err := begin(dir, "guarded")
	if err != nil {
		return quiet, loud, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	plan := s.plan
	plan.Connections, plan.Every, plan.Apart = bots, time.Second/botOrders, true
	plan.Seconds = 2 // warm: keys are known, pages are there
	if _, err := drive(s.self, plan); err != nil {
		return quiet, loud, err
	}
	plan.Seconds, plan.Seed = seconds, 1
	if quiet.loadReport, err = drive(s.self, plan); err != nil {
		return quiet, loud, err
	}
	before, err := ask(s.stop, s.said)
	if err != nil {
		return quiet, loud, err
	}
	litter := plan
	litter.Connections, litter.Seconds = garbageConn, seconds+2
	litter.Every = garbageConn * time.Second / time.Duration((garbageLoad-1)*bots*botOrders)
	garbage, err := startGarbage(s.self, litter)
	if err != nil {
		return quiet, loud, err
	}
	time.Sleep(time.Second) // it is at full rate
	plan.Seed = 2
	loud.loadReport, err = drive(s.self, plan)
	report, errGarbage := garbage()
	after, errAfter := ask(s.stop, s.said)
	if err := errors.Join(err, errGarbage, errAfter); err != nil {
		return quiet, loud, err
	}
	quiet.rss, loud.rss = float64(before.RSS)/1024, float64(after.RSS)/1024
	loud.garbage, loud.statuses = float64(report.Sent)/report.Seconds, report.Statuses
	if n := refusals(loud.loadReport); n > 0 {
		fmt.Fprintf(os.Stderr, "bench-api: orders that were refused beside garbage: %v\n", loud.Refused)
	}
	return quiet, loud, nil
}

// startGarbage begins the second process and returns what waits for its end.
func startGarbage(self string, plan loadPlan) (func() (garbageReport, error), error) {
	raw, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-role", "garbage")
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(raw), &out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() (r garbageReport, err error) {
		if err := cmd.Wait(); err != nil {
			return r, fmt.Errorf("garbage: %w", err)
		}
		return r, json.Unmarshal(out.Bytes(), &r)
	}, nil
}

// residentKiB is what the process has in memory.
func residentKiB() int64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if n, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 && err == nil {
			return kib
		}
	}
	return 0
}

func garbageMain() {
	err := syscall.Setpriority(syscall.PRIO_PGRP, 0, 19) // its own group: all of its threads
	if err == nil {
		err = runGarbage(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "garbage:", err)
		os.Exit(1)
	}
}

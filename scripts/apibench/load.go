package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// loadPlan is what the generator's process is told, as JSON on its standard input.
type loadPlan struct {
	Address     string // host:port of the public listener
	Connections int
	Seconds     float64
	Keys        []apiKey // one account each; connections take turns
	Symbol      string
	Middle      int64 // price, in ticks of Decimals digits
	Decimals    int
	Seed        uint64
	Every       time.Duration // between the orders of one connection; zero: at once
	Apart       bool          // each connection from an address of its own
}

type apiKey struct{ Key, Secret string }

// loadReport is what it prints.
type loadReport struct {
	Orders    int64
	Refused   map[string]int64 // answers other than 200, by status and code
	Seconds   float64
	PerSecond float64
	P50, P99  float64 // milliseconds
	P999, Max float64
	Buckets   []int64 // of the histogram, so that runs can be added up
}

// runLoad drives all connections until the time is over.
func runLoad(in io.Reader, out io.Writer) error {
	var plan loadPlan
	if err := json.NewDecoder(in).Decode(&plan); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(plan.Seconds*float64(time.Second)))
	defer stop()
	drivers := make([]*driver, plan.Connections)
	var wait sync.WaitGroup
	errs := make([]error, plan.Connections)
	start := time.Now()
	for i := range drivers {
		drivers[i] = newDriver(plan, i)
		wait.Go(func() { errs[i] = drivers[i].drive(ctx) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	report := loadReport{Refused: map[string]int64{}, Seconds: time.Since(start).Seconds()}
	var all histogram
	for _, d := range drivers {
		all.add(&d.times)
		report.Orders += d.orders
		for code, n := range d.refused {
			report.Refused[code] += n
		}
	}
	report.PerSecond = float64(report.Orders) / report.Seconds
	report.Buckets = all.buckets[:]
	report.P50, report.P99, report.P999, report.Max = all.quantile(0.5), all.quantile(0.99), all.quantile(0.999), all.quantile(1)
	return json.NewEncoder(out).Encode(report)
}

// driver is one keep-alive connection with one order in flight.
type driver struct {
	plan    loadPlan
	key     apiKey
	mac     hash.Hash
	random  *rand.Rand
	place   int // among the connections
	sent    int64
	orders  int64
	refused map[string]int64
	times   histogram
	query   []byte
	request []byte
	body    []byte
}

func newDriver(plan loadPlan, i int) *driver {
	key := plan.Keys[i%len(plan.Keys)]
	return &driver{plan: plan, place: i, sent: int64(plan.Seed) << 40, key: key, mac: hmac.New(sha256.New, []byte(key.Secret)),
		random: rand.New(rand.NewPCG(plan.Seed, uint64(i))), refused: map[string]int64{}}
}

func (d *driver) drive(ctx context.Context) error {
	dialer := &net.Dialer{}
	if d.plan.Apart {
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 32, 0, 1+byte(d.place))}
	}
	next := time.Now().Add(time.Duration(d.place) * d.plan.Every / time.Duration(d.plan.Connections))
	conn, err := dialer.DialContext(ctx, "tcp", d.plan.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 8<<10)
	for ctx.Err() == nil {
		if d.plan.Every > 0 && pause(ctx, &next, d.plan.Every) != nil {
			return nil
		}
		d.compose(time.Now())
		sent := time.Now()
		if _, err := conn.Write(d.request); err != nil {
			return err
		}
		status, err := d.read(reader)
		if err != nil {
			return err
		}
		if status != 200 {
			d.refused[d.reason(status)]++
			continue
		}
		d.times.note(time.Since(sent))
		d.orders++
	}
	return nil
}

// compose writes a signed order within 16 ticks of the middle, so that about half of them trade at once and the book
// stays as it is, with a name of its own, as bots give them.
func (d *driver) compose(now time.Time) {
	side := "BUY"
	if d.random.IntN(2) == 0 {
		side = "SELL"
	}
	price := d.plan.Middle + int64(d.random.IntN(33)) - 16
	scale := int64(1)
	for range d.plan.Decimals {
		scale *= 10
	}
	q := append(d.query[:0], "symbol="...)
	q = append(q, d.plan.Symbol...)
	q = append(append(q, "&side="...), side...)
	q = append(q, "&type=LIMIT&timeInForce=GTC&quantity=0.001&newOrderRespType=ACK&newClientOrderId="...)
	d.sent++
	q = strconv.AppendInt(q, int64(d.place), 36)
	q = strconv.AppendInt(append(q, '-'), d.sent, 36)
	q = append(q, "&price="...)
	q = strconv.AppendInt(q, price/scale, 10)
	q = fmt.Appendf(append(q, '.'), "%0*d", d.plan.Decimals, price%scale)
	q = strconv.AppendInt(append(q, "&timestamp="...), now.UnixMilli(), 10)
	d.mac.Reset()
	d.mac.Write(q)
	var sum [sha256.Size]byte
	q = hex.AppendEncode(append(q, "&signature="...), d.mac.Sum(sum[:0]))
	d.query = q
	r := append(d.request[:0], "POST /api/v3/order HTTP/1.1\r\nHost: exchange\r\nX-MBX-APIKEY: "...)
	r = append(r, d.key.Key...)
	r = append(r, "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
	r = strconv.AppendInt(r, int64(len(q)), 10)
	d.request = append(append(r, "\r\n\r\n"...), q...)
}

var errAnswer = errors.New("an answer that is not HTTP/1.1 with a length")

// read reads one answer: status line, headers of which only the length counts, body.
func (d *driver) read(from *bufio.Reader) (status int, err error) {
	line, err := from.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, errors.Join(errAnswer, err)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := -1
	for {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		const name = "Content-Length: "
		if len(line) > len(name) && string(line[:len(name)]) == name {
			if length, err = strconv.Atoi(string(line[len(name) : len(line)-2])); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 || length > 1<<20 {
		return 0, errAnswer
	}
	if cap(d.body) < length {
		d.body = make([]byte, length)
	}
	d.body = d.body[:length]
	_, err = io.ReadFull(from, d.body)
	return status, err
}

func (d *driver) reason(status int) string {
	var problem struct {
		Code int    `json:"code"`
		Msg  string `json:"msg"`
	}
	if json.Unmarshal(d.body, &problem) != nil {
		return strconv.Itoa(status)
	}
	return fmt.Sprintf("%d %d %s", status, problem.Code, problem.Msg)
}

// histogram counts times in buckets a sixteenth of a power of two wide, from a microsecond to a minute.
type histogram struct{ buckets [16 * 36]int64 }

func (h *histogram) note(t time.Duration) {
	n := uint64(max(t.Nanoseconds(), 16))
	shift := 0
	for n>>shift >= 32 {
		shift++
	}
	h.buckets[min(shift*16+int(n>>shift)-16, len(h.buckets)-1)]++
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
}

// quantile returns the upper edge of the bucket that holds it, in milliseconds.
func (h *histogram) quantile(q float64) float64 {
	total := int64(0)
	for _, n := range h.buckets {
		total += n
	}
	rank := max(int64(q*float64(total)), 1)
	for i, n := range h.buckets {
		if rank -= n; rank <= 0 {
			return float64(uint64(17+i%16)<<(i/16)) / 1e6
		}
	}
	return 0
}

func loadMain() {
	if err := runLoad(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

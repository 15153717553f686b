package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/storetest"
)

const (
	window   = 24 // messages that wait for their answer
	perBatch = 6  // commands of a message
	resent   = 12 // acknowledged commands that each life is asked about again
	lifeMax  = 30 * time.Second
)

// trial is one exchange that is killed again and again.
type trial struct {
	shadow  *shadow
	base    life
	traders []*storetest.Trader
	owner   map[exchange.ID]*storetest.Trader
	flight  map[exchange.ID]exchange.Command // sent and not answered
	repeats [][]byte                         // messages that are still to be sent again in this life
	recent  []exchange.Command               // answered lately
	kills   int
	acks    int
	again   int
}

func newTrial(base life) *trial {
	t := &trial{shadow: newShadow(), base: base, owner: map[exchange.ID]*storetest.Trader{}, flight: map[exchange.ID]exchange.Command{}}
	for i := range customers {
		t.traders = append(t.traders, storetest.NewTrader(exchange.Account(i+1), uint64(i)+1))
	}
	return t
}

// end is how a life ended.
type end struct {
	killed  bool
	planned bool // by this process, after the answers that were asked for
	failure string
	status  error
}

// live runs one child until it dies, is killed after so many answers, or fails. Then what it left is examined.
func (t *trial) live(ctx context.Context, l life, answers int) (end, error) {
	ctx, cancel := context.WithTimeout(ctx, lifeMax)
	defer cancel()
	spec, err := json.Marshal(l)
	if err != nil {
		return end{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return end{}, err
	}
	cmd := exec.CommandContext(ctx, self, "child", string(spec))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return end{}, err
	}
	e, err := t.talk(cmd, in, bufio.NewReader(out), answers)
	in.Close()
	if err != nil {
		cmd.Process.Kill()
	}
	e.status = cmd.Wait()
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("the child did not end within %s", lifeMax)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		e.killed = true
		t.kills++
	} else if stderr.Len() > 0 && e.failure == "" {
		e.failure = stderr.String()
	}
	return e, err
}

// talk sends commands and reads answers until the pipe ends.
func (t *trial) talk(cmd *exec.Cmd, in io.Writer, out io.Reader, answers int) (e end, err error) {
	kind, payload, err := readMessage(out)
	if err != nil {
		return e, nil // it died before it was ready
	}
	if kind == msgFailure {
		e.failure = string(payload)
		return e, nil
	}
	if err := t.compare(payload); err != nil {
		return e, err
	}
	t.repeat()
	for range window {
		writeMessage(in, msgCommands, t.batch()) // to a dead child: the reading below ends
	}
	for got := 0; ; {
		kind, payload, err := readMessage(out)
		if err != nil {
			return e, nil
		}
		if kind == msgFailure {
			e.failure = string(payload)
			return e, nil
		}
		if err := t.answered(payload); err != nil {
			return e, err
		}
		if got++; got == answers {
			e.planned = true
			return e, cmd.Process.Kill()
		}
		writeMessage(in, msgCommands, t.batch())
	}
}

// compare holds the state that the child recovered, from snapshot and frames, against the shadow's.
func (t *trial) compare(ready []byte) error {
	if err := t.shadow.look(context.Background(), options(t.base)); err != nil {
		return err
	}
	seq, hash := binary.BigEndian.Uint64(ready), [32]byte(ready[8:])
	if seq != t.shadow.state.Seq() || hash != t.shadow.state.Hash() {
		return fmt.Errorf("the child recovered command %d, state %x; the independent replay has command %d, state %x", seq, hash[:8], t.shadow.state.Seq(), head(t.shadow.state.Hash()))
	}
	return nil
}

func head(hash [32]byte) []byte { return hash[:8] }

// repeat plans to send again what was in flight when the last child died, and some of what was answered.
func (t *trial) repeat() {
	var commands []exchange.Command
	for _, c := range t.flight {
		commands = append(commands, c)
	}
	last := t.recent[max(0, len(t.recent)-resent):]
	for _, c := range last {
		t.flight[c.ID] = c
	}
	commands = append(commands, last...)
	t.again += len(commands)
	t.repeats = nil
	for some := range slices.Chunk(commands, perBatch) {
		var raw []byte
		for i := range some {
			raw = some[i].Append(raw)
		}
		t.repeats = append(t.repeats, raw)
	}
}

// batch makes the next message: what is to be repeated, then new commands.
func (t *trial) batch() (raw []byte) {
	if len(t.repeats) > 0 {
		raw, t.repeats = t.repeats[0], t.repeats[1:]
		return raw
	}
	for range perBatch {
		trader := t.traders[len(t.owner)%len(t.traders)]
		c := trader.Next()
		t.owner[c.ID], t.flight[c.ID] = trader, c
		raw = c.Append(raw)
	}
	return raw
}

func (t *trial) answered(payload []byte) error {
	for len(payload) > 0 {
		var o exchange.Outcome
		rest, err := o.Read(payload)
		if err != nil {
			return err
		}
		payload = rest
		if o.Code == exchange.Busy {
			continue // not journalled; it stays in flight and is sent again by the next life
		}
		if err := t.shadow.promise(&o); err != nil {
			return err
		}
		t.acks++
		if c, ok := t.flight[o.ID]; ok {
			t.recent = append(t.recent, c)
			if len(t.recent) > 4096 {
				t.recent = append(t.recent[:0], t.recent[2048:]...)
			}
			delete(t.flight, o.ID)
		}
		t.owner[o.ID].Saw(&o)
	}
	return nil
}

// must says that a life ended as it was meant to.
func (e end) must(code string) error {
	if !strings.Contains(e.failure, code) {
		return fmt.Errorf("the child ended with %q (%v), %s was to be expected", e.failure, e.status, code)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

// goal is how long customers may wait for an acknowledgement after a fault.
const goal = 10 * time.Second

// hanging is how long an engine that was put out is still stopped, while another one works.
const hanging = 2 * time.Second

// fault is one thing that goes wrong under load.
type fault struct {
	name string
	do   func(context.Context) error
}

func (s *stage) faults() []fault {
	out := []fault{{"nothing", func(context.Context) error { return nil }}}
	for i, k := range s.nats {
		out = append(out, fault{fmt.Sprintf("kill -9 of NATS server %d of 3", i+1), func(context.Context) error { return k.Kill() }})
	}
	for i, k := range s.gates {
		out = append(out, fault{fmt.Sprintf("kill -9 of gateway %d of 2", i+1), func(context.Context) error { return k.Kill() }})
	}
	return append(out,
		fault{"kill -9 of the engine; the standby takes over", s.killEngine},
		fault{"kill -9 of the engine that took over", s.killEngine},
		fault{"SIGSTOP of the engine, exchanged journal evict", s.stopEngine},
		fault{"PostgreSQL restarted, mode fast", func(ctx context.Context) error { return errors.Join(s.postgres.Stop(), s.postgres.Run(ctx)) }},
		fault{"PostgreSQL restarted, mode immediate", func(ctx context.Context) error { return errors.Join(s.postgres.Kill(), s.postgres.Run(ctx)) }},
		fault{"kill -9 of the segment limits", func(context.Context) error { return s.named("limits").Kill() }},
		fault{"kill -9 of the segments wallet and admin", func(context.Context) error { return s.named("main").Kill() }})
}

func (s *stage) named(name string) *drive.Keeper {
	for _, k := range s.keepers {
		if k.Name == name {
			return k
		}
	}
	panic("no process is called " + name)
}

// working is the engine that has the journal: the one that said so last.
func (s *stage) working() (*drive.Keeper, error) {
	var found *drive.Keeper
	latest := ""
	for _, k := range s.engines {
		raw, err := os.ReadFile(k.Log)
		if err != nil {
			return nil, err
		}
		// The last line of the last start decides: an engine that was started again stands by.
		text := string(raw)
		text = text[strings.LastIndex(text, "---- "):]
		if at := strings.Index(text, "coldsign.engine-ready/v1"); at >= 0 {
			if begun := text[5:35]; begun > latest {
				found, latest = k, begun
			}
		}
	}
	if found == nil {
		return nil, errors.New("no engine says that it works")
	}
	return found, nil
}

// standsBy waits until one engine works and the other one follows it.
func (s *stage) standsBy(ctx context.Context) error {
	for {
		ready := 0
		for _, k := range s.engines {
			raw, err := os.ReadFile(k.Log)
			if err != nil {
				return err
			}
			text := string(raw)
			text = text[max(strings.LastIndex(text, "---- "), 0):]
			if strings.Contains(text, "coldsign.engine-ready/v1") || strings.Contains(text, "standing by") {
				ready++
			}
		}
		if ready == len(s.engines) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("no engine stands by")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *stage) killEngine(ctx context.Context) error {
	if err := s.standsBy(ctx); err != nil {
		return err
	}
	k, err := s.working()
	if err != nil {
		return err
	}
	return k.Kill()
}

// stopEngine has an engine hang, puts it out, and lets it go on when another one works: it must end by itself.
func (s *stage) stopEngine(ctx context.Context) error {
	if err := s.standsBy(ctx); err != nil {
		return err
	}
	k, err := s.working()
	if err != nil {
		return err
	}
	begun := k.Begun()
	if err := k.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	evict := exec.CommandContext(ctx, s.exchanged(), "journal", "evict", "--accept-risk", "engine-loses-its-place", "--data", s.path(k.Name))
	if said, err := evict.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	time.Sleep(hanging)
	if err := k.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	for k.Begun() == begun {
		select {
		case <-ctx.Done():
			return errors.New("the engine that was put out does not end")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// row is a line of the table.
type row struct {
	name    string
	silence []time.Duration // by gateway
	found   drive.Findings
	again   int
}

// watch causes a fault under load and measures, for each gateway, the longest time without an acknowledgement.
func (s *stage) watch(ctx context.Context, f fault, least time.Duration) (r row, err error) {
	r.name = f.name
	limited, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	since := time.Now()
	if err := f.do(limited); err != nil {
		return r, fmt.Errorf("%s: %w", f.name, err)
	}
	for enough := false; !enough; {
		select {
		case <-limited.Done():
			return r, fmt.Errorf("%s: no service within %s; customers heard: %s", f.name, time.Since(since).Round(time.Second), s.load.Heard())
		case <-time.After(50 * time.Millisecond):
		}
		enough = time.Since(since) > least
		r.silence = r.silence[:0]
		for g := range s.gateways {
			longest, count := s.load.Silence(g, since)
			r.silence = append(r.silence, longest)
			enough = enough && count > 40 && s.fresh(g)
		}
	}
	if err := s.standsBy(limited); err != nil {
		return r, err
	}
	known := s.load.Known() // before the replay, which then knows at least as much
	if err := s.replica.CatchUp(limited); err != nil {
		return r, err
	}
	r.found = s.replica.Judge(withoutRecent(known))
	r.again = s.replica.Again
	return r, nil
}

// withoutRecent leaves out what a comparison under load cannot judge: cancels, which may overtake the copy.
func withoutRecent(known []drive.Order) []drive.Order {
	for i := range known {
		known[i].Cancelled = false
	}
	return known
}

// fresh reports whether a gateway acknowledged something in the last second.
func (s *stage) fresh(gateway int) bool {
	_, count := s.load.Silence(gateway, time.Now().Add(-time.Second))
	return count > 0
}

// secondEngine starts an engine on the journal of the one that works.
func (s *stage) secondEngine() (string, error) {
	began := time.Now()
	_, errs, code := drive.Run(s.exchanged(), "run", "--data", s.path("engine3"), "--segment", "engine")
	return refusal(errs, code, time.Since(began))
}

// refusal checks that an engine was refused with one clear sentence.
func refusal(stderr string, code int, took time.Duration) (string, error) {
	sentence := ""
	for _, line := range strings.Split(stderr, "\n") {
		if strings.Contains(line, "journal") && !strings.HasPrefix(line, "time=") {
			sentence = line
			break
		}
	}
	if code != 3 || sentence == "" {
		return "", fmt.Errorf("a second engine ended with exit code %d, expected 3 and a sentence about the journal: %s", code, stderr)
	}
	return fmt.Sprintf("exit code %d after %.1f s: %s", code, took.Seconds(), sentence), nil
}

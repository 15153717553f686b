package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
)

// coolDown is how long new keys and addresses wait. The exchange of a test is set up five minutes ago.
const coolDown = time.Second

// daemon makes a folder with a journal in which the customers stand, starts the program on it, and waits until it is
// ready. Engine and gateway are real segments there, with a bus between them.
func daemon(ctx context.Context, dir, program string, s *site) error {
	data := filepath.Join(dir, "data")
	if out, err := exec.CommandContext(ctx, program, "init", "--data", data, "--network", "regtest", "--exchange", "--second-factor", "either", "--cool-down", coolDown.String()).CombinedOutput(); err != nil {
		return fmt.Errorf("init: %w: %s", err, out)
	}
	if err := founded(ctx, filepath.Join(data, "exchange", "engine"), s); err != nil {
		return err
	}
	public, errPublic := freePort()
	internal, errInternal := freePort()
	file := filepath.Join(data, "exchanged.yaml")
	config, err := os.ReadFile(file)
	if err := errors.Join(errPublic, errInternal, err); err != nil {
		return err
	}
	// The programs ask as often as they can: what they look for is not the limits, which have tests of their own.
	text := strings.NewReplacer("127.0.0.1:8080", public, "127.0.0.1:9080", internal, "address_weight: 1200", "address_weight: 60000",
		"account_weight: 6000", "account_weight: 60000", "orders_10s: 200", "orders_10s: 100000").Replace(string(config))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	s.REST, s.Stream = "http://"+public, "ws://"+public
	cmd := exec.CommandContext(ctx, program, "run", "--data", data, "--segment", "engine,gateway")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("the daemon ended: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
		if r, err := http.Get("http://" + internal + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// founded writes the journal of an exchange with a market and customers.
func founded(ctx context.Context, at string, s *site) error {
	store, errStore := hexKey(filepath.Join(at, "store.key"))
	kek, errKEK := hexKey(filepath.Join(at, "kek.key"))
	if err := errors.Join(errStore, errKEK); err != nil {
		return err
	}
	sealer, err := accounts.NewSealer(kek)
	if err != nil {
		return err
	}
	dir := filepath.Join(at, "journal")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	j, err := journal.Open(ctx, journal.Options{Dir: dir, Group: "main", Key: store})
	if err != nil {
		return err
	}
	rules := accounts.DefaultRules()
	rules.AddressDelay, rules.KeyDelay = exchange.Millis(coolDown.Milliseconds()), exchange.Millis(coolDown.Milliseconds())
	e := &local{ctx: ctx, sealer: sealer}
	var failed error
	e.world = &enginetest.World{State: engine.NewState(engine.StateOptions{Opener: sealer, Rules: rules}), People: enginetest.NewPeople(), Now: past(),
		Seen: func(f engine.Frame) { failed = errors.Join(failed, j.Append(ctx, f, nil)) }}
	return errors.Join(e.catalogue(), e.people(s), failed, j.Close())
}

func hexKey(file string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(strings.TrimSpace(string(raw)))
}

// past is when the exchanges of these tests are set up: codes and waiting times are over when the clients come.
func past() exchange.Millis { return exchange.Millis(time.Now().Add(-5 * time.Minute).UnixMilli()) }

// describe writes what the programs are told.
func (s *site) describe(file string) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

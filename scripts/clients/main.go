// Program clients runs trading programs that nobody here wrote against the public API: ccxt and Binance's own connector,
// at pinned versions, as npm's lock file says.
//
// It exists because a test of ours can share our misunderstanding of somebody else's convention. It starts an exchange
// in this process: the real engine, the real records, the real gateway and limits on a loopback port, without journal and
// bus; or it uses one that runs, with --site FILE. What may never happen here: a check that passes because the program
// did not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// site is what a client's program is told, as JSON in a file: where the exchange is, and who may act there.
type site struct {
	REST    string `json:"rest"`    // http://127.0.0.1:8080
	Stream  string `json:"stream"`  // ws://127.0.0.1:8080
	Trader  access `json:"trader"`  // trades and reads, HMAC
	Second  access `json:"second"`  // the same, another account, Ed25519
	Payer   access `json:"payer"`   // may withdraw
	PayTo   string `json:"payTo"`   // an address of the payer's book
	Symbol  string `json:"symbol"`  // BTCUSDT
	Unified string `json:"unified"` // BTC/USDT
	Updates int    `json:"updates"` // messages of the fastest depth stream to follow
}

// access is a key: a secret for HMAC, or a private key in PEM for Ed25519.
type access struct {
	Key     string `json:"key"`
	Secret  string `json:"secret,omitempty"`
	Private string `json:"private,omitempty"`
}

func main() {
	given := flag.String("site", "", "file that describes an exchange that runs; default: one is started here")
	folder := flag.String("folder", "scripts/clients", "where the programs of npm are")
	updates := flag.Int("updates", 10_000, "messages of the fastest depth stream to follow")
	program := flag.String("exchanged", "", "daemon to start: engine and gateway as segments with a bus between them; default: one process")
	only := flag.String("only", "ccxt.mjs,connector.mjs,depth.mjs", "programs to run")
	flag.Parse()
	if err := run(options{*given, *folder, *program, strings.Split(*only, ","), *updates}); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

type options struct {
	given, folder, program string
	only                   []string
	updates                int
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "clients")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.given == "" {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		o.given = filepath.Join(dir, "site.json")
		s := site{PayTo: payTo, Symbol: "BTCUSDT", Unified: "BTC/USDT", Updates: o.updates}
		if o.program != "" {
			err = daemon(ctx, dir, o.program, &s)
		} else {
			err = start(ctx, dir, &s)
		}
		if err := errors.Join(err, s.describe(o.given)); err != nil {
			return err
		}
	}
	for _, program := range o.only {
		fmt.Println("==", program)
		cmd := exec.Command("node", filepath.Join(o.folder, program), o.given)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
	}
	return nil
}

// start opens an exchange on a loopback port.
func start(ctx context.Context, dir string, s *site) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e, err := newExchange(ctx, dir)
	if err != nil {
		return err
	}
	s.REST, s.Stream = "http://"+l.Addr().String(), "ws://"+l.Addr().String()
	if err := e.people(s); err != nil {
		return err
	}
	server := &http.Server{Handler: e.gateway.Public(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "clients:", err)
		}
	}()
	context.AfterFunc(ctx, func() { server.Close() })
	return nil
}

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
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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
	Updates int    `json:"updates"` // depth updates to follow
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
	updates := flag.Int("updates", 10_000, "depth updates to follow")
	flag.Parse()
	if err := run(*given, *folder, *updates); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(given, folder string, updates int) error {
	dir, err := os.MkdirTemp("", "clients")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if given == "" {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		given = filepath.Join(dir, "site.json")
		if err := start(ctx, dir, given, updates); err != nil {
			return err
		}
	}
	for _, program := range []string{"ccxt.mjs", "connector.mjs", "depth.mjs"} {
		fmt.Println("==", program)
		cmd := exec.Command("node", filepath.Join(folder, program), given)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
	}
	return nil
}

// start opens an exchange on a loopback port and writes its description to a file.
func start(ctx context.Context, dir, file string, updates int) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e, err := newExchange(ctx, dir)
	if err != nil {
		return err
	}
	described := site{REST: "http://" + l.Addr().String(), Stream: "ws://" + l.Addr().String(), PayTo: payTo, Symbol: "BTCUSDT", Unified: "BTC/USDT", Updates: updates}
	if err := e.people(&described); err != nil {
		return err
	}
	raw, err := json.Marshal(described)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
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

package drive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/store/storetest"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Whole is an exchange as `exchanged run` starts it: a supervisor with a bus of its own, each segment a process.
type Whole struct {
	Program    string // exchanged
	Dir        string // with the log
	Data       string // the folder of the exchange
	DSN        string // of PostgreSQL; empty: SQLite
	Gateway    string // public address
	Internal   string // of the gateway: health and metrics
	Supervisor *Keeper
	Operator   *Operator
}

// Chain is the node that an exchange follows, and the wallet that customers pay to. The zero Chain is none.
type Chain struct {
	URL, Credentials string
	Deposits         wallet.Wallet
}

// follow has the exchange follow a node and credit what one block confirms.
func (w *Whole) follow(c Chain) error {
	file := filepath.Join(w.Dir, "deposits.wallet")
	if err := os.WriteFile(file, c.Deposits.Marshal(), 0o600); err != nil {
		return err
	}
	if _, errs, code := Run(w.Program, "wallet", "add", file, "--data", w.Data); code != 0 {
		return fmt.Errorf("wallet add: exit code %d: %s", code, errs)
	}
	credentials, err := os.ReadFile(c.Credentials)
	if err != nil {
		return err
	}
	config := filepath.Join(w.Data, "exchanged.yaml")
	return errors.Join(os.WriteFile(filepath.Join(w.Data, "node.credentials"), credentials, 0o600),
		Configure(config, config, "http://127.0.0.1:1", c.URL, `wallet: "" `, fmt.Sprintf("wallet: %q ", c.Deposits.Name()), "confirmations: [] ", "confirmations: [{need: 1}] "))
}

// Ports draws free ports of loopback.
func Ports(count int) (out []int, err error) {
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out, nil
}

// Start makes an exchange in a folder, starts it and founds it. Without a server its journal is SQLite.
func Start(ctx context.Context, program, dir string, server *storetest.Server, chain Chain) (*Whole, error) {
	w := &Whole{Program: program, Dir: dir, Data: filepath.Join(dir, "main")}
	free, err := Ports(3)
	if err != nil {
		return w, err
	}
	local := func(i int) string { return "127.0.0.1:" + strconv.Itoa(free[i]) }
	w.Gateway, w.Internal = local(0), local(2)
	if _, errs, code := Run(program, "init", "--data", w.Data, "--network", "regtest", "--exchange", "--second-factor", "either", "--cool-down", "0s", "--listen", local(1), "--node-url", "http://127.0.0.1:1"); code != 0 {
		return w, fmt.Errorf("init: exit code %d: %s", code, errs)
	}
	config := filepath.Join(w.Data, "exchanged.yaml")
	if err := errors.Join(os.WriteFile(filepath.Join(w.Data, "node.credentials"), []byte("nobody:nothing\n"), 0o600),
		Configure(config, config, "127.0.0.1:8080", w.Gateway, "127.0.0.1:9080", local(2), "proxies: [] ", `proxies: ["127.0.0.1/32"] `, "WebSockets at most\n    timeout: 5s", "WebSockets at most\n    timeout: 1s")); err != nil {
		return w, err
	}
	if server != nil {
		database, err := server.NewDatabase(ctx)
		if err != nil {
			return w, err
		}
		w.DSN = server.Loopback(database)
		if err := errors.Join(os.WriteFile(filepath.Join(w.Data, "postgres.dsn"), []byte(w.DSN+"\n"), 0o600),
			Configure(config, config, "kind: sqlite ", "kind: postgres ", `dsn: "" `, `dsn: "postgres.dsn" `)); err != nil {
			return w, err
		}
	}
	if chain.URL != "" {
		if err := w.follow(chain); err != nil {
			return w, err
		}
	}
	w.Supervisor = Keep(&Keeper{Name: "exchanged", Log: w.Log(), Delay: RestartDelay,
		Argv: func(bool) []string { return []string{program, "run", "--data", w.Data, "--log-format", "json"} }})
	w.Operator = &Operator{Program: program, Data: w.Data, People: enginetest.NewPeople()}
	if err := w.Operator.Connect(ctx); err != nil {
		return w, err
	}
	if err := w.Operator.Found(ctx); err != nil || chain.URL == "" {
		return w, err
	}
	return w, w.Operator.Change(ctx, "exchange", "deposits", chain.Deposits.Name())
}

// Log is the file that takes everything the exchange says.
func (w *Whole) Log() string { return filepath.Join(w.Dir, "log") }

// Segments are the processes, as the supervisor calls them.
func Segments() []string { return []string{"engine", "wallet", "gateway"} }

// PID is the number of a segment's process now.
func (w *Whole) PID(segment string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(w.Data, "exchange", segment, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(raw)))
}

// Kill ends a segment's process as a power cut would, and waits until the supervisor has started another one.
func (w *Whole) Kill(ctx context.Context, segment string) error {
	before, err := w.PID(segment)
	if err != nil {
		return err
	}
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		return fmt.Errorf("segment %s, process %d: %w", segment, before, err)
	}
	for {
		if now, err := w.PID(segment); err == nil && now != before {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("segment %s is not started again", segment)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the exchange as an operator does, and waits for it.
func (w *Whole) Stop(ctx context.Context) error {
	w.Supervisor.Hold(true)
	if err := w.Supervisor.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	for w.Supervisor.Runs() {
		select {
		case <-ctx.Done():
			return errors.New("exchanged does not end")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Ready waits until every gateway knows the market.
func Ready(ctx context.Context, gateways []string) error {
	client := http.Client{Timeout: 2 * time.Second}
	for _, address := range gateways {
		for {
			reply, err := client.Get("http://" + address + "/api/v3/depth?symbol=BTCUSDT&limit=5")
			if err == nil {
				err = reply.Body.Close()
				if reply.StatusCode == http.StatusOK {
					break
				}
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("gateway %s does not become ready: %v", address, err)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

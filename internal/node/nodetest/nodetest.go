// Package nodetest runs a real btcd on regtest for tests and for the demo.
//
// The node listens on two free ports of loopback and keeps everything in one directory: its chain and logs, a
// configuration with a generated password (without one it would look for a person's own), rpc.credentials, and
// node.json, by which a later process finds a node that was left running. Blocks are mined here, from the node's own
// template, because btcd's generate pays only the address that it was started with.
//
// What may never happen here: an import by product code (a test of the floor plan forbids it), a network other than
// regtest, or a listener outside loopback.
package nodetest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	stateFile    = "node.json"
	startTries   = 5 // a free port may be taken between looking and listening
	startTimeout = 60 * time.Second
	pollEvery    = 20 * time.Millisecond

	// startAddress is where btcd's own generate would pay; a burn address, since Mine never uses it.
	startAddress = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
)

// Options say how to run the node.
type Options struct {
	Binary  string // path of btcd; empty: build/bin/btcd of the project, built when it is missing
	Dir     string // for its data, logs and credentials; must exist
	Outlive bool   // the node goes on after the caller's process ends; Attach finds it again
}

// Node is a running btcd.
type Node struct {
	URL             string // of its RPC
	CredentialsFile string // "user:password", for node.Config
	PID             int

	http   *http.Client
	auth   string
	exited chan error // nil for an attached node, whose parent is somebody else
	serial uint32     // makes every coinbase of this process different
}

// Start runs btcd and waits until its RPC answers.
func Start(ctx context.Context, o Options) (*Node, error) {
	binary := o.Binary
	if binary == "" {
		var err error
		if binary, err = Binary(ctx); err != nil {
			return nil, err
		}
	}
	credentials := filepath.Join(o.Dir, "rpc.credentials")
	auth := "coldsign:" + rand.Text()
	if err := os.WriteFile(credentials, []byte(auth+"\n"), 0o600); err != nil {
		return nil, err
	}
	user, password, _ := strings.Cut(auth, ":")
	config := fmt.Appendf(nil, "[Application Options]\nrpcuser=%s\nrpcpass=%s\n", user, password) // never on a command line
	if err := os.WriteFile(filepath.Join(o.Dir, "btcd.conf"), config, 0o600); err != nil {
		return nil, err
	}
	var last error
	for range startTries {
		n := &Node{CredentialsFile: credentials, auth: auth, http: newHTTP()}
		if last = n.run(ctx, binary, o); last == nil {
			state, err := json.Marshal(n)
			if err != nil {
				return nil, errors.Join(err, n.Close())
			}
			return n, os.WriteFile(filepath.Join(o.Dir, stateFile), state, 0o600)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// Attach finds the node that was started with Outlive in dir.
func Attach(dir string) (*Node, error) {
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	n := &Node{http: newHTTP()}
	if err := json.Unmarshal(raw, n); err != nil {
		return nil, err
	}
	auth, err := os.ReadFile(n.CredentialsFile)
	if err != nil {
		return nil, err
	}
	n.auth = strings.TrimSpace(string(auth))
	return n, nil
}

func newHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: startTimeout}
}

func (n *Node) run(ctx context.Context, binary string, o Options) error {
	rpc, err := freeAddress()
	if err != nil {
		return err
	}
	peer, err := freeAddress()
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, "--regtest", "--notls", "--nodnsseed", "--txindex", "--addrindex", "--rejectnonstd",
		"--miningaddr="+startAddress, "--configfile="+filepath.Join(o.Dir, "btcd.conf"), "--datadir="+filepath.Join(o.Dir, "data"),
		"--logdir="+filepath.Join(o.Dir, "log"), "--rpclisten="+rpc, "--listen="+peer)
	cmd.Dir = o.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is not for the node
	if !o.Outlive {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.URL, n.PID, n.exited = "http://"+rpc, cmd.Process.Pid, make(chan error, 1)
	go func() { n.exited <- cmd.Wait() }()
	return n.await(ctx)
}

// await asks until the node answers, or ends, or time is over.
func (n *Node) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		var height int
		err := n.Call(ctx, "getblockcount", &height)
		if err == nil {
			return nil
		}
		select {
		case end := <-n.exited:
			n.exited <- end
			return fmt.Errorf("btcd ended while starting: %v", end)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("btcd does not answer: %w", err), n.Close())
		case <-time.After(pollEvery):
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Close ends the process by its id and waits for it. Nothing of a regtest chain is worth an orderly end.
func (n *Node) Close() error {
	if n.exited == nil && !n.running() {
		return nil
	}
	if err := syscall.Kill(n.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	if n.exited != nil {
		n.exited <- <-n.exited
	}
	return nil
}

// running reports whether the id of an attached node still belongs to it: ids are given again, to anybody.
func (n *Node) running() bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n.PID))
	return err == nil && strings.Contains(string(line), "--rpclisten="+strings.TrimPrefix(n.URL, "http://"))
}

// Binary returns the project's btcd, building it once when it is missing.
func Binary(ctx context.Context) (string, error) {
	root, err := projectRoot()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "build", "bin")
	path := filepath.Join(bin, "btcd")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(root, "scripts", "tools"), "-o", bin+string(filepath.Separator),
		"github.com/btcsuite/btcd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build btcd: %w: %s", err, out)
	}
	return path, nil
}

// projectRoot walks up from the working directory, which go test sets to the tested package.
func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "tools", "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no project root above the working directory")
		}
		dir = up
	}
}

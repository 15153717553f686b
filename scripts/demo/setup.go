package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/node/nodetest"
)

// The cast. Passphrases are those of a drill on regtest; nothing here guards money.
const (
	passphrase = "correct horse battery staple"
	tokenCold  = "cold-b"     // SoftHSM token with keyholder B's key
	tokenAlice = "alice"      // SoftHSM token with Alice's approval key
	coldName   = "COLD-BTC-A" // 2 of 3: A and C software, B in a token
	hotName    = "HOT-BTC-1"  // 2 of 3, pinned by everybody as a destination
	btc        = 100_000_000  // satoshi
	coldStart  = 20 * btc     // what the cold wallet holds when the story begins
	hotStart   = 4 * btc / 10 // below the floor
	hotFloor   = "1.0"        // BTC
	hotTarget  = "3.0"        // BTC
	daemonData = "exchanged"  // folder of the daemon
)

// story is the stage: folders, programs that run, and what was said.
type story struct {
	dir        string // everything the story makes
	bin        string // the three programs
	say        io.Writer
	transcript io.Writer
	began      time.Time
	step       int
	edit       func(policy string) string // what keyholders change in the template of their policy, unless nil

	node   *nodetest.Node
	miner  *miner
	tokens []hsmtest.Token
	daemon *daemonProcess
	server string // address of the admin listener

	segments int // of an exchange, which say that they are ready beside the daemon
}

func (s *story) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// tell prints one step in words, with the time since the beginning.
func (s *story) tell(format string, args ...any) {
	s.step++
	line := fmt.Sprintf("[%5.1f s] %2d. %s\n", time.Since(s.began).Seconds(), s.step, fmt.Sprintf(format, args...))
	io.WriteString(s.say, line)
	io.WriteString(s.transcript, line)
}

// detail prints what belongs to the step before.
func (s *story) detail(format string, args ...any) {
	line := "             " + fmt.Sprintf(format, args...) + "\n"
	io.WriteString(s.say, line)
	io.WriteString(s.transcript, line)
}

// holder is one keyholder of the cold wallet with an own home.
type holder struct {
	key   string // name of the key, and of the home
	token bool   // the key lies in SoftHSM
}

var holders = []holder{{"a", false}, {"b", true}, {"c", false}}

func (s *story) home(name string) string { return s.path("homes", name) }

// secret is the flag and the secret that unlock a holder's key.
func (h holder) secret() (flag, secret string) {
	if h.token {
		return "--pin-fd", hsmtest.UserPIN
	}
	return "--passphrase-fd", passphrase
}

// coldsign is a call of coldsign in a holder's home, unlocked by file descriptor 3.
func (s *story) coldsign(h holder, args ...string) call {
	c := call{program: "coldsign", args: append(args, "--home", s.home(h.key)), env: []string{s.tokens[0].Env()}}
	return c
}

func (s *story) unlocked(h holder, args ...string) call {
	flag, secret := h.secret()
	c := s.coldsign(h, append(args, "--key", h.key, flag, "3")...)
	c.secret = secret
	return c
}

// provision makes everything up to the first minute of the story: node, keys, wallets, daemon, staff.
func (s *story) provision(ctx context.Context) error {
	for _, dir := range []string{"node", "tokens", "homes", "records", "staff", "carried", "tampered", "pictures"} {
		if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
			return err
		}
	}
	for _, act := range []func(context.Context) error{s.startNode, s.makeKeys, s.makeWallets, s.makeDaemon, s.makeStaff, s.pinTrust, s.fund} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) startNode(ctx context.Context) (err error) {
	if s.node, err = nodetest.Start(ctx, nodetest.Options{Dir: s.path("node"), Binary: filepath.Join(s.bin, "btcd")}); err != nil {
		return err
	}
	if s.miner, err = newMiner(ctx, s.node); err != nil {
		return err
	}
	s.tell("A real btcd node runs on regtest; its customers have mined coins to pay in with.")
	s.tokens, err = hsmtest.Provision(s.path("tokens"), tokenCold, tokenAlice)
	return err
}

func (s *story) makeKeys(context.Context) error {
	for _, name := range []string{"a", "b", "c", "hot1", "hot2", "hot3"} {
		h := holder{name, name == "b"}
		if _, err := s.must(s.coldsign(h, "init", "--network", "regtest")); err != nil {
			return err
		}
		c := s.coldsign(h, "key", "new", name, "--passphrase-fd", "3", "--backup-fd", "4")
		c.secret, c.backup = passphrase, s.path("homes", name+".backup-words")
		if h.token {
			c = s.coldsign(h, "key", "new", name, "--token", tokenCold, "--pin-fd", "3")
			c.secret = hsmtest.UserPIN
		}
		if _, err := s.must(c); err != nil {
			return err
		}
		if _, err := s.must(s.coldsign(h, "key", "export", name, "--out", s.record(name))); err != nil {
			return err
		}
	}
	s.tell("Keyholders made their keys: A and C as encrypted seeds, B inside a PKCS#11 token that never gives it out.")
	s.detail("Each exported a public record: where the key comes from, the key, and a proof that somebody holds it.")
	return nil
}

func (s *story) record(name string) string { return s.path("records", name+".key.json") }

func (s *story) walletFile(name string) string { return s.path("records", name+".wallet.json") }

func (s *story) makeWallets(context.Context) error {
	create := func(name, tier string, keys ...string) error {
		args := []string{"wallet", "create", name}
		for _, k := range keys {
			args = append(args, s.record(k))
		}
		_, err := s.must(s.coldsign(holders[0], append(args, "--tier", tier, "--threshold", "2", "--out", s.walletFile(name))...))
		return err
	}
	if err := create(coldName, "cold", "a", "b", "c"); err != nil {
		return err
	}
	if err := create(hotName, "hot", "hot1", "hot2", "hot3"); err != nil {
		return err
	}
	var cold, hot struct{ Words string }
	for _, h := range holders {
		coldAdd := s.unlocked(h, "wallet", "add", s.walletFile(coldName))
		hotAdd := s.unlocked(h, "wallet", "add", s.walletFile(hotName), "--destination")
		if err := s.addCompared(coldAdd, &cold.Words); err != nil {
			return err
		}
		if err := s.addCompared(hotAdd, &hot.Words); err != nil {
			return err
		}
	}
	s.tell("Two of three keys make the cold wallet %s. Each keyholder pinned it, and the hot wallet %s as a destination.", coldName, hotName)
	s.detail("Everybody read the same twelve words aloud: %s", cold.Words)
	return nil
}

// addCompared pins a file after comparing its twelve words: the first keyholder reads them from the screen, the others
// give what the first one read.
func (s *story) addCompared(c call, words *string) error {
	if *words == "" {
		r, err := s.run(c) // without a terminal and without words it refuses, and says what it wants
		if err != nil {
			return err
		}
		if r.code != 4 {
			return fmt.Errorf("%s pinned something that nobody compared: exit %d\n%s", c, r.code, r.errs)
		}
		if *words, err = s.wordsOf(c.args[2]); err != nil {
			return err
		}
	}
	c.args = append(c.args, "--words", *words)
	_, err := s.must(c)
	return err
}

// daemonProcess is exchanged while it runs.
type daemonProcess struct {
	cmd *exec.Cmd
	log *os.File
	end chan error
}

func (s *story) makeDaemon(ctx context.Context) error {
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	if _, err := s.must(call{program: "exchanged", args: []string{"init", "--data", s.path(daemonData), "--network", "regtest",
		"--listen", listen, "--node-url", s.node.URL, "--node-credentials", s.node.CredentialsFile}}); err != nil {
		return err
	}
	for _, name := range []string{coldName, hotName} {
		if _, err := s.must(call{program: "exchanged", args: []string{"wallet", "add", s.walletFile(name), "--data", s.path(daemonData)}}); err != nil {
			return err
		}
	}
	if err := s.configure(); err != nil {
		return err
	}
	return s.startDaemon(ctx)
}

// freeAddress is a loopback address that nobody listens on now. The daemon keeps it over restarts.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// configure names the hot wallet's floor and target in the daemon's configuration, as an operator would.
func (s *story) configure() error {
	path := s.path(daemonData, "exchanged.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	tiers := fmt.Sprintf("tiers:\n  - wallet: %s\n    floor: %q\n    target: %q\n    from: %s\n", hotName, hotFloor, hotTarget, coldName)
	changed := strings.Replace(string(text), "tiers: []\n", tiers, 1)
	if changed == string(text) {
		return fmt.Errorf("%s has no line \"tiers: []\" to fill in", path)
	}
	return os.WriteFile(path, []byte(changed), 0o600)
}

// startDaemon runs exchanged and waits until it says that it listens, and so do engine and gateway of an exchange.
func (s *story) startDaemon(ctx context.Context) error {
	log, err := os.OpenFile(s.path("exchanged.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "exchanged"), "run", "--config", s.path(daemonData, "exchanged.yaml"))
	cmd.Env, cmd.Stderr = cleanEnv(), log
	cmd.SysProcAttr = endWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	d := &daemonProcess{cmd, log, make(chan error, 1)}
	lines := json.NewDecoder(out)
	for wait := 1 + s.segments; wait > 0; wait-- {
		var ready struct{ Schema, Listen string }
		if err := lines.Decode(&ready); err != nil {
			cmd.Process.Kill()
			tail, _ := os.ReadFile(s.path("exchanged.log"))
			return fmt.Errorf("exchanged did not come up: %w\n%s", err, lastLines(tail, 20))
		}
		if ready.Schema == "coldsign.ready/v1" {
			s.server = ready.Listen
		}
	}
	go func() { io.Copy(io.Discard, out); d.end <- cmd.Wait() }()
	s.daemon = d
	return nil
}

func lastLines(text []byte, n int) []byte {
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-n):], []byte("\n"))
}

// stopDaemon ends exchanged: gently, or as a power cut would.
func (s *story) stopDaemon(hard bool) error {
	if s.daemon == nil {
		return nil
	}
	signal := os.Interrupt
	if hard {
		signal = os.Kill
	}
	s.daemon.cmd.Process.Signal(signal)
	err := <-s.daemon.end
	s.daemon.log.Close()
	s.daemon = nil
	if hard {
		return nil
	}
	return err
}

// close ends every process that the story started.
func (s *story) close() {
	s.stopDaemon(true)
	if s.node != nil {
		s.node.Close()
	}
}

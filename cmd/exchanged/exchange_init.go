package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/spend"
)

// The part of the daemon's folder that is the exchange's. Each segment has a folder of its own, which its system user
// alone needs to read:
//
//	exchange/users              the public bus keys of all segments; the server admits these
//	exchange/SEGMENT/bus.key    the segment's bus key, and the keys that it shares with those it speaks with, 0600
//	exchange/engine/store.key   seals journal, records and snapshots, 0600
//	exchange/engine/kek.key     seals customers' secrets, 0600
//	exchange/gateway/listen.key seals listen keys, which all gateways take, 0600
//	exchange/engine/rules       delays of withdrawals and rules of passkeys; they belong to the journal's beginning and never change
//	exchange/engine/journal/    records/  snapshots/
//	exchange/wallet/deposits    how far deposits are credited
//	exchange/gateway/bans       who sent too many requests, where the gateway counts for itself, 0600
//	exchange/limits/bans        the same, where the segment limits counts
//	exchange/admin/changes/     changes that wait for approvals
//	exchange/admin/tickets/     who closed which ticket, when and why; never changed
//	exchange/SEGMENT/alerts.jsonl   what people were told, and .sent: how far the receiver knows of it, 0600
//	exchange/alerts.jsonl       the same of the supervisor
const exchangeDir = "exchange"

func newExchangeCmd(a *app) *cobra.Command {
	roster := &cobra.Command{
		Use:   "roster",
		Short: "Give the exchange the roster of this folder",
		Long: "The first roster counts at once: it is what the journal begins with, and nobody could approve it. A later one is a change\n" +
			"like others: two people of the present roster approve it (warmctl change approve ID).",
		Example: "  exchanged exchange roster --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runExchangeRoster(a) },
	}
	deposits := &cobra.Command{
		Use:     "deposits WALLET",
		Short:   "Propose the wallet whose receive addresses customers pay to",
		Long:    "The engine pins the wallet file, derives every deposit address from it itself, and credits only what pays to one." + twoPeople,
		Example: "  exchanged exchange deposits DEPOSITS-1 --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runDepositWallet(a, args[0]) },
	}
	return command.Group("exchange", "The exchange's keys, roster and deposit wallet", newExchangeInitCmd(a), newExchangeNatsCmd(a), roster, deposits)
}

func newExchangeInitCmd(a *app) *cobra.Command {
	var begin beginning
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the exchange's keys in a folder that has none",
		Long: "Makes the keys of every segment, each in a folder of its own with mode 0600, and prints the section for exchanged.yaml.\n" +
			"A folder that has them already is left as it is. `exchanged init --exchange` does this and writes the section.",
		Example: "  exchanged exchange init --data /srv/coldsign",
		Args:    command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			c, at, err := a.load()
			if err != nil {
				return err
			}
			if err := makeExchange(at, c.network, begin); err != nil {
				return err
			}
			if a.json {
				return a.JSON("coldsign.exchange-init/v1", map[string]any{"data": string(at), "section": exchangeSection})
			}
			a.Say("keys of the exchange made in %s", at.path(exchangeDir))
			_, err = fmt.Fprint(a.Out, exchangeSection)
			return err
		},
	}
	begin.flags(cmd)
	return cmd
}

// delayMin is the shortest cool-down where coins are worth something.
const delayMin = time.Hour

// stateOptions are what every replay of this folder's journal needs.
func (f folder) stateOptions() (engine.StateOptions, *accounts.Sealer, error) {
	kek, err := f.key32(exchangeDir, "engine", "kek.key")
	if err != nil {
		return engine.StateOptions{}, nil, err
	}
	sealer, err := accounts.NewSealer(kek)
	if err != nil {
		return engine.StateOptions{}, nil, err
	}
	raw, err := console.ReadFile(f.path(exchangeDir, "engine", "rules"), keyMax)
	if err != nil {
		return engine.StateOptions{}, nil, err
	}
	var r rulesFile
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&r)
	rules, valid := r.rules()
	if err != nil || !valid {
		return engine.StateOptions{}, nil, fmt.Errorf("%s is not what init wrote; bring it back from a backup", f.path(exchangeDir, "engine", "rules"))
	}
	return engine.StateOptions{Rules: rules, Opener: sealer}, sealer, nil
}

func newExchangeNatsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "nats",
		Short: "Print what the servers of an external bus must have in their configuration",
		Long: "Prints the block of a NATS configuration that admits the segments by their public keys, each to its own subjects. It\n" +
			"holds no secret. Every server of the cluster needs the same block.",
		Example: "  exchanged exchange nats --data /srv/coldsign > segments.conf",
		Args:    command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			at, err := a.folder()
			if err != nil {
				return err
			}
			users, err := at.busUsers()
			if err != nil {
				return err
			}
			if a.json {
				return a.JSON("coldsign.exchange-nats/v1", map[string]any{"config": bus.ServerConfig(users)})
			}
			_, err = fmt.Fprint(a.Out, bus.ServerConfig(users))
			return err
		},
	}
}

// makeExchange makes folders and keys. It writes the users last: without that file the keys are not used.
func makeExchange(at folder, network spend.Network, begin beginning) error {
	first, err := begin.rules(network)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(at.path(exchangeDir)); err == nil {
		return console.Fail(console.Failed, fmt.Errorf("%s is there already; nothing was changed", at.path(exchangeDir)))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, err := bus.NewCredentials(rand.Reader)
	if err != nil {
		return err
	}
	var files []keyFile
	var users strings.Builder
	for _, c := range all {
		name := c.Segment().String()
		if err := os.MkdirAll(at.path(exchangeDir, name), 0o700); err != nil {
			return err
		}
		files = append(files, keyFile{at.path(exchangeDir, name, "bus.key"), c.Marshal(), 0o600})
		fmt.Fprintf(&users, "%s %s\n", name, c.User())
	}
	for _, dir := range []string{"engine/journal", "engine/records", "engine/snapshots", "admin/changes"} {
		if err := os.MkdirAll(at.path(exchangeDir, dir), 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{"engine/store.key", "engine/kek.key", "gateway/listen.key"} {
		var key [32]byte
		if _, err := rand.Read(key[:]); err != nil {
			return err
		}
		files = append(files, keyFile{at.path(exchangeDir, name), []byte(hex.EncodeToString(key[:]) + "\n"), 0o600})
	}
	rules, err := json.Marshal(rulesFileOf(first))
	if err != nil {
		return err
	}
	files = append(files, keyFile{at.path(exchangeDir, "engine", "rules"), append(rules, '\n'), 0o600}, keyFile{at.path(exchangeDir, "users"), []byte(users.String()), 0o644})
	for _, file := range files {
		if err := console.WriteNew(file.name, file.data, file.mode); err != nil {
			return err
		}
	}
	return nil
}

// busUsers reads the public bus keys.
func (f folder) busUsers() (bus.Users, error) {
	raw, err := console.ReadFile(f.path(exchangeDir, "users"), keyMax)
	if err != nil {
		return nil, console.Fail(console.Failed, err, "exchanged exchange init --data "+string(f))
	}
	users := bus.Users{}
	for _, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		name, key, _ := strings.Cut(line, " ")
		s, err := bus.ParseSegment(name)
		if err != nil || users[s] != "" || key == "" {
			return nil, fmt.Errorf("%s: line %q is not a segment and its key", f.path(exchangeDir, "users"), line)
		}
		users[s] = key
	}
	return users, nil
}

// busCredentials reads what one segment holds.
func (f folder) busCredentials(s bus.Segment) (bus.Credentials, error) {
	raw, err := f.private(exchangeDir, s.String(), "bus.key")
	if err != nil {
		return bus.Credentials{}, console.Fail(console.Failed, err, "exchanged exchange init --data "+string(f))
	}
	c, err := bus.ParseCredentials(raw)
	if err != nil || c.Segment() != s {
		return bus.Credentials{}, fmt.Errorf("%s does not hold the keys of segment %s", f.path(exchangeDir, s.String(), "bus.key"), s)
	}
	return c, nil
}

// key32 reads a file of 64 hexadecimal digits.
func (f folder) key32(name ...string) ([]byte, error) {
	raw, err := f.private(name...)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s is not 64 hexadecimal digits", f.path(name...))
	}
	return key, nil
}

// exchangeSection is what init writes into a new configuration.
const exchangeSection = `exchange:
  bus:
    urls: []                   # none: exchanged run has a server of its own; else of a NATS cluster (exchanged exchange nats)
    ca: ""                     # PEM files for TLS; needed for servers on other machines
    cert: ""
    key: ""
  store:
    kind: sqlite               # or postgres
    dsn: ""                    # of postgres: file with one line, the connection string, mode 0600
    group: main
  gateway:
    listen: "127.0.0.1:8080"   # for customers
    cert: ""                   # PEM files; needed unless listen is loopback
    key: ""
    internal: "127.0.0.1:9080" # health, readiness and metrics; loopback or private
    proxies: []                # blocks of proxies whose X-Forwarded-For is believed
    connections: 10000         # open WebSockets at most
    timeout: 5s
    challenge:                 # of requests that nobody signed, where their conduct asks for one; off without url
      url: ""                  # siteverify of Turnstile or hCaptcha
      secret: ""               # file with one line, mode 0600
      hostname: ""             # that tokens are made for
      action: ""               # the same, where the provider tells it
      timeout: 3s
    limits: own                # shared: where more than one gateway runs
  limits:                      # the defaults, for whoever counts
    address_weight: 1200       # of one IP address (of IPv6: /64) in any 60 seconds
    account_weight: 6000       # of one account in any 60 seconds
    orders_10s: 200            # of one account in 10 seconds
    orders_day: 1000000        # of one account in a day of UTC
    exceptions: []             # e.g. [{block: "198.51.100.0/24", weight: 12000}]: offices behind one address, market makers
  alerts:                      # always in exchange/SEGMENT/alerts.jsonl
    webhook: ""                # and to this receiver, e.g. "http://127.0.0.1:9099/alerts"; loopback or private IP
    timeout: 5s
  deposits:
    wallet: ""                 # registered wallet whose receive addresses customers pay to
    confirmations: []          # e.g. [{below: "1.0", need: 6}, {below: "10.0", need: 12}, {need: 24}]; at least 6 on mainnet
    start: 0                   # no customer paid in a block before this one
`

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/node/nodetest"
)

// What the exchange of the story begins with.
const (
	market      = "BTCUSDT"
	makerBTC    = btc / 2 // satoshi that the maker pays in
	makerAsks   = 3       // orders of the maker, of 0.1 BTC each, from firstAsk upwards
	firstAsk    = 60_000  // USDT
	botUSDT     = "50000" // what the bot's account holds, by an adjustment that two people approved
	exchangeDir = "exchange"
)

// bourse is a story with an exchange: one exchanged with its segments as children, and two customers.
type bourse struct {
	*story
	public string // address of the gateway
	maker  customer
	bot    customer
}

// newBourse makes the stage of an exchange in a folder of its own. A story that is over lends its node and its wallet.
func newBourse(s *story) *bourse { return &bourse{story: s} }

// after is the stage behind a story that was played: below its folder, on the same chain, with its hot wallet.
func (s *story) after() (*bourse, error) {
	next := &story{dir: s.path(exchangeDir), bin: s.bin, say: s.say, transcript: s.transcript, began: s.began, step: s.step, node: s.node, miner: s.miner}
	if err := os.MkdirAll(next.path("records"), 0o700); err != nil {
		return nil, err
	}
	file, err := os.ReadFile(s.walletFile(hotName))
	if err != nil {
		return nil, err
	}
	return newBourse(next), os.WriteFile(next.walletFile(hotName), file, 0o600)
}

// exchanged is a call of the operator.
func (b *bourse) exchanged(args ...string) call {
	return call{program: "exchanged", args: append(args, "--data", b.path(daemonData))}
}

// found makes everything up to the first order: node, wallet, daemon, people, market, customers and their money.
func (b *bourse) found(ctx context.Context) error {
	for _, dir := range []string{"node", "homes", "records", "staff"} {
		if err := os.MkdirAll(b.path(dir), 0o700); err != nil {
			return err
		}
	}
	for _, act := range []func(context.Context) error{b.startChain, b.makeDepositWallet, b.open, b.list, b.admit, b.payIn} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bourse) startChain(ctx context.Context) (err error) {
	if b.node != nil {
		return nil
	}
	if b.node, err = nodetest.Start(ctx, nodetest.Options{Dir: b.path("node"), Binary: filepath.Join(b.bin, "btcd")}); err != nil {
		return err
	}
	if b.miner, err = newMiner(ctx, b.node); err == nil {
		b.tell("A real btcd node runs on regtest; its customers have mined coins to pay in with.")
	}
	return err
}

// makeDepositWallet makes the hot wallet, unless the story before left one: its receive addresses go to customers.
func (b *bourse) makeDepositWallet(context.Context) error {
	if _, err := os.Stat(b.walletFile(hotName)); err == nil {
		return nil
	}
	args := []string{"wallet", "create", hotName}
	for _, name := range []string{"hot1", "hot2", "hot3"} {
		home := []string{"--home", b.home(name)}
		key := call{program: "coldsign", args: append([]string{"key", "new", name, "--passphrase-fd", "3", "--backup-fd", "4"}, home...),
			secret: passphrase, backup: b.path("homes", name+".backup-words")}
		for _, c := range []call{{program: "coldsign", args: append([]string{"init", "--network", "regtest"}, home...)}, key,
			{program: "coldsign", args: append([]string{"key", "export", name, "--out", b.record(name)}, home...)}} {
			if _, err := b.must(c); err != nil {
				return err
			}
		}
		args = append(args, b.record(name))
	}
	_, err := b.must(call{program: "coldsign", args: append(args, "--tier", "hot", "--threshold", "2", "--out", b.walletFile(hotName), "--home", b.home("hot1"))})
	b.tell("Three keyholders made the hot wallet %s. Its keys stay with them; the exchange gets its public file.", hotName)
	return err
}

// open makes the daemon's folder with an exchange in it, registers wallet and people, and starts it.
func (b *bourse) open(ctx context.Context) (err error) {
	var listen, internal string
	addresses := []*string{&listen, &b.public, &internal}
	for _, a := range addresses {
		if *a, err = freeAddress(); err != nil {
			return err
		}
	}
	if _, err := b.must(b.exchanged("init", "--network", "regtest", "--exchange", "--second-factor", "either", "--cool-down", "0s", "--listen", listen,
		"--node-url", b.node.URL, "--node-credentials", b.node.CredentialsFile)); err != nil {
		return err
	}
	var height int
	if err := b.node.Call(ctx, "getblockcount", &height); err != nil {
		return err
	}
	if err := b.rewrite(b.path(daemonData, "exchanged.yaml"), "start: 0                   # no customer", fmt.Sprintf("start: %d # no customer", height+1), "127.0.0.1:8080", b.public, "127.0.0.1:9080", internal,
		`wallet: "" `, `wallet: "`+hotName+`" `, "confirmations: [] ", `confirmations: [{below: "1.0", need: 1}, {need: 2}] `); err != nil {
		return err
	}
	if _, err := b.must(b.exchanged("wallet", "add", b.walletFile(hotName))); err != nil {
		return err
	}
	if err := b.enrolPeople(); err != nil {
		return err
	}
	b.segments = 2 // engine and gateway
	if err := b.startDaemon(ctx); err != nil {
		return err
	}
	for _, name := range []string{"alice", "bob"} {
		if err := b.staffed(name); err != nil {
			return err
		}
	}
	b.tell("One exchanged runs the whole exchange: engine, wallet and gateway are processes of their own, each with its own keys, around a bus.")
	return nil
}

// rewrite replaces texts of a file, each of which has to be there once.
func (b *bourse) rewrite(path string, replacements ...string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(raw)
	for i := 0; i < len(replacements); i += 2 {
		if n := strings.Count(text, replacements[i]); n != 1 {
			return fmt.Errorf("%s has %q %d times, expected once", path, replacements[i], n)
		}
		text = strings.Replace(text, replacements[i], replacements[i+1], 1)
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// enrolPeople makes the roster: Alice and Bob approve, the operator proposes.
func (b *bourse) enrolPeople() error {
	var roster strings.Builder
	for _, person := range []struct{ name, role string }{{"alice", "approver"}, {"bob", "approver"}, {"operator", "operator"}} {
		path := b.identity(person.name)
		if text, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person.name, "-f", path).CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %w\n%s", err, text)
		}
		public, err := os.ReadFile(path + ".pub")
		if err != nil {
			return err
		}
		words := strings.Fields(string(public))
		fmt.Fprintf(&roster, "%s namespaces=\"coldsign-approve-v1,coldsign-change-v1\",valid-after=\"20260101Z\",valid-before=\"20300101Z\" %s %s role=%s site=lisbon device=file\n",
			person.name, words[0], words[1], person.role)
	}
	if err := os.WriteFile(b.path("records", "roster"), []byte(roster.String()), 0o600); err != nil {
		return err
	}
	_, err := b.must(b.exchanged("roster", "set", b.path("records", "roster")))
	return err
}

func (b *bourse) identity(person string) string { return b.path("staff", person+".ed25519") }

// staffed gives a person a home of warmctl with a certificate for the admin listener.
func (b *bourse) staffed(name string) error {
	cert := b.path("staff", name+".crt")
	for _, c := range []call{
		b.warmctlOf(name, "init", "--name", name, "--server", "https://"+b.server, "--ca", b.path(daemonData, "tls", "ca.crt")),
		b.exchanged("staff", "enroll", name, "--csr", b.path("staff", name, "tls.csr"), "--out", cert),
		b.warmctlOf(name, "enroll", "--cert", cert),
	} {
		if _, err := b.must(c); err != nil {
			return err
		}
	}
	return nil
}

// warmctlOf is a call of warmctl by a person who has no token.
func (b *bourse) warmctlOf(person string, args ...string) call {
	return call{program: "warmctl", args: append(args, "--home", b.staffHome(person))}
}

// changed has the operator propose a change, and Alice and Bob approve it.
func (b *bourse) changed(args ...string) error {
	var change struct{ ID, State, Words, Result string }
	if err := b.mustJSON(b.exchanged(args...), &change); err != nil {
		return err
	}
	word, _, _ := strings.Cut(change.Words, " ")
	for _, person := range []string{"alice", "bob"} {
		if change.State == "applied" {
			break
		}
		if err := b.mustJSON(b.warmctlOf(person, "change", "approve", change.ID, "--identity", b.identity(person), "--yes-word", word), &change); err != nil {
			return err
		}
	}
	if change.State != "applied" {
		return fmt.Errorf("change %s of %s is %s: %s", change.ID, strings.Join(args, " "), change.State, change.Result)
	}
	return nil
}

// list makes assets and market, and gives the engine the wallet that customers pay to.
func (b *bourse) list(context.Context) error {
	for _, args := range [][]string{
		{"exchange", "roster"},
		{"asset", "add", "BTC", "--decimals", "8", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001", "--withdraw-day-max", "2"},
		{"exchange", "deposits", hotName},
		{"asset", "add", "USDT", "--decimals", "6"},
		{"market", "add", market, "--base", "BTC", "--quote", "USDT", "--tick", "2", "--lot", "4", "--price-max", "1000000", "--qty-max", "1000"},
	} {
		if err := b.changed(args...); err != nil {
			return err
		}
	}
	b.tell("The operator proposed the assets BTC and USDT and the market %s. Each counted when Alice and Bob had signed its exact bytes.", market)
	return nil
}

// admit opens the customers' accounts with their keys.
func (b *bourse) admit(context.Context) (err error) {
	if b.maker, err = b.newCustomer("maker", true); err != nil {
		return err
	}
	if b.bot, err = b.newCustomer("bot", false); err != nil {
		return err
	}
	if err := b.changed("account", "adjust", "house", botUSDT, "USDT", "--note", "bank transfer 4711"); err != nil {
		return err
	}
	if err := b.changed("account", "adjust", fmt.Sprint(b.bot.account), botUSDT, "USDT", "--note", "bank transfer 4711"); err != nil {
		return err
	}
	b.tell("Two customers: the maker with an Ed25519 key, the bot with an HMAC key. The bot has %s USDT, which Alice and Bob approved too.", botUSDT)
	return nil
}

// payIn has the maker pay real coins to an address of its own, which count when a block has them.
func (b *bourse) payIn(ctx context.Context) error {
	var to struct{ Address string }
	if err := b.patient(ctx, func() error {
		return b.call(b.maker, http.MethodGet, "/sapi/v1/capital/deposit/address", "coin=BTC", &to)
	}); err != nil {
		return err
	}
	txid, err := b.miner.pay(ctx, payment{to.Address, makerBTC})
	if err != nil {
		return err
	}
	errNotYet := fmt.Errorf("deposit %s is not credited", txid)
	if err := b.patient(ctx, func() error {
		has, err := b.free(b.maker, "BTC")
		if err == nil && has == "0" {
			err = errors.Join(errDown, errNotYet)
		}
		return err
	}); err != nil {
		return err
	}
	b.tell("The maker paid 0.5 BTC to its deposit address %s. A block has it, the follower proved it, the ledger credits it.", to.Address)
	b.detail("deposit %s", txid)
	return nil
}

// quote has the maker offer what it has.
func (b *bourse) quote() error {
	for i := range makerAsks {
		var order struct{ OrderID int64 }
		if err := b.call(b.maker, http.MethodPost, "/api/v3/order", fmt.Sprintf("symbol=%s&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.1&price=%d", market, firstAsk+100*i), &order); err != nil {
			return err
		}
	}
	return nil
}

// patient does something again until the exchange can.
func (b *bourse) patient(ctx context.Context, act func() error) error {
	ctx, stop := context.WithTimeout(ctx, stepPatience)
	defer stop()
	for {
		err := act()
		if !errors.Is(err, errDown) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

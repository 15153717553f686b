package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
)

const configMax = 64 << 10

// config is exchanged.yaml. Every key is known or the file is refused; file names in it are relative to its folder.
type config struct {
	Network         string        `yaml:"network"`
	Issuer          string        `yaml:"issuer"`
	Node            nodeConfig    `yaml:"node"`
	Admin           adminConfig   `yaml:"admin"`
	Tiers           []tierConfig  `yaml:"tiers"`
	Fee             feeConfig     `yaml:"fee"`
	Bundle          bundleConfig  `yaml:"bundle"`
	VetoAbove       amountText    `yaml:"veto_above"`
	IntentLifetime  time.Duration `yaml:"intent_lifetime"`
	Confirmations   uint32        `yaml:"confirmations"`
	ApprovalsNeeded int           `yaml:"approvals_needed"`
	Poll            time.Duration `yaml:"poll"`

	Exchange *exchangeConfig `yaml:"exchange"` // nil: treasury alone

	network spend.Network
}

type nodeConfig struct {
	URL         string `yaml:"url"`
	Credentials string `yaml:"credentials"` // file with one line user:password
	CA          string `yaml:"ca"`          // PEM file, for an https node
	Start       uint32 `yaml:"start"`       // no wallet of ours was used in a block before this one
}

type adminConfig struct {
	Listen string `yaml:"listen"`
}

type tierConfig struct {
	Wallet string     `yaml:"wallet"`
	Floor  amountText `yaml:"floor"`
	Target amountText `yaml:"target"`
	From   string     `yaml:"from"`
}

type feeConfig struct {
	Floor  int64 `yaml:"floor"` // satoshi per 1000 vB
	Cap    int64 `yaml:"cap"`
	Blocks int   `yaml:"blocks"` // aim of the estimate
}

// bundleConfig keeps bundles within what a signer and a QR session can take.
type bundleConfig struct {
	InputsMax int `yaml:"inputs_max"`
	FramesMax int `yaml:"frames_max"` // 0: bundles travel as files
}

// amountText is money in a configuration: a quoted decimal. An unquoted 1.0 is a float to YAML and is refused, because
// a float cannot hold every amount.
type amountText struct{ money.Amount }

// UnmarshalYAML reads a quoted decimal in BTC.
func (a *amountText) UnmarshalYAML(value *yaml.Node) error {
	if value.Kind != yaml.ScalarNode || value.Tag != "!!str" {
		return fmt.Errorf("line %d: amount %s is not quoted; write %q", value.Line, value.Value, value.Value)
	}
	amount, err := money.Parse(value.Value, money.BTC)
	if err != nil {
		return fmt.Errorf("line %d: %w", value.Line, err)
	}
	a.Amount = amount
	return nil
}

// inWords says on one line, and without the names of Go's types, which keys of a file are not those of the program.
func inWords(err error) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		return err
	}
	lines := []string{}
	for _, line := range wrong.Errors {
		line, _, _ = strings.Cut(line, " in type ")
		lines = append(lines, strings.Replace(line, "field ", "key ", 1))
	}
	return errors.New(strings.Join(lines, "; "))
}

// parseConfig reads and checks a configuration.
func parseConfig(raw []byte) (config, error) {
	c := config{Confirmations: 6, ApprovalsNeeded: 2, IntentLifetime: 72 * time.Hour, Poll: time.Second,
		Fee: feeConfig{Floor: 1000, Cap: 100_000, Blocks: 6}, Bundle: bundleConfig{InputsMax: 500, FramesMax: 600}}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return c, inWords(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return c, errors.New("more than one document")
	}
	var err error
	if c.network, err = networkNamed(c.Network); err != nil {
		return c, err
	}
	if err := admin.CheckPerson(c.Issuer); err != nil {
		return c, fmt.Errorf("issuer: %w", err)
	}
	if c.Node.URL == "" || c.Node.Credentials == "" {
		return c, errors.New("node needs url and credentials")
	}
	if err := admin.CheckListen(c.Admin.Listen); err != nil {
		return c, err
	}
	if c.Fee.Floor < 1000 || c.Fee.Cap < c.Fee.Floor || c.Fee.Cap > 10_000_000 {
		return c, fmt.Errorf("fee floor %d and cap %d: need 1000 <= floor <= cap <= 10000000 satoshi per 1000 vB", c.Fee.Floor, c.Fee.Cap)
	}
	if c.Poll < 50*time.Millisecond || c.Poll > time.Hour {
		return c, fmt.Errorf("poll is %s, between 50ms and 1h", c.Poll)
	}
	if c.Exchange != nil {
		if err := errors.Join(c.Exchange.check(), c.depositsApart()); err != nil {
			return c, err
		}
	}
	return c, c.rules().Check()
}

// depositsApart refuses a deposit wallet that the treasury fills: its receive addresses belong to customers, and a top-up
// to one of them would be credited to somebody.
func (c config) depositsApart() error {
	for _, tier := range c.Tiers {
		if c.Exchange.Deposits.Wallet != "" && tier.Wallet == c.Exchange.Deposits.Wallet {
			return fmt.Errorf("exchange.deposits.wallet %s is a watched tier: top-ups would be credited to customers; use a wallet of its own", tier.Wallet)
		}
	}
	return nil
}

func (c config) rules() treasury.Rules {
	r := treasury.Rules{Network: c.network, Issuer: c.Issuer, Lifetime: c.IntentLifetime, Confirmations: c.Confirmations,
		Need: c.ApprovalsNeeded, FeeBlocks: c.Fee.Blocks, FeeRateMin: c.Fee.Floor, FeeRateMax: c.Fee.Cap, InputsMax: c.Bundle.InputsMax, FramesMax: c.Bundle.FramesMax,
		VetoAbove: c.VetoAbove.Amount}
	for _, tier := range c.Tiers {
		r.Tiers = append(r.Tiers, treasury.Tier{Wallet: tier.Wallet, From: tier.From, Floor: tier.Floor.Amount, Target: tier.Target.Amount})
	}
	return r
}

func (c config) node(dir string) node.Config {
	return node.Config{URL: c.Node.URL, CredentialsFile: inside(dir, c.Node.Credentials), CAFile: inside(dir, c.Node.CA), Network: c.network,
		FeeFloor: c.Fee.Floor, FeeCap: c.Fee.Cap, Timeout: 10 * time.Second}
}

// inside makes a file name of the configuration relative to its folder.
func inside(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// load finds and reads the configuration that --config or --data names.
func (a *app) load() (config, folder, error) {
	at, err := a.folder()
	if err != nil {
		return config{}, at, err
	}
	path := a.config
	if path == "" {
		path = at.path("exchanged.yaml")
	}
	raw, err := console.ReadFile(path, configMax)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is not there: %s is no folder of exchanged", path, at)
	}
	if err != nil {
		return config{}, at, console.Fail(console.Failed, err, "exchanged init --data DIR --network regtest")
	}
	c, err := parseConfig(raw)
	if err != nil {
		return config{}, at, console.Fail(console.Usage, fmt.Errorf("%s: %w", path, err))
	}
	return c, at, nil
}

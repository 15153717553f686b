package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
)

// exchangeConfig is the section that makes an exchange of the daemon.
type exchangeConfig struct {
	Bus      busConfig      `yaml:"bus"`
	Store    storeConfig    `yaml:"store"`
	Gateway  gatewayConfig  `yaml:"gateway"`
	Deposits depositsConfig `yaml:"deposits"`
	Limits   limitsConfig   `yaml:"limits"`
	Alerts   alertsConfig   `yaml:"alerts"`
}

type busConfig struct {
	URLs []string `yaml:"urls"` // of an external cluster; none: exchanged run has a server of its own
	CA   string   `yaml:"ca"`   // PEM files, for servers that are not on this machine
	Cert string   `yaml:"cert"`
	Key  string   `yaml:"key"`
}

type storeConfig struct {
	Kind  string `yaml:"kind"`  // sqlite or postgres
	DSN   string `yaml:"dsn"`   // of postgres: file with one line, the connection string
	Group string `yaml:"group"` // of postgres: the market group
}

type gatewayConfig struct {
	Listen      string          `yaml:"listen"`      // IP:PORT for customers
	Cert        string          `yaml:"cert"`        // PEM files; needed unless listen is loopback, behind a proxy that speaks TLS
	Key         string          `yaml:"key"`         //
	Internal    string          `yaml:"internal"`    // loopback or private IP:PORT for health, readiness and metrics
	Proxies     []string        `yaml:"proxies"`     // blocks of proxies whose X-Forwarded-For is believed
	Connections int             `yaml:"connections"` // open WebSockets at most
	Timeout     time.Duration   `yaml:"timeout"`     // for the engine's answer
	Challenge   challengeConfig `yaml:"challenge"`
	Limits      string          `yaml:"limits"` // own: one gateway counts for itself; shared: all ask the segment limits
}

type depositsConfig struct {
	Wallet        string              `yaml:"wallet"` // registered wallet whose receive addresses customers pay to; empty: no deposits
	Confirmations []confirmationsRule `yaml:"confirmations"`
	Start         uint32              `yaml:"start"` // no customer paid in a block before this one
}

// confirmationsRule is one step of how deep a deposit must lie. The last one has no upper end.
type confirmationsRule struct {
	Below amountText `yaml:"below"`
	Need  uint32     `yaml:"need"`
}

// needs is how many blocks must hold a deposit of that value.
func (d depositsConfig) needs(value money.Amount) uint32 {
	for _, rule := range d.Confirmations {
		if rule.Below.IsZero() || value.Cmp(rule.Below.Amount) < 0 {
			return rule.Need
		}
	}
	return d.deepest()
}

func (d depositsConfig) deepest() (need uint32) {
	for _, rule := range d.Confirmations {
		need = max(need, rule.Need)
	}
	return need
}

// UnmarshalYAML gives the section its defaults before it reads.
func (e *exchangeConfig) UnmarshalYAML(value *yaml.Node) error {
	type plain exchangeConfig
	p := plain{Store: storeConfig{Kind: "sqlite", Group: "main"},
		Gateway: gatewayConfig{Listen: "127.0.0.1:8080", Internal: "127.0.0.1:9080", Connections: 10_000, Timeout: 5 * time.Second, Limits: "own",
			Challenge: challengeConfig{Timeout: 3 * time.Second}},
		Alerts: alertsConfig{Timeout: 5 * time.Second}}
	// The decoder's strictness does not reach through a method, so unknown keys are refused by a decoder of our own.
	raw, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf("exchange: %w", err)
	}
	*e = exchangeConfig(p)
	return nil
}

// check refuses a section that could not run, or not safely.
func (e exchangeConfig) check() error {
	return errors.Join(e.Bus.check(), e.Store.check(), e.Gateway.check(), e.Deposits.check(), e.Limits.check(), e.Alerts.check())
}

func (b busConfig) check() error {
	for _, text := range b.URLs {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "nats" && u.Scheme != "tls") || u.Host == "" || u.Port() == "" || u.User != nil {
			return fmt.Errorf("exchange.bus.urls: %q is not like nats://10.0.0.1:4222", text)
		}
	}
	if given := b.CA != "" || b.Cert != "" || b.Key != ""; given && (b.CA == "" || b.Cert == "" || b.Key == "") {
		return errors.New("exchange.bus: TLS needs ca, cert and key")
	}
	return nil
}

// tls reads what mutual TLS needs; nil when it is not configured.
func (b busConfig) tls(at folder) (*tls.Config, error) {
	if b.CA == "" {
		return nil, nil
	}
	root, err := console.ReadFile(inside(string(at), b.CA), keyMax)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		return nil, fmt.Errorf("%s holds no certificate", b.CA)
	}
	pair, err := at.pair(b.Cert, b.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{pair}}, nil
}

func (s storeConfig) check() error {
	switch {
	case s.Kind != "sqlite" && s.Kind != "postgres":
		return fmt.Errorf("exchange.store.kind %q is not sqlite or postgres", s.Kind)
	case s.Kind == "postgres" && s.DSN == "":
		return errors.New("exchange.store: postgres needs dsn, a file with the connection string")
	case s.Kind == "sqlite" && s.DSN != "":
		return errors.New("exchange.store: dsn is for postgres")
	case s.Group == "" || len(s.Group) > 64:
		return errors.New("exchange.store.group has 1 to 64 characters")
	}
	return nil
}

func (g gatewayConfig) check() error {
	listen, err := netip.ParseAddrPort(g.Listen)
	if err != nil {
		return fmt.Errorf("exchange.gateway.listen %q is not IP:PORT", g.Listen)
	}
	internal, err := netip.ParseAddrPort(g.Internal)
	if err != nil || !internal.Addr().IsLoopback() && !internal.Addr().IsPrivate() {
		return fmt.Errorf("exchange.gateway.internal %q is not a loopback or private IP:PORT", g.Internal)
	}
	switch {
	case (g.Cert == "") != (g.Key == ""):
		return errors.New("exchange.gateway: TLS needs cert and key")
	case g.Cert == "" && !listen.Addr().IsLoopback():
		return fmt.Errorf("exchange.gateway.listen %s is not loopback, so it needs cert and key", listen)
	case g.Connections < 1 || g.Connections > 1_000_000:
		return fmt.Errorf("exchange.gateway.connections is %d, from 1 to 1000000", g.Connections)
	case g.Timeout < 100*time.Millisecond || g.Timeout > time.Minute:
		return fmt.Errorf("exchange.gateway.timeout is %s, from 100ms to 1m", g.Timeout)
	case g.Limits != "own" && g.Limits != "shared":
		return fmt.Errorf("exchange.gateway.limits %q is not own or shared", g.Limits)
	}
	_, err = g.proxies()
	return errors.Join(err, g.Challenge.check())
}

func (g gatewayConfig) proxies() (out []netip.Prefix, err error) {
	for _, text := range g.Proxies {
		block, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("exchange.gateway.proxies: %q is not a block such as 10.0.0.0/24", text)
		}
		if block.Bits() < 8 {
			return nil, fmt.Errorf("exchange.gateway.proxies: %s is much of the internet: whoever is in it says where he comes from, and no limit holds", block)
		}
		out = append(out, block)
	}
	return out, nil
}

func (d depositsConfig) check() error {
	if d.Wallet == "" {
		if len(d.Confirmations) > 0 {
			return errors.New("exchange.deposits: confirmations without a wallet")
		}
		return nil
	}
	if len(d.Confirmations) == 0 || len(d.Confirmations) > 16 {
		return fmt.Errorf("exchange.deposits.confirmations has %d steps, from 1 to 16", len(d.Confirmations))
	}
	last := money.Sats(0)
	for i, rule := range d.Confirmations {
		open := i == len(d.Confirmations)-1
		switch {
		case rule.Need < 1 || rule.Need > 1000:
			return fmt.Errorf("exchange.deposits.confirmations: need is %d, from 1 to 1000", rule.Need)
		case open && !rule.Below.IsZero():
			return errors.New("exchange.deposits.confirmations: the last step has no below: larger amounts need a number too")
		case !open && (rule.Below.IsZero() || rule.Below.Cmp(last) <= 0):
			return errors.New("exchange.deposits.confirmations: below rises from step to step")
		}
		last = rule.Below.Amount
	}
	return nil
}

// pair reads a certificate and its key, which others must not be able to read.
func (f folder) pair(certName, keyName string) (tls.Certificate, error) {
	cert, err := console.ReadFile(inside(string(f), certName), 64<<10)
	if err != nil {
		return tls.Certificate{}, err
	}
	path := inside(string(f), keyName)
	info, err := os.Lstat(path)
	if err != nil {
		return tls.Certificate{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return tls.Certificate{}, console.Fail(console.Failed, fmt.Errorf("%s has mode %04o: others may read it", path, info.Mode().Perm()), "chmod 600 "+path)
	}
	key, err := console.ReadFile(path, keyMax)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s do not belong together", certName, keyName)
	}
	return pair, nil
}

package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// Operator uses the product's own commands and its staff API, on one folder.
type Operator struct {
	Program string // exchanged
	Data    string
	People  *enginetest.People
	Client  *admin.Client
}

// APIKey is what a customer has.
type APIKey struct {
	Account     uint64
	Key, Secret string
}

// Must runs a command of exchanged and returns its standard output.
func (o *Operator) Must(args ...string) (string, error) {
	out, errs, code := Run(append(append([]string{o.Program}, args...), "--data", o.Data)...)
	if code != 0 {
		return "", fmt.Errorf("exchanged %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	return out, nil
}

// Connect opens the staff API with the operator's own certificate, once the daemon listens.
func (o *Operator) Connect(ctx context.Context) error {
	read := func(name ...string) string {
		raw, err := os.ReadFile(filepath.Join(append([]string{o.Data}, name...)...))
		if err != nil {
			return ""
		}
		return string(raw)
	}
	for {
		client, err := admin.NewClient(admin.Credentials{Server: "https://" + strings.TrimSpace(read("listening")), Authority: []byte(read("tls", "ca.crt")),
			Cert: []byte(read("staff", "operator.crt")), Key: []byte(read("tls", "operator.key"))}, time.Now)
		if err == nil {
			if _, err = client.Engine(ctx); err == nil {
				o.Client = client
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the staff API does not answer: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Change has a command propose a change, and two people approve it.
func (o *Operator) Change(ctx context.Context, args ...string) error {
	out, err := o.Must(append(args, "--json")...)
	if err != nil {
		return err
	}
	var c admin.Change
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return err
	}
	return o.approve(ctx, c)
}

func (o *Operator) approve(ctx context.Context, c admin.Change) (err error) {
	for person := 1; c.State == "proposed" && person <= 2; person++ {
		if c, err = o.Client.ApproveChange(ctx, c.ID, o.People.Sign(person, c.Intent)); err != nil {
			return err
		}
	}
	if c.State != "applied" {
		return fmt.Errorf("change %s is %s: %s", c.ID, c.State, c.Result)
	}
	return nil
}

// Found makes the roster, two assets and a market.
func (o *Operator) Found(ctx context.Context) error {
	roster := filepath.Join(o.Data, "people.txt")
	// The person who proposes is the one of the operator's certificate.
	if err := os.WriteFile(roster, append([]byte("operator"), bytes.TrimPrefix(o.People.Roster(), []byte("olga"))...), 0o600); err != nil {
		return err
	}
	if _, err := o.Must("roster", "set", roster); err != nil {
		return err
	}
	for _, args := range [][]string{{"exchange", "roster"}, {"asset", "add", "BTC", "--decimals", "8", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001", "--withdraw-day-max", "10000000"}, {"asset", "add", "USDT", "--decimals", "8"},
		{"market", "add", "BTCUSDT", "--base", "BTC", "--quote", "USDT", "--tick", "2", "--lot", "5", "--price-max", "1000000", "--qty-max", "1000"}} {
		if err := o.Change(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// each is what a customer gets of an asset: ten million whole units.
const each = 1e15

// give moves money from the house to an account; to account zero, from outside to the house.
func (o *Operator) give(ctx context.Context, to uint64, asset exchange.Asset, amount uint64) error {
	raw, err := exchange.EncodeBody(exchange.ChangeIntent{Note: "begin", Balance: &exchange.Adjustment{Account: exchange.Account(to), Asset: asset, Amount: enginetest.Units(amount)}})
	if err != nil {
		return err
	}
	c, err := o.Client.ProposeChange(ctx, raw)
	if err != nil {
		return err
	}
	return o.approve(ctx, c)
}

// Give brings an account what it can withdraw for a long time.
func (o *Operator) Give(ctx context.Context, to uint64) error {
	return errors.Join(o.give(ctx, 0, 1, each), o.give(ctx, to, 1, each))
}

// Customers opens accounts with keys and with money that lasts.
func (o *Operator) Customers(ctx context.Context, count int) (keys []APIKey, err error) {
	for asset := exchange.Asset(1); asset <= 2; asset++ {
		if err := o.give(ctx, 0, asset, each*uint64(count)); err != nil {
			return nil, err
		}
	}
	for i := range count {
		opened, err := o.Client.OpenAccount(ctx, admin.AccountOpening{Name: fmt.Sprintf("customer-%02d", i)})
		if err != nil {
			return nil, err
		}
		made, err := o.Client.AddKey(ctx, opened.ID, admin.KeyAdding{Kind: "hmac", Scopes: []string{"read", "trade"}})
		if err != nil {
			return nil, err
		}
		if err := errors.Join(o.give(ctx, opened.ID, 1, each), o.give(ctx, opened.ID, 2, each)); err != nil {
			return nil, err
		}
		keys = append(keys, APIKey{opened.ID, made.Key, made.Secret})
	}
	return keys, nil
}

// Configure replaces lines of a configuration, each of which must be there once.
func Configure(path, to string, lines ...string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(raw)
	for i := 0; i < len(lines); i += 2 {
		if strings.Count(text, lines[i]) != 1 {
			return fmt.Errorf("%s: %q is there %d times, expected once", path, lines[i], strings.Count(text, lines[i]))
		}
		text = strings.Replace(text, lines[i], lines[i+1], 1)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, []byte(text), 0o600)
}

// Replays has exchanged replay the journal, which must give that hash.
func (o *Operator) Replays(hash string) error {
	out, err := o.Must("journal", "replay", "--json")
	if err != nil {
		return err
	}
	var replay struct {
		Hash string `json:"state_hash"`
	}
	if err := json.Unmarshal([]byte(out), &replay); err != nil || replay.Hash != hash {
		return fmt.Errorf("exchanged journal replay says %s, expected hash %s", out, hash)
	}
	return nil
}

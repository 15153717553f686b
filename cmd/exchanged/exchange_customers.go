package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"fmt"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

func (k *exchangeDesk) ask(ctx context.Context, q exchange.Question) (exchange.Answer, error) {
	a, err := askEngine(ctx, k.conn, "qry.admin", q)
	if err != nil {
		return a, admin.NewProblem(admin.Broken, "engine-silent", "the engine does not answer: "+err.Error())
	}
	return a, nil
}

func (k *exchangeDesk) status(ctx context.Context) (exchange.EngineStatus, error) {
	a, err := k.ask(ctx, exchange.Question{Status: &struct{}{}})
	if err != nil {
		return exchange.EngineStatus{}, err
	}
	if a.Status == nil {
		return exchange.EngineStatus{}, admin.NewProblem(admin.Broken, "engine-silent", "the engine gave no status")
	}
	return *a.Status, nil
}

// Engine says how the engine does and what it trades.
func (k *exchangeDesk) Engine(ctx context.Context) (admin.EngineStatus, error) {
	s, err := k.status(ctx)
	if err != nil {
		return admin.EngineStatus{}, err
	}
	catalogue, err := k.ask(ctx, exchange.Question{Catalogue: &struct{}{}})
	if err != nil {
		return admin.EngineStatus{}, err
	}
	closed, err := k.folder.closings()
	if err != nil {
		return admin.EngineStatus{}, err
	}
	bus := k.conn.Stats()
	out := admin.EngineStatus{Seq: s.Seq, Hash: hex.EncodeToString(s.Hash[:]), Queue: s.Queue, Records: s.Records, Snapshot: s.Snapshot, Follower: s.Follower,
		Stopped: s.Stopped, Accounts: s.Accounts, Open: s.OpenCount, Changes: s.Changes, Assets: []admin.Asset{}, Markets: []admin.Market{}, Tickets: s.Tickets,
		Unclosed: unclosed(s.Tickets, closed), BusForged: bus.Forged + bus.Replayed}
	if f := catalogue.Fees; f != nil {
		out.Maker, out.Taker = f.MakerPPM, f.TakerPPM
	}
	symbols := map[exchange.Asset]string{}
	for _, a := range catalogue.Assets {
		symbols[a.ID] = a.Symbol
		of := money.Asset{Symbol: a.Symbol, Decimals: a.Decimals}
		out.Assets = append(out.Assets, admin.Asset{ID: uint16(a.ID), Symbol: a.Symbol, Decimals: a.Decimals, Network: a.Network,
			WithdrawMin: admin.AmountOf(money.New(of, a.WithdrawMin)), WithdrawFee: admin.AmountOf(money.New(of, a.WithdrawFee)),
			DayMax: admin.AmountOf(money.New(of, a.WithdrawDayMax))})
	}
	for _, m := range catalogue.Markets {
		out.Markets = append(out.Markets, admin.Market{ID: uint16(m.ID), Symbol: m.Symbol, Base: symbols[m.Base], Quote: symbols[m.Quote], State: admin.MarketStateName(m.State),
			TickDecimals: m.TickDecimals, LotDecimals: m.LotDecimals, PriceMin: m.PriceMin, PriceMax: m.PriceMax, QtyMin: m.QtyMin, QtyMax: m.QtyMax,
			NotionalMin: m.NotionalMin, OrdersMax: m.OrdersMax})
	}
	return out, nil
}

// Accounts lists the customers' accounts.
func (k *exchangeDesk) Accounts(ctx context.Context) ([]admin.Account, error) {
	a, err := k.ask(ctx, exchange.Question{Accounts: &exchange.DirectoryQuestion{}})
	out := []admin.Account{}
	for _, info := range a.Accounts {
		out = append(out, accountOf(info))
	}
	return out, err
}

func accountOf(a exchange.AccountInfo) admin.Account {
	return admin.Account{ID: uint64(a.ID), Name: a.Name, Frozen: a.State == exchange.AccountFrozen, Maker: a.MakerPPM, Taker: a.TakerPPM, Own: a.Own, Created: timeOf(a.Created)}
}

// OpenAccount makes an account with a one-time-code secret, which is shown once. Its number is drawn, because the secret
// is sealed for a number.
func (k *exchangeDesk) OpenAccount(ctx context.Context, by admin.Actor, o admin.AccountOpening) (admin.Account, error) {
	status, err := k.status(ctx)
	if err != nil {
		return admin.Account{}, err
	}
	secret, err := accounts.NewTOTPSecret(rand.Reader)
	if err != nil {
		return admin.Account{}, err
	}
	for number := exchange.Account(status.Accounts + 1); ; number++ {
		sealed, err := k.seal(ctx, number, accounts.TOTPName, secret)
		if err != nil {
			return admin.Account{}, err
		}
		known, err := k.ask(ctx, exchange.Question{Account: &exchange.AccountQuestion{Account: number}})
		if err != nil {
			return admin.Account{}, err
		}
		if known.Account != nil {
			continue // the number is taken
		}
		body, err := exchange.EncodeBody(exchange.AccountBody{Name: o.Name, Number: uint64(number), TOTP: sealed})
		if err != nil {
			return admin.Account{}, err
		}
		out, err := k.command(ctx, exchange.Command{ID: exchange.RandomID(), Kind: exchange.AccountOpen, Body: body})
		if err == nil {
			err = outcomeProblem(out)
		}
		if err != nil {
			return admin.Account{}, err
		}
		k.log.Info("account opened", "account", number, "by", by.Person)
		return admin.Account{ID: uint64(number), Name: o.Name, Created: timeOf(out.At),
			TOTP: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)}, nil
	}
}

// order asks the engine's segment for something beside commands.
func (k *exchangeDesk) order(ctx context.Context, o order) (orderReply, error) {
	raw, err := exchange.EncodeBody(o)
	if err != nil {
		return orderReply{}, err
	}
	reply, err := k.conn.Request(ctx, "ops.engine", raw)
	if err != nil {
		return orderReply{}, admin.NewProblem(admin.Broken, "engine-refused", err.Error())
	}
	return exchange.DecodeBody[orderReply](reply)
}

func (k *exchangeDesk) seal(ctx context.Context, account exchange.Account, name string, secret []byte) ([]byte, error) {
	r, err := k.order(ctx, order{Seal: &sealOrder{Account: account, Name: name, Secret: secret}})
	return r.Sealed, err
}

// AddKey makes an API key. The secret of an hmac key is drawn here, sealed by the engine's segment, and shown once.
func (k *exchangeDesk) AddKey(ctx context.Context, by admin.Actor, account uint64, a admin.KeyAdding) (admin.Key, error) {
	body := exchange.KeyBody{Kind: a.Kind, Allowed: a.Allowed, Code: a.Code, Label: a.Label}
	for _, name := range a.Scopes {
		scope, known := map[string]exchange.Scope{"read": exchange.ScopeRead, "trade": exchange.ScopeTrade, "withdraw": exchange.ScopeWithdraw}[name]
		if !known {
			return admin.Key{}, admin.NewProblem(admin.Misused, "scope-unknown", "scopes are read, trade and withdraw")
		}
		body.Scopes |= scope
	}
	var err error
	if body.Key, err = accounts.NewSecret(rand.Reader); err != nil {
		return admin.Key{}, err
	}
	made := admin.Key{Account: account, Key: body.Key}
	switch {
	case a.Kind == accounts.HMAC && len(a.Public) == 0:
		if made.Secret, err = accounts.NewSecret(rand.Reader); err == nil {
			body.Secret, err = k.seal(ctx, exchange.Account(account), body.Key, []byte(made.Secret))
		}
	case a.Kind == accounts.Ed25519 && len(a.Public) == 32:
		body.Secret = a.Public
	default:
		err = admin.NewProblem(admin.Misused, "key-malformed", "a key is of kind hmac, or ed25519 with a public key of 32 bytes")
	}
	if err != nil {
		return admin.Key{}, err
	}
	if err := k.send(ctx, exchange.KeyAdd, account, body); err != nil {
		return admin.Key{}, err
	}
	k.log.Info("API key made", "account", account, "key", body.Key[:8], "by", by.Person)
	return made, nil
}

// RevokeKey ends an API key.
func (k *exchangeDesk) RevokeKey(ctx context.Context, by admin.Actor, account uint64, key string) (admin.Key, error) {
	err := k.send(ctx, exchange.KeyRevoke, account, exchange.KeyBody{Key: key})
	if err == nil {
		k.log.Info("API key revoked", "account", account, "key", key[:min(8, len(key))], "by", by.Person)
	}
	return admin.Key{Account: account, Key: key, Revoked: true}, err
}

// ChangeAddress adds an address to a withdrawal book, or removes it.
func (k *exchangeDesk) ChangeAddress(ctx context.Context, by admin.Actor, account uint64, c admin.AddressChanging) error {
	catalogue, err := k.ask(ctx, exchange.Question{Catalogue: &struct{}{}})
	if err != nil {
		return err
	}
	body, kind := exchange.AddressBody{Address: c.Address, Label: c.Label, Code: c.Code}, exchange.AddressAdd
	for _, a := range catalogue.Assets {
		if a.Symbol == c.Asset {
			body.Asset = a.ID
		}
	}
	if c.Remove {
		kind = exchange.AddressRemove
	}
	if err := k.send(ctx, kind, account, body); err != nil {
		return err
	}
	k.log.Info("withdrawal book changed", "account", account, "removed", c.Remove, "by", by.Person)
	return nil
}

// send sends a command of an account and says why it was not done.
func (k *exchangeDesk) send(ctx context.Context, kind exchange.Kind, account uint64, body any) error {
	raw, err := exchange.EncodeBody(body)
	if err != nil {
		return err
	}
	o, err := k.command(ctx, exchange.Command{ID: exchange.RandomID(), Kind: kind, Account: exchange.Account(account), Body: raw})
	if err != nil {
		return err
	}
	return outcomeProblem(o)
}

// Operate has the engine's segment look at its own storage.
func (k *exchangeDesk) Operate(ctx context.Context, by admin.Actor, kind string) (admin.Operation, error) {
	o, known := map[string]order{"verify": {Verify: &struct{}{}}, "snapshot": {Snapshot: &struct{}{}}}[kind]
	if !known {
		return admin.Operation{}, admin.NewProblem(admin.Misused, "operation-unknown", "an operation is verify or snapshot")
	}
	r, err := k.order(ctx, o)
	if err != nil {
		return admin.Operation{}, err
	}
	k.log.Info("operation", "kind", kind, "by", by.Person)
	if r.Report == nil {
		return admin.Operation{Last: r.Seq}, nil
	}
	return admin.Operation{Frames: r.Report.Frames, First: r.Report.First, Last: r.Report.Last, Pruned: r.Report.Pruned, Head: fmt.Sprintf("%x", r.Report.Head)}, nil
}

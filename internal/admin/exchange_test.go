package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

func (d *desk) AllChanges(context.Context) ([]Change, error) {
	return []Change{{ID: "7", Approvals: []Approval{}}}, d.fail
}
func (d *desk) OneChange(_ context.Context, id string) (Change, error) { return Change{ID: id}, d.fail }
func (d *desk) ProposeChange(_ context.Context, by Actor, draft []byte) (Change, error) {
	return Change{Intent: draft, Proposer: by.Person}, d.note(by)
}
func (d *desk) ApproveChange(_ context.Context, by Actor, id string, armored []byte) (Change, error) {
	return Change{ID: id, Result: string(armored)}, d.note(by)
}
func (d *desk) Accounts(context.Context) ([]Account, error) { return []Account{{ID: 1}}, d.fail }
func (d *desk) OpenAccount(_ context.Context, by Actor, o AccountOpening) (Account, error) {
	return Account{ID: 1, Name: o.Name}, d.note(by)
}
func (d *desk) EnrolAccount(_ context.Context, by Actor, account uint64) (Enrolment, error) {
	return Enrolment{Account: account, Code: by.Person}, nil
}
func (d *desk) AddKey(_ context.Context, by Actor, account uint64, k KeyAdding) (Key, error) {
	return Key{Account: account, Key: k.Label}, d.note(by)
}
func (d *desk) RevokeKey(_ context.Context, by Actor, account uint64, key string) (Key, error) {
	return Key{Account: account, Key: key, Revoked: true}, d.note(by)
}
func (d *desk) ChangeAddress(_ context.Context, by Actor, _ uint64, _ AddressChanging) error {
	return d.note(by)
}
func (d *desk) Engine(context.Context) (EngineStatus, error) { return EngineStatus{Seq: 9}, d.fail }
func (d *desk) Withdrawals(_ context.Context, account uint64) ([]Withdrawal, error) {
	return []Withdrawal{{Account: account}}, d.fail
}
func (d *desk) Withdrawal(_ context.Context, number uint64) (Withdrawal, error) {
	return Withdrawal{Number: number}, d.fail
}
func (d *desk) Deposits(_ context.Context, q DepositQuery) ([]Deposit, error) {
	if q.Output == strings.Repeat("00", 32)+":1" {
		return nil, d.fail
	}
	return []Deposit{{Account: q.Account, Address: q.Asset + q.State, TxID: q.Output}}, d.fail
}
func (d *desk) Tickets(context.Context) (Tickets, error) {
	return Tickets{Tickets: []Ticket{{Number: 3}}, Addresses: []Closing{}}, d.fail
}
func (d *desk) CloseTicket(_ context.Context, by Actor, ticket, note string) (Closing, error) {
	return Closing{Ticket: ticket, By: by.Person, Note: note}, d.note(by)
}
func (d *desk) Operate(_ context.Context, by Actor, _ string) (Operation, error) {
	return Operation{Last: 9}, d.note(by)
}

// exchangeHouse is a house whose daemon is an exchange.
func exchangeHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	cert, key, err := h.authority.IssueServer([]string{"127.0.0.1"}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Views: h.desk, TopUps: h.desk, Bundles: h.desk, Plans: h.desk, Changes: h.desk, Exchange: h.desk, Customers: h.desk, Engine: h.desk, Funds: h.desk, Staff: h.staff,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: h.clock}
	config, err := server.TLS(h.authority.CertPEM(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener, config) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func TestEveryEndpointOfAnExchangeAnswersAnEnrolledPerson(t *testing.T) {
	h := exchangeHouse(t)
	c, ctx := h.client(h.enrolled("alice")), context.Background()
	if l, err := c.Changes(ctx); err != nil || l.Schema != SchemaChanges || l.Changes[0].ID != "7" {
		t.Errorf("changes: %+v, %v", l, err)
	}
	if u, err := c.Change(ctx, "7"); err != nil || u.ID != "7" || u.Schema != SchemaChange {
		t.Errorf("change: %+v, %v", u, err)
	}
	if u, err := c.ProposeChange(ctx, []byte("draft")); err != nil || u.Proposer != "alice" || string(u.Intent) != "draft" {
		t.Errorf("propose: %+v, %v", u, err)
	}
	if u, err := c.ApproveChange(ctx, "7", []byte("armour")); err != nil || u.ID != "7" || u.Result != "armour" {
		t.Errorf("approve: %+v, %v", u, err)
	}
	if s, err := c.Engine(ctx); err != nil || s.Seq != 9 || s.Schema != SchemaEngine {
		t.Errorf("engine: %+v, %v", s, err)
	}
	if o, err := c.Operate(ctx, "verify"); err != nil || o.Kind != "verify" || o.Last != 9 || o.Schema != SchemaOperation {
		t.Errorf("operate: %+v, %v", o, err)
	}
	for _, account := range []uint64{0, 7} {
		if w, err := c.Withdrawals(ctx, account); err != nil || w.Withdrawals[0].Account != account || w.Schema != SchemaWithdrawals {
			t.Errorf("withdrawals: %+v, %v", w, err)
		}
	}
	if w, err := c.Withdrawal(ctx, 9); err != nil || w.Number != 9 || w.Schema != SchemaWithdrawal {
		t.Errorf("withdrawal: %+v, %v", w, err)
	}
	h.deposits(c)
	if l, err := c.Tickets(ctx); err != nil || len(l.Tickets) != 1 || l.Tickets[0].Number != 3 || l.Schema != SchemaTickets {
		t.Errorf("tickets: %+v, %v", l, err)
	}
	if k, err := c.CloseTicket(ctx, "2001:db8::/64", "looked at it"); err != nil || k.Ticket != "2001:db8::/64" || k.Note != "looked at it" || k.By == "" || k.Schema != SchemaTicketClose {
		t.Errorf("close: %+v, %v", k, err)
	}
	if l, err := c.Accounts(ctx); err != nil || len(l.Accounts) != 1 || l.Schema != SchemaAccounts {
		t.Errorf("accounts: %+v, %v", l, err)
	}
	if a, err := c.OpenAccount(ctx, AccountOpening{"one"}); err != nil || a.Name != "one" || a.Schema != SchemaAccount {
		t.Errorf("open: %+v, %v", a, err)
	}
	if k, err := c.AddKey(ctx, 7, KeyAdding{Label: "bot"}); err != nil || k.Account != 7 || k.Key != "bot" || k.Schema != SchemaKey {
		t.Errorf("key: %+v, %v", k, err)
	}
	if k, err := c.RevokeKey(ctx, 7, "K"); err != nil || !k.Revoked || k.Key != "K" {
		t.Errorf("revoke: %+v, %v", k, err)
	}
	if a, err := c.ChangeAddress(ctx, 7, AddressChanging{Remove: true}); err != nil || a.ID != 7 {
		t.Errorf("address: %+v, %v", a, err)
	}
	var problem *Problem
	if e, err := c.EnrolAccount(ctx, 7); err != nil || e.Account != 7 || e.Code == "" || e.Schema != SchemaEnrolment {
		t.Error(e, err)
	}
	if _, err := c.AddKey(ctx, 0, KeyAdding{}); !errors.As(err, &problem) || problem.Code != "account-malformed" {
		t.Errorf("account zero: %v", err)
	}
	for _, by := range h.desk.asked {
		if by.Person != "alice" {
			t.Errorf("the daemon was told %+v", by)
		}
	}
	if _, err := h.client(h.person("mallory", h.authority, noon)).ProposeChange(ctx, []byte("draft")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("somebody never enrolled: %v", err)
	}
}

func TestADaemonWithoutAnExchangeHasNoneOfItsEndpoints(t *testing.T) {
	h := newHouse(t)
	if _, err := h.client(h.enrolled("alice")).Engine(context.Background()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}

// What people approve is what they read: every action of a change is described, with the numbers that are in it.
func TestEveryActionOfAChangeIsDescribed(t *testing.T) {
	for want, i := range map[string]exchange.ChangeIntent{
		"\"203.0.113.7\"":        {Unban: "203.0.113.7"},
		"at most 77 BTC":         {Asset: &exchange.AssetInfo{Symbol: "BTC", Network: "bitcoin:regtest", WithdrawDayMax: money.U128{Lo: 77}}},
		"USDT":                   {Asset: &exchange.AssetInfo{ID: 2, Symbol: "USDT", Network: "bitcoin:regtest", WithdrawMin: money.U128{Lo: 1}}},
		"auction":                {Market: &exchange.MarketInfo{Symbol: "BTCUSDT", State: exchange.MarketAuction}},
		"halted":                 {Market: &exchange.MarketInfo{State: exchange.MarketHalted}},
		"of account 7: none":     {Fees: &exchange.FeesChange{Account: 7, Free: true}},
		"of account 7: those of": {Fees: &exchange.FeesChange{Account: 7}},
		"of accounts without their own: maker 0.0500 %, taker 0.1000 % (500 and 1000 parts per million)": {Default: &exchange.DefaultFees{MakerPPM: 500, TakerPPM: 1000}},
		"taker 0.1000 %":                        {Fees: &exchange.FeesChange{Account: 7, TakerPPM: 1000}},
		"GIVES account 7":                       {Balance: &exchange.Adjustment{Account: 7, Asset: 1, Amount: money.U128{Lo: 5}}},
		"TAKES account 7":                       {Balance: &exchange.Adjustment{Account: 7, Asset: 1, Amount: money.U128{Lo: 5}, Debit: true}},
		"from outside":                          {Balance: &exchange.Adjustment{Asset: 1, Amount: money.U128{Lo: 5}}},
		"ROSTER 3 bytes":                        {Roster: []byte("abc")},
		"FREEZES account 7":                     {Freeze: &exchange.StateChange{Account: 7, State: exchange.AccountFrozen}},
		"TAKES AWAY every passkey of account 7": {Reset: &exchange.FactorReset{Account: 7}},
		"AND its secret of one-time codes":      {Reset: &exchange.FactorReset{Account: 7, Codes: true}},
		"LETS ACT account 7":                    {Freeze: &exchange.StateChange{Account: 7}},
		"DEPOSITS to the wallet f":              {Wallet: []byte("abc")},
	} {
		text := ""
		for _, line := range DescribeChange(i) {
			text += line[0] + " " + line[1] + "\n"
		}
		if !strings.Contains(text, want) || !strings.Contains(text, "SERIAL") {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// The bytes of a change name assets by number; what the daemon calls them is said beside, amounts in whole coins.
func TestNumbersOfAChangeAreNamed(t *testing.T) {
	catalogue := []Asset{{ID: 1, Symbol: "BTC", Decimals: 8}, {ID: 2, Symbol: "USDT", Decimals: 6}}
	for want, i := range map[string]exchange.ChangeIntent{
		"asset 2 is USDT, so this is 250.500000 USDT": {Balance: &exchange.Adjustment{Account: 7, Asset: 2, Amount: money.U128{Lo: 250_500_000}}},
		"asset 3 is unknown":                          {Balance: &exchange.Adjustment{Account: 7, Asset: 3, Amount: money.U128{Lo: 1}}},
		"asset 1 is BTC, asset 2 is USDT":             {Market: &exchange.MarketInfo{Base: 1, Quote: 2}},
		"":                                            {Freeze: &exchange.StateChange{Account: 7}},
	} {
		if got := NameChange(i, catalogue); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// deposits asks the endpoints of deposits.
func (h *house) deposits(c *Client) {
	h.t.Helper()
	ctx := context.Background()
	if l, err := c.Deposits(ctx, DepositQuery{Account: 7, Asset: "BTC", State: DepositCredited}); err != nil || len(l.Deposits) != 1 || l.Deposits[0].Account != 7 ||
		l.Deposits[0].Address != "BTC"+DepositCredited || l.Schema != SchemaDeposits {
		h.t.Errorf("deposits: %+v, %v", l, err)
	}
	output := strings.Repeat("0f", 32) + ":0"
	if one, err := c.Deposit(ctx, output); err != nil || one.TxID != output || one.Schema != SchemaDeposit {
		h.t.Errorf("deposit: %+v, %v", one, err)
	}
	var problem *Problem
	for wrong, code := range map[string]string{strings.Repeat("00", 32) + ":1": "not-found", strings.Repeat("0F", 32) + ":0": "output-malformed", strings.Repeat("0f", 32): "output-malformed",
		strings.Repeat("0f", 32) + ":01": "output-malformed", strings.Repeat("0f", 32) + ":-1": "output-malformed"} {
		if _, err := c.Deposit(ctx, wrong); !errors.As(err, &problem) || problem.Code != code {
			h.t.Errorf("%s: %v", wrong, err)
		}
	}
	if _, err := c.Deposits(ctx, DepositQuery{State: "lost"}); !errors.As(err, &problem) || problem.Code != "state-unknown" {
		h.t.Errorf("a state that nothing has: %v", err)
	}
}

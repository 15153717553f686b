package engine_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// bitcoin is the asset of the tests with another limit of a day.
func bitcoin(dayMax uint64) *exchange.AssetInfo {
	return &exchange.AssetInfo{ID: btc, Symbol: "BTC", Decimals: 8, Network: "bitcoin:regtest", WithdrawMin: units(20_000), WithdrawFee: units(1000), WithdrawDayMax: units(dayMax)}
}

func withdrawal(alice exchange.Account, body exchange.WithdrawBody) exchange.Command {
	return exchange.Command{ID: exchange.RandomID(), Kind: exchange.WithdrawRequest, Account: alice, Body: enginetest.Body(body)}
}

// Control 80: what may leave an account in 24 hours is bounded by the asset, whatever key asks, over a restart too.
func TestControl080NoMoreThanTheAssetsLimitLeavesAnAccountInADay(t *testing.T) {
	w, alice, body, o := withdrawer(t)
	w.Change(exchange.ChangeIntent{Asset: bitcoin(250_000)})
	body.Client = ""
	w.Must(withdrawal(alice, body))
	w.Must(withdrawal(alice, body))
	denied(t, w, withdrawal(alice, body), exchange.OverLimit)
	var raw bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.State, err = engine.RestoreState(&raw, o); err != nil {
		t.Fatal(err)
	}
	w.Now += 23 * 3600_000
	denied(t, w, withdrawal(alice, body), exchange.OverLimit)
	body.Amount = units(50_000)
	w.Must(withdrawal(alice, body))
	w.Now += 2 * 3600_000
	w.Must(withdrawal(alice, body))
	w.Change(exchange.ChangeIntent{Asset: bitcoin(100_000)})
	denied(t, w, withdrawal(alice, body), exchange.OverLimit)
}

// No asset can be withdrawn without a limit: one with a network that states none, or less than its smallest withdrawal,
// is refused.
func TestControl080AnAssetThatCanBeWithdrawnStatesALimit(t *testing.T) {
	w := enginetest.New(engine.StateOptions{})
	for _, dayMax := range []uint64{0, 19_999} {
		o := w.Do(w.People.Change(exchange.ChangeIntent{Asset: bitcoin(dayMax)}, w.Now))[0]
		if o.Code != exchange.Malformed {
			t.Errorf("a limit of %d: %d", dayMax, o.Code)
		}
		w = enginetest.New(engine.StateOptions{})
	}
	w.Change(exchange.ChangeIntent{Asset: bitcoin(20_000)})
}

// An asset that an earlier snapshot knows without a limit is written as it was read, and nothing of it leaves.
func TestAnAssetOfAnEarlierJournalHasItsBytes(t *testing.T) {
	old := bitcoin(0)
	raw, err := exchange.EncodeBody(struct {
		ID          exchange.Asset `cbor:"1,keyasint"`
		Symbol      string         `cbor:"2,keyasint"`
		Decimals    uint8          `cbor:"3,keyasint"`
		Network     string         `cbor:"4,keyasint"`
		WithdrawMin money.U128     `cbor:"5,keyasint"`
		WithdrawFee money.U128     `cbor:"6,keyasint"`
	}{old.ID, old.Symbol, old.Decimals, old.Network, old.WithdrawMin, old.WithdrawFee})
	if err != nil {
		t.Fatal(err)
	}
	read, err := exchange.DecodeBody[exchange.AssetInfo](raw)
	if err != nil || read != *old || !bytes.Equal(enginetest.Body(read), raw) {
		t.Errorf("%+v %v", read, err)
	}
}

// Control 79: when a flood ends a key, the engine says so in a record that people see, and remembers it over a restart.
func TestControl079AFloodTellsATicket(t *testing.T) {
	w, alice, body, o := withdrawer(t)
	var told []exchange.TicketInfo
	for i := range 200 {
		body.Client, body.Amount = fmt.Sprintf("w%d", i), units(20_000)
		w.Do(withdrawal(alice, body))
		told = append(told, tickets(t, w.Results.Events)...)
	}
	want := []exchange.TicketInfo{{Number: 1, Account: alice, Key: body.Key, Why: "withdrawal flood", At: w.Now}}
	if !slices.Equal(told, want) {
		t.Errorf("told %+v", told)
	}
	var raw bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		t.Fatal(err)
	}
	again, err := engine.RestoreState(&raw, o)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := again.Answer(exchange.Question{Status: &struct{}{}}); a.Status.Tickets != 1 {
		t.Errorf("after a restart: %+v", a.Status)
	}
}

func tickets(t *testing.T, events []byte) (out []exchange.TicketInfo) {
	t.Helper()
	for e := (exchange.Event{}); len(events) > 0; {
		rest, err := e.Read(events)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == exchange.RecordChanged && e.Record == exchange.TicketRecord {
			info, err := exchange.DecodeBody[exchange.TicketInfo](e.Body)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, info)
		}
		events = rest
	}
	return out
}

// Control 81: a ban ends when two people other than the proposer say so, by an address that can be read in one way.
func TestControl081AnUnbanNeedsTwoPeopleAndAnAddress(t *testing.T) {
	w := enginetest.New(engine.StateOptions{})
	c := w.People.Change(exchange.ChangeIntent{Unban: "203.0.113.9"}, w.Now)
	body, err := exchange.DecodeBody[exchange.ChangeBody](c.Body)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		one := exchange.ChangeBody{Intent: body.Intent, Approvals: body.Approvals[:n]}
		denied(t, w, exchange.Command{ID: exchange.RandomID(), Kind: exchange.Change, Body: enginetest.Body(one)}, exchange.EvidenceRefused)
	}
	w.Must(c)
	for _, text := range []string{"203.0.113.009", "203.0.113.0/24", "2001:DB8::1", "fe80::1%eth0", "everybody"} {
		w := enginetest.New(engine.StateOptions{})
		denied(t, w, w.People.Change(exchange.ChangeIntent{Unban: text}, w.Now), exchange.Malformed)
	}
}

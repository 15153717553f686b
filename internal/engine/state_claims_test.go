package engine_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

func denied(t *testing.T, w *enginetest.World, c exchange.Command, want exchange.Code) {
	t.Helper()
	before := w.State.Hash()
	if o := w.Do(c)[0]; o.Code != want {
		t.Errorf("kind %d: code %d (%s), want %d", c.Kind, o.Code, o.Reason, want)
	} else if want != exchange.Done && len(w.Results.Events) != 0 {
		t.Errorf("kind %d: refused, and %d bytes of events", c.Kind, len(w.Results.Events))
	}
	if before == w.State.Hash() {
		t.Errorf("kind %d: a command in the journal leaves no trace in the hash", c.Kind)
	}
}

func TestACommandSentAgainIsAnsweredAgainAndChangesNothing(t *testing.T) {
	w, alice, _ := traders(t)
	c := order(alice, exchange.Buy, 2_000_000, 10)
	first := w.Must(c)
	available, held := w.Balance(alice, usd)
	again := w.Do(c)[0]
	if !again.Again || again.Seq != first.Seq || again.Order != first.Order || again.Code != exchange.Done || len(w.Results.Events) != 0 {
		t.Errorf("again: %+v, first %+v", again, first)
	}
	if x, y := w.Balance(alice, usd); x != available || y != held {
		t.Errorf("%s and %s after the second time, %s and %s before", x, y, available, held)
	}
	twins := w.Do(order(alice, exchange.Buy, 2_000_000, 10), order(alice, exchange.Buy, 2_000_000, 10))
	if twins[0].Order == twins[1].Order {
		t.Error("two commands are one")
	}
}

// Whoever sends half a million commands more is not remembered for ever; until then, everything is.
func TestTheWindowIsBoundedAndSurvivesASnapshot(t *testing.T) {
	w, alice, _ := traders(t)
	c := order(alice, exchange.Buy, 2_000_000, 10)
	w.Must(c)
	var raw bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		t.Fatal(err)
	}
	s, err := engine.RestoreState(&raw, engine.StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.State = s
	if !w.Do(c)[0].Again {
		t.Error("a restored state has forgotten a command")
	}
}

func TestBytesThatAreNoFrameChangeNothing(t *testing.T) {
	w, alice, _ := traders(t)
	good := w.Frame(order(alice, exchange.Buy, 2_000_000, 10), order(alice, exchange.Buy, 2_000_000, 10))
	before := w.State.Hash()
	for name, f := range map[string]engine.Frame{
		"a gap":             {First: good.First + 1, Count: 2, Commands: good.Commands},
		"an old one":        {First: good.First - 1, Count: 2, Commands: good.Commands},
		"more announced":    {First: good.First, Count: 3, Commands: good.Commands},
		"less announced":    {First: good.First, Count: 1, Commands: good.Commands},
		"nothing announced": {First: good.First, Commands: good.Commands},
		"cut":               {First: good.First, Count: 2, Commands: good.Commands[:len(good.Commands)-1]},
		"a wild count":      {First: good.First, Count: 1 << 40, Commands: good.Commands},
	} {
		if err := w.State.Apply(f, &w.Results); !errors.Is(err, engine.ErrFrame) || w.State.Hash() != before {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.At = w.Now - 5000
	if err := w.State.Apply(good, &w.Results); err != nil || w.State.Now() != w.Now || w.Results.Outcomes[1].At != w.Now {
		t.Errorf("time went back to %d: %v", w.State.Now(), err)
	}
}

func TestAnOpenOrdersNameIsTakenUntilItEnds(t *testing.T) {
	w, alice, bob := traders(t)
	w.Must(named(order(alice, exchange.Buy, 2_000_000, 10), "x"))
	denied(t, w, named(order(alice, exchange.Buy, 2_000_000, 10), "x"), exchange.DuplicateClient)
	w.Must(named(order(bob, exchange.Sell, 2_000_001, 10), "x"))
	replace := named(order(alice, exchange.Buy, 1_900_000, 5), "x")
	replace.Kind = exchange.Replace
	replace.Orig, _ = exchange.NewClient("x")
	if o := w.Must(replace); o.Replaced != 1 || o.Order != 3 {
		t.Errorf("%+v", o)
	}
	expect(t, w, row{alice, usd}, 1_000_000*one-1_900_000*5*10, 1_900_000*5*10)
	cancel := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Cancel, Account: alice, Market: pair, Orig: replace.Orig}
	w.Must(cancel)
	cancel.ID = exchange.RandomID()
	denied(t, w, cancel, exchange.UnknownOrder)
	w.Must(named(order(alice, exchange.Buy, 2_000_000, 10), "x"))
}

// A purchase that the buyer can pay only in part, and a sale of which the seller has only a part, end there.
func TestMarketOrdersAreBoundedByWhatTheAccountHas(t *testing.T) {
	w, alice, bob := traders(t)
	w.Must(order(bob, exchange.Sell, 90_000_000, 10_000_000)) // at 900,000: alice can pay 1.11 of 100
	all := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: alice, Market: pair, Type: exchange.MarketOrder, Qty: 9_000_000, Force: exchange.ImmediateOrCancel}
	if o := w.Must(all); o.Executed != 111_111 || o.Status != exchange.StatusExpired {
		t.Errorf("bought: %+v", o)
	}
	expect(t, w, row{alice, usd}, 1_000_000*one-111_111*90_000_000*10, 0)
	all.ID, all.Qty = exchange.RandomID(), 1
	w.Must(all) // nothing that is left buys a lot: the order ends without a trade
	expect(t, w, row{alice, usd}, 1_000_000*one-111_111*90_000_000*10, 0)
	spend := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: alice, Market: pair, Type: exchange.MarketOrder, Quote: 1000, Force: exchange.ImmediateOrCancel, Side: exchange.Sell}
	if o := w.Must(spend); o.Status != exchange.StatusExpired || o.Executed != 0 {
		t.Errorf("sold by quote into nothing: %+v", o)
	}
	expect(t, w, row{alice, btc}, 111_111*1000, 0)
}

func TestAStopHoldsWhatItMayPayAndWaits(t *testing.T) {
	w, alice, bob := traders(t)
	w.Must(order(bob, exchange.Sell, 2_000_000, 10))
	w.Must(order(alice, exchange.Buy, 2_000_000, 10))
	stop := exchange.Command{ID: exchange.RandomID(), Kind: exchange.Place, Account: alice, Market: pair, Type: exchange.Stop, Stop: 2_000_000, Qty: 10}
	denied(t, w, stop, exchange.StopWouldTrigger)
	before, _ := w.Balance(alice, usd)
	stop.Stop, stop.ID = 2_100_000, exchange.RandomID()
	o := w.Must(stop)
	_, held := w.Balance(alice, usd)
	if want := units(2_205_000 * 10 * 10); held != want { // five per cent above the stop
		t.Errorf("%s on hold, want %s", held, want)
	}
	answer, live := w.State.Answer(exchange.Question{Orders: &exchange.OrdersQuestion{Account: alice, Market: pair, Order: o.Order}})
	if !live || len(answer.Orders) != 1 || answer.Orders[0].Price != 0 || answer.Orders[0].Stop != 2_100_000 || answer.Orders[0].Status != exchange.StatusNew {
		t.Errorf("%v %+v", live, answer)
	}
	w.Must(order(bob, exchange.Sell, 2_150_000, 20))
	w.Must(order(alice, exchange.Buy, 2_150_000, 10)) // the price reaches the stop, which buys the other ten
	after, held := w.Balance(alice, usd)
	spent, _ := before.Sub(after)
	if spent != units(2*2_150_000*10*10) || held != units(0) {
		t.Errorf("spent %s, %s on hold", spent, held)
	}
	if _, live := w.State.Answer(exchange.Question{Orders: &exchange.OrdersQuestion{Account: alice, Market: pair, Order: o.Order}}); live {
		t.Error("an order that ended is answered as if it were open")
	}
}

func TestChangesNeedTwoPeopleAndTheNextSerial(t *testing.T) {
	w := enginetest.New(engine.StateOptions{})
	i := exchange.ChangeIntent{Serial: 2, Proposer: "olga", Created: w.Now, Expires: w.Now + 1000, Asset: &exchange.AssetInfo{ID: 1, Symbol: "BTC", Decimals: 8}}
	raw := enginetest.Body(i)
	change := func(sigs ...[]byte) exchange.Command {
		return exchange.Command{ID: exchange.RandomID(), Kind: exchange.Change, Body: enginetest.Body(exchange.ChangeBody{Intent: raw, Approvals: sigs})}
	}
	one, two, proposer := w.People.Sign(1, raw), w.People.Sign(2, raw), w.People.Sign(0, raw)
	denied(t, w, change(), exchange.EvidenceRefused)
	denied(t, w, change(one), exchange.EvidenceRefused)
	denied(t, w, change(one, one), exchange.EvidenceRefused)
	denied(t, w, change(one, proposer), exchange.EvidenceRefused)
	if w.Must(change(one, two)).Number != 2 {
		t.Error("another serial")
	}
	denied(t, w, change(one, two), exchange.WrongState) // the same approvals do not count again
}

// The house gives what it has: a balance cannot be raised by two people who funded nothing.
func TestTheHouseGivesOnlyWhatItHas(t *testing.T) {
	w, alice, _ := traders(t)
	give := exchange.ChangeIntent{Balance: &exchange.Adjustment{Account: alice, Asset: btc, Amount: units(62_000_000_000_000)}}
	c := w.People.Change(give, w.Now)
	denied(t, w, c, exchange.InsufficientFunds)
	if err := w.State.Verify(); err != nil {
		t.Error(err)
	}
}

func TestADepositIsCreditedOnceToWhomTheAddressIsOf(t *testing.T) {
	w, alice, bob := traders(t)
	assign := func(a exchange.Account) exchange.Command {
		return exchange.Command{ID: exchange.RandomID(), Kind: exchange.DepositAssign, Account: a, Body: enginetest.Body(exchange.DepositAssignBody{Asset: btc})}
	}
	denied(t, w, assign(bob), exchange.WrongState)
	file := enginetest.Wallet().Marshal()
	w.Change(exchange.ChangeIntent{Wallet: file})
	if x, y := w.Must(assign(bob)).Number, w.Must(assign(alice)).Number; x != 0 || y != 1 {
		t.Fatalf("indexes %d and %d", x, y)
	}
	evidence := enginetest.Evidence(enginetest.Wallet(), 1, 12345, 1)
	deposit := func() exchange.Command {
		return exchange.Command{ID: exchange.RandomID(), Kind: exchange.Deposit, Body: enginetest.Body(evidence)}
	}
	w.Must(deposit())
	expect(t, w, row{alice, btc}, 12345, 0)
	denied(t, w, deposit(), exchange.AlreadyCredited)
	evidence.Index = 0
	denied(t, w, deposit(), exchange.EvidenceRefused)
	evidence.Index = 2
	denied(t, w, deposit(), exchange.EvidenceRefused)
	expect(t, w, row{alice, btc}, 12345, 0)
}

// withdrawer returns alice with a key and an address that she may withdraw with now.
func withdrawer(t *testing.T) (w *enginetest.World, alice exchange.Account, body exchange.WithdrawBody, o engine.StateOptions) {
	sealer, err := accounts.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	o = engine.StateOptions{Opener: sealer}
	w = enginetest.Open(o)
	secret := []byte("12345678901234567890")
	sealed, err := sealer.Seal(rand.Reader, 1, accounts.TOTPName, secret)
	if err != nil {
		t.Fatal(err)
	}
	alice = exchange.Account(w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.AccountOpen, Body: enginetest.Body(exchange.AccountBody{Name: "alice", Number: 1, TOTP: sealed})}).Number)
	w.Give(alice, btc, units(1_000_000))
	address, err := enginetest.Wallet().Derive(0, 99)
	if err != nil {
		t.Fatal(err)
	}
	key := exchange.KeyBody{Key: string(bytes.Repeat([]byte("k"), 64)), Scopes: exchange.ScopeRead | exchange.ScopeWithdraw, Kind: "ed25519", Secret: bytes.Repeat([]byte{1}, 32),
		Allowed: []string{"192.0.2.0/24"}, Code: accounts.OneTimeCode(secret, w.Now)}
	w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.KeyAdd, Account: alice, Body: enginetest.Body(key)})
	w.Now += 60_000
	w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.AddressAdd, Account: alice, Body: enginetest.Body(exchange.AddressBody{Asset: btc, Address: address.Address, Label: "home", Code: accounts.OneTimeCode(secret, w.Now)})})
	w.Now += 48 * 3600_000
	return w, alice, exchange.WithdrawBody{Asset: btc, Amount: units(100_000), Address: address.Address, Client: "w1", Key: key.Key, From: "192.0.2.7"}, o
}

func TestAWithdrawalIsHeldThenPaidOrReleasedOnce(t *testing.T) {
	w, alice, body, o := withdrawer(t)
	request := func() exchange.Command {
		return exchange.Command{ID: exchange.RandomID(), Kind: exchange.WithdrawRequest, Account: alice, Body: enginetest.Body(body)}
	}
	end := func(kind exchange.Kind, r exchange.WithdrawResult) exchange.Command {
		return exchange.Command{ID: exchange.RandomID(), Kind: kind, Body: enginetest.Body(r)}
	}
	if n := w.Must(request()).Number; n != 1 {
		t.Fatal(n)
	}
	expect(t, w, row{alice, btc}, 900_000, 100_000)
	denied(t, w, request(), exchange.AlreadyExists)
	body.Client, body.Amount = "w2", units(5000)
	denied(t, w, request(), exchange.BelowMin)
	body.Amount = units(950_000)
	denied(t, w, request(), exchange.InsufficientFunds)
	body.Amount = units(200_000)
	w.Must(request())
	var raw bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.State, err = engine.RestoreState(&raw, o); err != nil {
		t.Fatal(err)
	}
	txid := string(bytes.Repeat([]byte("ab"), 32))
	w.Must(end(exchange.WithdrawSettle, exchange.WithdrawResult{Number: 1, TxID: txid}))
	expect(t, w, row{alice, btc}, 700_000, 200_000)
	for _, kind := range []exchange.Kind{exchange.WithdrawSettle, exchange.WithdrawRelease} {
		denied(t, w, end(kind, exchange.WithdrawResult{Number: 1, TxID: txid}), exchange.WrongState)
	}
	denied(t, w, end(exchange.WithdrawRelease, exchange.WithdrawResult{Number: 3}), exchange.UnknownWithdrawal)
	w.Must(end(exchange.WithdrawRelease, exchange.WithdrawResult{Number: 2, Reason: "the treasury says no"}))
	expect(t, w, row{alice, btc}, 900_000, 0)
	if err := w.State.Verify(); err != nil {
		t.Error(err)
	}
	if h := w.State.Ledger().House(btc); h.Fees != units(1000) {
		t.Errorf("%+v", h)
	}
}

func TestAFrozenAccountCancelsAndNothingElse(t *testing.T) {
	w, alice, _ := traders(t)
	o := w.Must(order(alice, exchange.Buy, 2_000_000, 10))
	w.Change(exchange.ChangeIntent{Freeze: &exchange.StateChange{Account: alice, State: exchange.AccountFrozen}})
	denied(t, w, order(alice, exchange.Buy, 2_000_000, 10), exchange.NotAllowed)
	w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.Cancel, Account: alice, Market: pair, Order: o.Order})
}

// Every kind of command has exactly the segments that may send it; none may be sent by a segment that nobody knows.
func TestEverySegmentSendsOnlyItsOwnKinds(t *testing.T) {
	want := map[string][]exchange.Kind{
		"gateway": {exchange.Place, exchange.Cancel, exchange.CancelAll, exchange.Replace, exchange.Amend, exchange.WithdrawRequest, exchange.KeyAdd, exchange.KeyRevoke,
			exchange.AddressAdd, exchange.AddressRemove, exchange.DepositAssign, exchange.PasskeyEnrol, exchange.Approve},
		"wallet": {exchange.Deposit, exchange.WithdrawSettle, exchange.WithdrawRelease},
		"admin":  {exchange.Adjust, exchange.AccountOpen, exchange.KeyAdd, exchange.KeyRevoke, exchange.AddressAdd, exchange.AddressRemove, exchange.Change, exchange.PasskeyOffer},
		"engine": {exchange.Tick},
		"":       nil, "mallory": nil,
	}
	for segment, kinds := range want {
		for kind := exchange.Kind(0); kind < exchange.Approve+3; kind++ {
			if engine.Allowed(kind, segment) != slices.Contains(kinds, kind) {
				t.Errorf("kind %d from %q", kind, segment)
			}
		}
	}
}

func FuzzApply(f *testing.F) {
	w, alice, bob := traders(f)
	var raw bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		f.Fatal(err)
	}
	first := w.State.Seq() + 1
	f.Add(w.Frame(order(alice, exchange.Buy, 2_000_000, 10), order(bob, exchange.Sell, 1_900_000, 5)).Commands, 2)
	f.Add(w.Frame(exchange.Command{Kind: exchange.WithdrawRequest, Account: alice, Body: enginetest.Body(exchange.WithdrawBody{Asset: 1})}).Commands, 1)
	f.Add(w.Frame(w.People.Change(exchange.ChangeIntent{Asset: &exchange.AssetInfo{ID: 3, Symbol: "X"}}, w.Now)).Commands, 1)
	buffer := bufio.NewReaderSize(nil, 1<<20) // as large as the one that restoring would make each time
	f.Fuzz(func(t *testing.T, commands []byte, count int) {
		buffer.Reset(bytes.NewReader(raw.Bytes()))
		s, err := engine.RestoreState(buffer, engine.StateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var results engine.Results
		if s.Apply(engine.Frame{First: first, Commands: commands, Count: count}, &results) != nil {
			return
		}
		if err := s.Verify(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzRestoreState(f *testing.F) {
	w, alice, bob := traders(f)
	w.Must(named(order(alice, exchange.Buy, 2_000_000, 10), "a"))
	w.Must(order(bob, exchange.Sell, 2_100_000, 10))
	var raw bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		f.Fatal(err)
	}
	f.Add(raw.Bytes())
	buffer := bufio.NewReaderSize(nil, 1<<20) // as large as the one that restoring would make each time
	f.Fuzz(func(t *testing.T, raw []byte) {
		buffer.Reset(bytes.NewReader(raw))
		s, err := engine.RestoreState(buffer, engine.StateOptions{})
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := s.Snapshot(&again); err != nil || !bytes.Equal(again.Bytes(), raw) {
			t.Fatalf("a restored state is written otherwise: %v", err)
		}
		if err := s.Verify(); err != nil {
			t.Fatal(err)
		}
	})
}

// Every single byte of a snapshot counts: changed or cut off, it is refused, or it is the snapshot of another state.
func TestASnapshotWithAFaultIsRefusedOrAnother(t *testing.T) {
	w, alice, bob := traders(t)
	w.Must(named(order(alice, exchange.Buy, 2_000_000, 10), "a"))
	w.Must(order(bob, exchange.Sell, 2_100_000, 10))
	var raw, again bytes.Buffer
	if err := w.State.Snapshot(&raw); err != nil {
		t.Fatal(err)
	}
	for at := range raw.Bytes() {
		bad := bytes.Clone(raw.Bytes())
		bad[at] ^= 1 << (at % 8)
		if s, err := engine.RestoreState(bytes.NewReader(bad), engine.StateOptions{}); err == nil {
			again.Reset()
			if err := s.Snapshot(&again); err != nil || !bytes.Equal(again.Bytes(), bad) {
				t.Errorf("byte %d changed: restored, and written otherwise: %v", at, err)
			}
		}
		if at%5 == 0 {
			if _, err := engine.RestoreState(bytes.NewReader(raw.Bytes()[:at]), engine.StateOptions{}); err == nil {
				t.Errorf("restored from the first %d of %d bytes", at, raw.Len())
			}
		}
	}
}

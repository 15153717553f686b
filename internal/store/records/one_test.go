package records

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// told writes records as if commands had made them, one command for all.
func (b *bench) told(r *Records, seq uint64, records ...any) {
	b.t.Helper()
	var events []byte
	for _, body := range records {
		kind := exchange.DepositRecord
		switch body.(type) {
		case exchange.AccountInfo:
			kind = exchange.AccountRecord
		case exchange.ChangeInfo:
			kind = exchange.ChangeRecord
		case exchange.WithdrawalInfo:
			kind = exchange.WithdrawalRecord
		case exchange.DepositAddressInfo:
			kind = exchange.DepositAddressRecord
		}
		events = exchange.AppendRecord(exchange.AppendHead(events, exchange.RecordChanged, seq, 1), kind, enginetest.Body(body))
	}
	if err := r.Write(b.t.Context(), seq, 1, events); err != nil {
		b.t.Fatal(err)
	}
}

// An operator looks one record up without knowing whose it is: a deposit by its output or number, a withdrawal by its
// number, the account of a deposit address by its index; and sees the deposits of everybody.
func TestOneRecordIsFoundWhoseverItIs(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		r := b.open()
		var records []any
		for i := range uint64(6) {
			account := exchange.Account(7 + i%2)
			records = append(records, exchange.DepositInfo{Number: i + 1, Account: account, Asset: 1, Amount: enginetest.Units(i), TxID: strings.Repeat(fmt.Sprint(i%3), 64), Output: uint32(i / 3)},
				exchange.WithdrawalInfo{Number: i + 1, Account: account, Asset: 1, Amount: enginetest.Units(9)}, exchange.DepositAddressInfo{Account: account, Asset: 1, Index: uint32(i)})
		}
		b.told(r, 1, records...)
		for name, c := range map[string]struct {
			q    exchange.HistoryQuestion
			want []uint64
		}{
			"everybody's": {exchange.HistoryQuestion{Limit: 4}, []uint64{6, 5, 4, 3}}, "of an account": {exchange.HistoryQuestion{Account: 8}, []uint64{6, 4, 2}},
			"by number": {exchange.HistoryQuestion{Number: 5}, []uint64{5}}, "by output": {exchange.HistoryQuestion{Output: strings.Repeat("1", 64) + ":1"}, []uint64{5}},
			"of another output": {exchange.HistoryQuestion{Output: strings.Repeat("1", 64) + ":2"}, nil}, "of another asset": {exchange.HistoryQuestion{Asset: 2}, nil},
		} {
			a := ask(t, r, exchange.Question{Deposits: &c.q})
			var got []uint64
			for _, d := range a.Deposits {
				got = append(got, d.Number)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
		if a := ask(t, r, exchange.Question{Withdraws: &exchange.HistoryQuestion{Number: 4}}); len(a.Withdraws) != 1 || a.Withdraws[0].Account != 8 {
			t.Errorf("a withdrawal by its number: %+v", a.Withdraws)
		}
		if a := ask(t, r, exchange.Question{Addresses: &exchange.HistoryQuestion{Asset: 1, Number: 4}}); len(a.Addresses) != 1 || a.Addresses[0].Account != 8 || a.Addresses[0].Index != 3 {
			t.Errorf("the owner of a deposit address: %+v", a.Addresses)
		}
	})
}

// The usual fees reach the records with the change that sets them: of every account but those with fees of their own.
func TestUsualFeesReachEveryAccountThatHasNoneOfItsOwn(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		r := b.open()
		b.told(r, 1, exchange.AccountInfo{ID: 1, Name: "a"}, exchange.AccountInfo{ID: 2, Name: "b", MakerPPM: 7, Own: true}, exchange.AccountInfo{ID: 3, Name: "c", Own: true})
		intent := enginetest.Body(exchange.ChangeIntent{Serial: 1, Default: &exchange.DefaultFees{MakerPPM: 100, TakerPPM: 200}})
		b.told(r, 2, exchange.ChangeInfo{Serial: 1, Intent: intent, Approvers: []string{"alice", "bob"}}, exchange.AccountInfo{ID: 4, Name: "d", MakerPPM: 100, TakerPPM: 200})
		a := ask(t, r, exchange.Question{Accounts: &exchange.DirectoryQuestion{}})
		got := ""
		for _, one := range a.Accounts {
			got += fmt.Sprintf("%d: %d/%d %v, ", one.ID, one.MakerPPM, one.TakerPPM, one.Own)
		}
		if want := "1: 100/200 false, 2: 7/0 true, 3: 0/0 true, 4: 100/200 false, "; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

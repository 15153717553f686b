package records

import (
	"errors"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// Records of version 1 had no limits of a day and no tickets: they get both, and nothing else changes.
func TestRecordsOfVersion1AreBroughtUp(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		r := b.open()
		asset := exchange.AssetInfo{ID: 1, Symbol: "BTC", Decimals: 8, Network: "bitcoin:regtest", WithdrawMin: enginetest.Units(5), WithdrawFee: enginetest.Units(5)}
		ticket := exchange.TicketInfo{Number: 1, Account: 7, Key: "k", Why: "withdrawal flood", At: 5}
		events := exchange.AppendRecord(exchange.AppendHead(nil, exchange.RecordChanged, 1, 1), exchange.AssetRecord, enginetest.Body(asset))
		if err := tell(t.Context(), r, 1, 1, events); err != nil {
			t.Fatal(err)
		}
		old := []string{"ALTER TABLE accounts DROP COLUMN own", "ALTER TABLE assets DROP COLUMN withdraw_day_max", "DROP TABLE tickets"}
		var err error
		if db, is := r.db.(*sqlite); is {
			err = db.writer.Exec(strings.Join(append(old, "PRAGMA user_version=1"), ";"))
		} else {
			_, err = r.db.(*postgres).writer.Exec(t.Context(), strings.Join(append(old, "UPDATE version SET number = 1"), ";"))
		}
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		r = b.open()
		a, err := r.Answer(t.Context(), exchange.Question{Catalogue: &struct{}{}})
		if err != nil || len(a.Assets) != 1 || a.Assets[0] != asset {
			t.Errorf("%+v %v", a.Assets, err)
		}
		events = exchange.AppendRecord(exchange.AppendHead(nil, exchange.RecordChanged, 2, 5), exchange.TicketRecord, enginetest.Body(ticket))
		if err := tell(t.Context(), r, 2, 5, events); err != nil {
			t.Fatal(err)
		}
		for account, want := range map[exchange.Account]int{0: 1, 7: 1, 8: 0} {
			a, err := r.Answer(t.Context(), exchange.Question{Tickets: &exchange.HistoryQuestion{Account: account}})
			if err != nil || len(a.Tickets) != want || want == 1 && a.Tickets[0] != ticket {
				t.Errorf("of account %d: %+v %v", account, a.Tickets, err)
			}
		}
	})
}

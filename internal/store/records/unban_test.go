package records

import (
	"fmt"
	"testing"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

// Whoever two people forgave is found behind any number of other changes, and by pages: limit and offset count unbans.
func TestControl081AnUnbanIsFoundBehindThousandsOfOtherChanges(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		r := b.open()
		const changes = 2_600
		var events []byte
		want := map[string]exchange.Millis{}
		for serial := uint64(1); serial <= changes; serial++ {
			intent := exchange.ChangeIntent{Serial: serial, Note: "about something else"}
			if serial == 3 || serial == 1_200 || serial == 2_599 {
				intent.Unban = fmt.Sprintf("203.0.113.%d", serial%100)
				want[intent.Unban] = exchange.Millis(serial)
			}
			info := exchange.ChangeInfo{Serial: serial, Intent: enginetest.Body(intent), At: exchange.Millis(serial)}
			events = exchange.AppendRecord(exchange.AppendHead(events, exchange.RecordChanged, serial, exchange.Millis(serial)), exchange.ChangeRecord, enginetest.Body(info))
		}
		if err := r.Write(t.Context(), changes, changes, events); err != nil {
			t.Fatal(err)
		}
		ask := func(q exchange.HistoryQuestion) []exchange.UnbanInfo {
			a, err := r.Answer(t.Context(), exchange.Question{Unbans: &q})
			if err != nil {
				t.Fatal(err)
			}
			return a.Unbans
		}
		found := ask(exchange.HistoryQuestion{Limit: 1000})
		if len(found) != len(want) {
			t.Fatalf("%d of %d: %+v", len(found), len(want), found)
		}
		for i, u := range found {
			if want[u.Address] != u.At || i > 0 && found[i-1].At < u.At {
				t.Errorf("%+v", found)
			}
			if page := ask(exchange.HistoryQuestion{Limit: 1, Offset: i}); len(page) != 1 || page[0] != u {
				t.Errorf("page %d: %+v", i, page)
			}
		}
		if page := ask(exchange.HistoryQuestion{Limit: 1, Offset: len(found)}); len(page) != 0 {
			t.Errorf("behind the last: %+v", page)
		}
		if since := ask(exchange.HistoryQuestion{Limit: 10, Since: 1_200}); len(since) != 2 {
			t.Errorf("since: %+v", since)
		}
	})
}

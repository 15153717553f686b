package main

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// Whoever counts asks for as many pages as there are, since the oldest sentence, and forgives nobody when one is missing.
func TestControl081EveryUnbanSinceTheOldestSentenceIsRead(t *testing.T) {
	table := must(limits.New(limits.Options{Sentences: []limits.Sentence{{Block: netip.MustParsePrefix("203.0.113.7/32"), Level: 6, Since: 5_000},
		{Block: netip.MustParsePrefix("203.0.113.8/32"), Level: 2, Since: 9_000, Until: 900_000}}}))
	b := &bans{table: table}
	var all []exchange.UnbanInfo
	for i := range 2*unbansMax + 1 {
		all = append(all, exchange.UnbanInfo{Address: fmt.Sprintf("198.51.%d.%d", i/256, i%256), At: exchange.Millis(10_000 - i)})
	}
	asked := 0
	list, err := b.forgiven(func(q exchange.HistoryQuestion) ([]exchange.UnbanInfo, error) {
		if asked++; q.Since != 5_000 || q.Limit != unbansMax {
			t.Errorf("%+v", q)
		}
		return all[min(q.Offset, len(all)):min(q.Offset+q.Limit, len(all))], nil
	})
	if err != nil || len(list) != len(all) || asked != 3 || list[len(list)-1] != all[len(all)-1] {
		t.Errorf("%d of %d in %d pages, %v", len(list), len(all), asked, err)
	}
	if list, err := b.forgiven(func(q exchange.HistoryQuestion) ([]exchange.UnbanInfo, error) {
		if q.Offset > 0 {
			return nil, errors.New("no answer")
		}
		return all[:unbansMax], nil
	}); err == nil {
		t.Errorf("%d of half an answer", len(list))
	}
	if list, err := (&bans{table: must(limits.New(limits.Options{}))}).forgiven(nil); err != nil || len(list) != 0 {
		t.Errorf("nobody is banned: %v %v", list, err)
	}
}

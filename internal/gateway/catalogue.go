package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/exchange"
)

// market is a market of the catalogue with what the gateway needs at every order.
type market struct {
	exchange.MarketInfo
	base, quote exchange.AssetInfo
	lower       string // of stream names
}

func (m *market) tick() int     { return int(m.TickDecimals) }
func (m *market) lot() int      { return int(m.LotDecimals) }
func (m *market) notional() int { return int(m.TickDecimals) + int(m.LotDecimals) }

// catalogue is what can be traded. It is never written after it was made: a change makes another one.
type catalogue struct {
	assets   []exchange.AssetInfo // by rising identity
	markets  []*market            // by rising identity
	bySymbol map[string]*market
	byLower  map[string]*market
	byID     map[exchange.Market]*market
	asset    map[exchange.Asset]exchange.AssetInfo
	coin     map[string]exchange.AssetInfo
}

func newCatalogue(assets []exchange.AssetInfo, infos []exchange.MarketInfo) (*catalogue, error) {
	c := &catalogue{assets: slices.Clone(assets), bySymbol: map[string]*market{}, byLower: map[string]*market{}, byID: map[exchange.Market]*market{},
		asset: map[exchange.Asset]exchange.AssetInfo{}, coin: map[string]exchange.AssetInfo{}}
	slices.SortFunc(c.assets, func(a, b exchange.AssetInfo) int { return int(a.ID) - int(b.ID) })
	for _, a := range c.assets {
		c.asset[a.ID], c.coin[a.Symbol] = a, a
	}
	for _, info := range infos {
		base, ok1 := c.asset[info.Base]
		quote, ok2 := c.asset[info.Quote]
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("market %s trades an asset that the catalogue does not have", info.Symbol)
		}
		m := &market{MarketInfo: info, base: base, quote: quote, lower: strings.ToLower(info.Symbol)}
		c.markets = append(c.markets, m)
		c.bySymbol[m.Symbol], c.byLower[m.lower], c.byID[m.ID] = m, m, m
	}
	slices.SortFunc(c.markets, func(a, b *market) int { return int(a.ID) - int(b.ID) })
	return c, nil
}

// loadCatalogue asks the engine for the catalogue as it is at seq or later.
func (s *Server) loadCatalogue(ctx context.Context, seq uint64) error {
	answer, err := s.o.Engine.Ask(ctx, exchange.Question{After: seq, Catalogue: &struct{}{}})
	if err != nil {
		return fmt.Errorf("catalogue: %w", err)
	}
	if answer.Code != exchange.Done {
		return fmt.Errorf("catalogue: the engine answers %d", answer.Code)
	}
	c, err := newCatalogue(answer.Assets, answer.Markets)
	if err != nil {
		return err
	}
	s.books.add(c)
	if s.catalogue.Swap(c) == nil {
		close(s.begun)
	}
	return nil
}

// market returns the market that the request names.
func (c *call) market(id param) *market {
	name := c.q.must(id)
	if c.q.fault != nil {
		return nil
	}
	m := c.cat.bySymbol[name]
	if m == nil {
		c.q.fail(invalidSymbol())
	}
	return m
}

// selected returns the markets that symbol, or symbols, names; all when neither is there. alone says that one was
// named by symbol, and is then answered by itself.
func (c *call) selected() (ms []*market, alone bool) {
	if c.q.has(pSymbol) && c.q.has(pSymbols) {
		c.q.fail(refuse(-1128, "Combination of optional parameters invalid."))
		return nil, false
	}
	if c.q.has(pSymbol) {
		return []*market{c.market(pSymbol)}, true
	}
	if !c.q.has(pSymbols) {
		return c.cat.markets, false
	}
	for _, name := range c.q.list(pSymbols) {
		m := c.cat.bySymbol[name]
		if m == nil {
			c.q.fail(invalidSymbol())
			return nil, false
		}
		if slices.Contains(ms, m) {
			c.q.fail(refuse(-1151, "Symbol is present multiple times in the list."))
			return nil, false
		}
		ms = append(ms, m)
	}
	return ms, false
}

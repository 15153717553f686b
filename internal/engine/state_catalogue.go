package engine

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// catalogue is what two people decide: assets, markets, the roster, the deposit wallets. Assets and markets stand at
// their numbers; nothing stands at zero.
type catalogue struct {
	assets  []exchange.AssetInfo
	markets []*market
	roster  []byte // the file; empty before the first change
	people  approvals.Roster
	wallets []depositWallet // in the order in which they were added
	serial  uint64          // of the last change
}

// depositWallet is a wallet whose receive addresses are deposit addresses. Of a network, the newest gives new ones; the
// older ones go on receiving.
type depositWallet struct {
	file []byte
	wallet.Wallet
}

// Limits of the catalogue.
const (
	assetsMax   = 4096
	marketsMax  = 4096
	DecimalsMax = 30 // of an asset
	scaleMax    = 18 // of a unit: 10^18 fits in 64 bits
	symbolMax   = 20
	walletsMax  = 64
)

func newCatalogue() catalogue {
	return catalogue{assets: make([]exchange.AssetInfo, 1), markets: make([]*market, 1)}
}

// change applies what people granted.
func (s *State) change(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.ChangeBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	grant, code := s.judge(body, o)
	if code != exchange.Done {
		return code
	}
	intent := grant.Intent()
	switch {
	case (c.Kind == exchange.Adjust) != (intent.Balance != nil):
		o.Reason = "a balance changes by an adjustment, and nothing else does"
		return exchange.Malformed
	case intent.Serial != s.serial+1:
		o.Reason = "the change has not the next serial"
		return exchange.WrongState
	}
	if code := s.carryOut(grant, o); code != exchange.Done {
		return code
	}
	s.serial++
	o.Number = s.serial
	s.digest.Add(s.serial, uint64(len(body.Intent)))
	s.tellRecord(exchange.ChangeRecord, exchange.ChangeInfo{Serial: s.serial, Intent: body.Intent, Approvers: grant.Approvers(), At: s.now})
	return exchange.Done
}

// judge asks whether enough people granted a change. An exchange begins with a roster, which nobody can approve.
func (s *State) judge(body exchange.ChangeBody, o *exchange.Outcome) (approvals.Grant, exchange.Code) {
	now := time.UnixMilli(int64(s.now))
	var grant approvals.Grant
	var err error
	if len(s.roster) == 0 {
		grant, _, err = approvals.First(body.Intent, now)
	} else {
		grant, err = s.people.Change(body.Intent, body.Approvals, s.filesCount(), now)
	}
	if err != nil {
		o.Reason = sentence(err)
		return grant, exchange.EvidenceRefused
	}
	return grant, exchange.Done
}

// filesCount reports whether approvals by keys in files count: only where nothing is worth anything.
func (s *State) filesCount() bool {
	return !slices.ContainsFunc(s.assets, func(a exchange.AssetInfo) bool {
		return a.Network != "" && !spend.Network(a.Network).IsTest()
	})
}

func (s *State) carryOut(grant approvals.Grant, o *exchange.Outcome) exchange.Code {
	switch intent := grant.Intent(); {
	case intent.Asset != nil:
		return s.setAsset(*intent.Asset)
	case intent.Market != nil:
		return s.setMarket(*intent.Market)
	case intent.Balance != nil:
		return s.adjust(grant)
	case intent.Roster != nil:
		return s.setRoster(intent.Roster, o)
	case intent.Wallet != nil:
		return s.addWallet(intent.Wallet, o)
	case intent.Fees != nil:
		info, code := s.accounts.SetFees(*intent.Fees)
		return s.settled(code, info)
	case intent.Default != nil:
		return s.setDefault(*intent.Default)
	case intent.Reset != nil:
		return s.resetFactors(*intent.Reset)
	case intent.Unban != "":
		return unbanned(intent.Unban, o)
	case intent.Freeze != nil:
		info, code := s.accounts.SetState(*intent.Freeze)
		return s.settled(code, info)
	}
	return exchange.Malformed
}

// unbanned records that an address is forgiven. The tables of requests are not the engine's: they hear of it by the
// record of the change.
func unbanned(text string, o *exchange.Outcome) exchange.Code {
	if address, err := netip.ParseAddr(text); err != nil || address.Zone() != "" || address.String() != text {
		o.Reason = "no address in its usual spelling"
		return exchange.Malformed
	}
	return exchange.Done
}

// toldIf tells a record when its command was done.
func (s *State) toldIf(code exchange.Code, kind exchange.Record, record any) exchange.Code {
	if code == exchange.Done {
		s.tellRecord(kind, record)
	}
	return code
}

// settled tells an account's record, and the ledger what orders need to know of it.
func (s *State) settled(code exchange.Code, info exchange.AccountInfo) exchange.Code {
	if code == exchange.Done {
		s.ledger.SetTerms(info.ID, termsOf(&info))
	}
	return s.toldIf(code, exchange.AccountRecord, info)
}

// setDefault sets what accounts pay that have no fees of their own. Every account's terms are told to the ledger now, so
// that a trade asks nobody; the records hear of it by the record of the change.
func (s *State) setDefault(f exchange.DefaultFees) exchange.Code {
	code := s.accounts.SetDefault(f)
	if code == exchange.Done {
		s.accounts.EachTerms(func(id exchange.Account, t accounts.Terms) {
			s.ledger.SetTerms(id, ledger.Terms{MakerPPM: t.MakerPPM, TakerPPM: t.TakerPPM, Known: true, Active: t.State == exchange.AccountActive})
		})
	}
	return code
}

func termsOf(i *exchange.AccountInfo) ledger.Terms {
	return ledger.Terms{MakerPPM: i.MakerPPM, TakerPPM: i.TakerPPM, Known: true, Active: i.State == exchange.AccountActive}
}

// adjust posts a granted balance change.
func (s *State) adjust(grant approvals.Grant) exchange.Code {
	a := grant.Intent().Balance
	if a.Asset == 0 || int(a.Asset) >= len(s.assets) {
		return exchange.UnknownAsset
	}
	if _, known := s.accounts.Terms(a.Account); !known && a.Account != 0 {
		return exchange.UnknownAccount
	}
	p, code := s.ledger.Adjust(grant)
	if code == exchange.Done && p != 0 {
		s.touch(p)
	}
	return code
}

func (s *State) setRoster(raw []byte, o *exchange.Outcome) exchange.Code {
	people, err := approvals.ParseRoster(raw)
	if err != nil {
		o.Reason = sentence(err)
		return exchange.EvidenceRefused
	}
	s.roster, s.people = bytes.Clone(raw), people
	return exchange.Done
}

func (s *State) addWallet(raw []byte, o *exchange.Outcome) exchange.Code {
	w, err := wallet.Parse(raw)
	if err != nil {
		o.Reason = sentence(err)
		return exchange.EvidenceRefused
	}
	switch {
	case len(s.wallets) >= walletsMax:
		return exchange.AboveMax
	case s.assetOf(w.Network()) == 0:
		return exchange.UnknownAsset
	case slices.ContainsFunc(s.wallets, func(d depositWallet) bool { return d.ID() == w.ID() }):
		return exchange.AlreadyExists
	}
	s.wallets = append(s.wallets, depositWallet{bytes.Clone(raw), w})
	return exchange.Done
}

// assetOf returns the asset that is native to a network, or zero.
func (s *State) assetOf(n spend.Network) exchange.Asset {
	return exchange.Asset(max(slices.IndexFunc(s.assets, func(a exchange.AssetInfo) bool { return a.Network != "" && a.Network == string(n) }), 0))
}

// setAsset adds an asset with the next number, or changes what withdrawals of an old one cost.
func (s *State) setAsset(a exchange.AssetInfo) exchange.Code {
	if !IsSymbol(a.Symbol) || a.Decimals > DecimalsMax || a.WithdrawMin.Cmp(a.WithdrawFee) < 0 || !s.isNetwork(&a) || !isDayMax(&a) {
		return exchange.Malformed
	}
	switch {
	case a.ID != 0 && int(a.ID) < len(s.assets):
		old := &s.assets[a.ID]
		if old.Symbol != a.Symbol || old.Decimals != a.Decimals || old.Network != a.Network {
			return exchange.WrongState
		}
		*old = a
	case int(a.ID) != len(s.assets):
		return exchange.UnknownAsset
	case len(s.assets) > assetsMax:
		return exchange.AboveMax
	case slices.ContainsFunc(s.assets, func(b exchange.AssetInfo) bool {
		return a.Symbol == b.Symbol || a.Network != "" && a.Network == b.Network
	}):
		return exchange.AlreadyExists
	default:
		s.assets = append(s.assets, a)
	}
	s.tellRecord(exchange.AssetRecord, a)
	return exchange.Done
}

// isNetwork reports whether an asset can be what is native to the network that it names.
func (s *State) isNetwork(a *exchange.AssetInfo) bool {
	if a.Network == "" {
		return true
	}
	_, err := wallet.Params(spend.Network(a.Network))
	return err == nil && a.Decimals == 8
}

// isDayMax reports whether an asset that can be withdrawn says how much of it may leave an account in 24 hours: enough
// for the smallest withdrawal.
func isDayMax(a *exchange.AssetInfo) bool {
	return a.Network == "" || a.WithdrawDayMax != (money.U128{}) && a.WithdrawDayMax.Cmp(a.WithdrawMin) >= 0
}

// IsSymbol reports whether text is 1 to 20 of the characters A-Z and 0-9.
func IsSymbol(text string) bool {
	for i := range len(text) {
		if c := text[i]; !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return text != "" && len(text) <= symbolMax
}

// setMarket adds a market with the next number, or gives an old one new limits and another state.
func (s *State) setMarket(i exchange.MarketInfo) exchange.Code {
	if !sound(&i) {
		return exchange.Malformed
	}
	switch {
	case i.ID != 0 && int(i.ID) < len(s.markets):
		m := s.markets[i.ID]
		if old := m.info; old.Symbol != i.Symbol || old.Base != i.Base || old.Quote != i.Quote || old.TickDecimals != i.TickDecimals || old.LotDecimals != i.LotDecimals {
			return exchange.WrongState
		}
		m.info = i
	case int(i.ID) != len(s.markets):
		return exchange.UnknownMarket
	case len(s.markets) > marketsMax:
		return exchange.AboveMax
	case slices.ContainsFunc(s.markets[1:], func(m *market) bool { return m.info.Symbol == i.Symbol }):
		return exchange.AlreadyExists
	default:
		m, code := s.newMarket(i)
		if code != exchange.Done {
			return code
		}
		s.markets = append(s.markets, m)
	}
	m := s.markets[i.ID]
	m.book.SetLimits(limits(&i))
	s.setState(m, i.State)
	s.tellRecord(exchange.MarketRecord, i)
	return exchange.Done
}

// sound reports whether a market's numbers can be together.
func sound(i *exchange.MarketInfo) bool {
	return IsSymbol(i.Symbol) && i.State <= exchange.MarketAuction && inRange(i.PriceMax, int64(matching.PriceMax)) && inRange(i.QtyMax, int64(matching.QtyMax)) &&
		i.PriceMin >= 0 && (i.PriceMax == 0 && i.PriceMin == 0 || i.PriceMin <= i.PriceMax) &&
		i.QtyMin >= 0 && (i.QtyMax == 0 || i.QtyMin <= i.QtyMax) && inRange(i.NotionalMin, quoteLimit) && i.OrdersMax >= 0 && i.OrdersMax <= ownOrdersMax
}

func (s *State) newMarket(i exchange.MarketInfo) (*market, exchange.Code) {
	if i.Base == 0 || i.Quote == 0 || i.Base == i.Quote || int(i.Base) >= len(s.assets) || int(i.Quote) >= len(s.assets) {
		return nil, exchange.UnknownAsset
	}
	m := &market{info: i, nextOrder: 1, nextTrade: 1}
	if !m.scale(s.assets) {
		return nil, exchange.Malformed
	}
	m.book = matching.New(matching.Options{Limits: limits(&i)})
	return m, exchange.Done
}

// scale computes what a lot, and a tick times a lot, are in smallest units. Both must be whole, so that nothing but a
// fee is ever rounded.
func (m *market) scale(assets []exchange.AssetInfo) bool {
	lot := int(assets[m.info.Base].Decimals) - int(m.info.LotDecimals)
	unit := int(assets[m.info.Quote].Decimals) - int(m.info.TickDecimals) - int(m.info.LotDecimals)
	if lot < 0 || unit < 0 || lot > scaleMax || unit > scaleMax {
		return false
	}
	m.lot, m.unit = power(lot), power(unit)
	return true
}

func power(n int) uint64 {
	out := uint64(1)
	for range n {
		out *= 10
	}
	return out
}

// setState opens, halts or calls a market. To open is always to reopen: orders that met while the market did not trade
// trade at one price, and where none did, nothing happens.
func (s *State) setState(m *market, to exchange.MarketState) {
	switch {
	case to == exchange.MarketHalted:
		m.book.Halt()
	case to == exchange.MarketAuction:
		m.book.Call()
	case m.book.State() != matching.Open:
		s.taker = taker{}
		s.events = m.book.Reopen(matching.Time(s.now), s.events[:0])
		s.handle(m)
	}
}

// malformed is the code for a body that cannot be read.
func malformed(o *exchange.Outcome, err error) exchange.Code {
	o.Reason = sentence(err)
	return exchange.Malformed
}

// sentence is an error in one line of at most 255 bytes.
func sentence(err error) string {
	line, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return string(line[:min(len(line), 255)])
}

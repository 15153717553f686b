package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/coldsign/coldsign/internal/exchange"
)

// ChangeID names a change: the front of its bytes' SHA-256.
func ChangeID(intent []byte) string {
	sum := sha256.Sum256(intent)
	return hex.EncodeToString(sum[:8])
}

// DescribeChange says what a change does, in lines of a name and a value. People approve what they read here, so both
// ends make it from the exact bytes.
func DescribeChange(i exchange.ChangeIntent) [][2]string {
	var out [][2]string
	say := func(name, format string, args ...any) {
		out = append(out, [2]string{name, fmt.Sprintf(format, args...)})
	}
	switch {
	case i.Asset != nil:
		a := i.Asset
		say("ASSET", "%s, number %d, %d decimals", a.Symbol, a.ID, a.Decimals)
		if a.Network != "" {
			say("NETWORK", "%s", a.Network)
			say("WITHDRAWALS", "at least %s, fee %s, in smallest units", a.WithdrawMin, a.WithdrawFee)
			say("IN 24 HOURS", "at most %s smallest units of one account", a.WithdrawDayMax)
		}
	case i.Market != nil:
		m := i.Market
		say("MARKET", "%s, number %d: asset %d for asset %d", m.Symbol, m.ID, m.Base, m.Quote)
		say("STATE", "%s", MarketStateName(m.State))
		say("STEPS", "price 10^-%d, quantity 10^-%d", m.TickDecimals, m.LotDecimals)
		say("PRICE", "%d to %d ticks", m.PriceMin, m.PriceMax)
		say("QUANTITY", "%d to %d lots, at least %d ticks x lots", m.QtyMin, m.QtyMax, m.NotionalMin)
		say("ORDERS", "%d of one account at most", m.OrdersMax)
	case i.Fees != nil:
		say("FEES", "account %d: maker %d, taker %d parts per million", i.Fees.Account, i.Fees.MakerPPM, i.Fees.TakerPPM)
	case i.Balance != nil:
		verb := "GIVES"
		if i.Balance.Debit {
			verb = "TAKES"
		}
		who := "the house's reserve, from outside"
		if i.Balance.Account != 0 {
			who = fmt.Sprintf("account %d", i.Balance.Account)
		}
		say(verb, "%s, asset %d: %s smallest units", who, i.Balance.Asset, i.Balance.Amount)
	case i.Roster != nil:
		say("ROSTER", "%d bytes, SHA-256 %x", len(i.Roster), sha256.Sum256(i.Roster))
	case i.Freeze != nil:
		verb := "LETS ACT"
		if i.Freeze.State == exchange.AccountFrozen {
			verb = "FREEZES"
		}
		say(verb, "account %d", i.Freeze.Account)
	case i.Unban != "":
		say("FORGIVES", "the address %q, which sent too many requests", i.Unban)
	case i.Wallet != nil:
		say("DEPOSITS TO", "wallet file of %d bytes, SHA-256 %x", len(i.Wallet), sha256.Sum256(i.Wallet))
	}
	say("SERIAL", "%d", i.Serial)
	say("PROPOSER", "%s", i.Proposer)
	if i.Note != "" {
		say("NOTE", "%q", i.Note)
	}
	return out
}

// MarketStateName is a market's state as people write it.
func MarketStateName(s exchange.MarketState) string {
	switch s {
	case exchange.MarketOpen:
		return "open"
	case exchange.MarketHalted:
		return "halted"
	case exchange.MarketAuction:
		return "auction"
	}
	return fmt.Sprintf("state %d", s)
}

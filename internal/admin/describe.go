package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
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
			of := money.Asset{Symbol: a.Symbol, Decimals: a.Decimals}
			say("WITHDRAW", "at least %s, fee %s", money.New(of, a.WithdrawMin), money.New(of, a.WithdrawFee))
			say("24 HOURS", "at most %s of one account", money.New(of, a.WithdrawDayMax))
		}
	case i.Market != nil:
		m := i.Market
		say("MARKET", "%s, number %d: asset %d for asset %d", m.Symbol, m.ID, m.Base, m.Quote)
		say("STATE", "%s", MarketStateName(m.State))
		say("STEPS", "price 10^-%d, quantity 10^-%d", m.TickDecimals, m.LotDecimals)
		say("PRICE", "%s to %s", steps(m.PriceMin, m.TickDecimals), steps(m.PriceMax, m.TickDecimals))
		say("QUANTITY", "%s to %s, price times quantity at least %s", steps(m.QtyMin, m.LotDecimals), steps(m.QtyMax, m.LotDecimals), steps(m.NotionalMin, m.TickDecimals+m.LotDecimals))
		say("ORDERS", "%d of one account at most", m.OrdersMax)
	case i.Fees != nil:
		switch f := i.Fees; {
		case f.Free:
			say("FEES", "of account %d: none, whatever others pay", f.Account)
		case f.MakerPPM == 0 && f.TakerPPM == 0:
			say("FEES", "of account %d: those of accounts without their own", f.Account)
		default:
			say("FEES", "of account %d: %s", f.Account, rates(f.MakerPPM, f.TakerPPM))
		}
	case i.Default != nil:
		say("FEES", "of accounts without their own: %s", rates(i.Default.MakerPPM, i.Default.TakerPPM))
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
	case i.Reset != nil:
		say("TAKES AWAY", "every passkey of account %d, whose customer lost them", i.Reset.Account)
		if i.Reset.Codes {
			say("AND", "its secret of one-time codes")
		}
		say("UNTIL", "the longer cool-down ends, nothing is paid to what is new in its book")
	case i.Unban != "":
		say("FORGIVES", "the address %q, which sent too many requests", i.Unban)
	case i.Wallet != nil:
		say("DEPOSITS", "to the wallet file of %d bytes, SHA-256 %x", len(i.Wallet), sha256.Sum256(i.Wallet))
	}
	say("SERIAL", "%d", i.Serial)
	say("PROPOSER", "%s", i.Proposer)
	if i.Note != "" {
		say("NOTE", "%q", i.Note)
	}
	return out
}

// rates writes fees as people read them, and as they are counted: 1000 parts per million are 0.1 %.
func rates(maker, taker uint32) string {
	percent := func(n uint32) string {
		return money.New(money.Asset{Decimals: 4}, money.U128{Lo: uint64(n)}).Decimal()
	}
	return fmt.Sprintf("maker %s %%, taker %s %% (%d and %d parts per million)", percent(maker), percent(taker), maker, taker)
}

// steps writes a whole number of steps as the decimal that it stands for.
func steps(n int64, decimals uint8) string {
	if n < 0 {
		return fmt.Sprint(n) // no market has it, and the engine refuses it
	}
	return money.New(money.Asset{Decimals: decimals}, money.U128{Lo: uint64(n)}).Decimal()
}

// NameChange says what the numbers in a change stand for, as the daemon's catalogue has them; empty when it adds nothing.
// It is the daemon's word: who approves compares it with what was agreed.
func NameChange(i exchange.ChangeIntent, catalogue []Asset) string {
	named := func(id exchange.Asset) (Asset, string) {
		for _, a := range catalogue {
			if a.ID == uint16(id) {
				return a, fmt.Sprintf("asset %d is %s", id, a.Symbol)
			}
		}
		return Asset{}, fmt.Sprintf("asset %d is unknown", id)
	}
	switch {
	case i.Balance != nil:
		a, text := named(i.Balance.Asset)
		if a.ID == 0 {
			return text
		}
		return text + ", so this is " + money.New(money.Asset{Symbol: a.Symbol, Decimals: a.Decimals}, i.Balance.Amount).String()
	case i.Market != nil:
		_, base := named(i.Market.Base)
		_, quote := named(i.Market.Quote)
		return base + ", " + quote
	}
	return ""
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

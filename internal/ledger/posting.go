package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// ppmWhole is a fee of everything.
const ppmWhole = 1_000_000

// Hold puts an amount of a row on hold. False: there is not as much available, and nothing changed.
func (l *Ledger) Hold(p Place, amount money.U128) bool {
	b := &l.rows[p].Balance
	rest, enough := b.Available.Sub(amount)
	if !enough || p == 0 {
		return false
	}
	b.Available = rest
	gain(&b.Held, amount)
	l.posted(p, b)
	return true
}

// Release makes an amount on hold available again. More than is on hold is a broken invariant.
func (l *Ledger) Release(p Place, amount money.U128) {
	b := &l.rows[p].Balance
	lose(&b.Held, amount)
	gain(&b.Available, amount)
	l.posted(p, b)
}

// gain and lose move whole units in and out of a number. Whoever calls has made sure that they are there; a sum of all
// rows fits by the invariant, so a part of it does.
func gain(n *money.U128, by money.U128) {
	sum, fits := n.Add(by)
	if !fits {
		panic("ledger: a balance above 128 bits")
	}
	*n = sum
}

func lose(n *money.U128, by money.U128) {
	rest, enough := n.Sub(by)
	if !enough {
		panic(fmt.Sprintf("ledger: %s taken from %s", by, *n))
	}
	*n = rest
}

// balanced ends the program when an asset's two sides are not equal.
func (h *House) balanced() {
	sum, a := h.Customers.Add(h.Fees)
	sum, b := sum.Add(h.Reserve)
	if !a || !b || sum != h.External {
		panic(fmt.Sprintf("ledger: a posting that does not balance: %+v", *h))
	}
}

// Trade is what two orders exchange. The seller's hold of Size base and the buyer's hold of Reserved quote are used up;
// what the buyer reserved and need not pay is available again at once. Each side pays its fee in what it receives.
type Trade struct {
	Base, Quote             exchange.Asset
	BuyerBase, BuyerQuote   Place
	SellerBase, SellerQuote Place
	Size, Cost, Reserved    money.U128
	BuyerPPM, SellerPPM     uint32
}

// Settle posts a trade and returns the fees, rounded up for the house. The holds were made by orders, so holds that do
// not suffice are a broken invariant.
func (l *Ledger) Settle(t *Trade) (buyerFee, sellerFee money.U128) {
	buyerFee, sellerFee = Fee(t.Size, t.BuyerPPM), Fee(t.Cost, t.SellerPPM)
	// One row after the other, never two at a time: with self-trades the four are only two.
	b := &l.rows[t.BuyerQuote].Balance
	lose(&b.Held, t.Reserved)
	improvement, enough := t.Reserved.Sub(t.Cost)
	if !enough {
		panic("ledger: a trade that costs more than was reserved")
	}
	gain(&b.Available, improvement)
	l.posted(t.BuyerQuote, b)
	l.receive(t.SellerQuote, t.Quote, t.Cost, sellerFee)

	b = &l.rows[t.SellerBase].Balance
	lose(&b.Held, t.Size)
	l.posted(t.SellerBase, b)
	l.receive(t.BuyerBase, t.Base, t.Size, buyerFee)
	return buyerFee, sellerFee
}

// receive gives a row what another has lost, less the house's fee.
func (l *Ledger) receive(to Place, asset exchange.Asset, amount, fee money.U128) {
	b, h := &l.rows[to].Balance, &l.assets[asset]
	net, enough := amount.Sub(fee)
	if !enough || to == 0 {
		panic("ledger: a fee above the amount, or a row of nobody")
	}
	lose(&h.Customers, amount)
	gain(&h.Customers, net)
	gain(&b.Available, net)
	gain(&h.Fees, fee)
	h.balanced()
	l.posted(to, b)
}

// Fee is the part of an amount in millionths, rounded up. It is never more than the amount.
func Fee(amount money.U128, ppm uint32) money.U128 {
	if ppm = min(ppm, ppmWhole); ppm == 0 {
		return money.U128{}
	}
	if amount.Hi == 0 && amount.Lo < 1<<43 {
		return money.U128{Lo: (amount.Lo*uint64(ppm) + ppmWhole - 1) / ppmWhole}
	}
	millions, rest := amount.DivMod64(ppmWhole)
	whole, fits := millions.Mul64(uint64(ppm))
	if !fits {
		panic("ledger: a fee above its amount")
	}
	gain(&whole, money.U128{Lo: (rest*uint64(ppm) + ppmWhole - 1) / ppmWhole})
	return whole
}

// Credit gives a proven deposit to an account. The same output is credited once, whoever proves it again.
func (l *Ledger) Credit(d chain.Deposit, to exchange.Account, asset exchange.Asset) (Place, exchange.Code) {
	facts := d.Facts()
	id := transferOf(fmt.Appendf(nil, "deposit\x00%s\x00%s\x00%d", facts.Network, facts.TxID, facts.Output))
	return l.enter(id, to, asset, facts.Amount.Units())
}

func transferOf(raw []byte) Transfer {
	sum := sha256.Sum256(raw)
	return Transfer(sum[:16])
}

// enter posts what comes from outside to a row.
func (l *Ledger) enter(id Transfer, to exchange.Account, asset exchange.Asset, amount money.U128) (Place, exchange.Code) {
	if l.Done(id) {
		return 0, exchange.AlreadyCredited
	}
	if _, fits := l.House(asset).External.Add(amount); !fits {
		return 0, exchange.AmountOverflow
	}
	p := l.Open(to, asset)
	b, h := &l.rows[p].Balance, l.asset(asset)
	gain(&h.External, amount)
	gain(&h.Customers, amount)
	gain(&b.Available, amount)
	h.balanced()
	l.posted(p, b)
	l.remember(id)
	return p, exchange.Done
}

// Adjust posts the balance change that people granted: between an account and the house, or, for account zero, between
// the house and the outside. The house gives only what it has: first its reserve, then its fees.
func (l *Ledger) Adjust(g approvals.Grant) (Place, exchange.Code) {
	intent := g.Intent()
	a := intent.Balance
	if a == nil {
		return 0, exchange.Malformed
	}
	id := transferOf(append([]byte("grant\x00"), g.Bytes()...))
	if l.Done(id) {
		return 0, exchange.AlreadyCredited
	}
	var p Place
	code := exchange.Done
	switch h := l.asset(a.Asset); {
	case a.Account == 0:
		code = h.fund(a.Amount, a.Debit)
	case a.Debit:
		p, code = l.take(a)
	default:
		p, code = l.give(a)
	}
	if code != exchange.Done {
		return 0, code
	}
	l.asset(a.Asset).balanced()
	if p != 0 {
		l.posted(p, &l.rows[p].Balance)
	}
	l.remember(id)
	return p, exchange.Done
}

// fund moves value between the outside and the house's reserve.
func (h *House) fund(amount money.U128, debit bool) exchange.Code {
	if debit {
		if h.Reserve.Cmp(amount) < 0 {
			return exchange.InsufficientFunds
		}
		lose(&h.Reserve, amount)
		lose(&h.External, amount)
		return exchange.Done
	}
	if _, fits := h.External.Add(amount); !fits {
		return exchange.AmountOverflow
	}
	gain(&h.External, amount)
	gain(&h.Reserve, amount)
	return exchange.Done
}

// take moves value from an account to the house's reserve.
func (l *Ledger) take(a *exchange.Adjustment) (Place, exchange.Code) {
	p := l.Find(a.Account, a.Asset)
	if p == 0 || l.rows[p].Available.Cmp(a.Amount) < 0 {
		return 0, exchange.InsufficientFunds
	}
	h := l.asset(a.Asset)
	lose(&l.rows[p].Available, a.Amount)
	lose(&h.Customers, a.Amount)
	gain(&h.Reserve, a.Amount)
	return p, exchange.Done
}

// give moves value from the house to an account.
func (l *Ledger) give(a *exchange.Adjustment) (Place, exchange.Code) {
	h := l.asset(a.Asset)
	own, fits := h.Reserve.Add(h.Fees)
	if !fits || own.Cmp(a.Amount) < 0 {
		return 0, exchange.InsufficientFunds
	}
	fromReserve := a.Amount
	if h.Reserve.Cmp(a.Amount) < 0 {
		fromReserve = h.Reserve
	}
	lose(&h.Reserve, fromReserve)
	fromFees, _ := a.Amount.Sub(fromReserve)
	lose(&h.Fees, fromFees)
	p := l.Open(a.Account, a.Asset)
	h = l.asset(a.Asset) // Open may have moved the slab
	gain(&h.Customers, a.Amount)
	gain(&l.rows[p].Available, a.Amount)
	return p, exchange.Done
}

// Pay posts a withdrawal that left: the amount on hold is gone, the fee is the house's, the rest went outside. The
// number names the withdrawal, and it is paid once.
func (l *Ledger) Pay(p Place, number uint64, amount, fee money.U128) exchange.Code {
	id := transferOf(binary.LittleEndian.AppendUint64([]byte("withdrawal\x00"), number))
	if l.Done(id) {
		return exchange.WrongState
	}
	net, enough := amount.Sub(fee)
	if !enough {
		panic("ledger: a withdrawal below its fee")
	}
	_, asset := l.Owner(p)
	b, h := &l.rows[p].Balance, &l.assets[asset]
	lose(&b.Held, amount)
	lose(&h.Customers, amount)
	gain(&h.Fees, fee)
	lose(&h.External, net)
	h.balanced()
	l.posted(p, b)
	l.remember(id)
	return exchange.Done
}

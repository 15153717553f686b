package records

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/exchange"
)

// record takes one of the rarer records as it now is.
func (b *batch) record(e *exchange.Event) error {
	switch e.Record {
	case exchange.AssetRecord:
		return with(e.Body, func(a exchange.AssetInfo) {
			b.add(putAsset, int64(a.ID), a.Symbol, int64(a.Decimals), a.Network, amount(a.WithdrawMin), amount(a.WithdrawFee), amount(a.WithdrawDayMax))
		})
	case exchange.MarketRecord:
		return with(e.Body, func(m exchange.MarketInfo) {
			b.add(putMarket, int64(m.ID), m.Symbol, int64(m.Base), int64(m.Quote), int64(m.TickDecimals), int64(m.LotDecimals),
				m.PriceMin, m.PriceMax, m.QtyMin, m.QtyMax, m.NotionalMin, int64(m.OrdersMax), int64(m.State))
		})
	case exchange.AccountRecord:
		return with(e.Body, b.account)
	case exchange.KeyRecord:
		return with(e.Body, b.key)
	case exchange.AddressRecord:
		return with(e.Body, b.address)
	case exchange.DepositAddressRecord:
		return with(e.Body, func(d exchange.DepositAddressInfo) {
			b.add(putDepositAddress, int64(d.Asset), int64(d.Index), int64(d.Account),
				b.seal.seal(field("deposit_addresses.address", uint64(d.Asset), uint64(d.Index)), []byte(d.Address)), int64(d.At))
		})
	case exchange.DepositRecord:
		return with(e.Body, func(d exchange.DepositInfo) {
			b.add(putDeposit, int64(d.Number), int64(d.Account), int64(d.Asset), amount(d.Amount), b.seal.seal(field("deposits.txid", d.Number), []byte(d.TxID)),
				int64(d.Output), b.seal.seal(field("deposits.address", d.Number), []byte(d.Address)), int64(d.Height), int64(d.At))
		})
	case exchange.WithdrawalRecord:
		return with(e.Body, func(w exchange.WithdrawalInfo) {
			b.add(putWithdrawal, int64(w.Number), int64(w.Account), int64(w.Asset), amount(w.Amount), amount(w.Fee),
				b.seal.seal(field("withdrawals.address", w.Number), []byte(w.Address)), w.Client, int64(w.State),
				b.seal.seal(field("withdrawals.txid", w.Number), []byte(w.TxID)), b.seal.seal(field("withdrawals.reason", w.Number), []byte(w.Reason)), int64(w.Created), int64(w.Changed))
		})
	case exchange.ChangeRecord:
		return with(e.Body, b.change)
	case exchange.TicketRecord:
		return with(e.Body, func(t exchange.TicketInfo) {
			b.add(putTicket, int64(t.Number), int64(t.Account), t.Key, t.Why, int64(t.At))
		})
	case exchange.PasskeyRecord: // the engine answers for what there is, and the journal for what there was
		return with(e.Body, func(exchange.PasskeyInfo) {})
	}
	return fmt.Errorf("record %d: %w", e.Record, exchange.ErrBytes)
}

// with reads a body and uses it.
func with[T any](body []byte, use func(T)) error {
	record, err := exchange.DecodeBody[T](body)
	if err == nil {
		use(record)
	}
	return err
}

func (b *batch) account(a exchange.AccountInfo) {
	id, own := uint64(a.ID), int64(0)
	if a.Own {
		own = 1
	}
	b.add(putAccount, int64(a.ID), b.seal.seal(field("accounts.name", id), []byte(a.Name)), int64(a.State), int64(a.MakerPPM), int64(a.TakerPPM),
		b.seal.seal(field("accounts.totp", id), a.TOTP), int64(a.Created), own)
}

func (b *batch) key(k exchange.KeyInfo) {
	revoked := int64(0)
	if k.Revoked {
		revoked = 1
	}
	allowed, _ := exchange.EncodeBody(k.Allowed) // a list of texts that was just decoded
	b.add(putKey, k.Key, int64(k.Account), int64(k.Scopes), k.Kind, b.seal.seal(field("api_keys.secret\x00"+k.Key), k.Secret),
		b.seal.seal(field("api_keys.allowed\x00"+k.Key), allowed), b.seal.seal(field("api_keys.label\x00"+k.Key), []byte(k.Label)),
		int64(k.Created), int64(k.Usable), revoked)
}

func (b *batch) address(a exchange.AddressInfo) {
	tag, removed := b.seal.index(a.Address), int64(0)
	if a.Removed {
		removed = 1
	}
	b.add(putBook, int64(a.Account), int64(a.Asset), tag, b.seal.seal(field("book.address\x00"+string(tag), uint64(a.Account), uint64(a.Asset)), []byte(a.Address)),
		b.seal.seal(field("book.label\x00"+string(tag), uint64(a.Account), uint64(a.Asset)), []byte(a.Label)), int64(a.Added), int64(a.Usable), removed)
}

func (b *batch) change(c exchange.ChangeInfo) {
	approvers, _ := exchange.EncodeBody(c.Approvers) // a list of texts that was just decoded
	b.add(putChange, int64(c.Serial), b.seal.seal(field("changes.intent", c.Serial), c.Intent), b.seal.seal(field("changes.approvers", c.Serial), approvers), int64(c.At))
	// The fees of everybody who has none of their own: one statement here, where a record for each would be a frame's
	// worth of events for each million accounts.
	if intent, err := exchange.DecodeBody[exchange.ChangeIntent](c.Intent); err == nil && intent.Default != nil {
		b.add(putDefault, int64(intent.Default.MakerPPM), int64(intent.Default.TakerPPM))
	}
}

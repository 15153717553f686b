package accounts

import (
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
)

// address is an entry of a withdrawal book. One that was removed is forgotten: added again, it waits again.
type address struct {
	asset         exchange.Asset
	text, label   string
	added, usable exchange.Millis
}

func (e *address) info(id exchange.Account) exchange.AddressInfo {
	return exchange.AddressInfo{Account: id, Asset: e.asset, Address: e.text, Label: e.label, Added: e.added, Usable: e.usable}
}

// AddAddress puts an address into the account's withdrawal book. It needs a one-time code, and can be paid to only after
// the rules' delay; where the rules require a passkey, see Approve. Whether the text is an address of the asset's network is the engine's to know.
func (b *Book) AddAddress(id exchange.Account, body exchange.AddressBody, now exchange.Millis) (exchange.AddressInfo, exchange.Code) {
	info, no := b.addAddress(id, body, now, b.secondFactor(body.Code, now))
	return info, no.code()
}

// addAddress puts it in; factor says whether the account's customer wants it.
func (b *Book) addAddress(id exchange.Account, body exchange.AddressBody, now exchange.Millis, factor func(*account) *Refusal) (exchange.AddressInfo, *Refusal) {
	a := b.find(id)
	code := exchange.Done
	switch {
	case a == nil:
		code = exchange.UnknownAccount
	case body.Asset == 0 || !isAddress(body.Address) || !isLabel(body.Label):
		code = exchange.Malformed
	case a.state != exchange.AccountActive:
		code = exchange.NotAllowed
	case a.entry(body.Asset, body.Address) >= 0:
		code = exchange.AlreadyExists
	case a.more != nil && len(a.more.addresses) >= addressesMax:
		code = exchange.OverLimit
	}
	if code != exchange.Done {
		return exchange.AddressInfo{}, refused(code)
	}
	if no := factor(a); no != nil {
		return exchange.AddressInfo{}, no
	}
	entry := address{asset: body.Asset, text: body.Address, label: body.Label, added: now, usable: max(now+b.rules.AddressDelay, b.factorsOf(id).calm)}
	a.holdings().addresses = append(a.more.addresses, entry)
	return entry.info(id), nil
}

// RemoveAddress takes an address out of the account's withdrawal book, at once and without a code: whoever fears a thief
// must not have to wait.
func (b *Book) RemoveAddress(id exchange.Account, body exchange.AddressBody) (exchange.AddressInfo, exchange.Code) {
	a := b.find(id)
	if a == nil {
		return exchange.AddressInfo{}, exchange.UnknownAccount
	}
	place := a.entry(body.Asset, body.Address)
	if place < 0 {
		return exchange.AddressInfo{}, exchange.UnknownAddress
	}
	info := a.more.addresses[place].info(id)
	info.Removed = true
	a.more.addresses = slices.Delete(a.more.addresses, place, place+1)
	return info, exchange.Done
}

// Addresses returns an account's withdrawal book in the order in which it was filled.
func (b *Book) Addresses(id exchange.Account) []exchange.AddressInfo {
	a := b.find(id)
	if a == nil || a.more == nil {
		return nil
	}
	out := make([]exchange.AddressInfo, 0, len(a.more.addresses))
	for i := range a.more.addresses {
		out = append(out, a.more.addresses[i].info(id))
	}
	return out
}

// entry returns the place of an address in the book, or -1.
func (a *account) entry(asset exchange.Asset, text string) int {
	if a.more == nil {
		return -1
	}
	return slices.IndexFunc(a.more.addresses, func(e address) bool { return e.asset == asset && e.text == text })
}

func isAddress(text string) bool {
	if text == "" || len(text) > addressMax {
		return false
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

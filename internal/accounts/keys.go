package accounts

import (
	"net/netip"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/coldsign/coldsign/internal/exchange"
)

// The kinds of key.
const (
	HMAC    = "hmac"
	Ed25519 = "ed25519"
)

const (
	keyNameLen = 64
	// blocksMax is the longest allow-list. A block must be small enough that naming it says something about where the
	// customer is: 65,536 addresses, or what one network operator gets in IPv6.
	blocksMax      = 32
	blockBitsMin4  = 16
	blockBitsMin6  = 32
	publicKeyBytes = 32
)

// key is one API key.
type key struct {
	info  exchange.KeyInfo
	tries uint32 // to withdraw, since
	since exchange.Millis
}

// AddKey makes an API key. With ScopeWithdraw it needs an allow-list and a one-time code, and may withdraw only after
// the rules' delay. Where the rules require a passkey no code does, and the code is EvidenceRefused: see Approve.
func (b *Book) AddKey(id exchange.Account, body exchange.KeyBody, now exchange.Millis) (exchange.KeyInfo, exchange.Code) {
	info, no := b.addKey(id, body, now, b.secondFactor(body.Code, now))
	return info, no.code()
}

// addKey makes a key; factor says whether its customer wants it, where that is asked.
func (b *Book) addKey(id exchange.Account, body exchange.KeyBody, now exchange.Millis, factor func(*account) *Refusal) (exchange.KeyInfo, *Refusal) {
	a := b.find(id)
	if a == nil {
		return exchange.KeyInfo{}, refused(exchange.UnknownAccount)
	}
	blocks, ok := parseBlocks(body.Allowed)
	withdraws := body.Scopes&exchange.ScopeWithdraw != 0
	if !ok || !b.isKey(id, body) || withdraws && len(blocks) == 0 {
		return exchange.KeyInfo{}, refused(exchange.Malformed)
	}
	if a.state != exchange.AccountActive {
		return exchange.KeyInfo{}, refused(exchange.NotAllowed)
	}
	if b.keys[body.Key] != nil {
		return exchange.KeyInfo{}, refused(exchange.AlreadyExists)
	}
	live := 0
	for _, k := range a.holdings().keys {
		if !k.info.Revoked {
			live++
		}
	}
	if live >= keysMax || len(a.more.keys) >= keysEverMax {
		return exchange.KeyInfo{}, refused(exchange.OverLimit)
	}
	usable := now
	if withdraws {
		if no := factor(a); no != nil {
			return exchange.KeyInfo{}, no
		}
		usable = max(now+b.rules.KeyDelay, b.factorsOf(id).calm)
	}
	k := &key{info: exchange.KeyInfo{Key: body.Key, Account: id, Scopes: body.Scopes, Kind: body.Kind, Secret: slices.Clone(body.Secret),
		Allowed: blocks, Label: body.Label, Created: now, Usable: usable}}
	a.more.keys = append(a.more.keys, k)
	b.keys[body.Key] = k
	return k.record(), nil
}

// isKey reports whether a body describes a key. The secret of an hmac key must open for this key and account, so that
// no key exists whose signatures nobody can check.
func (b *Book) isKey(id exchange.Account, body exchange.KeyBody) bool {
	const all = exchange.ScopeRead | exchange.ScopeTrade | exchange.ScopeWithdraw
	if !isKeyName(body.Key) || body.Scopes == 0 || body.Scopes&^all != 0 || !isLabel(body.Label) || len(body.Secret) > sealedMax {
		return false
	}
	switch body.Kind {
	case HMAC:
		if b.opener == nil {
			return false
		}
		secret, err := b.opener.Open(id, body.Key, body.Secret)
		return err == nil && isKeyName(string(secret))
	case Ed25519:
		return len(body.Secret) == publicKeyBytes && slices.ContainsFunc(body.Secret, func(c byte) bool { return c != 0 })
	}
	return false
}

// record is the key for an event or an answer: a copy, because the state's own slices must stay as they are.
func (k *key) record() exchange.KeyInfo {
	info := k.info
	info.Secret, info.Allowed = slices.Clone(info.Secret), slices.Clone(info.Allowed)
	return info
}

// RevokeKey ends an API key for good, and forgets its secret. Its name is never given again.
func (b *Book) RevokeKey(id exchange.Account, name string) (exchange.KeyInfo, exchange.Code) {
	if b.find(id) == nil {
		return exchange.KeyInfo{}, exchange.UnknownAccount
	}
	k := b.keys[name]
	if k == nil || k.info.Account != id || k.info.Revoked {
		return exchange.KeyInfo{}, exchange.WrongState
	}
	k.revoke()
	return k.record(), exchange.Done
}

func (k *key) revoke() { k.info.Revoked, k.info.Secret, k.tries, k.since = true, nil, 0, 0 }

// LookupKey returns a key, its secret sealed.
func (b *Book) LookupKey(name string) (exchange.KeyInfo, bool) {
	k := b.keys[name]
	if k == nil {
		return exchange.KeyInfo{}, false
	}
	return k.record(), true
}

// Keys returns an account's keys in the order in which they were made, their secrets sealed.
func (b *Book) Keys(id exchange.Account) []exchange.KeyInfo {
	a := b.find(id)
	if a == nil || a.more == nil {
		return nil
	}
	out := make([]exchange.KeyInfo, 0, len(a.more.keys))
	for _, k := range a.more.keys {
		out = append(out, k.record())
	}
	return out
}

func isKeyName(name string) bool {
	if len(name) != keyNameLen {
		return false
	}
	for i := range len(name) {
		if !isAlphanumeric(name[i]) {
			return false
		}
	}
	return true
}

// isLabel reports whether a customer's own words can be stored and shown.
func isLabel(text string) bool {
	if len(text) > nameMax || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// parseBlocks reads an allow-list and returns it in its one spelling: every block masked, IPv4 in IPv6 as the IPv4 that
// it is. An address without a length is a block of one.
func parseBlocks(texts []string) ([]string, bool) {
	if len(texts) > blocksMax {
		return nil, false
	}
	var out []string
	for _, text := range texts {
		block, ok := ParseBlock(text)
		if !ok {
			return nil, false
		}
		if canonical := block.String(); !slices.Contains(out, canonical) {
			out = append(out, canonical)
		}
	}
	return out, true
}

// ParseBlock reads one entry of an allow-list: a CIDR block or an address. It refuses a block that is so wide that it
// allows nearly everybody (0.0.0.0/0 above all), one with a zone, and one with bits set behind its length, which says
// something else than was meant. IPv4 in IPv6 is the IPv4 that it is: ::ffff:0.0.0.0/96 is 0.0.0.0/0.
func ParseBlock(text string) (netip.Prefix, bool) {
	block, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, false
		}
		block = netip.PrefixFrom(address, address.BitLen())
	}
	if block != block.Masked() {
		return netip.Prefix{}, false
	}
	address, bits := block.Addr(), block.Bits()
	if address.Is4In6() {
		address, bits = address.Unmap(), bits-96
	}
	least := blockBitsMin4
	if address.Is6() {
		least = blockBitsMin6
	}
	// An IPv6 block around ::ffff:0:0/96 does no harm: Allowed compares an IPv4 address with IPv4 blocks alone.
	if bits < least || address.IsUnspecified() || address.IsMulticast() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(address, bits), true
}

// Allowed reports whether ip is in one of the blocks. An empty list allows everybody; an entry that is no block allows
// nobody.
func Allowed(ip netip.Addr, blocks []string) bool {
	if len(blocks) == 0 {
		return ip.IsValid()
	}
	ip = ip.Unmap().WithZone("")
	for _, text := range blocks {
		if block, ok := ParseBlock(text); ok && block.Contains(ip) {
			return true
		}
	}
	return false
}

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/internal/words"
)

// reading is a top-up as this home reads it: decoded from the exact intent bytes, with names and address from pinned
// wallets. What the daemon says beside those bytes is not in it.
type reading struct {
	intent           spend.Intent
	raw              []byte
	hash             [32]byte
	from, to         wallet.Wallet
	fromKnown, known bool   // From is pinned here; To is, and the address was derived
	address          string // empty unless known
}

// read decodes a top-up. It refuses bytes that speak of another top-up than the one that was asked for.
func read(t admin.TopUp, list []wallet.Wallet) (reading, error) {
	intent, err := bundle.DecodeIntent(t.Intent)
	if err != nil {
		return reading{}, fmt.Errorf("top-up %s: %w", t.ID, err)
	}
	r := reading{intent: intent, raw: t.Intent, hash: sha256.Sum256(t.Intent)}
	if found := strconv.FormatUint(intent.Serial, 10); found != t.ID {
		return reading{}, spend.Distrust("topup-mismatch", "intent", "top-up "+t.ID, "top-up "+found, "tell an operator: the daemon mixes top-ups up")
	}
	r.from, r.fromKnown = pinned(list, intent.From)
	if r.pays() {
		return r, nil
	}
	r.to, r.known = pinned(list, intent.To)
	if !r.known {
		return r, nil
	}
	d, err := r.to.Derive(wallet.Receive, intent.ToIndex)
	if err != nil {
		return reading{}, err
	}
	r.address = d.Address
	return r, nil
}

// pinnedBoth refuses to go on with wallets that nobody pinned here.
func (r reading) pinnedBoth() error {
	type side struct {
		name  string
		known bool
		id    spend.WalletID
		w     wallet.Wallet
	}
	sides := []side{{"from", r.fromKnown, r.intent.From, r.from}}
	if !r.pays() {
		sides = append(sides, side{"to", r.known, r.intent.To, r.to})
	}
	for _, side := range sides {
		if !side.known {
			return spend.Refuse("wallet-unpinned", side.name, "a wallet pinned in this home", side.id.Short(), "get its file from the keyholders, then: warmctl wallet add FILE")
		}
		if side.w.Network() != r.intent.Network {
			return spend.Refuse("network-mismatch", side.name, string(r.intent.Network), string(side.w.Network()), "pin the wallet of that network: warmctl wallet add FILE")
		}
	}
	return nil
}

// merges reports whether the wallet pays itself.
func (r reading) merges() bool { return r.intent.From == r.intent.To }

// pays reports whether an entry of the address book is paid. Its address stands in the signers' copies of the book.
func (r reading) pays() bool { return r.intent.Purpose == spend.Payment }

func (r reading) fromName() string { return walletName(r.from, r.fromKnown, r.intent.From) }

func (r reading) toName() string {
	if r.pays() {
		return "entry " + r.intent.Entry
	}
	return walletName(r.to, r.known, r.intent.To)
}

func walletName(w wallet.Wallet, known bool, id spend.WalletID) string {
	if !known {
		return "not pinned here (" + id.Short() + ")"
	}
	return w.Name()
}

// groups writes an address in groups of four, never shortened.
func groups(address string) string {
	var b strings.Builder
	for i := range len(address) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(address[i])
	}
	return b.String()
}

// write says the intent in words.
func (r reading) write(to io.Writer, now time.Time) {
	line := func(name, format string, args ...any) { line(to, name, format, args...) }
	i := r.intent
	line("TOP-UP", "%d on %s, issued by %s", i.Serial, i.Network, i.Issuer)
	if r.merges() {
		line("STAYS", "NOTHING LEAVES but the fee: the wallet pays itself")
	}
	line("AMOUNT", "%s %s", i.Amount.Grouped(), i.Amount.Asset().Symbol)
	if r.fromKnown {
		line("FROM", "%s, %s wallet, %s", r.from.Name(), r.from.Tier(), i.From.Short())
	} else {
		line("FROM", "%s", r.fromName())
	}
	switch {
	case r.pays():
		line("TO", "OUTSIDE OUR WALLETS: entry %s of the address book", i.Entry)
		line("", "the keyholders signed that book; each signer shows the address of its own copy")
	case r.known:
		line("TO", "%s, %s wallet, %s, receive index %d", r.to.Name(), r.to.Tier(), i.To.Short(), i.ToIndex)
		line("ADDRESS", "%s", groups(r.address))
		line("", "derived here from the pinned wallet")
	default:
		line("TO", "%s, receive index %d", r.toName(), i.ToIndex)
	}
	line("PROPOSER", "%s", i.Proposer)
	line("CREATED", "%s", time.Unix(i.CreatedAt, 0).UTC().Format(time.RFC3339))
	expires := time.Unix(i.ExpiresAt, 0).UTC()
	if left := expires.Sub(now); left > 0 {
		line("EXPIRES", "%s, in %s", expires.Format(time.RFC3339), left.Round(time.Minute))
	} else {
		line("EXPIRED", "%s", expires.Format(time.RFC3339))
	}
	line("WORDS", "%s", words.Line(r.hash))
}

// view is a top-up as --json writes it: the daemon's view, with everything that the intent bytes say replaced by what
// was read from them here.
func (r reading) view(t admin.TopUp) map[string]any {
	t.IntentHash, t.Words = hex.EncodeToString(r.hash[:]), words.Line(r.hash)
	t.From, t.To, t.ToIndex = r.fromName(), r.toName(), r.intent.ToIndex
	t.Amount, t.Proposer = admin.AmountOf(r.intent.Amount), r.intent.Proposer
	t.CreatedAt, t.ExpiresAt = time.Unix(r.intent.CreatedAt, 0).UTC(), time.Unix(r.intent.ExpiresAt, 0).UTC()
	child := t.Kind == admin.KindChild // for what a wallet pays itself, the intent does not say
	t.Kind, t.Entry = admin.KindTopUp, r.intent.Entry
	switch {
	case r.pays():
		t.Kind, t.To = admin.KindPayment, r.intent.Entry
	case r.merges() && child:
		t.Kind = admin.KindChild
	case r.merges():
		t.Kind = admin.KindConsolidation
	}
	view := without(t)
	view["network"], view["issuer"] = r.intent.Network, r.intent.Issuer
	view["from_id"], view["to_id"] = r.intent.From.String(), ""
	if !r.pays() {
		view["to_id"] = r.intent.To.String()
	}
	view["from_pinned"], view["to_pinned"], view["address"] = r.fromKnown, r.known, r.address
	return view
}

// sameIntent refuses a bundle that carries other intent bytes than the top-up it was given out for.
func (r reading) sameIntent(raw []byte) error {
	if bytes.Equal(raw, r.raw) {
		return nil
	}
	return spend.Distrust("bundle-other-intent", "bundle", "the intent of top-up "+strconv.FormatUint(r.intent.Serial, 10), "another intent", "tell an operator: the daemon mixes bundles up")
}

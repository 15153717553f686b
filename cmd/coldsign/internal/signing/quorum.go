package signing

import (
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Vouched says whether the keyholders of every wallet that a policy, a roster or a book is about signed it. A policy is
// about the wallets that it has rules for; the others are about every wallet. Only wallets that this key belongs to
// count: for others this signer signs nothing.
func (b Beliefs) Vouched(p home.Pin) error {
	concerns := func(spend.WalletID) bool { return true }
	if p.Kind == home.PolicyPin {
		rules, err := policy.Parse(p.Data)
		if err != nil {
			return err
		}
		concerns = func(id spend.WalletID) bool { _, has := rules.Rule(id); return has }
	}
	var circles []approvals.Circle
	for _, w := range b.Wallets {
		if b.own(w) && concerns(w.ID()) {
			circles = append(circles, circle(w))
		}
	}
	return approvals.Vouch(p.Kind.Namespace(), p.Data, p.Signatures, circles)
}

// standing asks again, when a wallet is about to spend, whether its own keyholders stand behind everything that decides
// what it may do. A wallet that was pinned after the policy has no quorum behind that policy yet.
func (b Beliefs) standing(from wallet.Wallet) error {
	var all []error
	for _, p := range b.papers {
		if err := circle(from).Stands(p.Kind.Namespace(), p.Data, p.Signatures); err != nil {
			all = append(all, fmt.Errorf("pinned %s: %w", p.Kind, err))
		}
	}
	return errors.Join(all...)
}

// own reports whether the key whose beliefs these are is one of a wallet's.
func (b Beliefs) own(w wallet.Wallet) bool { return b.keyNumber(w) > 0 }

// keyNumber is the place of this key in a wallet, from 1; 0 when it is none of its keys. It is the last place when there
// are several, because earlier places may do more (policy's time-lock).
func (b Beliefs) keyNumber(w wallet.Wallet) int {
	number := 0
	for i, k := range w.Keys() {
		if k.Receipt != "" && k.Receipt == seal.KeyLine(b.receipt) {
			number = i + 1
		}
	}
	return number
}

// circle is the keyholders of a wallet. Keys in foreign devices have no receipt key, so their holders cannot sign a
// file; where they leave fewer than the threshold, all others must sign. Whoever pinned such a wallet accepted that by
// name (wallet add --accept-risk unproven-keys).
func circle(w wallet.Wallet) approvals.Circle {
	c := approvals.Circle{Wallet: w.Name()}
	for _, k := range w.Keys() {
		if receipt, err := seal.ParseKey(k.Receipt); err == nil {
			c.Holders = append(c.Holders, approvals.Holder{Name: k.Name, Receipt: receipt})
		}
	}
	c.Need = min(w.Threshold(), len(c.Holders))
	return c
}

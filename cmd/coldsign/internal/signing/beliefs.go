// Package signing is the whole act of a signer: open, prove, derive, judge, review, record, sign, verify, answer.
//
// It exists so that the order of these steps stands on one page and can be read as the safety argument: the seal is
// checked before a byte is parsed, amounts are proven before they are judged, everything is judged before a person is
// asked, the reservation is on the disk before the key is used, and the signature is verified by two implementations
// before it leaves. What may never happen here: a step skipped by a flag, a key used for a bundle that was not judged
// clean, a second signature over the same coins.
package signing

import (
	"bytes"
	"cmp"
	"errors"
	"sync"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

// Beliefs are the files that one key of this home has sealed: all that a signer knows of the world outside.
type Beliefs struct {
	Network spend.Network
	Issuers []bundle.Issuer
	Roster  approvals.Roster
	Rules   policy.Rules
	Book    policy.Book // of addresses outside; none needs to be pinned
	Wallets []wallet.Wallet

	key     string // its name in the home
	receipt ssh.PublicKey
	papers  []home.Pin // what keyholders signed: policy, roster, book

	hasRoster, hasRules bool
}

// Load reads everything that key has pinned. A pin that does not verify is an error, not a gap.
func Load(h *home.Home, l *home.Ledger, key string, receipt ssh.PublicKey) (Beliefs, error) {
	b := Beliefs{Network: h.Network(), key: key, receipt: receipt}
	readers := map[home.Kind]func([]byte) error{
		home.IssuerPin: b.takeIssuer, home.RosterPin: b.takeRoster, home.PolicyPin: b.takeRules, home.BookPin: b.takeBook,
	}
	for _, kind := range []home.Kind{home.IssuerPin, home.RosterPin, home.PolicyPin, home.BookPin, home.WalletPin} {
		pins, err := h.Pins(l, kind, key, receipt)
		if err != nil {
			return Beliefs{}, err
		}
		if kind == home.WalletPin {
			if err := b.takeWallets(pins); err != nil {
				return Beliefs{}, err
			}
			continue
		}
		for _, pin := range pins {
			if err := readers[kind](pin.Data); err != nil {
				return Beliefs{}, err
			}
			if kind.NeedsQuorum() {
				b.papers = append(b.papers, pin)
			}
		}
	}
	return b, nil
}

func (b *Beliefs) takeIssuer(data []byte) error {
	issuer, err := bundle.ParseIssuer(data)
	b.Issuers = append(b.Issuers, issuer)
	return err
}

func (b *Beliefs) takeRoster(data []byte) (err error) {
	b.Roster, err = approvals.ParseRoster(data)
	b.hasRoster = err == nil
	return err
}

func (b *Beliefs) takeRules(data []byte) (err error) {
	b.Rules, err = policy.Parse(data)
	b.hasRules = err == nil
	return err
}

func (b *Beliefs) takeBook(data []byte) (err error) {
	b.Book, err = policy.ParseBook(data)
	return err
}

// takeWallets accepts keys without proof of possession: whoever pinned the wallet had to name that risk (wallet add). The
// proofs that are there are verified at each load, which is most of what signing a single coin costs, so all wallets are
// read at the same time.
func (b *Beliefs) takeWallets(pins []home.Pin) error {
	wallets, errs := make([]wallet.Wallet, len(pins)), make([]error, len(pins))
	var group sync.WaitGroup
	for i, pin := range pins {
		group.Go(func() { wallets[i], errs[i] = wallet.Parse(pin.Data, wallet.AcceptUnproven()) })
	}
	group.Wait()
	b.Wallets = wallets
	return cmp.Or(errs...)
}

// Issuer returns the key that an issuer of this network seals with.
func (b Beliefs) Issuer(name string) (ssh.PublicKey, bool) {
	for _, i := range b.Issuers {
		if i.Name == name && i.Network == b.Network {
			return i.Key, true
		}
	}
	return nil, false
}

// Wallet returns a pinned wallet by its identity.
func (b Beliefs) Wallet(id spend.WalletID) (wallet.Wallet, bool) {
	for _, w := range b.Wallets {
		if w.ID() == id {
			return w, true
		}
	}
	return wallet.Wallet{}, false
}

// complete refuses when something that judging needs was never pinned.
func (b Beliefs) complete() error {
	var missing []error
	if len(b.Issuers) == 0 {
		missing = append(missing, spend.Refuse("trust-missing", "issuer", "an issuer that this key trusts", "none",
			"the keyholder: coldsign trust add ISSUER-FILE"))
	}
	if !b.hasRoster {
		missing = append(missing, spend.Refuse("trust-missing", "roster", "a roster of the people who may approve", "none",
			"the keyholder: coldsign trust add ROSTER-FILE"))
	}
	if !b.hasRules {
		missing = append(missing, spend.Refuse("trust-missing", "policy", "a policy with this signer's limits", "none",
			"the keyholder: coldsign policy template --out policy.yaml, read it, then coldsign trust add policy.yaml"))
	}
	return errors.Join(missing...)
}

// Position is the place of a key in a wallet, by its whole public record.
func Position(w wallet.Wallet, record wallet.KeyRecord) (int, bool) {
	position, ok := w.KeyPosition(record)
	return position, ok && bytes.Equal(w.Keys()[position].Marshal(), record.Marshal())
}

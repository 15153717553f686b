package signing_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

var update = flag.Bool("update", false, "write the examples into docs/refusals anew")

// examined returns an act that examines a clean bundle with changed beliefs.
func examined(change func(*signing.Beliefs)) func(*testing.T) error {
	return func(t *testing.T) error {
		tr := newTreasury(t, 2, 3)
		ledger := tr.ledger(t)
		defer ledger.Close()
		b, err := signing.Load(tr.home, ledger, "COLD-A-0", tr.key.Receipt().PublicKey())
		must(t, err)
		change(&b)
		_, err = signing.Examine(b, ledger, tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...)), noon)
		return err
	}
}

// session returns an act that signs a clean bundle in a changed session.
func session(change func(*testing.T, *treasury, *signing.Session)) func(*testing.T) error {
	return func(t *testing.T) error {
		tr := newTreasury(t, 2, 3)
		ledger := tr.ledger(t)
		defer ledger.Close()
		s := &signing.Session{Home: tr.home, Ledger: ledger, Info: keystore.Info{Name: "COLD-A-0", Record: tr.key.Record()},
			Unlock: func(context.Context) (*keystore.Key, error) { return tr.key, nil }, Now: func() time.Time { return noon },
			Rand: noise("session", 0), Ask: confirmed}
		change(t, tr, s)
		_, err := s.Sign(context.Background(), tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...)))
		return err
	}
}

// second returns an act that signs one bundle and then another one of the same home.
func second(next func(*testing.T, *treasury, []byte) []byte) func(*testing.T) error {
	return func(t *testing.T) error {
		tr := newTreasury(t, 2, 3)
		first := tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...))
		tr.signs(t, first)
		_, _, err := tr.try(t, next(t, tr, first))
		return err
	}
}

// gap returns an act that reconciles a new ledger by a bundle whose issuer has seen receipts up to seen.
func gap(seen, to uint64, change func(*signing.Beliefs)) func(*testing.T) error {
	return func(t *testing.T) error {
		tr := newTreasury(t, 2, 3)
		ask := tr.ask(0)
		if seen > 0 {
			ask.counters = []bundle.Counter{{Position: 0, Counter: seen}}
		}
		raw := tr.seal(t, ask)
		ledger := tr.ledger(t)
		defer ledger.Close()
		b, err := signing.Load(tr.home, ledger, "COLD-A-0", tr.key.Receipt().PublicKey())
		must(t, err)
		change(&b)
		_, err = signing.FindGap(b, ledger, raw, to, noon)
		return err
	}
}

// The examples of docs/refusals/signing.md.
func TestRefusalsOfSigning(t *testing.T) {
	acts := page.Examples{}
	for _, part := range []page.Examples{ofActs(), ofLedgers(), ofVetoes()} {
		maps.Copy(acts, part)
	}
	page.Check(t, "../../../../docs/refusals/signing.md", "coldsign", acts, *update)
}

func ofLedgers() page.Examples {
	as := func(*signing.Beliefs) {}
	return page.Examples{
		"coin-amount-changed": session(func(t *testing.T, tr *treasury, s *signing.Session) {
			coin := tr.coins(t, 0, 1)[0].Outpoint.String()
			entry := home.Entry{Event: home.Reserved, Bundle: "00112233445566778899aabbccddeeff", Key: "COLD-A-1", Wallet: tr.hot.ID().String(),
				Leaving: "1", Outpoints: []string{coin}, Amounts: []string{"999"}}
			must(t, s.Ledger.Append(noon, entry))
		}),
		"gap-unlikely":   gap(3, 2, as),
		"ledger-current": gap(0, 1, as),
		"ledger-rolled-back": func(t *testing.T) error {
			tr := newTreasury(t, 2, 3)
			ask := tr.ask(0)
			ask.counters = []bundle.Counter{{Position: 0, Counter: 3}}
			_, err := tr.holder(t, 0).signs(t, tr.seal(t, ask))
			return err
		},
		"ledger-unreadable": session(func(t *testing.T, tr *treasury, s *signing.Session) {
			entry := home.Entry{Event: home.Reserved, Bundle: "00112233445566778899aabbccddeeff", Key: "COLD-A-0", Wallet: tr.cold.ID().String(), Leaving: "much"}
			must(t, s.Ledger.Append(noon, entry))
		}),
		"wallet-not-in-policy": gap(3, 3, func(b *signing.Beliefs) { b.Rules = policy.Rules{} }),
	}
}

func ofVetoes() page.Examples {
	return page.Examples{
		"veto-mismatch": func(t *testing.T) error {
			tr := newTreasury(t, 2, 3)
			refusal, err := tr.holder(t, 0).refuses(t, tr.seal(t, tr.ask(0)))
			must(t, err)
			return tr.holder(t, 1).heeds(t, refusal, tr.seal(t, tr.ask(2)))
		},
		"vetoed": func(t *testing.T) error {
			tr := newTreasury(t, 2, 3)
			raw := tr.seal(t, tr.ask(0))
			refusal, err := tr.holder(t, 0).refuses(t, raw)
			must(t, err)
			second := tr.holder(t, 1)
			must(t, second.heeds(t, refusal, raw))
			_, err = second.signs(t, raw)
			return err
		},
	}
}

func ofActs() page.Examples {
	return page.Examples{
		"already-signed": func(t *testing.T) error {
			tr := newTreasury(t, 2, 3)
			raw := tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...))
			tr.signs(t, raw)
			ledger := tr.ledger(t)
			defer ledger.Close()
			s := signing.Session{Home: tr.home, Ledger: ledger, Info: keystore.Info{Name: "COLD-A-0", Record: tr.key.Record()}, Now: func() time.Time { return noon }}
			x, err := s.Examine(raw)
			must(t, err)
			_, err = s.Refuse(context.Background(), x, "wrong-amount")
			return err
		},
		"book-entry-ours": func(t *testing.T) error {
			tr := newTreasury(t, 2, 3)
			ours, err := tr.cold.Derive(wallet.Receive, 3)
			must(t, err)
			book, err := policy.ParseBook(fmt.Appendf(nil, "coldsign: address-book/v1\nserial: 1\nnetwork: bitcoin:regtest\n"+
				"entries:\n  - name: otc-desk\n    address: %q\n    confirmed: false\n", ours.Address))
			must(t, err)
			return signing.Beliefs{Network: spend.BitcoinRegtest, Wallets: []wallet.Wallet{tr.cold}}.CheckBook(book)
		},
		"bundle-changed": func(t *testing.T) error {
			tr := newTreasury(t, 2, 3)
			raw := tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...))
			ledger := tr.ledger(t)
			defer ledger.Close()
			_, err := tr.sign(ledger, raw, func(review.Request) error { raw[len(raw)/2] ^= 1; return nil })
			return err
		},
		"coin-already-signed": second(func(t *testing.T, tr *treasury, _ []byte) []byte {
			return tr.sealed(t, tr.errand(tr.coins(t, 0, 1)...))
		}),
		"key-mismatch": session(func(t *testing.T, tr *treasury, s *signing.Session) {
			s.Unlock = func(context.Context) (*keystore.Key, error) {
				store, err := keystore.Open(tr.home.KeysDir(), nil)
				if err != nil {
					return nil, err
				}
				return store.Unlock("COLD-A-1", keystore.NewSecret([]byte(passphrase)))
			}
		}),
		"key-not-in-wallet": session(func(_ *testing.T, _ *treasury, s *signing.Session) { s.Info.Record.Name = "COLD-B-0" }),
		"network-mismatch":  examined(func(b *signing.Beliefs) { b.Network, b.Issuers[0].Network = spend.BitcoinSignet, spend.BitcoinSignet }),
		"replacement-shares-no-coin": second(func(t *testing.T, tr *treasury, first []byte) []byte {
			e := tr.errand(tr.coins(t, 5, 1)...)
			e.replaces = first
			return tr.sealed(t, e)
		}),
		"replacement-differs": second(func(t *testing.T, tr *treasury, first []byte) []byte {
			e := tr.errand(tr.coins(t, 0, 1)...)
			e.amount, e.replaces, e.rate = 150_000, first, 9000
			return tr.sealed(t, e)
		}),
		"trust-missing":  examined(func(b *signing.Beliefs) { *b = signing.Beliefs{Network: b.Network} }),
		"wallet-unknown": examined(func(b *signing.Beliefs) { b.Wallets = b.Wallets[:1] }),
	}
}

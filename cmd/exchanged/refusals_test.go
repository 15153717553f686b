package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"maps"
	rand2 "math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

var update = flag.Bool("update", false, "write the examples into docs/refusals anew")

// fails runs one command line and returns its error, before it is reported.
func (r *rig) fails(args ...string) error {
	c := &console.Console{Name: "exchanged", In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Now: r.clock}
	root := newRootCmd(&app{Console: c})
	root.SetArgs(append(args, "--data", r.dir))
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	return root.Execute()
}

// foreign is the cold wallet as a wallet of another network.
func (r *rig) foreign() wallet.Wallet {
	label := wallet.Label{Name: "TESTNET-1", Tier: spend.Cold, Network: spend.BitcoinTestnet}
	return must(wallet.FromDescriptor(r.cold.Descriptor(), label, wallet.AcceptUnproven()))
}

// The examples of docs/refusals/exchanged.md.
func TestRefusalsOfExchanged(t *testing.T) {
	page.Check(t, "../../docs/refusals/exchanged.md", "exchanged", page.Examples{
		"book-other-network": setsPaper(bookPaper, bookOf(1, spend.BitcoinMainnet, "otc-desk", deskAddress)),
		"change-damaged": func(t *testing.T) error {
			desk := &exchangeDesk{folder: folder(t.TempDir())}
			const id = "0123456789abcdef"
			if err := errors.Join(os.MkdirAll(desk.folder.path(exchangeDir, "admin", "changes"), 0o700), os.WriteFile(desk.path(id), []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
			_, err := desk.OneChange(context.Background(), id)
			return err
		},
		"deposits-reorg": func(*testing.T) error {
			return (&depositSink{height: 840_000}).Rollback(context.Background(), 839_990)
		},
		"policy-other-network": setsPaper(policyPaper, policy.Template(spend.BitcoinSignet, policy.Wallet{ID: spend.WalletID{1}, Name: "COLD", Tier: spend.Cold}, policy.Wallet{ID: spend.WalletID{2}, Name: "HOT", Tier: spend.Hot})),
		"wallet-conflict": func(t *testing.T) error {
			r := newRig(t)
			return r.fails("wallet", "add", r.file("other", walletOf("COLD-BTC-A", spend.Cold, cosigners("d", "e", "f")).Marshal()))
		},
		"wallet-other-network": func(t *testing.T) error {
			r := newRig(t)
			return r.fails("wallet", "add", r.file("foreign", r.foreign().Marshal()), "--accept-risk", "unproven-keys")
		},
	}, *update)
}

// working returns an act on a daemon whose choice of coins is the same in every run.
func working(act func(*rig) error) func(*testing.T) error {
	return func(t *testing.T) error {
		r := newRig(t)
		r.treasury.Random = rand2.NewChaCha8([32]byte{7})
		return act(r)
	}
}

// The examples of docs/refusals/treasury.md.
func TestRefusalsOfTreasury(t *testing.T) {
	acts := page.Examples{}
	for _, part := range []page.Examples{ofProposals(), ofPlans(), ofTreasuryAnswers(), ofChanges(), ofPayments(), ofChildren()} {
		maps.Copy(acts, part)
	}
	page.Check(t, "../../docs/refusals/treasury.md", "warmctl", acts, *update)
}

func ofProposals() page.Examples {
	// proposes asks for a top-up after the daemon's own has ended.
	proposes := func(name string, before func(*rig)) func(*testing.T) error {
		return working(func(r *rig) error {
			r.expireFirst()
			must(r.treasury.Cancel(context.Background(), carol, 2, "the tier watch's own", false))
			before(r)
			_, err := r.treasury.Propose(context.Background(), carol, name)
			return err
		})
	}
	as := func(*rig) {}
	return page.Examples{
		"chain-not-followed": proposes("HOT-BTC-1", func(r *rig) { r.mu.Lock(); r.behind = errNode; r.mu.Unlock() }),
		"halted": proposes("HOT-BTC-1", func(r *rig) {
			must(0, r.store.Halt(context.Background(), "nonce-reused", "answer of key 1 to top-up 411"))
		}),
		"proposer-unknown": proposes("HOT-BTC-1", func(r *rig) { r.setRoster("alice", "bob") }),
		"tier-unknown":     proposes("COLD-BTC-A", as),
		"topup-not-needed": proposes("HOT-BTC-1", func(r *rig) { r.deposit(r.hot, 0, 2.5e8) }),
		"topup-live": working(func(r *rig) error {
			_, err := r.treasury.Propose(context.Background(), carol, "HOT-BTC-1")
			return err
		}),
		"wallet-other-network": working(func(r *rig) error {
			_, _, err := r.treasury.Register(context.Background(), r.foreign().Marshal())
			return err
		}),
		"wallet-unknown": working(func(r *rig) error {
			_, err := r.treasury.PlanConsolidation(context.Background(), "COLD-BTC-B", money.Amount{})
			return err
		}),
	}
}

func ofPlans() page.Examples {
	plans := func(settings ...string) func(*testing.T) error {
		return working(func(r *rig) error {
			for i := 0; i < len(settings); i += 2 {
				r.configure(settings[i], settings[i+1])
			}
			r.restart()
			_, err := r.treasury.PlanTopUp(context.Background(), "")
			return err
		})
	}
	return page.Examples{
		"bytes-above-cap": working(func(r *rig) error {
			r.configure(`target: "2.5"`, `target: "7.2"`)
			r.restart()
			for i := range byte(5) { // coins out of transactions of almost a megabyte, which the bundle must carry
				tx := wire.NewMsgTx(2)
				tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{9, i}}, SignatureScript: []byte{0x51}})
				tx.AddTxOut(wire.NewTxOut(5e7, must(r.cold.Derive(wallet.Receive, 10)).ScriptPubKey))
				tx.AddTxOut(wire.NewTxOut(0, append([]byte{0x6a}, make([]byte, 950_000)...)))
				r.chain.mine(tx)
			}
			r.tick(context.Background())
			_, err := r.treasury.PlanTopUp(context.Background(), "")
			return err
		}),
		"frames-above-cap":   plans("frames_max: 600 ", "frames_max: 1 "),
		"funds-insufficient": plans(`target: "2.5"`, `target: "7.5"`),
		"nothing-to-merge": working(func(r *rig) error {
			_, err := r.treasury.PlanConsolidation(context.Background(), "HOT-BTC-1", money.Amount{})
			return err
		}),
		"planned-coins-gone": working(func(r *rig) error {
			v := must(r.treasury.Consolidate(context.Background(), carol, "COLD-BTC-A", money.Sats(2e8)))
			for _, serial := range []uint64{1, v.Intent.Serial} {
				for _, name := range []string{"alice", "bob"} {
					must(0, r.approve(serial, name))
				}
			}
			return r.treasury.Step(context.Background())
		}),
	}
}

func ofTreasuryAnswers() page.Examples {
	// answers hands in a changed answer of key 0 to the sealed bundle.
	answers := func(change func(r *rig, a *bundle.Answer) []byte) func(*testing.T) error {
		return working(func(r *rig) error {
			r.toSealed()
			a := r.answerTo(1, 0)
			_, err := r.give(change(r, &a))
			return err
		})
	}
	return page.Examples{
		"answer-incomplete": answers(func(r *rig, a *bundle.Answer) []byte { a.Signatures = a.Signatures[1:]; return r.sealed(*a) }),
		"answer-other-key":  answers(func(r *rig, a *bundle.Answer) []byte { a.Signatures = r.answerTo(1, 1).Signatures; return r.sealed(*a) }),
		"answer-other-wallet": answers(func(r *rig, a *bundle.Answer) []byte {
			a.Wallet = r.hot.ID()
			return must(bundle.SealAnswer(*a, cosigners("x")[0].receipt, rand.Reader))
		}),
		"approval-carried-by-other": working(func(r *rig) error {
			_, err := r.treasury.Approve(context.Background(), treasury.Person{Name: "bob"}, 1, r.approval(1, "alice"))
			return err
		}),
		"final-other-transaction": working(func(r *rig) error {
			r.toSealed()
			r.signBy(1, 0)
			second := r.sealed(r.answerTo(1, 1))
			r.over(liar{Records: r.records, bundle: func(b *treasury.Bundle) { b.TxID = chainhash.Hash{7} }})
			must(r.give(second))
			return r.treasury.Step(context.Background())
		}),
		"receipt-missing": working(func(r *rig) error {
			r.toSealed()
			_, err := r.handIn(r.psbt(1, 1))
			return err
		}),
	}
}

func ofChanges() page.Examples {
	bumps := func(rate int64, before func(*rig)) func(*testing.T) error {
		return working(func(r *rig) error { before(r); return r.bump(1, rate) })
	}
	return page.Examples{
		"amount-too-large": working(func(r *rig) error {
			must(0, r.approve(1, "alice"))
			r.over(liar{Records: r.records, intent: func(i *treasury.Intent) {
				if i.State == treasury.Approved {
					i.Amount = money.New(money.BTC, money.U128{Hi: 1})
				}
			}})
			must(0, r.approve(1, "bob"))
			return r.treasury.Step(context.Background())
		}),
		"bump-not-possible": bumps(5_000, func(*rig) {}),
		"fee-rate-range":    bumps(100_001, (*rig).toSealed),
		"intent-expired": bumps(5_000, func(r *rig) {
			r.toSealed()
			r.signBy(1, 0, 1)
			r.set(noon.Add(73 * time.Hour))
		}),
		"topup-has-signatures": working(func(r *rig) error {
			r.toSealed()
			r.signBy(1, 0)
			_, err := r.treasury.Cancel(context.Background(), carol, 1, "typo", false)
			return err
		}),
	}
}

// setsPaper gives a daemon a file in a folder of its own, so that its name is the same in every run.
func setsPaper(kind paperKind, data []byte) func(*testing.T) error {
	return func(t *testing.T) error {
		r := newRig(t)
		t.Chdir(t.TempDir())
		must(0, os.WriteFile(string(kind)+".yaml", data, 0o600))
		return r.fails(string(kind), "set", string(kind)+".yaml")
	}
}

func ofPayments() page.Examples {
	pays := func(entry string, before func(*rig)) func(*testing.T) error {
		return working(func(r *rig) error {
			before(r)
			_, err := r.pay(entry, 1.5e8)
			return err
		})
	}
	desk := func(r *rig) { r.setBook("otc-desk", deskAddress) }
	return page.Examples{
		"book-changed": working(func(r *rig) error {
			desk(r)
			v := must(r.pay("otc-desk", 1.5e8))
			r.setBook("otc-desk", otherAddress)
			for _, name := range []string{"alice", "bob"} {
				must(0, r.approve(v.Intent.Serial, name))
			}
			return r.treasury.Step(context.Background())
		}),
		"book-entry-customer": pays("otc-desk", func(r *rig) {
			desk(r)
			r.treasury.Customers = customersOf{wallet: r.hot, whose: "deposit address 1 of DEPOSITS-1, of customer two (account 2)"}
		}),
		"deposit-wallet": working(func(r *rig) error {
			r.depositWallet()
			_, err := r.treasury.PlanConsolidation(context.Background(), "COLD-BTC-A", money.Amount{})
			return err
		}),
		"book-entry-ours":    pays("hot", func(r *rig) { r.setBook("hot", must(r.hot.Derive(wallet.Receive, 3)).Address) }),
		"book-entry-unknown": pays("otc", desk),
		"book-missing":       pays("otc-desk", func(*rig) {}),
		"book-other-network": pays("otc-desk", func(r *rig) {
			must(0, folder(r.dir).keepPaper(bookPaper, treasury.Paper{Data: bookOf(1, spend.BitcoinMainnet, "otc-desk", deskAddress)}))
		}),
		"payment-live": pays("otc-desk", func(r *rig) { desk(r); must(r.pay("otc-desk", 1.5e8)) }),
	}
}

func ofChildren() page.Examples {
	of := func(act func(r *rig, parent *wire.MsgTx) error) func(*testing.T) error {
		return working(func(r *rig) error { return act(r, r.incoming(50_000_000, 200)) })
	}
	asks := func(r *rig, o treasury.ChildOrder) error { _, err := r.conceives(o); return err }
	return page.Examples{
		"bump-has-child": of(func(r *rig, parent *wire.MsgTx) error {
			first := r.bears(ofTx(parent, 5_000)).Intent.Serial
			r.signBy(first, 0, 1)
			r.signBy(r.bears(ofSerial(first, 12_000)).Intent.Serial, 0, 1)
			return r.bump(first, 20_000)
		}),
		"child-live": of(func(r *rig, parent *wire.MsgTx) error {
			must(r.conceives(ofTx(parent, 5_000)))
			return asks(r, ofTx(parent, 9_000))
		}),
		"child-no-output": of(func(r *rig, parent *wire.MsgTx) error {
			return asks(r, treasury.ChildOrder{TxID: parent.TxHash(), Output: 1, Rate: 5_000})
		}),
		"child-no-parent": of(func(r *rig, _ *wire.MsgTx) error { return asks(r, ofSerial(1, 5_000)) }),
		"child-not-in-policy": of(func(r *rig, parent *wire.MsgTx) error {
			r.signerPolicy("      - \""+r.cold.ID().String()+"\"\n", "")
			return asks(r, ofTx(parent, 5_000))
		}),
		"child-not-needed": of(func(r *rig, parent *wire.MsgTx) error {
			r.chain.mine()
			r.tick(context.Background())
			return asks(r, ofTx(parent, 5_000))
		}),
		"parent-spends-nothing": of(func(r *rig, parent *wire.MsgTx) error {
			parent.TxIn[0].PreviousOutPoint.Hash = chainhash.Hash{7}
			return asks(r, ofTx(parent, 5_000))
		}),
	}
}

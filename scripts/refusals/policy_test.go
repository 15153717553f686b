package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

var (
	noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cold = policy.Wallet{ID: spend.WalletID{0xc0}, Name: "cold-a", Tier: spend.Cold}
	hot  = policy.Wallet{ID: spend.WalletID{0x40}, Name: "hot-1", Tier: spend.Hot}
)

// judged is a clean top-up of 12.5 BTC from cold-a to hot-1 under the template policy, before one thing is changed.
type judged struct {
	policy.Input
	facts    chain.Facts
	template string // the policy file
	unproven bool
}

func topUp() *judged {
	j := &judged{template: string(policy.Template(spend.BitcoinMainnet, cold, hot))}
	j.Intent = spend.Intent{Network: spend.BitcoinMainnet, Purpose: spend.TopUp, Serial: 412, Issuer: "exchanged-2", From: cold.ID, To: hot.ID,
		ToIndex: 187, Amount: money.Sats(1_250_000_000), Proposer: "a.lee", CreatedAt: noon.Unix() - 3600, ExpiresAt: noon.Unix() + 3600}
	j.facts = chain.Facts{Network: spend.BitcoinMainnet, From: cold.ID, FromName: "cold-a", FromTier: spend.Cold, Threshold: 2, Keys: 3,
		Inputs: []chain.Input{{Outpoint: "aa:0", Amount: money.Sats(1_000_000_000), Index: 7}, {Outpoint: "bb:1", Amount: money.Sats(570_183_512), Index: 9}},
		Outputs: []chain.Output{
			{Position: 0, Amount: money.Sats(1_250_000_000), Address: "bc1qhot", Role: chain.Destination, Wallet: hot.ID, WalletName: "hot-1", Index: 187},
			{Position: 1, Amount: money.Sats(320_177_412), Address: "bc1qcold", Role: chain.Change, Wallet: cold.ID, WalletName: "cold-a", Index: 220}},
		Fee: money.Sats(6100), VirtualBytes: 430, LockTime: 930_000, Replaceable: true}
	j.Approvals = []spend.Check{{Name: "approval of r.sanz"}, {Name: "approval of k.ito"}}
	j.ApproverCount, j.Now, j.LastSeen, j.KeyNumber = 2, noon, noon.Add(-time.Hour), 1
	return j
}

func (j *judged) effects() chain.Effects {
	if j.unproven {
		return chain.Effects{}
	}
	return chaintest.Effects(j.facts)
}

// changed returns an act that judges the clean top-up after one change, and gives every refusal of the verdict.
func changed(change func(*judged)) func(*testing.T) error {
	return func(t *testing.T) error {
		j := topUp()
		change(j)
		rules, err := policy.Parse([]byte(j.template))
		if err != nil {
			t.Fatal(err)
		}
		j.Effects = j.effects()
		return joined(policy.Judge(rules, j.Input).Refusals())
	}
}

// file returns an act that parses the template after one edit.
func file(old, new string) func(*testing.T) error {
	return func(t *testing.T) error {
		raw := policy.Template(spend.BitcoinMainnet, cold, hot)
		if !bytes.Contains(raw, []byte(old)) {
			t.Fatalf("the template has no %q", old)
		}
		_, err := policy.Parse(bytes.Replace(raw, []byte(old), []byte(new), 1))
		return err
	}
}

func TestRefusalsOfPolicy(t *testing.T) {
	acts := page.Examples{
		"policy-field-invalid": file(`"20 BTC"`, `"20 bitcoin"`),
		"policy-field-missing": file(`dust_min: "0.00001 BTC"`, "#"),
		"policy-not-ascii":     file("# What", "# Wh\u0430t"),
		"policy-syntax":        file("approvals: 2 ", "approvals: &two 2 "),
		"policy-too-large":     func(*testing.T) error { _, err := policy.Parse(bytes.Repeat([]byte("#"), 70_000)); return err },
	}
	maps.Copy(acts, ofBooks())
	for _, part := range []map[string]func(*judged){ofIdentity(), ofTime(), ofOutputs(), ofFees()} {
		for code, change := range part {
			acts[code] = changed(change)
		}
	}
	page.Check(t, pageOf("internal/policy"), "coldsign", acts, *update)
}

const bookFile = "coldsign: address-book/v1\nserial: 1\nnetwork: bitcoin:mainnet\nentries:\n" +
	"  - name: otc-desk\n    address: \"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\"\n    confirmed: false\n" +
	"  - name: auditor\n    address: \"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq\"\n    confirmed: false\n"

// pays changes the clean top-up into a payment to an entry of the book.
func pays(entry string) func(*judged) {
	return func(j *judged) {
		j.Book = must(policy.ParseBook([]byte(bookFile)))
		j.Intent.Purpose, j.Intent.To, j.Intent.ToIndex, j.Intent.Entry = spend.Payment, spend.WalletID{}, 0, entry
	}
}

// ofBooks are refusals of the address book and of payments to its entries.
func ofBooks() page.Examples {
	book := func(old, new string) func(*testing.T) error {
		return func(*testing.T) error {
			_, err := policy.ParseBook(swap(old, new)([]byte(bookFile)))
			return err
		}
	}
	return page.Examples{
		"book-entry-unknown": changed(pays("otc-desc")),
		"book-not-allowed":   changed(pays("otc-desk")),
		"book-field-invalid": book("name: auditor", "name: Auditor"),
		"book-field-missing": book("    confirmed: false\n", ""),
		"book-look-alike":    book("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf3t4"),
		"book-not-ascii":     book("auditor", "\u0430uditor"),
		"book-syntax":        book("serial: 1", "serial: 1\nserial: 2"),
		"book-too-large":     func(*testing.T) error { _, err := policy.ParseBook(bytes.Repeat([]byte("#"), 70_000)); return err },
	}
}

func ofIdentity() map[string]func(*judged) {
	return map[string]func(*judged){
		"approvals-missing":  func(j *judged) { j.ApproverCount = 1 },
		"approvals-unjudged": func(j *judged) { j.Approvals = nil },
		"asset-mismatch": func(j *judged) {
			j.Intent.Amount = money.New(money.Asset{Symbol: "ETH", Decimals: 18}, money.U128{Lo: 1})
		},
		"destination-not-allowed": func(j *judged) { j.Intent.To = spend.WalletID{0x41} },
		"effects-unproven":        func(j *judged) { j.unproven = true },
		"intent-incomplete":       func(j *judged) { j.Intent.Proposer = "" },
		"network-mismatch":        func(j *judged) { j.Intent.Network = spend.BitcoinRegtest },
		"purpose-unknown":         func(j *judged) { j.Intent.Purpose = "payout" },
		"refusals-locked":         func(j *judged) { j.Refusals = 5 },
		"tier-direction":          func(j *judged) { j.Intent.To = spend.WalletID{0x41} },
		"tier-mismatch":           func(j *judged) { j.facts.FromTier = spend.Warm },
		"wallet-mismatch":         func(j *judged) { j.facts.From = spend.WalletID{0xc1} },
		"wallet-not-in-policy":    func(j *judged) { j.Intent.From = spend.WalletID{0xc1} },
	}
}

func ofTime() map[string]func(*judged) {
	return map[string]func(*judged){
		"clock-rolled-back":  func(j *judged) { j.LastSeen = noon.Add(time.Hour) },
		"clock-unset":        func(j *judged) { j.Now = time.Unix(0, 0) },
		"intent-expired":     func(j *judged) { j.Intent.ExpiresAt = noon.Unix() - 60 },
		"intent-from-future": func(j *judged) { j.Intent.CreatedAt = noon.Unix() + 1800 },
		"lifetime-too-long":  func(j *judged) { j.Intent.ExpiresAt = noon.Unix() + 80*3600 },
		"locktime-ahead":     func(j *judged) { j.Tip, j.facts.LockTime = 930_000, 982_560 },
		"timelock-running":   func(j *judged) { j.KeyNumber = 2 },
		"locktime-is-time":   func(j *judged) { j.facts.LockTime = 1_800_000_000 },
	}
}

func ofOutputs() map[string]func(*judged) {
	return map[string]func(*judged){
		"address-missing":      func(j *judged) { j.facts.Outputs[1].Address, j.facts.Outputs[1].Script = "", "6a04deadbeef" },
		"already-signed":       func(j *judged) { j.facts.SignedBy = 2 },
		"amount-mismatch":      func(j *judged) { j.facts.Outputs[0].Amount = money.Sats(1_250_000_001) },
		"amount-zero":          func(j *judged) { j.Intent.Amount = money.Sats(0) },
		"change-count":         func(j *judged) { j.facts.Outputs[0].Role = chain.Change },
		"change-foreign":       func(j *judged) { j.facts.Outputs[1].Wallet = hot.ID },
		"destination-count":    func(j *judged) { j.facts.Outputs[1].Role = chain.Destination },
		"destination-mismatch": func(j *judged) { j.facts.Outputs[0].Index = 188 },
		"index-gap":            func(j *judged) { j.facts.Outputs[1].Index = 1001 },
		"input-duplicate":      func(j *judged) { j.facts.Inputs[1].Outpoint = "aa:0" },
		"inputs-missing":       func(j *judged) { j.facts.Inputs = nil },
		"output-dust":          func(j *judged) { j.facts.Outputs[1].Amount = money.Sats(294) },
		"output-external": func(j *judged) {
			j.facts.Outputs[1] = chain.Output{Position: 1, Amount: money.Sats(320_177_412), Address: "bc1qthief", Script: "0014c0ffee", Role: chain.External}
		},
		"replaceable": func(j *judged) {
			j.template = strings.Replace(j.template, "replaceable: true", "replaceable: false", 1)
		},
		"size-nonstandard": func(j *judged) { j.facts.VirtualBytes = 100_001 },
		"sum-mismatch":     func(j *judged) { j.facts.Inputs[0].Amount = money.Sats(1_000_000_001) },
	}
}

func ofFees() map[string]func(*judged) {
	return map[string]func(*judged){
		"fee-above-cap": func(j *judged) { j.facts.Fee = money.Sats(500_001) },
		"fee-above-percent": func(j *judged) {
			j.facts.Outputs[0].Amount, j.facts.Fee = money.Sats(500_000), money.Sats(5_001)
		},
		"fee-rate-above-cap":   func(j *judged) { j.facts.Fee = money.Sats(130_000) },
		"fee-rate-below-floor": func(j *judged) { j.facts.Fee = money.Sats(215) },
		"limit-transaction":    func(j *judged) { j.facts.Outputs[0].Amount = money.Sats(2_000_000_001) },
		"limit-window": func(j *judged) {
			j.History = []policy.Movement{{At: noon.Add(-30 * time.Minute), Amount: money.Sats(1_300_000_000)}}
		},
	}
}

package command

import (
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// UnprovenRisk must be named to take a wallet with keys that nobody proved to hold, as other wallets' devices have.
const UnprovenRisk = "unproven-keys"

// Wallet is a wallet as --json writes it.
type Wallet struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Tier      string `json:"tier"`
	Network   string `json:"network"`
	Threshold int    `json:"threshold"`
	Keys      int    `json:"keys"`
	Unproven  int    `json:"unproven_keys"` // keys that nobody proved to hold
	Words     string `json:"words"`
}

// WalletOf writes a wallet down.
func WalletOf(w wallet.Wallet) Wallet {
	return Wallet{w.ID().String(), w.Name(), string(w.Tier()), string(w.Network()), w.Threshold(), len(w.Keys()), len(w.Unproven()), w.Words()}
}

// ReadWallet reads a wallet file for a program. Keys without proof of possession take a consent by name.
func ReadWallet(program, path string, most int64, risks []string) (w wallet.Wallet, err error) {
	raw, err := console.ReadFile(path, most)
	if err != nil {
		return w, err
	}
	var consent []wallet.Option
	for _, risk := range risks {
		if risk != UnprovenRisk {
			return w, console.Fail(console.Usage, fmt.Errorf("no risk is named %q", console.Printable(risk)), "the one that can be accepted here is "+UnprovenRisk)
		}
		consent = append(consent, wallet.AcceptUnproven())
	}
	w, err = wallet.Parse(raw, consent...)
	var refusal *spend.Refusal
	if errors.As(err, &refusal) && refusal.Code == "key-unproven" {
		return w, console.Fail(console.CodeOf(err), err, "if its holder's device cannot prove it, compare the key on that device's own screen, then: "+program+" wallet add "+path+" --accept-risk "+UnprovenRisk)
	}
	if err != nil {
		return w, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

// SayWalletAdded says that a wallet was registered or pinned, as done names it, and whether that is news.
func SayWalletAdded(c *console.Console, asJSON bool, w wallet.Wallet, done string, fresh bool) error {
	if asJSON {
		return c.JSON("coldsign.wallet-add/v1", struct {
			Wallet
			Changed bool `json:"changed"`
		}{WalletOf(w), fresh})
	}
	if fresh {
		c.Say("wallet %s %s: %d of %d, tier %s", w.Name(), done, w.Threshold(), len(w.Keys()), w.Tier())
	} else {
		c.Say("wallet %s was %s already", w.Name(), done)
	}
	if n := len(w.Unproven()); n > 0 {
		c.Say("%d of its keys were never proven: nobody has shown to hold them", n)
	}
	c.Say("words: %s", w.Words())
	return nil
}

// SayWallets lists wallets.
func SayWallets(c *console.Console, asJSON bool, list []wallet.Wallet) error {
	out, rows := []Wallet{}, [][]string{}
	for _, w := range list {
		keys := fmt.Sprintf("%d of %d", w.Threshold(), len(w.Keys()))
		if n := len(w.Unproven()); n > 0 {
			keys += fmt.Sprintf(", %d unproven", n)
		}
		out, rows = append(out, WalletOf(w)), append(rows, []string{w.Name(), string(w.Tier()), keys, w.Words()})
	}
	if asJSON {
		return c.JSON("coldsign.wallet-list/v1", map[string]any{"wallets": out})
	}
	return console.Table(c.Out, []string{"NAME", "TIER", "KEYS", "WORDS"}, rows)
}

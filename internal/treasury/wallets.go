package treasury

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// lookAhead is how many indexes beyond the last used one are watched. A deposit address is given out long before it is
// paid, so the distance is generous; it costs one derivation each, once. A wallet that ends before that is watched to its
// end.
const lookAhead = 100

// indexMax bounds every index that we accept from our own records: a top-up uses one index, and nobody makes a million.
const indexMax = 1_000_000

// Register pins a wallet from its file and watches its first scripts. The same file again changes nothing, and gives
// false. Keys without proof of possession are taken: whoever put the file into the daemon's folder had to name that risk.
func (t *Treasury) Register(ctx context.Context, file []byte) (w wallet.Wallet, fresh bool, err error) {
	w, err = wallet.Parse(file, wallet.AcceptUnproven())
	if err != nil {
		return w, false, err
	}
	if w.Network() != t.rules.Network {
		return w, false, spend.Refuse("wallet-other-network", "wallet "+w.Name(), string(t.rules.Network), string(w.Network()), "use the daemon of that network")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.wallets[w.ID()]; ok && bytes.Equal(known.Marshal(), w.Marshal()) {
		return w, false, nil
	}
	var scripts []Script
	for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
		some, err := derive(w, branch, 0, min(lookAhead, w.Indexes()))
		if err != nil {
			return w, false, err
		}
		scripts = append(scripts, some...)
	}
	if err := t.Records.AddWallet(ctx, Pinned{w.ID(), w.Name(), w.Tier(), w.Marshal()}, scripts); err != nil {
		return w, false, err
	}
	t.wallets[w.ID()] = w
	return w, true, nil
}

// watchFurther keeps the distance between the last used and the last watched index at least half the look-ahead.
func (t *Treasury) watchFurther(ctx context.Context) error {
	for id, w := range t.wallets {
		for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
			at, err := t.Records.Counter(ctx, id, uint32(branch))
			if err != nil {
				return fmt.Errorf("wallet %s: %w", w.Name(), err)
			}
			if at.Watched >= min(at.Next+lookAhead/2, w.Indexes()) {
				continue
			}
			scripts, err := derive(w, branch, at.Watched, min(at.Next+lookAhead, w.Indexes()))
			if err != nil {
				return err
			}
			if err := t.Records.AddScripts(ctx, id, scripts); err != nil {
				return fmt.Errorf("wallet %s: %w", w.Name(), err)
			}
		}
	}
	return nil
}

func derive(w wallet.Wallet, branch wallet.Branch, from, to uint32) ([]Script, error) {
	var scripts []Script
	for index := from; index < to; index++ {
		d, err := w.Derive(branch, index)
		if err != nil {
			return nil, fmt.Errorf("wallet %s: %w", w.Name(), err)
		}
		scripts = append(scripts, Script{uint32(branch), index, d.ScriptPubKey})
	}
	return scripts, nil
}

// named finds a pinned wallet by the name in its own file.
func (t *Treasury) named(name string) (wallet.Wallet, error) {
	for _, w := range t.wallets {
		if w.Name() == name {
			return w, nil
		}
	}
	return wallet.Wallet{}, spend.Refuse("wallet-unknown", "wallet "+name, "a registered wallet", "none of that name", "register it with: exchanged wallet add FILE")
}

func (t *Treasury) pinned(id spend.WalletID) (wallet.Wallet, error) {
	if w, ok := t.wallets[id]; ok {
		return w, nil
	}
	return wallet.Wallet{}, spend.Refuse("wallet-unknown", "wallet "+id.Short(), "a registered wallet", "none of that identity", "register it with: exchanged wallet add FILE")
}

// sorted returns the pinned wallets by name.
func (t *Treasury) sorted() []wallet.Wallet {
	out := make([]wallet.Wallet, 0, len(t.wallets))
	for _, w := range t.wallets {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b wallet.Wallet) int { return bytes.Compare([]byte(a.Name()), []byte(b.Name())) })
	return out
}

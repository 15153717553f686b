package store

import (
	"context"

	"github.com/coldsign/coldsign/internal/spend"
)

// Wallet is a pinned wallet: its file, byte for byte, under its identity.
type Wallet struct {
	ID   spend.WalletID
	Name string
	Tier spend.Tier
	File []byte
}

// Script is one scriptPubKey of a wallet.
type Script struct {
	Branch       uint32 // 0 receive, 1 change
	Index        uint32
	ScriptPubKey []byte
}

// Owner says whose a scriptPubKey is.
type Owner struct {
	Wallet spend.WalletID
	Branch uint32
	Index  uint32
}

// Counter says how far a branch of a wallet is used and watched.
type Counter struct {
	Next    uint32 // lowest index that nobody was given and no coin was seen on
	Watched uint32 // indexes below it have their scripts in the store
}

// AddWallet pins a wallet with its first scripts. The same wallet again changes nothing; another file under the same
// identity or a taken name is refused (wallet-conflict).
func (s *Store) AddWallet(ctx context.Context, w Wallet, scripts []Script) error {
	return errUnfinished
}

// AddScripts watches more scripts of a wallet (look-ahead); indexes of a branch must follow without a gap. Scripts that
// are there already change nothing.
func (s *Store) AddScripts(ctx context.Context, wallet spend.WalletID, scripts []Script) error {
	return errUnfinished
}

// Wallets returns every pinned wallet by name.
func (s *Store) Wallets(ctx context.Context) ([]Wallet, error) { return nil, errUnfinished }

// Counter returns the counter of a branch.
func (s *Store) Counter(ctx context.Context, wallet spend.WalletID, branch uint32) (Counter, error) {
	return Counter{}, errUnfinished
}

// Owner says whose a script is, or false.
func (s *Store) Owner(ctx context.Context, scriptPubKey []byte) (Owner, bool, error) {
	return Owner{}, false, errUnfinished
}

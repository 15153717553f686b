package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

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

const (
	receiveBranch = 0
	changeBranch  = 1

	selectWallets  = "SELECT id, name, tier, file FROM wallets ORDER BY name"
	selectWallet   = "SELECT id, name, tier, file FROM wallets WHERE id = ?1 OR name = ?2"
	insertWallet   = "INSERT INTO wallets(id, name, tier, file) VALUES(?, ?, ?, ?)"
	insertCounters = "INSERT INTO counters(wallet, branch, next) VALUES(?1, 0, 0), (?1, 1, 0)"
	insertScript   = "INSERT INTO scripts(script, wallet, branch, idx) VALUES(?, ?, ?, ?)"
	selectOwner    = "SELECT wallet, branch, idx FROM scripts WHERE script = ?"
	selectCounter  = `SELECT next, (SELECT coalesce(max(idx) + 1, 0) FROM scripts WHERE wallet = ?1 AND branch = ?2)
		FROM counters WHERE wallet = ?1 AND branch = ?2`
	raiseCounter = "UPDATE counters SET next = max(next, ?3) WHERE wallet = ?1 AND branch = ?2"
)

func scanWallet(row scanner) (w Wallet, err error) {
	return w, row.Scan(into(&w.ID), &w.Name, &w.Tier, &w.File)
}

// AddWallet pins a wallet with its first scripts. The same wallet again changes nothing; another file under the same
// identity or a taken name is refused (wallet-conflict).
func (s *Store) AddWallet(ctx context.Context, w Wallet, scripts []Script) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		pinned := false
		rows, err := tx.QueryContext(ctx, selectWallet, w.ID[:], w.Name)
		err = each(rows, err, func(row scanner) error {
			old, err := scanWallet(row)
			if err != nil {
				return err
			}
			if old.ID != w.ID || old.Name != w.Name || old.Tier != w.Tier || !bytes.Equal(old.File, w.File) {
				return spend.Refuse("wallet-conflict", "wallet "+w.Name, "a new name and identity, or the same file again",
					"wallet "+old.Name+" ("+old.ID.Short()+") pinned with other bytes", "the operator gives the wallet a new name, or keeps the pinned one")
			}
			pinned = true
			return nil
		})
		if err != nil {
			return err
		}
		if !pinned {
			if _, err := tx.ExecContext(ctx, insertWallet, w.ID[:], w.Name, string(w.Tier), w.File); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, insertCounters, w.ID[:]); err != nil {
				return err
			}
			if _, err := s.log(ctx, tx, "wallet-pinned", fact{"wallet": w.ID.String(), "name": w.Name, "tier": w.Tier}); err != nil {
				return err
			}
		}
		return addScripts(ctx, tx, w.ID, scripts)
	})
}

// AddScripts watches more scripts of a wallet (look-ahead); indexes of a branch must follow without a gap (script-gap).
// Scripts that are there already change nothing; a script that is somebody else's is refused (script-conflict).
func (s *Store) AddScripts(ctx context.Context, wallet spend.WalletID, scripts []Script) error {
	return s.write(ctx, func(tx *sql.Tx) error { return addScripts(ctx, tx, wallet, scripts) })
}

func addScripts(ctx context.Context, tx *sql.Tx, wallet spend.WalletID, scripts []Script) error {
	for _, script := range scripts {
		where := fmt.Sprintf("wallet %s branch %d index %d", wallet.Short(), script.Branch, script.Index)
		owner, found, err := ownerOf(ctx, tx, script.ScriptPubKey)
		if err != nil {
			return err
		}
		if found {
			if owner != (Owner{wallet, script.Branch, script.Index}) {
				return spend.Refuse("script-conflict", where, "a script of its own",
					fmt.Sprintf("the script of wallet %s branch %d index %d", owner.Wallet.Short(), owner.Branch, owner.Index),
					"the operator checks the wallet files: two wallets share keys")
			}
			continue
		}
		c, err := counterOf(ctx, tx, wallet, script.Branch)
		if err != nil {
			return err
		}
		if script.Index != c.Watched {
			return spend.Refuse("script-gap", where, fmt.Sprintf("index %d next", c.Watched), fmt.Sprintf("index %d", script.Index),
				"scripts are added in order, each once")
		}
		if _, err := tx.ExecContext(ctx, insertScript, script.ScriptPubKey, wallet[:], script.Branch, script.Index); err != nil {
			return err
		}
	}
	return nil
}

// Wallets returns every pinned wallet by name.
func (s *Store) Wallets(ctx context.Context) ([]Wallet, error) {
	var out []Wallet
	rows, err := s.reader.QueryContext(ctx, selectWallets)
	err = each(rows, err, func(row scanner) error {
		w, err := scanWallet(row)
		out = append(out, w)
		return err
	})
	return out, err
}

// Counter returns the counter of a branch; an unknown wallet is a refusal (wallet-unknown).
func (s *Store) Counter(ctx context.Context, wallet spend.WalletID, branch uint32) (Counter, error) {
	return counterOf(ctx, s.reader, wallet, branch)
}

func counterOf(ctx context.Context, q querier, wallet spend.WalletID, branch uint32) (c Counter, err error) {
	err = q.QueryRowContext(ctx, selectCounter, wallet[:], branch).Scan(&c.Next, &c.Watched)
	if errors.Is(err, sql.ErrNoRows) {
		return c, spend.Refuse("wallet-unknown", "wallet "+wallet.Short(), "a wallet pinned in the daemon", fmt.Sprintf("no branch %d of it", branch),
			"the operator registers the wallet: exchanged wallet add FILE")
	}
	return c, err
}

// Owner says whose a script is, or false.
func (s *Store) Owner(ctx context.Context, scriptPubKey []byte) (Owner, bool, error) {
	return ownerOf(ctx, s.reader, scriptPubKey)
}

func ownerOf(ctx context.Context, q querier, script []byte) (o Owner, found bool, err error) {
	err = q.QueryRowContext(ctx, selectOwner, script).Scan(into(&o.Wallet), &o.Branch, &o.Index)
	if errors.Is(err, sql.ErrNoRows) {
		return o, false, nil
	}
	return o, err == nil, err
}

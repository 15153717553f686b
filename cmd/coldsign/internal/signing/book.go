package signing

import (
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// alikeIndexes is how many addresses of each branch of a pinned wallet an entry is compared with: those that people have
// on their lists, and that somebody who plants a look-alike would choose.
const alikeIndexes = 50

// CheckBook says whether every address of a book exists on this home's network, and is neither an address of a pinned
// wallet (those are paid by top-ups, which derive it) nor, unless the keyholders confirmed that, one that looks like it.
func (b Beliefs) CheckBook(book policy.Book) error {
	var all []error
	entries := book.Entries()
	for i, e := range entries {
		if err := bitcoin.CheckAddress(book.Network(), e.Address); err != nil {
			all = append(all, fmt.Errorf("entries[%d]: %w", i, err))
		}
	}
	for _, w := range b.Wallets {
		for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
			for index := range uint32(alikeIndexes) {
				derived, err := w.Derive(branch, index)
				if err != nil { // a pool of token keys ends
					break
				}
				all = append(all, compared(entries, derived.Address, fmt.Sprintf("%s /%d/%d", w.Name(), branch, index)))
			}
		}
	}
	return errors.Join(all...)
}

// compared holds every entry against one address of a wallet.
func compared(entries []policy.Entry, address, whose string) error {
	var all []error
	for i, e := range entries {
		where := fmt.Sprintf("entries[%d]", i)
		switch {
		case e.Address == address:
			all = append(all, spend.Refuse("book-entry-ours", where, "an address outside every pinned wallet", whose,
				"take the entry out; a pinned wallet is paid by a top-up, which derives its address"))
		case !e.Confirmed && policy.Alike(e.Address, address):
			all = append(all, policy.LookAlike(where, e, whose))
		}
	}
	return errors.Join(all...)
}

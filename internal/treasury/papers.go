package treasury

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Paper is the daemon's copy of a file that keyholders stand behind, with their signatures. Signers have copies of their
// own and go by those alone; this one lets people hear of a refusal before anybody is asked to sign.
type Paper struct {
	Data       []byte
	Signatures [][]byte
}

// CircleOf is the keyholders of a wallet who can sign papers: those whose keys have a receipt key. Where they are fewer
// than the threshold, all of them must.
func CircleOf(w wallet.Wallet) approvals.Circle {
	c := approvals.Circle{Wallet: w.Name()}
	for _, k := range w.Keys() {
		if receipt, err := seal.ParseKey(k.Receipt); err == nil {
			c.Holders = append(c.Holders, approvals.Holder{Name: k.Name, Receipt: receipt})
		}
	}
	c.Need = min(w.Threshold(), len(c.Holders))
	return c
}

// book reads the address book on behalf of a wallet. It counts if that wallet's keyholders signed it.
func (t *Treasury) book(from wallet.Wallet) (policy.Book, error) {
	paper, err := t.Book()
	if err != nil {
		return policy.Book{}, fmt.Errorf("address book: %w", err)
	}
	if len(paper.Data) == 0 {
		return policy.Book{}, spend.Refuse("book-missing", "daemon", "a copy of the address book that the keyholders signed", "none",
			"an operator gives the daemon its copy: exchanged book set FILE --signature FILE")
	}
	book, err := policy.ParseBook(paper.Data)
	if err != nil {
		return policy.Book{}, fmt.Errorf("address book: %w", err)
	}
	if book.Network() != t.rules.Network {
		return policy.Book{}, spend.Refuse("book-other-network", "address book", string(t.rules.Network), string(book.Network()), "use the daemon of that network")
	}
	return book, CircleOf(from).Stands(seal.Book, paper.Data, paper.Signatures)
}

// signerRule is what the signers' policy says of a wallet, as far as the daemon knows it.
func (t *Treasury) signerRule(from wallet.Wallet) (rule policy.Rule, known bool, err error) {
	paper, err := t.Policy()
	if err != nil {
		return rule, false, fmt.Errorf("policy: %w", err)
	}
	if len(paper.Data) == 0 {
		return rule, false, nil
	}
	rules, err := policy.Parse(paper.Data)
	if err != nil {
		return rule, false, fmt.Errorf("policy: %w", err)
	}
	rule, known = rules.Rule(from.ID())
	return rule, known && rules.Network() == t.rules.Network, nil
}

package chain

import (
	"github.com/coldsign/coldsign/internal/chain/internal/proof"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// DepositFacts are an output that pays a pinned wallet, in a transaction that a block with proof of work holds. Height
// alone is not proven: no header says its own.
type DepositFacts struct {
	Network       spend.Network
	Wallet        spend.WalletID
	Index         uint32 // receive index of the wallet whose script is paid
	Address       string
	TxID          string
	Output        uint32
	Amount        money.Amount
	Block         string // hash, as people read it
	Height        uint32 // as whoever gave the evidence says
	Confirmations int    // blocks with proof of work, the one that holds the transaction included
}

// Deposit is proven DepositFacts: what a ledger believes before it credits anybody. The zero Deposit proves nothing.
type Deposit struct {
	facts DepositFacts
	token proof.Token
}

// NewDeposit wraps facts that a chain room has proven.
func NewDeposit(facts DepositFacts, token proof.Token) Deposit { return Deposit{facts, token} }

// Proven reports whether a chain room made this deposit.
func (d Deposit) Proven() bool { return d.token.Valid() }

// Facts returns the facts. It panics on an unproven deposit: crediting it would be making money.
func (d Deposit) Facts() DepositFacts {
	if !d.Proven() {
		panic("chain: a deposit that nobody proved")
	}
	return d.facts
}

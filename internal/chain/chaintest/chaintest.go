// Package chaintest makes effects for the tests of rooms that read them.
//
// A house test refuses its import outside _test.go files. What may never happen here: use by a program.
package chaintest

import (
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/internal/proof"
)

// Effects wraps facts as if a chain room had proven them.
func Effects(facts chain.Facts) chain.Effects { return chain.New(facts, proof.Done()) }

// Deposit wraps facts as if a chain room had proven them.
func Deposit(facts chain.DepositFacts) chain.Deposit { return chain.NewDeposit(facts, proof.Done()) }

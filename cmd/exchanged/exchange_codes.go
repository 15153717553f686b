package main

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/seal"
)

// codeText says an outcome's code in words.
func codeText(c exchange.Code) string {
	texts := map[exchange.Code]string{
		exchange.Malformed: "a field has a value that it cannot have", exchange.NotAllowed: "that is not allowed", exchange.UnknownMarket: "there is no such market",
		exchange.UnknownAccount: "there is no such account", exchange.UnknownAsset: "there is no such asset", exchange.InsufficientFunds: "the balance is too small",
		exchange.EvidenceRefused: "the evidence does not hold", exchange.UnknownAddress: "the address is not in the account's book",
		exchange.WrongState: "it is not in a state that allows it", exchange.AlreadyExists: "one of that name exists already",
		exchange.AmountOverflow: "the amount does not fit", exchange.SecondFactorWrong: "the one-time code is wrong, old, or was used before",
		exchange.AboveMax: "there are as many as there may be", exchange.OverLimit: "that is over a limit",
	}
	if text, known := texts[c]; known {
		return text
	}
	return fmt.Sprintf("outcome %d", c)
}

// refusalOf says why the engine did not do something.
func refusalOf(o exchange.Outcome) string {
	if o.Reason != "" {
		return codeText(o.Code) + ": " + o.Reason
	}
	return codeText(o.Code)
}

// outcomeProblem is an outcome as the wire writes it, nil when it was done.
func outcomeProblem(o exchange.Outcome) error {
	if o.Code == exchange.Done {
		return nil
	}
	return admin.NewProblem(admin.Refused, "engine-refused", refusalOf(o), codeHints(o.Code)...)
}

// codeHints are commands that show what would have been right.
func codeHints(c exchange.Code) []string {
	hint := map[exchange.Code]string{exchange.UnknownAccount: "exchanged account list", exchange.UnknownAsset: "exchanged asset list",
		exchange.UnknownMarket:     "exchanged market list",
		exchange.SecondFactorWrong: "ask the customer for a new code; each counts once, for half a minute"}[c]
	if hint == "" {
		return nil
	}
	return []string{hint}
}

// approvalOf names whose approval it is; nobody when the roster does not know the key.
func approvalOf(people approvals.Roster, intent, armored []byte) admin.Approval {
	public, _, err := seal.Verify(armored, intent, seal.Change)
	if err != nil {
		return admin.Approval{}
	}
	key, _ := people.Find(public)
	return admin.Approval{Person: key.Person, Role: key.Role, Device: key.Device, Key: seal.Fingerprint(public)}
}

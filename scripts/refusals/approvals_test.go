package main

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// careful is a security key that was touched and saw a PIN.
func careful(name string) touchKey { return touchKey{name, "ssh:", 0x05} }

// rosterFile names five people: the proposer a.lee, two approvers with security keys, one with a file, one auditor.
func rosterFile() string {
	return rosterLine("a.lee", "approver", "fido2", careful("a.lee").PublicKey()) +
		rosterLine("r.sanz", "approver", "fido2", careful("r.sanz").PublicKey()) +
		rosterLine("k.ito", "approver", "fido2", careful("k.ito").PublicKey()) +
		rosterLine("b.file", "approver", "file", edSigner("b.file").PublicKey()) +
		rosterLine("c.audit", "auditor", "fido2", careful("c.audit").PublicKey())
}

// approve returns an act that judges approvals by these signers of a changed intent, under a changed roster.
func approve(change func(*spend.Intent), signers ...ssh.Signer) func(*testing.T) error {
	return func(t *testing.T) error {
		intent, message := topUp().Intent, []byte("intent")
		if change != nil {
			change(&intent)
		}
		roster, err := approvals.ParseRoster([]byte(rosterFile()))
		if err != nil {
			t.Fatal(err)
		}
		var sigs [][]byte
		for _, signer := range signers {
			sigs = append(sigs, sealed(t, signer, seal.Approve, message))
		}
		_, checks := roster.Judge(intent, message, sigs, 2, noon)
		return joined(spend.Verdict{Checks: checks}.Refusals())
	}
}

// vouch returns an act that counts signatures under a file for a wallet whose policy needs two of three keyholders.
func vouch(ns seal.Namespace, signed string, signers ...string) func(*testing.T) error {
	return func(t *testing.T) error {
		var sigs [][]byte
		for _, name := range signers {
			sigs = append(sigs, sealed(t, edSigner(name), ns, []byte(signed)))
		}
		circle := approvals.Circle{Wallet: "cold-a", Need: 2}
		for _, name := range []string{"zurich", "oslo", "lima"} {
			circle.Holders = append(circle.Holders, approvals.Holder{Name: name, Receipt: edSigner(name).PublicKey()})
		}
		return approvals.Vouch(ns, []byte("file"), sigs, []approvals.Circle{circle})
	}
}

func TestRefusalsOfApprovals(t *testing.T) {
	two := []ssh.Signer{careful("r.sanz"), careful("k.ito")}
	page.Check(t, pageOf("internal/approvals"), "coldsign", page.Examples{
		"change-malformed": func(t *testing.T) error {
			roster, err := approvals.ParseRoster([]byte(rosterFile()))
			if err != nil {
				t.Fatal(err)
			}
			_, err = roster.Change([]byte("sell everything"), nil, true, noon)
			return err
		},
		"approval-invalid": func(t *testing.T) error {
			roster, _ := approvals.ParseRoster([]byte(rosterFile()))
			_, checks := roster.Judge(topUp().Intent, []byte("intent"), [][]byte{sealed(t, careful("r.sanz"), seal.Approve, []byte("other"))}, 2, noon)
			return joined(spend.Verdict{Checks: checks}.Refusals())
		},
		"approvals-expired":         approve(func(i *spend.Intent) { i.ExpiresAt = noon.Unix() }, two...),
		"approvals-insufficient":    approve(nil, two[0]),
		"approvals-not-yet-valid":   approve(func(i *spend.Intent) { i.CreatedAt = noon.Unix() + 1800 }, two...),
		"approvals-too-many":        approve(nil, slices.Repeat(two[:1], 17)...),
		"approver-file-key":         approve(nil, two[0], edSigner("b.file")),
		"approver-is-proposer":      approve(nil, two[0], careful("a.lee")),
		"approver-outside-validity": approve(func(i *spend.Intent) { i.CreatedAt = 1_740_000_000 }, two...),
		"approver-role":             approve(nil, two[0], careful("c.audit")),
		"approver-twice":            approve(nil, two[0], two[0]),
		"approver-unknown":          approve(nil, two[0], careful("stranger")),
		"approver-unverified":       approve(nil, two[0], touchKey{"k.ito", "ssh:", 0x01}),
		"book-quorum":               vouch(seal.Book, "file", "zurich"),
		"policy-quorum":             vouch(seal.Policy, "file", "zurich"),
		"proposer-unknown":          approve(func(i *spend.Intent) { i.Proposer = "a.1ee" }, two...),
		"roster-malformed": func(*testing.T) error {
			_, err := approvals.ParseRoster([]byte(strings.Replace(rosterFile(), "role=auditor", "role=boss", 1)))
			return err
		},
		"roster-quorum":     vouch(seal.Roster, "file", "zurich", "zurich"),
		"voucher-invalid":   vouch(seal.Policy, "another file", "zurich", "oslo"),
		"voucher-unknown":   vouch(seal.Policy, "file", "zurich", "oslo", "stranger"),
		"vouchers-too-many": vouch(seal.Policy, "file", slices.Repeat([]string{"zurich"}, 61)...),
	}, *update)
}

package approvals

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// vouchersMax is the most signatures under one file that are looked at: four wallets of fifteen keys.
const vouchersMax = 60

// Holder is a keyholder of a wallet, known by the receipt key that stands in the wallet's file.
type Holder struct {
	Name    string
	Receipt ssh.PublicKey
}

// Circle is the keyholders of one wallet, and how many of them must stand behind a file that decides what their wallet
// may do: its policy, its roster, its address book.
type Circle struct {
	Wallet  string
	Need    int
	Holders []Holder
}

// Vouch says whether enough different keyholders of every circle signed the exact bytes of file. It is the rule that
// keeps one keyholder, or whoever stands behind one, from loosening the limits of his own signer.
//
// A signature that is not good, or by somebody who is in none of the circles, is a refusal even beside enough others:
// somebody sent it. The same key twice counts once. The error joins every refusal.
func Vouch(ns seal.Namespace, file []byte, signatures [][]byte, circles []Circle) error {
	if len(signatures) > vouchersMax {
		return tooMany("vouchers-too-many", "signatures", len(signatures), vouchersMax)
	}
	var all []error
	var signers []ssh.PublicKey
	for i, armored := range signatures {
		key, err := voucher(ns, file, armored, circles)
		if err != nil {
			err.Where = fmt.Sprintf("signature %d", i+1)
			all = append(all, err)
			continue
		}
		signers = append(signers, key)
	}
	if len(circles) == 0 {
		all = append(all, spend.Refuse(quorumCode(ns), "wallets", "a pinned wallet of this key that the file is for", "none",
			"pin the wallet first: coldsign wallet add FILE"))
	}
	for _, c := range circles {
		all = append(all, c.judge(ns, signers))
	}
	return errors.Join(all...)
}

// Stands says whether a file that was pinned before has the quorum of one circle. Signatures by others were judged when
// the file was pinned, and do not count here.
func (c Circle) Stands(ns seal.Namespace, file []byte, signatures [][]byte) error {
	var signers []ssh.PublicKey
	for _, armored := range signatures[:min(len(signatures), vouchersMax)] {
		if key, err := voucher(ns, file, armored, []Circle{c}); err == nil {
			signers = append(signers, key)
		}
	}
	return c.judge(ns, signers)
}

// judge counts the holders among the signers. A circle that needs nobody is a mistake of the caller, and refuses.
func (c Circle) judge(ns seal.Namespace, signers []ssh.PublicKey) error {
	missing, found := c.missing(signers)
	if found >= c.Need && c.Need >= 1 {
		return nil
	}
	return spend.Refuse(quorumCode(ns), "wallet "+c.Wallet, fmt.Sprintf("signatures by %d of its %d keyholders", max(c.Need, 1), len(c.Holders)),
		fmt.Sprintf("%d; not signed by %s", found, strings.Join(missing, ", ")), "a keyholder who agrees with the file signs it: "+vouchCommand(ns))
}

// voucher checks one signature, and returns the receipt key that made it.
func voucher(ns seal.Namespace, file, armored []byte, circles []Circle) (ssh.PublicKey, *spend.Refusal) {
	key, _, err := seal.Verify(armored, file, ns)
	if err != nil {
		return nil, spend.Distrust("voucher-invalid", "", "a signature over these bytes in namespace "+string(ns), err.Error(),
			"if the file was changed, its keyholders sign it again: "+vouchCommand(ns))
	}
	for _, c := range circles {
		if slices.ContainsFunc(c.Holders, func(h Holder) bool { return seal.Same(h.Receipt, key) }) {
			return key, nil
		}
	}
	return nil, spend.Distrust("voucher-unknown", "", "a signature by a keyholder of the wallets", "one by key "+seal.Fingerprint(key),
		"leave the signature out; only keyholders of the pinned wallet count")
}

// missing returns who of the circle did not sign, and how many different keys did. One receipt key counts once, however
// many places of the wallet name it.
func (c Circle) missing(signers []ssh.PublicKey) (names []string, found int) {
	var counted []ssh.PublicKey
	for _, h := range c.Holders {
		same := func(key ssh.PublicKey) bool { return seal.Same(key, h.Receipt) }
		if !slices.ContainsFunc(signers, same) {
			names = append(names, h.Name)
			continue
		}
		if !slices.ContainsFunc(counted, same) {
			counted = append(counted, h.Receipt)
		}
	}
	return names, len(counted)
}

// quorumCode is the refusal of a file that too few keyholders signed.
func quorumCode(ns seal.Namespace) string {
	switch ns {
	case seal.Policy:
		return "policy-quorum"
	case seal.Roster:
		return "roster-quorum"
	case seal.Book:
		return "book-quorum"
	}
	panic("approvals: keyholders vouch for no file in namespace " + string(ns))
}

func vouchCommand(ns seal.Namespace) string {
	noun := strings.TrimSuffix(quorumCode(ns), "-quorum")
	return "coldsign " + noun + " sign FILE --key NAME --out FILE.sig-NAME"
}

// Codes lists every refusal code of this room with its meaning in one line, for docs/refusals.md.
func Codes() [][2]string {
	return [][2]string{
		{"approval-invalid", "not a signature over these intent bytes"},
		{"approvals-expired", "the intent's time was over when its approvals were judged"},
		{"approvals-insufficient", "fewer different people than required approved"},
		{"approvals-not-yet-valid", "the intent was created after this signer's time"},
		{"approvals-too-many", "more than 16 approvals"},
		{"approver-file-key", "an approval by a key in a file, outside test networks"},
		{"approver-is-proposer", "the proposer's own approval"},
		{"approver-outside-validity", "an approver's key that is not valid from the intent's creation until now"},
		{"approver-role", "not an approver, or a key for other purposes"},
		{"approver-twice", "a second approval by the same person"},
		{"approver-unknown", "an approval by a key that is not on the roster"},
		{"approver-unverified", "an approval by a security key without PIN or fingerprint"},
		{"book-quorum", "too few keyholders of a wallet signed the address book"},
		{"change-malformed", "not a change of the exchange with exactly one action and a time of at most 30 days"},
		{"policy-quorum", "too few keyholders of a wallet signed the policy that has a rule for it"},
		{"proposer-unknown", "the proposer is neither on the roster nor the issuer"},
		{"roster-malformed", "a roster line that is not understood"},
		{"roster-quorum", "too few keyholders of a wallet signed the roster"},
		{"voucher-invalid", "not a keyholder's signature over these bytes"},
		{"voucher-unknown", "a signature by somebody who is no keyholder of the wallets"},
		{"vouchers-too-many", "more than 60 signatures under one file"},
	}
}

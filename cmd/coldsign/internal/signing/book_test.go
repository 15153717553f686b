package signing_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Addresses of BIP173 for regtest: a P2WPKH and a P2WSH of nobody's.
const (
	desk   = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
	vault  = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"
	header = "coldsign: address-book/v1\nserial: %d\nnetwork: bitcoin:regtest\nentries:\n"
)

func bookOf(serial int, entries ...string) string {
	text := fmt.Sprintf(header, serial)
	for i, address := range entries {
		address, confirmed := strings.CutSuffix(address, " confirmed")
		text += fmt.Sprintf("  - name: entry-%d\n    address: \"%s\"\n    confirmed: %t\n", i, address, confirmed)
	}
	return text
}

// paysTheBook is a treasury whose policy allows payments to its pinned book.
func paysTheBook(t *testing.T) *treasury {
	t.Helper()
	tr := newTreasury(t, 2, 3)
	tr.rules(t, "serial: 1", "serial: 2", "to_book: false", "to_book: true")
	tr.pin(t, home.BookPin, bookOf(1, desk, vault), 2)
	return tr
}

func payment(tr *treasury, entry, address string) asked {
	a := tr.ask(0)
	a.entry, a.address = entry, address
	return a
}

func TestAPaymentToABookEntryIsSigned(t *testing.T) {
	tr := paysTheBook(t)
	a := tr.holder(t, 0)
	ledger := tr.ledger(t)
	defer ledger.Close()
	s := a.session(ledger)
	shown := ""
	s.Ask = func(r review.Request) error { shown = review.Plain(r); return nil }
	signed, err := s.Sign(context.Background(), tr.seal(t, payment(tr, "entry-0", desk)))
	must(t, err)
	if signed.Signatures != 2 || !strings.Contains(shown, "OUTSIDE OUR WALLETS") || !strings.Contains(shown, "to entry entry-0\n    "+desk) {
		t.Errorf("%d signatures; the screen was\n%s", signed.Signatures, shown)
	}
	for _, e := range ledger.Entries() {
		if e.Event == home.Reserved && e.To != desk {
			t.Errorf("the ledger says that %q was paid", e.To)
		}
	}
}

// Attack 040: money leaves our wallets only to the entry that the people approved, of the book that the quorum signed.
func TestAttack040OnlyTheApprovedEntryIsPaid(t *testing.T) {
	tr := paysTheBook(t)
	a := tr.holder(t, 0)
	_, err := a.signs(t, tr.seal(t, payment(tr, "entry-0", vault)))
	gives(t, "another entry's address", err, "output-external", "destination-count")
	_, err = a.signs(t, tr.seal(t, payment(tr, "entry-9", desk)))
	gives(t, "an entry that is not in the book", err, "book-entry-unknown", "output-external", "destination-count")
	_, err = a.signs(t, tr.seal(t, payment(tr, "", desk)))
	gives(t, "an entry's address in a top-up", err, "output-external", "destination-count")

	unbooked := newTreasury(t, 2, 3)
	_, err = unbooked.holder(t, 0).signs(t, unbooked.seal(t, payment(unbooked, "entry-0", desk)))
	gives(t, "a signer without a book", err, "book-not-allowed", "book-entry-unknown", "output-external", "destination-count")

	loose := paysTheBook(t)
	loose.pin(t, home.BookPin, bookOf(2, vault, desk), 1) // past the command, by somebody who has one key
	_, err = loose.holder(t, 0).signs(t, loose.seal(t, payment(loose, "entry-0", vault)))
	gives(t, "a book that one keyholder signed", err, "book-quorum")
}

// A policy or a roster that was slipped in past the command is noticed when the wallet is about to spend.
func TestEveryPaperNeedsItsQuorumWhenItIsUsed(t *testing.T) {
	for kind, code := range map[home.Kind]string{home.PolicyPin: "policy-quorum", home.RosterPin: "roster-quorum"} {
		tr := newTreasury(t, 2, 3)
		text := string(tr.pinned(t, kind).Data) + "# edited\n"
		tr.pin(t, kind, text, 1)
		_, err := tr.holder(t, 0).signs(t, tr.seal(t, tr.ask(0)))
		gives(t, "one keyholder's "+string(kind), err, code)
		tr.pin(t, kind, text, 2)
		_, err = tr.holder(t, 0).signs(t, tr.seal(t, tr.ask(0)))
		gives(t, "two keyholders' "+string(kind), err)
	}
}

// Attack 132: new rules of a quorum unlock a wallet that was locked by refusals; the old ones with fresh signatures do not.
func TestAttack132OnlyNewRulesUnlock(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	a := tr.holder(t, 0)
	for i := range 5 {
		_, err := a.refuses(t, tr.seal(t, tr.ask(2*i)))
		must(t, err)
	}
	raw := tr.seal(t, tr.ask(20))
	_, err := a.signs(t, raw)
	gives(t, "after five refusals", err, "refusals-locked")
	tr.pin(t, home.PolicyPin, string(tr.pinned(t, home.PolicyPin).Data), 3)
	_, err = a.signs(t, raw)
	gives(t, "the same rules, signed by more", err, "refusals-locked")
	tr.rules(t, "serial: 1", "serial: 2")
	_, err = a.signs(t, raw)
	gives(t, "new rules", err)
}

// Attack 041: an entry that looks like an address of a pinned wallet, and one that is such an address.
func TestAttack041NoEntryLooksLikeAWallet(t *testing.T) {
	tr := newTreasury(t, 2, 3)
	_, x, err := tr.holder(t, 0).examined(t, tr.seal(t, tr.ask(0)))
	must(t, err)
	beliefs := signing.Beliefs{Network: "bitcoin:regtest", Wallets: []wallet.Wallet{x.Scope.From, x.Scope.To}}
	cold, err := tr.cold.Derive(wallet.ChangeBranch, 49)
	must(t, err)
	alike := lookAlike(t, cold.Address)
	for text, codes := range map[string][]string{
		bookOf(1, desk, vault):                                  nil,
		bookOf(1, cold.Address):                                 {"book-entry-ours"},
		bookOf(1, cold.Address+" confirmed"):                    {"book-entry-ours"},
		bookOf(1, alike):                                        {"book-look-alike"},
		bookOf(1, alike+" confirmed"):                           nil,
		bookOf(1, desk[:len(desk)-1]+"2"):                       {"address-invalid"},
		bookOf(1, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"): {"address-invalid"},
	} {
		book, err := policy.ParseBook([]byte(text))
		must(t, err)
		gives(t, text, beliefs.CheckBook(book), codes...)
	}
}

// lookAlike makes another address with the same last four characters, which is what somebody who plants one does. The
// characters are 20 bits of a checksum that is linear: two halves of 12 bits each are enough to hit any value.
func lookAlike(t *testing.T, of string) string {
	t.Helper()
	const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	write := func(a, b uint16) string {
		program := make([]byte, 20)
		binary.BigEndian.PutUint16(program, a)
		binary.BigEndian.PutUint16(program[10:], b)
		made, err := address.NewAddressWitnessPubKeyHash(program, &chaincfg.RegressionNetParams)
		must(t, err)
		return made.EncodeAddress()
	}
	end := func(text string) (bits uint32) {
		for _, c := range text[len(text)-4:] {
			bits = bits<<5 | uint32(strings.IndexRune(charset, c))
		}
		return bits
	}
	left := map[uint32]uint16{}
	for a := range uint16(1 << 12) {
		left[end(write(a, 0))] = a
	}
	for b := range uint16(1 << 12) {
		if a, ok := left[end(of)^end(write(0, b))^end(write(0, 0))]; ok {
			if alike := write(a, b); alike != of && policy.Alike(alike, of) {
				return alike
			}
		}
	}
	t.Fatal("no look-alike was found")
	return ""
}

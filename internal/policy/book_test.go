package policy_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
)

const bookText = `coldsign: address-book/v1
serial: 3
network: bitcoin:mainnet
entries:
  - name: otc-desk
    address: "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
    confirmed: false
  - name: custodian.2
    address: "3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX"
    confirmed: false
`

func book(t testing.TB) policy.Book {
	t.Helper()
	b, err := policy.ParseBook([]byte(bookText))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// payment pays 2 BTC from cold to the book's otc-desk.
func payment(s *story) {
	*s = *topUp()
	s.toBook = true
	s.Intent.Purpose, s.Intent.To, s.Intent.ToIndex, s.Intent.Entry = spend.Payment, spend.WalletID{}, 0, "otc-desk"
	s.facts.Outputs[0] = chain.Output{Position: 0, Address: "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", Role: chain.External}
	s.pays(200_000_000)
	b, err := policy.ParseBook([]byte(bookText))
	if err != nil {
		panic(err)
	}
	s.Book = b
}

func tellsOfPayments() []tell {
	changed := func(change func(*story)) func(*story) { return func(s *story) { payment(s); change(s) } }
	otherNetwork, err := policy.ParseBook([]byte(strings.Replace(bookText, "bitcoin:mainnet", "bitcoin:testnet", 1)))
	if err != nil {
		panic(err)
	}
	return []tell{
		{"040", "a payment to an entry of the book", payment, nil},
		{"040", "the policy pays nobody outside", changed(func(s *story) { s.toBook = false }), []string{"book-not-allowed", "output-external", "destination-count"}},
		{"040", "an entry that the book does not have", changed(func(s *story) { s.Intent.Entry = "otc-desk2" }), []string{"book-entry-unknown", "output-external", "destination-count"}},
		{"040", "no book", changed(func(s *story) { s.Book = policy.Book{} }), []string{"book-entry-unknown", "output-external", "destination-count"}},
		{"040", "a book of another network", changed(func(s *story) { s.Book = otherNetwork }), []string{"book-entry-unknown", "output-external", "destination-count"}},
		{"040", "another entry of the book is paid", changed(func(s *story) { s.facts.Outputs[0].Address = "3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX" }), []string{"output-external", "destination-count"}},
		{"041", "a look-alike of the entry is paid", changed(func(s *story) { s.facts.Outputs[0].Address = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdg" }), []string{"output-external", "destination-count"}},
		{"040", "a stranger beside the entry", changed(func(s *story) {
			s.facts.Outputs = append(s.facts.Outputs, chain.Output{Position: 2, Amount: money.Sats(2000), Address: "bc1qevil", Role: chain.External})
			s.balance()
		}), []string{"output-external"}},
		{"040", "a wallet is paid where an entry was approved", changed(func(s *story) { s.facts.Outputs[0].Role = chain.Destination }), []string{"output-external", "destination-count"}},
		{"040", "an entry is paid where a wallet was approved", changed(func(s *story) { s.Intent.Purpose, s.Intent.To = spend.TopUp, hot.ID }), []string{"output-external", "destination-count"}},
		{"047", "an entry gets another amount", changed(func(s *story) { s.Intent.Amount = money.Sats(200_000_001) }), []string{"amount-mismatch"}},
		{"114", "payments count towards the limits", changed(func(s *story) {
			s.History = []policy.Movement{{At: now, Amount: money.Sats(2_400_000_000)}}
		}), []string{"limit-window"}},
	}
}

// bookTells are edits of a book, and what must be said of each.
func bookTells() []struct{ old, new, code string } {
	const invalid, missing = "book-field-invalid ", "book-field-missing "
	alike := "bc1qyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy5mdq"
	return []struct{ old, new, code string }{
		{"address-book/v1", "address-book/v2", invalid + "coldsign"}, {"serial: 3", "serial: 0", invalid + "serial"}, {"serial: 3", "#", missing + "serial"},
		{"bitcoin:mainnet", "bitcoin:main", invalid + "network"}, {"otc-desk", "OTC", invalid + "entries[0].name"}, {"custodian.2", "otc-desk", invalid + "entries[1].name"},
		{"otc-desk", "\"otc desk\"", invalid + "entries[0].name"}, {"\"3Ekt", "\"3Ek t", invalid + "entries[1].address"}, {"\"3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX\"", "3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX", invalid + "entries[1].address"},
		{"3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX", "3Ekt", invalid + "entries[1].address"}, {"3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX", strings.Repeat("3", 91), invalid + "entries[1].address"},
		{"3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", invalid + "entries[1].address"},
		{"confirmed: false", "confirmed: maybe", invalid + "entries[0].confirmed"}, {"    confirmed: false\n", "", missing + "entries[0].confirmed"},
		{"serial: 3", "serial: 3\nlabel: x", "book-syntax book"}, {"otc-desk", "&a otc-desk", "book-syntax line 5"}, {"otc", "o\tc", "book-not-ascii line 5"},
		{"serial: 3", "serial: 3 #" + strings.Repeat("x", 64<<10), "book-too-large book"},
		{"3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX", alike, "book-look-alike entries[1]"},
	}
}

func TestParseBookRefusesWhatMightMeanSomethingElse(t *testing.T) {
	for _, c := range bookTells() {
		_, err := policy.ParseBook(edit(t, []byte(bookText), c.old, c.new))
		if got := codesOf(err); !slices.Contains(got, c.code) {
			t.Errorf("%.40q -> %.40q: %q, want %q", c.old, c.new, got, c.code)
		}
	}
}

// Attack 041: an entry that begins and ends like another one is believed only when the keyholders signed that they
// compared both. One of the two is not enough: nobody knows which of them is the poison.
func TestAttack041LookAlikesNeedBothToBeConfirmed(t *testing.T) {
	alike := strings.Replace(bookText, "3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX", "bc1qyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy5mdq", 1)
	first := strings.Replace(alike, "confirmed: false", "confirmed: true", 1)
	second := alike[:len(alike)-len("false\n")] + "true\n"
	for text, want := range map[string]bool{alike: false, first: false, second: false, strings.ReplaceAll(alike, "confirmed: false", "confirmed: true"): true} {
		if _, err := policy.ParseBook([]byte(text)); (err == nil) != want {
			t.Errorf("accepted %v: %v\n%s", err == nil, err, text)
		}
	}
}

func TestABookIsReadAsItStands(t *testing.T) {
	b := book(t)
	entry, ok := b.Entry("custodian.2")
	if !ok || entry != (policy.Entry{Name: "custodian.2", Address: "3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX"}) {
		t.Errorf("%+v", entry)
	}
	if b.Serial() != 3 || b.Network() != spend.BitcoinMainnet || b.Version() != sha256.Sum256([]byte(bookText)) || len(b.Entries()) != 2 {
		t.Errorf("%d %s %x", b.Serial(), b.Network(), b.Version())
	}
	if _, ok := b.Entry(""); ok {
		t.Error("an entry without a name")
	}
}

func FuzzParseBook(f *testing.F) {
	f.Add([]byte(bookText))
	for _, c := range bookTells() {
		f.Add(edit(f, []byte(bookText), c.old, c.new))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := policy.ParseBook(raw)
		var refusal *spend.Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("not a refusal: %v", err)
		}
		for _, e := range b.Entries() {
			if found, ok := b.Entry(e.Name); !ok || found != e {
				t.Fatalf("entry %+v is found as %+v", e, found)
			}
		}
	})
}

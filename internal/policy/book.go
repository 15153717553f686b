package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	bookFormat  = "address-book/v1"
	entriesMax  = 200
	addressMax  = 90 // characters of the longest address of Bitcoin
	addressMin  = 14
	alikeLength = 4 // characters at each end that people look at
)

// Entry is an address outside every pinned wallet that a payment may name. Its network is the book's.
type Entry struct {
	Name      string // as intents name it
	Address   string
	Confirmed bool // the keyholders compared the whole address although it looks like another one
}

// Book is a parsed address book: strict YAML as a policy is, signed by a quorum of keyholders.
//
//	coldsign: address-book/v1
//	serial: 1                        # rises with every change
//	network: bitcoin:mainnet
//	entries:
//	  - name: otc-desk               # a-z 0-9 . _ -, as intents name it
//	    address: "bc1q..."
//	    confirmed: false
//
// An entry whose first four and last four characters are those of another entry is refused unless both say confirmed:
// true, which is one more thing that the keyholders sign (attack 041). Whether an address exists on the network, and
// whether it looks like an address of a pinned wallet, is for the caller to ask: this room knows no scripts.
type Book struct {
	version [32]byte
	serial  uint64
	network spend.Network
	entries []Entry
}

// Version is the SHA-256 of the book's bytes.
func (b Book) Version() [32]byte { return b.version }

// Serial rises with every change of the book.
func (b Book) Serial() uint64 { return b.serial }

// Network is the network of every address in it.
func (b Book) Network() spend.Network { return b.network }

// Entries returns the entries in the order of the file.
func (b Book) Entries() []Entry { return slices.Clone(b.entries) }

// Entry returns the entry of a name.
func (b Book) Entry(name string) (Entry, bool) {
	i := slices.IndexFunc(b.entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return b.entries[i], true
}

// Alike reports whether two addresses begin and end alike, so that a person who compares the ends takes one for the
// other.
func Alike(a, b string) bool {
	return len(a) >= alikeLength && len(b) >= alikeLength && a[:alikeLength] == b[:alikeLength] && a[len(a)-alikeLength:] == b[len(b)-alikeLength:]
}

type fileEntry struct {
	Name      scalar `yaml:"name"`
	Address   scalar `yaml:"address"`
	Confirmed scalar `yaml:"confirmed"`
}

type fileBook struct {
	Coldsign scalar      `yaml:"coldsign"`
	Serial   scalar      `yaml:"serial"`
	Network  scalar      `yaml:"network"`
	Entries  []fileEntry `yaml:"entries"`
}

// ParseBook reads an address book. The error joins every refusal that was found.
func ParseBook(raw []byte) (Book, error) {
	var f fileBook
	if err := readFile("book", raw, &f); err != nil {
		return Book{}, err
	}
	r := &reader{kind: "book"}
	r.oneOf("coldsign", f.Coldsign, bookFormat)
	out := Book{version: sha256.Sum256(raw), serial: r.number("serial", f.Serial, 1, serialBound), network: r.network("network", f.Network)}
	r.count("entries", len(f.Entries), entriesMax)
	for i, e := range f.Entries {
		out.entries = append(out.entries, r.entry(fmt.Sprintf("entries[%d]", i), e, out))
	}
	if len(r.errs) > 0 {
		return Book{}, errors.Join(r.errs...)
	}
	return out, nil
}

// entry reads one entry; the ones before it are in have.
func (r *reader) entry(where string, f fileEntry, have Book) Entry {
	e := Entry{Name: f.Name.text, Address: f.Address.text, Confirmed: r.oneOf(where+".confirmed", f.Confirmed, "true", "false") == "true"}
	if r.present(where+".name", f.Name) && !IsEntryName(e.Name) {
		r.invalid(where+".name", "1 to 32 of a-z 0-9 . _ -, the first a letter or digit", e.Name)
	}
	foreign := strings.ContainsFunc(e.Address, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') })
	if r.quoted(where+".address", f.Address) && (foreign || len(e.Address) < addressMin || len(e.Address) > addressMax) {
		r.invalid(where+".address", fmt.Sprintf("an address of %d to %d letters and digits", addressMin, addressMax), e.Address)
	}
	for _, other := range have.entries {
		switch {
		case other.Name == e.Name:
			r.invalid(where+".name", "a name that no other entry has", e.Name)
		case other.Address == e.Address:
			r.invalid(where+".address", "an address that is listed once", e.Address)
		case Alike(other.Address, e.Address) && !(other.Confirmed && e.Confirmed):
			r.errs = append(r.errs, LookAlike(where, e, "entry "+other.Name))
		}
	}
	return e
}

// LookAlike refuses an entry that a person could take for something else.
func LookAlike(where string, e Entry, other string) *spend.Refusal {
	return spend.Refuse("book-look-alike", where, "an address whose ends are not those of "+other+", or confirmed: true", e.Name+" at "+e.Address,
		"two keyholders compare the whole address by another channel; then confirm the entries in the file, and sign it")
}

// IsEntryName reports whether an intent may name an entry so: [a-z0-9][a-z0-9._-]{0,31}, as people and issuers are named.
func IsEntryName(text string) bool {
	for i := range len(text) {
		c := text[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return text != "" && len(text) <= nameMax
}

// payee is the entry that a payment names, and whether this wallet may pay it.
func (j *judgement) payee() (Entry, bool) {
	entry, known := j.in.Book.Entry(j.in.Intent.Entry)
	return entry, known && j.in.Intent.Purpose == spend.Payment && j.rule.ToBook && j.in.Book.network == j.rules.network
}

// pays reports whether an output goes where the intent says.
func (j *judgement) pays(out chain.Output) bool {
	if j.in.Intent.Purpose == spend.Payment {
		entry, ok := j.payee()
		return ok && out.Role == chain.External && out.Address == entry.Address
	}
	return out.Role == chain.Destination
}

// destinationEntry asks whether the entry that is to be paid may be paid.
func (j *judgement) destinationEntry() {
	in := j.in.Intent
	j.check(j.rule.ToBook, "payments to the address book are allowed", "to_book: true", spend.Refuse("book-not-allowed", "intent",
		"to_book: true in this signer's rule for the wallet", "to_book: false", "the keyholders: change the policy, if this wallet is to pay outside"))
	entry, known := j.in.Book.Entry(in.Entry)
	j.check(known && j.in.Book.network == j.rules.network, "destination is in the address book", entry.Name+" "+entry.Address, spend.Refuse("book-entry-unknown", "intent",
		"an entry of the pinned address book", fmt.Sprintf("%q", in.Entry), "the keyholders: add the entry to the book and sign it, if it is right"))
}

package wallet

import (
	"fmt"
	"slices"

	"github.com/coldsign/coldsign/internal/spend"
)

// Label is what the files of other products do not say, or not bindingly.
type Label struct {
	Name    string
	Tier    spend.Tier
	Network spend.Network
}

const foreignFileMax = 64 << 10 // bytes of a file of another product

// KnownKeys offers proven records: a key of a foreign file that is exactly one of them, origin included, takes over its
// record and is no unproven key.
func KnownKeys(records ...KeyRecord) Option {
	return func(c *consents) { c.known = append(c.known, cloneRecords(records)...) }
}

// FromDescriptor reads a plain descriptor with its checksum, as Bitcoin Core and most products show it.
func FromDescriptor(text string, l Label, options ...Option) (Wallet, error) {
	d, err := readPolicy(text)
	if err != nil {
		return Wallet{}, err
	}
	return fromPolicy(d, nil, l, options)
}

// fromPolicy makes a wallet from a descriptor alone. names are the file's own names of the keys, or nil.
func fromPolicy(d Descriptor, names []string, l Label, options []Option) (Wallet, error) {
	if err := checkShape(d); err != nil {
		return Wallet{}, err
	}
	records := make([]KeyRecord, len(d.Keys()))
	for i, key := range d.Keys() {
		r, err := key.record(fmt.Sprintf("key %d", i+1))
		if err != nil {
			return Wallet{}, err
		}
		name := ""
		if names != nil {
			name = names[i]
		}
		r.Network, r.Name = l.Network, foreignName(name, i)
		records[i] = r
	}
	return composeForeign(records, d.Threshold(), l, options)
}

// foreignName keeps a name from outside when it could be one of ours, and otherwise names the key by its position.
func foreignName(name string, i int) string {
	if isName(name, keyNameLetters, 1) {
		return name
	}
	return fmt.Sprintf("key-%d", i+1)
}

func composeForeign(records []KeyRecord, threshold int, l Label, options []Option) (Wallet, error) {
	var given consents
	for _, consent := range options {
		consent(&given)
	}
	// A known record replaces the foreign one only if key and origin are the same, so it can add a proof, a name and a
	// receipt key, and nothing that a script depends on.
	for i, r := range records {
		records[i].Device = DeviceForeign
		if at := slices.IndexFunc(given.known, r.sameKey); at >= 0 {
			records[i] = given.known[at]
		}
	}
	return compose(l.Name, l.Tier, threshold, records, options...)
}

// record is a KEY as an unproven record. An extended key needs an origin and exactly the branches of our wallets, for
// nothing else could be signed for.
func (k KeyExpression) record(where string) (KeyRecord, error) {
	if k.Origin == nil {
		return KeyRecord{}, refuseOrigin(where)
	}
	r := KeyRecord{Kind: Fixed, Fingerprint: k.Origin.Fingerprint, Path: slices.Clone(k.Origin.Path), Key: k.Key}
	if k.extended == nil {
		return r, nil
	}
	r.Kind = BIP32
	// Compared as text against what our own record would print, which leaves no room for a step that looks harmless.
	if ours := r.expression(); k.String() != ours.String() {
		return KeyRecord{}, spend.Refuse("wallet-script", where, "steps /<0;1>/* below the account key", "other steps",
			"set the wallet up again with receive branch 0 and change branch 1")
	}
	return r, nil
}

func refuseOrigin(where string) error {
	return spend.Refuse("key-origin", where, "an origin like [73c5da0a/48h/0h/0h/2h]", "none",
		"export the wallet with the fingerprint and path of each key; without them no signer finds its key")
}

// refuseFixedKeys refuses formats that cannot say a key without children.
func (w Wallet) refuseFixedKeys(format string) error {
	if err := w.refusePools(format); err != nil {
		return err
	}
	for _, r := range w.records {
		if r.Kind == Fixed {
			return spend.Refuse("export-fixed-key", w.where(), "keys with children: "+format+" knows no others", r.Name+", a fixed key",
				"export a descriptor instead")
		}
	}
	return nil
}

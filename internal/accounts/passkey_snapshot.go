package accounts

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
)

// A book with rules for passkeys has another magic, and behind the tickets a part with these rules, and one part for
// every account that has something of passkeys, by rising number. A book without them is written as it was before there
// were any.
const snapshotMagic2 = "CSACCTS2"

func (b *Book) magic() string {
	if b.rules.PasskeyRP == "" {
		return snapshotMagic
	}
	return snapshotMagic2
}

func (b *Book) writePasskeys(w io.Writer, part []byte) error {
	if b.rules.PasskeyRP == "" {
		return nil
	}
	if err := writePart(w, b.appendPasskeyRules(part[:4])); err != nil {
		return err
	}
	for _, id := range b.withFactors() {
		part = b.factors[id].append(part[:4], id)
		if err := writePart(w, part); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) withFactors() []exchange.Account {
	ids := make([]exchange.Account, 0, len(b.factors))
	for id := range b.factors {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (b *Book) appendPasskeyRules(out []byte) []byte {
	out = appendNumbers(out, bit(b.rules.PasskeyRequired), uint64(b.rules.EnrolLife), uint64(b.rules.ResetDelay), uint64(len(b.factors)))
	return appendText(appendText(out, b.rules.PasskeyRP), b.rules.PasskeyOrigins)
}

func bit(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

func (f *factors) append(out []byte, id exchange.Account) []byte {
	out = appendNumbers(out, uint64(id), uint64(f.approved), uint64(f.calm), uint64(f.until), uint64(len(f.passkeys)))
	out = appendText(out, f.enrol)
	for i := range f.passkeys {
		p := &f.passkeys[i]
		out = appendNumbers(out, uint64(p.key.algorithm), uint64(p.added), uint64(p.counter), bit(p.syncable))
		out = appendText(appendText(appendText(out, p.credential), p.label), p.key.raw)
	}
	return out
}

// readPasskeys reads what writePasskeys wrote, of a book of the second kind.
func (b *Book) readPasskeys(r io.Reader, part []byte) error {
	bad := func(what string) error { return fmt.Errorf("accounts snapshot: %s: %w", what, exchange.ErrBytes) }
	part, err := readPart(r, part)
	if err != nil {
		return err
	}
	in := reader{raw: part}
	b.rules.PasskeyRequired = in.number() == 1
	b.rules.EnrolLife, b.rules.ResetDelay = exchange.Millis(in.number()), exchange.Millis(in.number())
	count := in.number()
	b.rules.PasskeyRP, b.rules.PasskeyOrigins = in.text(), in.text()
	if !in.done() || b.rules.PasskeyRP == "" || !b.rules.valid() || count > uint64(b.count) {
		return bad("rules of passkeys")
	}
	rules := bytes.Clone(part)
	last := exchange.Account(0)
	for range count {
		if part, err = readPart(r, part); err != nil {
			return err
		}
		id, ok := b.restoreFactors(part)
		if !ok || id <= last {
			return bad("passkeys of an account")
		}
		last = id
	}
	if !bytes.Equal(b.appendPasskeyRules(nil), rules) {
		return bad("rules of passkeys")
	}
	return nil
}

// restoreFactors takes in what one account has of passkeys. What is not written again as it was read is refused, and so
// is a passkey that could never be used.
func (b *Book) restoreFactors(part []byte) (exchange.Account, bool) {
	in := reader{raw: part}
	id := exchange.Account(in.number())
	f := &factors{approved: exchange.Millis(in.number()), calm: exchange.Millis(in.number()), until: exchange.Millis(in.number())}
	count := in.count(4 * 8)
	f.enrol = in.text()
	for range count {
		p := passkey{key: publicKey{algorithm: int64(in.number())}, added: exchange.Millis(in.number()), counter: uint32(in.number()), syncable: in.number() == 1}
		p.credential, p.label, p.key.raw = in.text(), in.text(), in.text()
		length := map[int64]int{algES256: 65, algEdDSA: 32}[p.key.algorithm]
		if in.bad || length == 0 || len(p.key.raw) != length || len(p.credential) < credentialMin || len(p.credential) > credentialMax || b.credentials[p.credential] != 0 || !isLabel(p.label) {
			return id, false
		}
		b.credentials[p.credential] = id
		f.passkeys = append(f.passkeys, p)
	}
	if !in.done() || b.find(id) == nil || count > passkeysMax || b.factors[id] != nil || !bytes.Equal(f.append(nil, id), part) {
		return id, false
	}
	b.factors[id] = f
	return id, true
}

package accounts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// A snapshot is: the magic, a header part (the usual fees end it where there are any), one part for every account in the order in which they were opened, and a part
// with the tickets. A part is its length in 4 bytes and that many bytes; numbers are little endian, texts have their
// length in 4 bytes before them. What is read is written again and compared, so a book has exactly one snapshot.
const (
	snapshotMagic = "CSACCTS1"
	recordMax     = 8 << 20 // bytes of a part; the limits of one account stay below it
)

// Snapshot writes the book: the same book gives the same bytes.
func (b *Book) Snapshot(w io.Writer) error {
	if _, err := io.WriteString(w, b.magic()); err != nil {
		return err
	}
	if err := writePart(w, b.appendHeader(make([]byte, 4))); err != nil {
		return err
	}
	part := make([]byte, 4, 4096)
	for place := range b.count {
		part = b.at(place).append(part[:4])
		if err := writePart(w, part); err != nil {
			return err
		}
	}
	if err := writePart(w, b.appendTickets(part[:4])); err != nil {
		return err
	}
	return b.writePasskeys(w, part)
}

// writePart fills in the length that the first four bytes are kept for.
func writePart(w io.Writer, part []byte) error {
	binary.LittleEndian.PutUint32(part, uint32(len(part)-4))
	_, err := w.Write(part)
	return err
}

func (b *Book) appendHeader(out []byte) []byte {
	for _, n := range [...]uint64{uint64(b.rules.AddressDelay), uint64(b.rules.KeyDelay), uint64(b.rules.WithdrawalsMax), uint64(b.rules.AttemptsMax),
		uint64(b.free), b.issued, uint64(b.count)} {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	if b.usual != (exchange.DefaultFees{}) {
		out = appendNumbers(out, uint64(b.usual.MakerPPM), uint64(b.usual.TakerPPM))
	}
	return out
}

func (b *Book) appendTickets(out []byte) []byte {
	out = binary.LittleEndian.AppendUint32(out, uint32(len(b.tickets)))
	for _, t := range b.tickets {
		out = appendNumbers(out, t.Number, uint64(t.Account), uint64(t.At))
		out = appendText(appendText(out, t.Key), t.Why)
	}
	return out
}

func appendNumbers(out []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	return out
}

func appendText[T ~string | ~[]byte](out []byte, text T) []byte {
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(text))), text...)
}

// freeBit is beside an account's state when it pays nothing.
const freeBit = 1 << 8

func (a *account) append(out []byte) []byte {
	state := uint64(a.state)
	if a.free {
		state |= freeBit
	}
	out = appendNumbers(out, uint64(a.id), uint64(a.created), uint64(a.maker), uint64(a.taker), uint64(a.step), state)
	out = appendText(appendText(out, a.name()), a.text[a.nameLen:])
	h := a.more
	if h == nil {
		h = &holdings{}
	}
	out = appendNumbers(out, uint64(h.wrong), uint64(h.wrongSince), uint64(len(h.keys)), uint64(len(h.addresses)), uint64(len(h.recent)), uint64(len(h.days)))
	for _, k := range h.keys {
		out = k.append(out)
	}
	for _, e := range h.addresses {
		out = appendNumbers(out, uint64(e.asset), uint64(e.added), uint64(e.usable))
		out = appendText(appendText(out, e.text), e.label)
	}
	for _, at := range h.recent {
		out = appendNumbers(out, uint64(at))
	}
	for _, w := range h.days {
		out = appendNumbers(out, uint64(w.asset), uint64(len(w.slices)))
		for _, s := range w.slices {
			out = appendNumbers(out, uint64(s.number), s.amount.Lo, s.amount.Hi)
		}
	}
	return out
}

func (k *key) append(out []byte) []byte {
	revoked := uint64(0)
	if k.info.Revoked {
		revoked = 1
	}
	out = appendNumbers(out, uint64(k.info.Scopes), uint64(k.info.Created), uint64(k.info.Usable), revoked, uint64(k.tries), uint64(k.since), uint64(len(k.info.Allowed)))
	out = appendText(appendText(appendText(appendText(out, k.info.Key), k.info.Kind), k.info.Label), k.info.Secret)
	for _, block := range k.info.Allowed {
		out = appendText(out, block)
	}
	return out
}

// Restore reads exactly what Snapshot wrote and not a byte more. The rules are those of the snapshot. Bytes that no
// Snapshot wrote are refused with exchange.ErrBytes.
func Restore(r io.Reader, opener Opener) (*Book, error) {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != snapshotMagic && string(magic) != snapshotMagic2 {
		return nil, fmt.Errorf("accounts snapshot: %w", exchange.ErrBytes)
	}
	header, err := readPart(r, nil)
	if err != nil {
		return nil, err
	}
	in := reader{raw: header}
	b := New(Options{Opener: opener})
	b.rules = Rules{AddressDelay: exchange.Millis(in.number()), KeyDelay: exchange.Millis(in.number()), WithdrawalsMax: int(in.number()), AttemptsMax: int(in.number())}
	b.free, b.issued = exchange.Account(in.number()), in.number()
	count := in.number()
	if len(in.raw) > 0 { // written where accounts pay something by default
		maker, taker := in.number(), in.number()
		b.usual = exchange.DefaultFees{MakerPPM: uint32(maker), TakerPPM: uint32(taker)}
		in.bad = in.bad || maker|taker == 0 || maker > FeeMax || taker > FeeMax
	}
	if !in.done() || count > numberMax || !b.rules.valid() {
		return nil, fmt.Errorf("accounts snapshot: header: %w", exchange.ErrBytes)
	}
	part := header
	for place := range count {
		if part, err = readPart(r, part); err != nil {
			return nil, err
		}
		if !b.restoreAccount(part) {
			return nil, fmt.Errorf("accounts snapshot: account at %d: %w", place, exchange.ErrBytes)
		}
	}
	if part, err = readPart(r, part); err != nil {
		return nil, err
	}
	if !b.restoreTickets(part) {
		return nil, fmt.Errorf("accounts snapshot: tickets: %w", exchange.ErrBytes)
	}
	if string(magic) == snapshotMagic2 {
		if err := b.readPasskeys(r, part); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// readPart reads one part, into the memory of the last one where it fits.
func readPart(r io.Reader, into []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("accounts snapshot: %w: %w", exchange.ErrBytes, err)
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > recordMax {
		return nil, fmt.Errorf("accounts snapshot: %w: a part of %d bytes", exchange.ErrBytes, size)
	}
	into = slices.Grow(into[:0], int(size))[:size]
	if _, err := io.ReadFull(r, into); err != nil {
		return nil, fmt.Errorf("accounts snapshot: %w: %w", exchange.ErrBytes, err)
	}
	return into, nil
}

func (b *Book) restoreTickets(part []byte) bool {
	in := reader{raw: part}
	for range in.length() {
		b.tickets = append(b.tickets, exchange.TicketInfo{Number: in.number(), Account: exchange.Account(in.number()), At: exchange.Millis(in.number()), Key: in.text(), Why: in.text()})
	}
	return in.done() && len(b.tickets) <= ticketsMax && bytes.Equal(b.appendTickets(nil), part)
}

// restoreAccount takes in one account. Names and numbers that are taken already make the snapshot a false one; so does
// anything that is not written again as it was read.
func (b *Book) restoreAccount(part []byte) bool {
	in := reader{raw: part}
	a := account{id: exchange.Account(in.number()), created: exchange.Millis(in.number()), maker: uint32(in.number()), taker: uint32(in.number()),
		step: uint32(in.number())}
	state := in.number()
	a.state, a.free = exchange.AccountState(state), state&freeBit != 0
	name := in.text()
	a.text, a.nameLen = name+in.text(), uint8(len(name))
	h := &holdings{wrong: uint32(in.number()), wrongSince: exchange.Millis(in.number())}
	keys, addresses, recent, days := in.count(8), in.count(8), in.count(8), in.count(8)
	for range keys {
		k := in.key(a.id)
		if in.bad || !isKeyName(k.info.Key) || b.keys[k.info.Key] != nil {
			return false
		}
		b.keys[k.info.Key] = k
		h.keys = append(h.keys, k)
	}
	for range addresses {
		e := address{asset: exchange.Asset(in.number()), added: exchange.Millis(in.number()), usable: exchange.Millis(in.number())}
		e.text, e.label = in.text(), in.text()
		h.addresses = append(h.addresses, e)
	}
	for range recent {
		h.recent = append(h.recent, exchange.Millis(in.number()))
	}
	for range days {
		w := dayWindow{asset: exchange.Asset(in.number())}
		for range in.count(8) {
			w.slices = append(w.slices, dayAmount{int64(in.number()), money.U128{Lo: in.number(), Hi: in.number()}})
		}
		h.days = append(h.days, w)
	}
	if keys+addresses+recent+days > 0 || h.wrong > 0 || h.wrongSince != 0 {
		a.more = h
	}
	_, taken := b.names[name]
	if !in.done() || !isName(name) || a.id == 0 || a.id > numberMax || taken || b.find(a.id) != nil || a.state > exchange.AccountFrozen || a.free && a.maker|a.taker != 0 {
		return false
	}
	return bytes.Equal(b.put(a).append(nil), part)
}

// reader reads what the append functions wrote. After bytes that are too few it gives zeros and is bad.
type reader struct {
	raw []byte
	bad bool
}

func (in *reader) number() uint64 {
	if len(in.raw) < 8 {
		in.bad, in.raw = true, nil
		return 0
	}
	n := binary.LittleEndian.Uint64(in.raw)
	in.raw = in.raw[8:]
	return n
}

// count is a number of things that follow, each of at least size bytes.
func (in *reader) count(size int) int {
	n := in.number()
	if n > uint64(len(in.raw)/size) {
		in.bad, in.raw = true, nil
		return 0
	}
	return int(n)
}

// length is a length in 4 bytes; at least that many bytes follow.
func (in *reader) length() int {
	if len(in.raw) < 4 {
		in.bad, in.raw = true, nil
		return 0
	}
	n := int(binary.LittleEndian.Uint32(in.raw))
	in.raw = in.raw[4:]
	if n > len(in.raw) {
		in.bad, in.raw = true, nil
		return 0
	}
	return n
}

func (in *reader) text() string {
	n := in.length()
	text := string(in.raw[:n])
	in.raw = in.raw[n:]
	return text
}

func (in *reader) key(account exchange.Account) *key {
	k := &key{info: exchange.KeyInfo{Account: account, Scopes: exchange.Scope(in.number()), Created: exchange.Millis(in.number()), Usable: exchange.Millis(in.number())}}
	k.info.Revoked = in.number() == 1
	k.tries, k.since = uint32(in.number()), exchange.Millis(in.number())
	blocks := in.count(4)
	k.info.Key, k.info.Kind, k.info.Label = in.text(), in.text(), in.text()
	if secret := in.text(); secret != "" {
		k.info.Secret = []byte(secret)
	}
	for range blocks {
		k.info.Allowed = append(k.info.Allowed, in.text())
	}
	return k
}

func (in *reader) done() bool { return !in.bad && len(in.raw) == 0 }

package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/matching"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/wallet"
)

// A snapshot is the magic, eleven numbers, and parts in a fixed order: roster, assets, deposit wallets, waiting
// withdrawals by number, names of withdrawals, deposit addresses, accounts, ledger, markets with their books and orders,
// the window of commands. A part is its length in 8 bytes and that many bytes; numbers are little endian. Orders stand in
// the order of their book's snapshot. The same state has one snapshot, whatever places its slabs have given.
const (
	stateMagic    = "coldsign-state-1"
	partMax       = 1 << 36
	orderLen      = 5*8 + 5*4 + 2
	addressLen    = 8 + 8 + 4
	answerLen     = 16 + 5*8 + 8
	addressCounts = 1 << 31
)

// snapshotWriter writes numbers and parts; its errors are those of the last Flush.
type snapshotWriter struct {
	*bufio.Writer
	buf []byte
}

func (w *snapshotWriter) numbers(list ...uint64) {
	w.buf = w.buf[:0]
	for _, n := range list {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, n)
	}
	w.Write(w.buf)
}

func (w *snapshotWriter) part(raw []byte) {
	w.numbers(uint64(len(raw)))
	w.Write(raw)
}

func (w *snapshotWriter) body(record any) {
	raw, err := exchange.EncodeBody(record)
	if err != nil {
		panic("engine: a record that cannot be written: " + err.Error())
	}
	w.part(raw)
}

// Snapshot writes the whole state.
func (s *State) Snapshot(to io.Writer) error {
	w := &snapshotWriter{Writer: bufio.NewWriterSize(to, 1<<20)}
	w.WriteString(stateMagic)
	w.numbers(s.seq, uint64(s.now), s.digest[0], s.digest[1], s.serial, s.deposits, s.withdrawals, uint64(len(s.assets)), uint64(len(s.wallets)),
		uint64(len(s.markets)), uint64(len(s.waiting)))
	w.part(s.roster)
	for _, a := range s.assets[1:] {
		w.body(a)
	}
	for _, d := range s.wallets {
		w.part(d.file)
	}
	numbers := make([]uint64, 0, len(s.waiting))
	for n := range s.waiting {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		w.body(s.waiting[n])
	}
	w.numbers(uint64(len(s.namesInLine)))
	for _, n := range s.namesInLine {
		w.Write(n[:])
	}
	s.writeAddresses(w)
	if err := s.accounts.Snapshot(w); err != nil {
		return err
	}
	if err := s.ledger.Snapshot(w); err != nil {
		return err
	}
	for _, m := range s.markets[1:] {
		s.writeMarket(w, m)
	}
	s.window.older.write(w)
	s.window.newer.write(w)
	return w.Flush()
}

func (s *State) writeAddresses(w *snapshotWriter) {
	lists := s.addresses
	for len(lists) > 0 && len(lists[len(lists)-1]) == 0 {
		lists = lists[:len(lists)-1]
	}
	w.numbers(uint64(len(lists)))
	for _, list := range lists {
		w.numbers(uint64(len(list)))
		for _, a := range list {
			w.buf = binary.LittleEndian.AppendUint64(w.buf[:0], uint64(a.account))
			w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(a.at))
			w.Write(binary.LittleEndian.AppendUint32(w.buf, a.wallet))
		}
	}
}

func (s *State) writeMarket(w *snapshotWriter, m *market) {
	w.body(m.info)
	w.numbers(uint64(m.nextOrder), uint64(m.nextTrade))
	w.part(m.book.Snapshot(nil))
	m.book.Each(func(o matching.Standing) uint32 {
		r := &s.orders[o.Tag]
		w.buf = w.buf[:0]
		for _, n := range [...]uint64{uint64(r.quote), uint64(r.changed), uint64(r.created), uint64(r.expire()), uint64(r.quoteMax())} {
			w.buf = binary.LittleEndian.AppendUint64(w.buf, n)
		}
		for _, n := range [...]int32{r.qty, r.executed, r.show, r.stop, int32(r.force)} {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(n))
		}
		w.buf = r.client.Append(append(w.buf, byte(r.typ), r.flags&guarded))
		w.Write(w.buf)
		return o.Tag
	})
}

func (g *generation) write(w *snapshotWriter) {
	w.numbers(uint64(len(g.answers)))
	for i := range g.answers {
		a := &g.answers[i]
		w.buf = append(w.buf[:0], a.id[:]...)
		for _, n := range [...]uint64{a.seq, uint64(a.at), a.order, uint64(a.quote), a.number} {
			w.buf = binary.LittleEndian.AppendUint64(w.buf, n)
		}
		w.buf = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(w.buf, a.executed), uint16(a.code))
		w.Write(append(w.buf, byte(a.status), byte(a.kind)))
	}
}

// snapshotReader reads what a snapshotWriter wrote. After bytes that are too few it gives zeros and keeps the error.
type snapshotReader struct {
	*bufio.Reader
	err error
	buf [256]byte
}

func (r *snapshotReader) bytes(n int) []byte {
	if r.err == nil {
		_, r.err = io.ReadFull(r.Reader, r.buf[:n])
	}
	if r.err != nil {
		clear(r.buf[:])
	}
	return r.buf[:n]
}

func (r *snapshotReader) number() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

// count is a number of things that follow. Whoever reads them takes memory as they come, not as they are announced.
func (r *snapshotReader) count(most uint64) int {
	n := r.number()
	if n > most {
		r.fail("%d things where at most %d can be", n, most)
		return 0
	}
	return int(n)
}

func (r *snapshotReader) part() []byte {
	n := r.count(partMax)
	if r.err != nil {
		return nil
	}
	var out bytes.Buffer
	out.Grow(min(n, 1<<20))
	_, r.err = io.CopyN(&out, r.Reader, int64(n))
	return out.Bytes()
}

func (r *snapshotReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("engine snapshot: "+format, args...)
	}
}

// record reads a part that holds a record.
func record[T any](r *snapshotReader) (out T) {
	raw := r.part()
	if r.err != nil {
		return out
	}
	out, err := exchange.DecodeBody[T](raw)
	if again, bad := exchange.EncodeBody(out); err != nil || bad != nil || !bytes.Equal(again, raw) {
		r.fail("a record of %d bytes: %v", len(raw), err)
	}
	return out
}

// RestoreState reads the state that a snapshot describes. Its future equals that of the state that was written. A
// snapshot whose parts do not agree with each other, above all money with orders, is refused.
func RestoreState(from io.Reader, o StateOptions) (*State, error) {
	r := &snapshotReader{Reader: bufio.NewReaderSize(from, 1<<20)}
	s := NewState(o)
	if magic := string(r.bytes(len(stateMagic))); magic != stateMagic {
		return nil, fmt.Errorf("engine snapshot: begins with %q: %w", magic, exchange.ErrBytes)
	}
	s.seq, s.now = r.number(), exchange.Millis(r.number())
	s.digest = ledger.Digest{r.number(), r.number()}
	s.serial, s.deposits, s.withdrawals = r.number(), r.number(), r.number()
	assets, wallets, markets, waiting := r.count(assetsMax+1), r.count(walletsMax), r.count(marketsMax+1), r.count(waitingMax)
	s.readCatalogue(r, assets, wallets)
	s.readFunds(r, waiting)
	if r.err != nil {
		return nil, r.err
	}
	var err error
	if s.accounts, err = accounts.Restore(r.Reader, o.Opener); err != nil {
		return nil, err
	}
	if s.ledger, err = ledger.Restore(r.Reader); err != nil {
		return nil, err
	}
	s.accounts.Accounts(func(info exchange.AccountInfo) bool {
		if info.ID > ledger.AccountMax {
			r.fail("account %d", info.ID)
			return false
		}
		s.ledger.SetTerms(info.ID, termsOf(&info))
		return true
	})
	held := make([]money.U128, s.ledger.Rows()+1)
	s.holdWaiting(r, held)
	for id := 1; id < markets && r.err == nil; id++ {
		s.readMarket(r, exchange.Market(id), held)
	}
	s.window.older.read(r)
	s.window.newer.read(r)
	for p := range held {
		if b := s.ledger.Balance(ledger.Place(p)); b.Held != held[p] {
			r.fail("row %d has %s on hold, its orders and withdrawals %s", p, b.Held, held[p])
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		r.fail("more behind its end")
	}
	return s, r.err
}

func (s *State) readCatalogue(r *snapshotReader, assets, wallets int) {
	if raw := r.part(); len(raw) > 0 && r.err == nil {
		people, err := approvals.ParseRoster(raw)
		if err != nil {
			r.fail("%w", err)
		}
		s.roster, s.people = raw, people
	}
	for id := 1; id < assets && r.err == nil; id++ {
		a := record[exchange.AssetInfo](r)
		if int(a.ID) != id || !IsSymbol(a.Symbol) || a.Decimals > DecimalsMax || !s.isNetwork(&a) {
			r.fail("asset %d at place %d", a.ID, id)
		}
		s.assets = append(s.assets, a)
	}
	for i := 0; i < wallets && r.err == nil; i++ {
		raw := r.part()
		w, err := wallet.Parse(raw)
		if err != nil {
			r.fail("deposit wallet %d: %w", i, err)
		}
		s.wallets = append(s.wallets, depositWallet{raw, w})
	}
}

func (s *State) readFunds(r *snapshotReader, waiting int) {
	last := uint64(0)
	for i := 0; i < waiting && r.err == nil; i++ {
		w := record[exchange.WithdrawalInfo](r)
		if w.Number <= last || w.Number > s.withdrawals || w.State != exchange.WithdrawalHeld {
			r.fail("withdrawal %d after %d", w.Number, last)
		}
		last = w.Number
		s.waiting[w.Number] = &w
	}
	for n := r.count(partMax); n > 0 && r.err == nil; n-- {
		key := name(r.bytes(len(name{})))
		s.names[key] = struct{}{}
		s.namesInLine = append(s.namesInLine, key)
	}
	if len(s.names) != len(s.namesInLine) {
		r.fail("a name of a withdrawal that stands twice")
	}
	lists := r.count(uint64(len(s.assets)))
	for asset := 0; asset < lists && r.err == nil; asset++ {
		var list addressList
		for n := r.count(addressCounts); n > 0 && r.err == nil; n-- {
			raw := r.bytes(addressLen)
			a := depositAddress{exchange.Account(binary.LittleEndian.Uint64(raw)), exchange.Millis(binary.LittleEndian.Uint64(raw[8:])), binary.LittleEndian.Uint32(raw[16:])}
			if int64(a.wallet) >= int64(len(s.wallets)) {
				r.fail("a deposit address of wallet %d", a.wallet)
			}
			list = append(list, a)
			s.owned[addressee{a.account, exchange.Asset(asset)}]++
		}
		s.addresses = append(s.addresses, list)
	}
}

// holdWaiting adds up what withdrawals have on hold.
func (s *State) holdWaiting(r *snapshotReader, held []money.U128) {
	for _, w := range s.waiting { // a sum: the order does not matter
		r.hold(held, s.ledger.Find(w.Account, w.Asset), w.Amount)
	}
}

func (r *snapshotReader) hold(held []money.U128, p ledger.Place, amount money.U128) {
	sum, fits := held[p].Add(amount)
	if p == 0 || !fits {
		r.fail("a hold of %s that nobody has", amount)
		return
	}
	held[p] = sum
}

func (s *State) readMarket(r *snapshotReader, id exchange.Market, held []money.U128) {
	i := record[exchange.MarketInfo](r)
	if r.err != nil {
		return
	}
	m, code := s.newMarket(i)
	if code != exchange.Done || i.ID != id || !sound(&i) {
		r.fail("market %d at place %d", i.ID, id)
		return
	}
	m.nextOrder, m.nextTrade = exchange.OrderID(r.number()), exchange.TradeID(r.number())
	raw := r.part()
	if r.err != nil {
		return
	}
	book, err := matching.Restore(raw, matching.Options{})
	if err != nil {
		r.fail("market %d: %w", id, err)
		return
	}
	m.book = book
	s.markets = append(s.markets, m)
	s.orders = slices.Grow(s.orders, book.Len())
	book.Each(func(o matching.Standing) uint32 { return s.readOrder(r, m, &o, held) })
}

// readOrder reads the record of an order that stands in a book and returns its place.
func (s *State) readOrder(r *snapshotReader, m *market, b *matching.Standing, held []money.U128) uint32 {
	raw := r.bytes(orderLen + 1)
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(raw[8*i:]) }
	short := func(i int) int32 { return int32(binary.LittleEndian.Uint32(raw[40+4*i:])) }
	o := order{account: exchange.Account(b.Owner), id: exchange.OrderID(b.ID), quote: int64(number(0)), changed: exchange.Millis(number(1)),
		created: exchange.Millis(number(2)), bound: int64(number(3)), price: int32(b.Price),
		qty: short(0), executed: short(1), show: short(2), stop: short(3), force: exchange.Force(short(4)), typ: exchange.OrderType(raw[60]), flags: raw[61],
		market: m.info.ID, side: exchange.Side(b.Side), self: exchange.SelfTrade(b.SelfTrade)}
	text := r.bytes(int(raw[62]))
	client, ok := exchange.NewClient(string(text))
	waits := b.Type != matching.Limit
	if r.err != nil || !ok || o.executed < 0 || int64(o.qty)-int64(o.executed) != int64(b.Rest) || o.id >= m.nextOrder || o.flags&^guarded != 0 ||
		short(4) != int32(o.force) || number(3) != uint64(o.expire()) || number(4) != 0 || o.force > exchange.GoodTillTime || waits && o.typ != exchange.OrderType(b.Type) || !waits && o.typ != exchange.Limit && o.typ != exchange.StopLimit {
		r.fail("order %d of market %d", o.id, m.info.ID)
		return 0
	}
	if !waits {
		o.flags |= resting
	}
	tag := s.newOrder()
	if o.client = client; !client.IsZero() {
		if s.findClient(o.account, o.market, &client) != 0 {
			r.fail("order %d of market %d: a client name that stands twice", o.id, m.info.ID)
			return 0
		}
		o.flags |= named
		o.name = nameHash(&client, o.account, o.market)
	}
	place, amount := s.funding(m, &o)
	r.hold(held, place, amount)
	s.orders[tag] = o
	s.open++
	if o.flags&named != 0 {
		s.clients.put(o.name, tag)
	}
	return tag
}

// funding is reserve for an order of a snapshot: it makes no row.
func (s *State) funding(m *market, o *order) (ledger.Place, money.U128) {
	if o.side == exchange.Buy {
		o.cash = s.ledger.Find(o.account, m.info.Quote)
	} else {
		o.base = s.ledger.Find(o.account, m.info.Base)
	}
	if o.cash|o.base == 0 {
		return 0, money.U128{}
	}
	return s.reserve(m, o)
}

func (g *generation) read(r *snapshotReader) {
	for n := r.count(windowMax); n > 0 && r.err == nil; n-- {
		raw := r.bytes(answerLen)
		number := func(i int) uint64 { return binary.LittleEndian.Uint64(raw[16+8*i:]) }
		id := exchange.ID(raw[:16])
		*g.add(hashOf(id)) = answer{id, number(0), exchange.Millis(number(1)), number(2), int64(number(3)), number(4), binary.LittleEndian.Uint32(raw[56:]),
			exchange.Code(binary.LittleEndian.Uint16(raw[60:])), exchange.Status(raw[62]), exchange.Kind(raw[63])}
	}
}

package ledger

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// A snapshot is: format 1, digest 16, three counts of 8 (rows, assets, transfers), rows of 40 (account and asset 8,
// available 16, held 16) in the order of their places, assets of 64, transfers of 16 in the order in which they happened;
// little endian.
const (
	snapshotFormat = 1
	rowLen         = 8 + 32
	assetLen       = 64
	batch          = 4096 // records that are read at a time
	rowsMax        = 1 << 31
)

func appendUnits(out []byte, n money.U128) []byte {
	out = binary.LittleEndian.AppendUint64(out, n.Lo)
	return binary.LittleEndian.AppendUint64(out, n.Hi)
}

func units(raw []byte) money.U128 {
	return money.U128{Lo: binary.LittleEndian.Uint64(raw), Hi: binary.LittleEndian.Uint64(raw[8:])}
}

// Snapshot writes the whole ledger: the same history gives the same bytes.
func (l *Ledger) Snapshot(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	buf := []byte{snapshotFormat}
	for _, n := range []uint64{l.digest[0], l.digest[1], uint64(len(l.rows) - 1), uint64(len(l.assets)), uint64(len(l.order))} {
		buf = binary.LittleEndian.AppendUint64(buf, n)
	}
	out.Write(buf)
	for i := 1; i < len(l.rows); i++ {
		r := &l.rows[i]
		buf = binary.LittleEndian.AppendUint64(buf[:0], uint64(r.account)<<16|uint64(r.asset))
		out.Write(appendUnits(appendUnits(buf, r.Available), r.Held))
	}
	for _, h := range l.assets {
		out.Write(appendUnits(appendUnits(appendUnits(appendUnits(buf[:0], h.Customers), h.Fees), h.Reserve), h.External))
	}
	for i := range l.order {
		out.Write(l.order[i][:])
	}
	return out.Flush()
}

// Restore reads exactly what Snapshot wrote and not a byte more. A snapshot whose sums do not hold is refused.
func Restore(r io.Reader) (*Ledger, error) {
	var head [1 + 5*8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("ledger snapshot: %w", err)
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(head[1+8*i:]) }
	if head[0] != snapshotFormat || at(2) > rowsMax || at(3) > 1<<16 || at(4) > rowsMax {
		return nil, fmt.Errorf("ledger snapshot: format %d with %d rows, %d assets, %d transfers", head[0], at(2), at(3), at(4))
	}
	l := New()
	// A million rows at once are 64 MB, which a false count may cost; more grow as they come.
	few := int(min(at(2), 1<<20))
	l.rows, l.holders, l.first = slices.Grow(l.rows, few), slices.Grow(l.holders, few), slices.Grow(l.first, few)
	if err := records(r, rowLen, at(2), l.readRow); err != nil {
		return nil, err
	}
	err := records(r, assetLen, at(3), func(raw []byte) error {
		l.assets = append(l.assets, House{units(raw), units(raw[16:]), units(raw[32:]), units(raw[48:])})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = records(r, len(Transfer{}), at(4), func(raw []byte) error {
		t := Transfer(raw)
		if l.Done(t) {
			return fmt.Errorf("ledger snapshot: a transfer that happened twice")
		}
		l.remember(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.digest = Digest{at(0), at(1)}
	return l, l.Verify()
}

// records reads many records of one length. Memory grows with what is really there, whatever the count says.
func records(r io.Reader, size int, count uint64, read func([]byte) error) error {
	buf := make([]byte, size*int(min(count, batch)))
	for count > 0 {
		n := min(count, batch)
		raw := buf[:size*int(n)]
		if _, err := io.ReadFull(r, raw); err != nil {
			return fmt.Errorf("ledger snapshot: %w", err)
		}
		for ; len(raw) > 0; raw = raw[size:] {
			if err := read(raw[:size:size]); err != nil {
				return err
			}
		}
		count -= n
	}
	return nil
}

func (l *Ledger) readRow(raw []byte) error {
	key := binary.LittleEndian.Uint64(raw)
	account, asset := exchange.Account(key>>16), exchange.Asset(key)
	if account == 0 || asset == 0 || l.Find(account, asset) != 0 {
		return fmt.Errorf("ledger snapshot: row %016x stands twice or is nobody's", key)
	}
	assets := l.assets
	p := l.Open(account, asset)
	l.assets = assets // those of the snapshot follow the rows
	l.rows[p].Balance = Balance{units(raw[8:]), units(raw[24:])}
	return nil
}

// Verify adds everything up again and says what does not hold.
func (l *Ledger) Verify() error {
	sums := make([]money.U128, len(l.assets))
	for i := 1; i < len(l.rows); i++ {
		_, asset := l.Owner(Place(i))
		if int(asset) >= len(sums) {
			return fmt.Errorf("ledger: a row of asset %d, of which nothing is known", asset)
		}
		sum, a := sums[asset].Add(l.rows[i].Available)
		sum, b := sum.Add(l.rows[i].Held)
		if !a || !b {
			return fmt.Errorf("ledger: the rows of asset %d are above 128 bits", asset)
		}
		sums[asset] = sum
	}
	for asset, h := range l.assets {
		sum, a := h.Customers.Add(h.Fees)
		sum, b := sum.Add(h.Reserve)
		if !a || !b || sum != h.External || h.Customers != sums[asset] {
			return fmt.Errorf("ledger: asset %d has %s in rows, %s customers, %s fees, %s reserve against %s from outside",
				asset, sums[asset], h.Customers, h.Fees, h.Reserve, h.External)
		}
	}
	return nil
}

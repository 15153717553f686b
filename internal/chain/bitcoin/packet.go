package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// Packet is a PSBT that was read. It does not change.
type Packet struct {
	raw     []byte      // as read; of a joined packet, the form without previous transactions
	size    int         // bytes of the packet, previous transactions included
	joined  bool        // previous transactions came beside the packet, and inputs share them
	tx      transaction // views into raw
	spent   []spent     // for each input
	msg     *wire.MsgTx // the same transaction, read by the wire module
	global  fields
	inputs  []fields
	outputs []fields
}

// each gives the bytes of the packet, map by map. A part is good until the next one.
func (p *Packet) each(use func(part []byte)) {
	use([]byte(magic))
	var part []byte
	for _, maps := range [][]fields{{p.global}, p.inputs, p.outputs} {
		for _, m := range maps {
			part = m.append(part[:0])
			use(part)
		}
	}
}

func (p *Packet) serialise() []byte {
	out := make([]byte, 0, p.size)
	p.each(func(part []byte) { out = append(out, part...) })
	return out
}

// same reports whether the packet serialises to raw.
func (p *Packet) same(raw []byte) bool {
	equal := true
	p.each(func(part []byte) {
		if equal = equal && bytes.HasPrefix(raw, part); equal {
			raw = raw[len(part):]
		}
	})
	return equal && len(raw) == 0
}

// digest is the SHA-256 of the packet.
func (p *Packet) digest() []byte {
	h := sha256.New()
	p.each(func(part []byte) { h.Write(part) })
	return h.Sum(nil)
}

// Bytes returns the packet in binary, exactly as it was read. Joined from proofs that many inputs share, it may be
// longer than Read takes: see Plain.
func (p *Packet) Bytes() []byte {
	if p.joined {
		return p.serialise()
	}
	return bytes.Clone(p.raw)
}

// Plain returns the packet in binary for other programs, where each input carries a previous transaction of its own. A
// packet that gets too long by that is refused: they would refuse it too, or run out of memory.
func (p *Packet) Plain() ([]byte, error) {
	if p.size <= packetMax {
		return p.Bytes(), nil
	}
	return nil, spend.Refuse("psbt-too-large", "packet", fmt.Sprintf("at most %d bytes as a plain PSBT", packetMax),
		"previous transactions that many inputs share", "sign it from the bundle, or ask for one that spends fewer coins")
}

// Base64 returns the packet as text.
func (p *Packet) Base64() string { return base64.StdEncoding.EncodeToString(p.Bytes()) }

// TxID returns the identity of the transaction in display order. Signatures do not change it.
func (p *Packet) TxID() string { return displayTxID(p.tx.txid()) }

// Unsigned returns a copy of the unsigned transaction.
func (p *Packet) Unsigned() *wire.MsgTx { return p.msg.Copy() }

// UnknownFields counts the fields that no rule of this room reads: unknown and proprietary ones, extended public keys,
// and whatever belongs to another kind of wallet.
func (p *Packet) UnknownFields() int {
	n := 0
	for f := range p.global.all() {
		if f.kind != globalUnsignedTx && f.kind != globalVersion {
			n++
		}
	}
	for _, m := range p.inputs {
		for f := range m.all() {
			if f.kind > inputDerivation {
				n++
			}
		}
	}
	for _, m := range p.outputs {
		for f := range m.all() {
			if f.kind != outputWitnessScript && f.kind != outputDerivation {
				n++
			}
		}
	}
	return n
}

// Strip moves the previous transactions out of the packet: each once, sorted by txid, so that parents shared by many
// inputs cross the gap once.
func (p *Packet) Strip() (stripped []byte, proofs [][]byte) {
	bare := *p
	bare.inputs = make([]fields, len(p.inputs))
	byID := map[string][]byte{}
	for i, m := range p.inputs {
		bare.inputs[i] = m.without(inputPreviousTx)
		if raw, ok := m.value(inputPreviousTx); ok {
			byID[string(p.spent[i].parent[:])] = raw
		}
	}
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return compareReversed([]byte(a), []byte(b)) })
	for _, id := range ids {
		proofs = append(proofs, bytes.Clone(byID[id]))
	}
	return bare.serialise(), proofs
}

// compareReversed orders txids as they are displayed.
func compareReversed(a, b []byte) int {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}

// Join puts previous transactions back where their txid is spent. A proof that no input spends, a proof given twice, and
// an input that is left without one are refused.
//
// Inputs that spend one transaction share its bytes. A plain PSBT repeats them for each input, and for hundreds of coins
// out of one batch that is a hundred times what crossed the gap. So the packet's own bytes are capped as always, and
// the repetition apart from them: it costs time at each reading, and no memory.
func Join(stripped []byte, proofs [][]byte) (*Packet, error) {
	p, err := Read(stripped)
	if err != nil {
		return nil, err
	}
	byID, err := indexProofs(proofs)
	if err != nil {
		return nil, err
	}
	used, pairs := map[*parentTx]bool{}, p.global.count()
	for i, m := range p.inputs {
		where, in := fmt.Sprintf("input %d", i), p.tx.inputs[i]
		if _, ok := m.value(inputPreviousTx); ok {
			return nil, malformed("proof-inside", where, "a previous transaction in the packet beside the proofs")
		}
		parent := byID[[32]byte(in.outpoint[:32])]
		if parent == nil {
			return nil, malformed("proof-missing", where, "no proof with txid %s", displayTxID([32]byte(in.outpoint[:32])))
		}
		p.inputs[i].parent = parent.raw
		p.spent[i], used[parent] = parent.spentBy(in), true
		p.size += 2 + int(compactSize(len(parent.raw))) + len(parent.raw)
		before := m.count()
		pairs += before + 1
		if p.size > repeatedMax || before == pairsMax || pairs > pairsTotalMax {
			return nil, malformed("psbt-too-large", where, "over %d bytes with the proofs, or over %d fields here, or %d in all", repeatedMax, pairsMax, pairsTotalMax)
		}
	}
	if len(used) != len(byID) {
		return nil, malformed("proof-unused", "proofs", "%d that no input spends", len(byID)-len(used))
	}
	p.joined = true // every byte has been read by now: the packet above, each proof by indexProofs
	return p, nil
}

// indexProofs reads each proof once, whatever number of inputs spends it.
func indexProofs(proofs [][]byte) (map[[32]byte]*parentTx, error) {
	parents, total := make([]*parentTx, len(proofs)), 0
	for i, raw := range proofs {
		where := fmt.Sprintf("proof %d", i)
		if total += len(raw); total > packetMax {
			return nil, malformed("psbt-too-large", where, "the proofs take over %d bytes", packetMax)
		}
	}
	err := inParallel(len(proofs), func(i int) (err error) {
		parents[i], err = readParent(bytes.Clone(proofs[i]), fmt.Sprintf("proof %d", i))
		return err
	})
	if err != nil {
		return nil, err
	}
	byID := make(map[[32]byte]*parentTx, len(parents))
	for i, parent := range parents {
		if byID[parent.id] != nil {
			return nil, malformed("proof-repeated", fmt.Sprintf("proof %d", i), "previous transaction %s again", displayTxID(parent.id))
		}
		byID[parent.id] = parent
	}
	return byID, nil
}

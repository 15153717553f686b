package bitcoin

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
)

const magic = "psbt\xff"

// Read reads a version 0 packet, binary or in strict base64. It checks form, not meaning: see Prove. Every error holds a
// *spend.Refusal of kind Unreadable.
func Read(raw []byte) (*Packet, error) {
	raw, err := binaryForm(raw)
	if err != nil {
		return nil, err
	}
	if len(raw) > packetMax {
		return nil, malformed("psbt-too-large", "packet", "%d bytes, at most %d are read", len(raw), packetMax)
	}
	p := &Packet{raw: bytes.Clone(raw), size: len(raw)}
	r := &reader{cursor: cursor{data: p.raw, at: len(magic), where: "global map"}}
	if p.global, err = r.fields(); err != nil {
		return nil, err
	}
	if err := p.readGlobal(); err != nil {
		return nil, err
	}
	p.inputs, err = r.maps(len(p.tx.inputs), "input", checkInputField)
	if err != nil {
		return nil, err
	}
	p.outputs, err = r.maps(len(p.tx.outputs), "output", checkOutputField)
	if err != nil {
		return nil, err
	}
	r.where = "packet"
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := p.readParents(); err != nil {
		return nil, err
	}
	if !p.same(p.raw) {
		return nil, malformed("psbt-not-canonical", "packet", "it serialises to other bytes than were read")
	}
	return p, nil
}

// binaryForm undoes base64 where there is some. Go's decoder skips line breaks, so the text is encoded again and
// compared: one packet, one spelling.
func binaryForm(raw []byte) ([]byte, error) {
	if bytes.HasPrefix(raw, []byte(magic)) {
		return raw, nil
	}
	if !bytes.HasPrefix(raw, []byte("cHNidP")) {
		return nil, malformed("psbt-magic", "packet", "%d bytes that do not begin like a PSBT", len(raw))
	}
	if len(raw) > base64Max {
		return nil, malformed("psbt-too-large", "packet", "%d characters of base64, at most %d are read", len(raw), base64Max)
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(raw)))
	n, err := base64.StdEncoding.Strict().Decode(out, raw)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(raw) {
		return nil, malformed("psbt-base64", "packet", "not plain base64: a foreign character, white space or bad padding")
	}
	if !bytes.HasPrefix(out[:n], []byte(magic)) {
		return nil, malformed("psbt-magic", "packet", "base64 of bytes that do not begin like a PSBT")
	}
	return out[:n], nil
}

// readGlobal finds the version and the unsigned transaction, which together say how many maps follow.
func (p *Packet) readGlobal() error {
	if version, ok := p.global.value(globalVersion); ok {
		if len(version) != 4 {
			return malformed("psbt-value", "global map", "a version of %d bytes", len(version))
		}
		if !bytes.Equal(version, []byte{0, 0, 0, 0}) {
			return malformed("psbt-version", "global map", "version %d; only version 0 is read", version[0])
		}
	}
	for f := range p.global.all() {
		if err := checkGlobalField(f); err != nil {
			return err
		}
	}
	raw, ok := p.global.value(globalUnsignedTx)
	if !ok {
		return malformed("psbt-unsigned-tx", "global map", "no unsigned transaction")
	}
	var err error
	p.tx, p.msg, err = readUnsigned(raw)
	return err
}

// readParents reads the previous transactions and remembers what each input spends, so that nothing reads them again.
func (p *Packet) readParents() error {
	p.spent = make([]spent, len(p.inputs))
	for i, m := range p.inputs {
		if raw, ok := m.value(inputPreviousTx); ok {
			parent, err := readParent(raw, fmt.Sprintf("input %d previous transaction", i))
			if err != nil {
				return err
			}
			p.spent[i] = parent.spentBy(p.tx.inputs[i])
		}
	}
	return nil
}

// reader reads maps and counts their pairs over the whole packet.
type reader struct {
	cursor
	pairs int
	keys  [][]byte // of the map being read
	seen  map[string]bool
}

func (r *reader) maps(n int, name string, check func(field, string) error) ([]fields, error) {
	out := make([]fields, n)
	for i := range out {
		r.where = fmt.Sprintf("%s %d", name, i)
		var err error
		if out[i], err = r.fields(); err != nil {
			return nil, err
		}
		for f := range out[i].all() {
			if err := check(f, r.where); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// fields reads one map up to and with the zero byte that ends it.
func (r *reader) fields() (fields, error) {
	start := r.at
	r.keys = r.keys[:0]
	for {
		end := r.at
		key, err := r.prefixed()
		if err != nil {
			return fields{}, err
		}
		if len(key) == 0 {
			return fields{pairs: r.data[start:end:end]}, nil
		}
		if r.pairs++; len(r.keys) == pairsMax || r.pairs > pairsTotalMax || len(key) > keyMax {
			return fields{}, malformed("psbt-too-large", r.where, "over %d fields here, %d in all, or a key over %d bytes",
				pairsMax, pairsTotalMax, keyMax)
		}
		if r.again(key) {
			return fields{}, malformed("psbt-duplicate-key", r.where, "key %x twice", shorten(key))
		}
		r.keys, r.at = append(r.keys, key), end
		if _, err := r.pair(); err != nil {
			return fields{}, err
		}
	}
}

// again reports whether the map has the key already. A few keys are compared; the index is for a map that has many.
func (r *reader) again(key []byte) bool {
	const few = 16
	if len(r.keys) < few {
		return slices.ContainsFunc(r.keys, func(k []byte) bool { return bytes.Equal(k, key) })
	}
	if len(r.keys) == few {
		r.seen = make(map[string]bool, 2*few)
		for _, k := range r.keys {
			r.seen[string(k)] = true
		}
	}
	before := r.seen[string(key)]
	r.seen[string(key)] = true
	return before
}

// shorten keeps a message from being as long as the input.
func shorten(b []byte) []byte { return b[:min(len(b), 40)] }

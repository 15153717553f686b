//go:build referees

package referees_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
)

// draft is a packet taken apart by hand, to be changed in ways that no library would allow, and put together again.
type draft struct {
	tx   *wire.MsgTx
	maps [][]pair // global, then inputs, then outputs
	tail []byte   // after the last map
}

type pair struct{ key, value []byte }

// Types of the fields that the attacks touch.
const (
	fieldPreviousTx    = 0x00
	fieldWitnessUtxo   = 0x01
	fieldPartialSig    = 0x02
	fieldSighash       = 0x03
	fieldRedeemScript  = 0x04
	fieldWitnessScript = 0x05
	fieldDerivation    = 0x06
	fieldFinalWitness  = 0x08
	outDerivation      = 0x02
)

func open(t testing.TB, raw []byte) *draft {
	t.Helper()
	r := bytes.NewReader(raw[5:])
	d := &draft{tx: &wire.MsgTx{}}
	for r.Len() > 0 {
		var m []pair
		for {
			key, err := wire.ReadVarBytes(r, 0, 1<<20, "key")
			must(t, err)
			if len(key) == 0 {
				break
			}
			value, err := wire.ReadVarBytes(r, 0, 1<<20, "value")
			must(t, err)
			m = append(m, pair{key, value})
		}
		d.maps = append(d.maps, m)
	}
	must(t, d.tx.DeserializeNoWitness(bytes.NewReader(d.maps[0][0].value)))
	return d
}

// bytes writes the packet; the transaction stands first in the global map.
func (d *draft) bytes() []byte {
	var tx bytes.Buffer
	_ = d.tx.SerializeNoWitness(&tx)
	d.maps[0][0].value = tx.Bytes()
	return d.asIs()
}

// asIs writes the maps without taking over changes of the transaction.
func (d *draft) asIs() []byte {
	out := bytes.NewBufferString("psbt\xff")
	for _, m := range d.maps {
		for _, p := range m {
			_ = wire.WriteVarBytes(out, 0, p.key)
			_ = wire.WriteVarBytes(out, 0, p.value)
		}
		out.WriteByte(0)
	}
	out.Write(d.tail)
	return out.Bytes()
}

func (d *draft) global() *[]pair      { return &d.maps[0] }
func (d *draft) input(i int) *[]pair  { return &d.maps[1+i] }
func (d *draft) output(i int) *[]pair { return &d.maps[1+len(d.tx.TxIn)+i] }

// change is the index of the output that claims to be ours.
func (d *draft) change() int {
	return slices.IndexFunc(d.tx.TxOut, func(o *wire.TxOut) bool {
		i := slices.Index(d.tx.TxOut, o)
		return get(d.output(i), outDerivation) != nil && binary.LittleEndian.Uint32(get(d.output(i), outDerivation)[20:]) == 1
	})
}

func set(m *[]pair, key, value []byte) {
	for i := range *m {
		if bytes.Equal((*m)[i].key, key) {
			(*m)[i].value = value
			return
		}
	}
	*m = append(*m, pair{key, value})
}

func add(m *[]pair, key, value []byte) { *m = append(*m, pair{key, value}) }

func drop(m *[]pair, kind byte) {
	*m = slices.DeleteFunc(*m, func(p pair) bool { return p.key[0] == kind })
}

func get(m *[]pair, kind byte) []byte {
	for _, p := range *m {
		if p.key[0] == kind {
			return p.value
		}
	}
	return nil
}

// previous is the transaction that input i spends, and rewrite puts another in its place.
func (d *draft) previous(t testing.TB, i int) *wire.MsgTx {
	t.Helper()
	tx := &wire.MsgTx{}
	must(t, tx.Deserialize(bytes.NewReader(get(d.input(i), fieldPreviousTx))))
	return tx
}

func txOut(o *wire.TxOut) []byte {
	var out bytes.Buffer
	_ = wire.WriteTxOut(&out, 0, 0, o)
	return out.Bytes()
}

package bitcoin_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// asVersion2 rewrites a packet of version 0 in version 2, by the tables of BIP370.
func asVersion2(t *testing.T, raw []byte, change func(d *draft)) []byte {
	t.Helper()
	d := open(t, raw)
	p, err := bitcoin.Read(raw)
	must(t, err)
	tx := p.Unsigned()
	drop(&d.maps[0], 0)
	set(&d.maps[0], []byte{2}, binary.LittleEndian.AppendUint32(nil, uint32(tx.Version)))
	set(&d.maps[0], []byte{3}, binary.LittleEndian.AppendUint32(nil, tx.LockTime))
	set(&d.maps[0], []byte{4}, []byte{byte(len(tx.TxIn))})
	set(&d.maps[0], []byte{5}, []byte{byte(len(tx.TxOut))})
	set(&d.maps[0], []byte{0xfb}, []byte{2, 0, 0, 0})
	for i, in := range tx.TxIn {
		set(d.input(i), []byte{0x0e}, in.PreviousOutPoint.Hash[:])
		set(d.input(i), []byte{0x0f}, binary.LittleEndian.AppendUint32(nil, in.PreviousOutPoint.Index))
		set(d.input(i), []byte{0x10}, binary.LittleEndian.AppendUint32(nil, in.Sequence))
	}
	for i, out := range tx.TxOut {
		set(d.output(i), []byte{3}, binary.LittleEndian.AppendUint64(nil, uint64(out.Value)))
		set(d.output(i), []byte{4}, out.PkScript)
	}
	if change != nil {
		change(d)
	}
	return plain(d)
}

// plain serialises the maps as they stand: a packet of version 2 has no unsigned transaction to write.
func plain(d *draft) []byte {
	out := bytes.NewBufferString("psbt\xff")
	for _, m := range d.maps {
		for _, p := range m {
			_ = wire.WriteVarBytes(out, 0, p.key)
			_ = wire.WriteVarBytes(out, 0, p.value)
		}
		out.WriteByte(0)
	}
	return out.Bytes()
}

func TestVersion2BecomesTheSamePacketOfVersion0(t *testing.T) {
	w := newWorld(t)
	raw := w.packet(t).Bytes()
	got, err := bitcoin.ReadAny(asVersion2(t, raw, nil))
	must(t, err)
	if !bytes.Equal(got.Bytes(), raw) {
		t.Errorf("the conversion gives\n%x, want\n%x", got.Bytes(), raw)
	}
	if _, err := bitcoin.Prove(got, w.scope()); err != nil {
		t.Errorf("the converted packet does not prove: %v", err)
	}
	same, err := bitcoin.ReadAny(raw)
	must(t, err)
	if !bytes.Equal(same.Bytes(), raw) {
		t.Error("a packet of version 0 changed")
	}
}

// Attack 013: what version 2 may say and version 0 cannot, or what is not finished, is refused.
func TestAttack013Version2IsConvertedExactlyOrRefused(t *testing.T) {
	raw := newWorld(t).packet(t).Bytes()
	four := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	for name, c := range map[string]struct {
		code   string
		change func(d *draft)
	}{
		"modifiable":         {"psbt-modifiable", func(d *draft) { set(&d.maps[0], []byte{6}, []byte{1}) }},
		"unsigned tx":        {"psbt-version-field", func(d *draft) { set(&d.maps[0], []byte{0}, []byte{1}) }},
		"silent payment":     {"psbt-version-field", func(d *draft) { set(d.output(0), []byte{9}, make([]byte, 66)) }},
		"no tx version":      {"psbt-version-field", func(d *draft) { drop(&d.maps[0], 2) }},
		"no previous tx":     {"psbt-version-field", func(d *draft) { drop(d.input(0), 0x0e) }},
		"no index":           {"psbt-version-field", func(d *draft) { drop(d.input(0), 0x0f) }},
		"no amount":          {"psbt-version-field", func(d *draft) { drop(d.output(0), 3) }},
		"no script":          {"psbt-version-field", func(d *draft) { drop(d.output(0), 4) }},
		"no input count":     {"psbt-version-field", func(d *draft) { drop(&d.maps[0], 4) }},
		"giant input count":  {"psbt-too-large", func(d *draft) { set(&d.maps[0], []byte{4}, append([]byte{0xfe}, four(1<<31)...)) }},
		"giant output count": {"psbt-too-large", func(d *draft) { set(&d.maps[0], []byte{5}, append([]byte{0xfe}, four(1<<31)...)) }},
		"too many inputs":    {"psbt-truncated", func(d *draft) { set(&d.maps[0], []byte{4}, []byte{0xfd, 0xff, 0x0f}) }},
		"trailing count":     {"psbt-trailing", func(d *draft) { set(&d.maps[0], []byte{5}, []byte{2, 0}) }},
		"height as time":     {"psbt-value", func(d *draft) { set(d.input(0), []byte{0x12}, four(heightEnd)) }},
		"height zero":        {"psbt-value", func(d *draft) { set(d.input(0), []byte{0x12}, four(0)) }},
		"time as height":     {"psbt-value", func(d *draft) { set(d.input(0), []byte{0x11}, four(heightEnd-1)) }},
		"short index":        {"psbt-value", func(d *draft) { set(d.input(0), []byte{0x0f}, []byte{0}) }},
		"finished input":     {"input-finalised", func(d *draft) { set(d.input(0), []byte{7}, []byte{0}) }},
		"height against time": {"psbt-locktime", func(d *draft) {
			set(d.input(0), []byte{0x12}, four(9))
			set(d.input(1), []byte{0x11}, four(heightEnd))
		}},
	} {
		_, err := bitcoin.ReadAny(asVersion2(t, raw, c.change))
		if got := refusals(err); len(got) == 0 || got[0] != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if _, err := bitcoin.ReadAny(append(asVersion2(t, raw, nil), 0)); len(refusals(err)) == 0 || refusals(err)[0] != "psbt-trailing" {
		t.Errorf("a trailing byte: %v", err)
	}
}

const heightEnd = 500_000_000

func TestVersion2DecidesTheLockTimeOfBIP370(t *testing.T) {
	raw := newWorld(t).packet(t).Bytes()
	four := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	for name, c := range map[string]struct {
		want   uint32
		change func(d *draft)
	}{
		"fallback":   {77, func(d *draft) { set(&d.maps[0], []byte{3}, four(77)) }},
		"nothing":    {0, func(d *draft) { drop(&d.maps[0], 3) }},
		"one height": {10_000, func(d *draft) { set(d.input(0), []byte{0x12}, four(10_000)) }},
		"the greater height": {10_000, func(d *draft) {
			set(d.input(0), []byte{0x12}, four(10_000))
			set(d.input(1), []byte{0x12}, four(9_000))
		}},
		"one time": {heightEnd + 5, func(d *draft) { set(d.input(0), []byte{0x11}, four(heightEnd+5)) }},
		"heights before time": {10, func(d *draft) {
			set(d.input(0), []byte{0x11}, four(heightEnd+5))
			set(d.input(0), []byte{0x12}, four(10))
		}},
		"the kind both accept": {heightEnd + 9, func(d *draft) {
			set(d.input(0), []byte{0x11}, four(heightEnd+5))
			set(d.input(0), []byte{0x12}, four(10))
			set(d.input(1), []byte{0x11}, four(heightEnd+9))
		}},
	} {
		p, err := bitcoin.ReadAny(asVersion2(t, raw, c.change))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.Unsigned().LockTime; got != c.want {
			t.Errorf("%s: lock time %d, want %d", name, got, c.want)
		}
	}
}

// Of the 53 valid published packets every one of version 2 that is finished being built is read, and gives the
// transaction that it describes.
func TestPublishedVectorsOfVersion2(t *testing.T) {
	file, err := os.ReadFile("../../../../shared/vectors/psbt/hwi_test_psbt.json")
	if os.IsNotExist(err) {
		t.Log("shared vectors are not here; the tests above hold the rules of BIP370")
		return
	}
	must(t, err)
	var vectors struct{ Invalid, Valid []string }
	must(t, json.Unmarshal(file, &vectors))
	for i, text := range vectors.Invalid {
		if _, err := bitcoin.ReadAny([]byte(text)); len(refusals(err)) == 0 {
			t.Errorf("invalid vector %d: %v", i, err)
		}
	}
	counts := map[string]int{}
	for _, text := range vectors.Valid {
		_, err := bitcoin.ReadAny([]byte(text))
		if err == nil {
			counts["read"]++
			continue
		}
		counts[refusals(err)[0]]++
	}
	t.Logf("valid vectors: %v", counts)
	if counts["read"] <= 37 || counts["psbt-version"] != 0 {
		t.Errorf("no packet of version 2 was read: %v", counts)
	}
}

func FuzzReadAny(f *testing.F) {
	raw := newWorld(f).packet(f).Bytes()
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := bitcoin.ReadAny(data)
		if err != nil {
			if len(refusals(err)) == 0 {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		again, err := bitcoin.ReadAny(p.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), p.Bytes()) {
			t.Fatalf("what was read does not read again: %v", err)
		}
	})
}

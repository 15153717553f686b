package bitcoin

import (
	"bytes"
	"encoding/binary"
)

// Field types that only version 2 has (BIP370).
const (
	globalTxVersion    = 0x02
	globalFallbackTime = 0x03
	globalInputCount   = 0x04
	globalOutputCount  = 0x05
	globalModifiable   = 0x06
	inputTxID          = 0x0e
	inputIndex         = 0x0f
	inputSequence      = 0x10
	inputTimeLock      = 0x11
	inputHeightLock    = 0x12
)

// heightLockEnd is where lock times stop being heights and begin to be clock times (consensus).
const heightLockEnd = 500_000_000

// ReadAny reads a packet of version 0 as Read does, or one of version 2 (BIP370), which becomes the packet of version 0
// with the same transaction. The conversion is exact or refused: a packet that may still be modified has no transaction
// yet, and fields that version 0 cannot say are refused. Bundles carry version 0 only; this is for packets that other
// wallets write.
func ReadAny(raw []byte) (*Packet, error) {
	raw, err := binaryForm(raw)
	if err != nil {
		return nil, err
	}
	if len(raw) > packetMax {
		return nil, malformed("psbt-too-large", "packet", "%d bytes, at most %d are read", len(raw), packetMax)
	}
	r := &reader{cursor: cursor{data: raw, at: len(magic), where: "global map"}}
	global, err := r.fields()
	if err != nil {
		return nil, err
	}
	if version, _ := global.value(globalVersion); !bytes.Equal(version, []byte{2, 0, 0, 0}) {
		return Read(raw)
	}
	v := &version2{global: global}
	if err := v.read(r); err != nil {
		return nil, err
	}
	return v.convert()
}

// version2 is a packet of version 2 while it is converted.
type version2 struct {
	global  fields
	inputs  []fields
	outputs []fields
}

func (v *version2) read(r *reader) error {
	for f := range v.global.all() {
		if err := checkGlobalOfV2(f); err != nil {
			return err
		}
	}
	inputs, err := v.count(globalInputCount, inputsMax, "inputs")
	if err != nil {
		return err
	}
	outputs, err := v.count(globalOutputCount, outputsMax, "outputs")
	if err != nil {
		return err
	}
	if inputs+outputs > r.left() { // each map ends with a byte
		return malformed("psbt-truncated", "global map", "%d maps announced, %d bytes left", inputs+outputs, r.left())
	}
	if v.inputs, err = r.maps(inputs, "input", checkInputOfV2); err != nil {
		return err
	}
	if v.outputs, err = r.maps(outputs, "output", checkOutputOfV2); err != nil {
		return err
	}
	r.where = "packet"
	return r.end()
}

// count reads a number of maps from the global map; both numbers are required.
func (v *version2) count(kind uint64, most int, what string) (int, error) {
	value, ok := v.global.value(kind)
	if !ok {
		return 0, malformed("psbt-version-field", "global map", "no count of %s", what)
	}
	c := &cursor{data: value, where: "global map"}
	n, err := c.count(most, 0, what)
	if err != nil {
		return 0, err
	}
	return n, c.end()
}

func checkGlobalOfV2(f field) error {
	const where = "global map"
	switch f.kind {
	case globalUnsignedTx:
		return malformed("psbt-version-field", where, "an unsigned transaction in a packet of version 2")
	case globalTxVersion, globalFallbackTime:
		return shape{exactly(0), exactly(4)}.check(f, where)
	case globalInputCount, globalOutputCount:
		return shape{exactly(0), between(1, 9)}.check(f, where)
	case globalModifiable:
		if err := (shape{exactly(0), exactly(1)}).check(f, where); err != nil {
			return err
		}
		if f.value[0] != 0 {
			return malformed("psbt-modifiable", where, "flags %#02x: inputs or outputs may still change", f.value[0])
		}
		return nil
	}
	return checkGlobalField(f)
}

func checkInputOfV2(f field, where string) error {
	switch f.kind {
	case inputTxID:
		return shape{exactly(0), exactly(32)}.check(f, where)
	case inputIndex, inputSequence, inputTimeLock, inputHeightLock:
		if err := (shape{exactly(0), exactly(4)}).check(f, where); err != nil {
			return err
		}
		value := binary.LittleEndian.Uint32(f.value)
		if f.kind == inputTimeLock && value < heightLockEnd || f.kind == inputHeightLock && (value == 0 || value >= heightLockEnd) {
			return malformed("psbt-value", where, "a required lock time of type %#02x with %d", f.kind, value)
		}
		return nil
	}
	return checkInputField(f, where)
}

func checkOutputOfV2(f field, where string) error {
	switch f.kind {
	case outputAmountOfV2:
		return shape{exactly(0), exactly(8)}.check(f, where)
	case outputScriptOfV2:
		return shape{exactly(0), anything}.check(f, where)
	case outputSilentInfo, outputSilentLabel:
		return malformed("psbt-version-field", where, "a silent payment, whose script is not there yet")
	}
	return checkOutputField(f, where)
}

// convert writes the packet of version 0 and reads it as any other: what is wrong in both versions is refused there.
func (v *version2) convert() (*Packet, error) {
	tx, err := v.transaction()
	if err != nil {
		return nil, err
	}
	out := append([]byte(magic), fields{}.with(globalUnsignedTx, nil, tx).append(nil)...)
	out = out[:len(out)-1] // the map goes on
	out = except(v.global, globalTxVersion, globalFallbackTime, globalInputCount, globalOutputCount, globalModifiable, globalVersion).append(out)
	for _, m := range v.inputs {
		out = except(m, inputTxID, inputIndex, inputSequence, inputTimeLock, inputHeightLock).append(out)
	}
	for _, m := range v.outputs {
		out = except(m, outputAmountOfV2, outputScriptOfV2).append(out)
	}
	return Read(out)
}

func except(m fields, kinds ...uint64) fields {
	for _, kind := range kinds {
		m = m.without(kind)
	}
	return m
}

// transaction puts the unsigned transaction together from its parts (BIP370, "Unique Identification").
func (v *version2) transaction() ([]byte, error) {
	version, ok := v.global.value(globalTxVersion)
	if !ok {
		return nil, malformed("psbt-version-field", "global map", "no transaction version")
	}
	lock, err := v.lockTime()
	if err != nil {
		return nil, err
	}
	out := appendCompact(bytes.Clone(version), uint64(len(v.inputs)))
	for _, m := range v.inputs {
		txid, hasID := m.value(inputTxID)
		index, hasIndex := m.value(inputIndex)
		sequence, hasSequence := m.value(inputSequence)
		if !hasID || !hasIndex {
			return nil, malformed("psbt-version-field", "input", "no previous transaction or no index")
		}
		if !hasSequence {
			sequence = []byte{255, 255, 255, 255}
		}
		out = append(append(append(append(out, txid...), index...), 0), sequence...)
	}
	out = appendCompact(out, uint64(len(v.outputs)))
	for _, m := range v.outputs {
		amount, hasAmount := m.value(outputAmountOfV2)
		script, hasScript := m.value(outputScriptOfV2)
		if !hasAmount || !hasScript {
			return nil, malformed("psbt-version-field", "output", "no amount or no script")
		}
		out = appendPrefixed(append(out, amount...), script)
	}
	return binary.LittleEndian.AppendUint32(out, lock), nil
}

// lockTime decides the lock time as BIP370 does: the greatest required one of the kind that every input with a
// requirement accepts, heights before times; without any requirement the fallback, or zero.
func (v *version2) lockTime() (uint32, error) {
	var height, time uint32
	asked, heights, times := false, true, true
	for _, m := range v.inputs {
		h, hasHeight := m.value(inputHeightLock)
		t, hasTime := m.value(inputTimeLock)
		if !hasHeight && !hasTime {
			continue
		}
		asked, heights, times = true, heights && hasHeight, times && hasTime
		if hasHeight {
			height = max(height, binary.LittleEndian.Uint32(h))
		}
		if hasTime {
			time = max(time, binary.LittleEndian.Uint32(t))
		}
	}
	fallback, hasFallback := v.global.value(globalFallbackTime)
	switch {
	case asked && heights:
		return height, nil
	case asked && times:
		return time, nil
	case asked:
		return 0, malformed("psbt-locktime", "inputs", "one input asks for a height and another for a time")
	case hasFallback:
		return binary.LittleEndian.Uint32(fallback), nil
	}
	return 0, nil
}

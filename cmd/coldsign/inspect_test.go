package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/internal/console"
)

// edit parses the bytes of an honest packet, changes it, and serialises it again.
func edit(t *testing.T, raw []byte, change func(*psbt.Packet)) []byte {
	t.Helper()
	p, err := psbt.NewFromRawBytes(bytes.NewReader(raw), false)
	if err != nil {
		t.Fatal(err)
	}
	change(p)
	var out bytes.Buffer
	if err := p.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestInspectSaysWhatAPlainPSBTDoes(t *testing.T) {
	d := newDesk(t)
	raw := d.packet().Bytes()
	for name, form := range map[string][]byte{"binary": raw, "base64": []byte(base64.StdEncoding.EncodeToString(raw))} {
		out := d.must("inspect", d.write(name+".psbt", form), "--home", d.path("a"))
		for _, want := range []string{"wallet COLD-A", "2 of 3", "70.00000000 BTC", "change", "FEE"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
	}
	if code := d.refused("owner-unknown", "inspect", d.path("binary.psbt"), "--home", d.path("nowhere")); code != console.Refused {
		t.Errorf("without a home: exit %d", code)
	}
}

// Attacks 008, 010, 021, 023, 050 at the command that a person types.
func TestAttack008To050InspectRefusesATamperedPSBT(t *testing.T) {
	d := newDesk(t)
	raw := d.packet().Bytes()
	duplicate := bytes.Clone(raw)
	end := bytes.Index(duplicate, []byte("psbt\xff")) + 5
	pair := []byte{0x02, 0xfc, 0x01, 0x01, 0x05} // an unknown key fc01 with one byte, twice
	duplicate = append(append(append(bytes.Clone(duplicate[:end]), globalTx(t, raw)...), append(bytes.Clone(pair), pair...)...), duplicate[end+len(globalTx(t, raw)):]...)
	for _, c := range []struct {
		name, code string
		data       []byte
		exit       console.Code
	}{
		{"trailing byte", "psbt-trailing", append(bytes.Clone(raw), 0), console.NotAuthentic},
		{"duplicate key", "psbt-duplicate-key", duplicate, console.NotAuthentic},
		{"no previous transaction", "amount-unproven", edit(t, raw, func(p *psbt.Packet) { p.Inputs[0].NonWitnessUtxo = nil }), console.Refused},
		{"lied witness_utxo", "witness-utxo-differs", edit(t, raw, func(p *psbt.Packet) { p.Inputs[1].WitnessUtxo.Value-- }), console.Refused},
		{"sighash none", "sighash-not-all", edit(t, raw, func(p *psbt.Packet) { p.Inputs[0].SighashType = txscript.SigHashNone }), console.Refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := d.write(strings.ReplaceAll(c.name, " ", "-"), c.data)
			if code := d.refused(c.code, "inspect", path, "--home", d.path("a")); code != c.exit {
				t.Errorf("exit %d, want %d", code, c.exit)
			}
		})
	}
}

// globalTx returns the pair of the unsigned transaction, which an honest packet carries first.
func globalTx(t *testing.T, raw []byte) []byte {
	t.Helper()
	at := 5 + 2 // magic; key length 1 and key 00
	switch size := raw[at]; {
	case size < 0xfd:
		return raw[5 : at+1+int(size)]
	case size == 0xfd:
		return raw[5 : at+3+int(binary.LittleEndian.Uint16(raw[at+1:]))]
	}
	t.Fatal("an unsigned transaction of more than 64 kB")
	return nil
}

// Attack 012: a witness that claims 103 GB. The btcd psbt module allocates it and dies.
func TestAttack012InspectRefusesAWitnessOf103GB(t *testing.T) {
	d := newDesk(t)
	raw := d.packet().Bytes()
	bomb := []byte{0x01, 0x08, 0x05, 0xfe, 0xff, 0xff, 0xff, 0xff} // final_scriptwitness of 5 bytes: a count of 2^32-1
	at := 5 + len(globalTx(t, raw))
	for raw[at] != 0 { // to the end of the global map
		at = skipPair(raw, at)
	}
	data := append(append(bytes.Clone(raw[:at+1]), bomb...), raw[at+1:]...)
	path := d.write("bomb.psbt", data)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code := d.refused("input-finalised", "inspect", path, "--home", d.path("a"))
	runtime.ReadMemStats(&after)
	if code != console.NotAuthentic && code != console.Refused {
		t.Errorf("exit %d", code)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<20 {
		t.Errorf("%d MiB were allocated", spent>>20)
	}
}

// skipPair steps over one key and value with lengths below 64 kB.
func skipPair(raw []byte, at int) int {
	for range 2 {
		size, width := int(raw[at]), 1
		if raw[at] == 0xfd {
			size, width = int(binary.LittleEndian.Uint16(raw[at+1:])), 3
		}
		at += width + size
	}
	return at
}

func TestInspectRefusesAPacketCutAtEveryByte(t *testing.T) {
	d := newDesk(t)
	raw := d.packet().Bytes()
	for cut := range raw {
		o := d.run("inspect", d.write("cut.psbt", raw[:cut]), "--home", d.path("a"))
		if o.code == console.Done || !strings.HasPrefix(o.errs, "coldsign: ") {
			t.Fatalf("cut at %d of %d: exit %d\n%s", cut, len(raw), o.code, o.errs)
		}
	}
}

func TestInspectNeverFollowsALink(t *testing.T) {
	d := newDesk(t)
	if code := d.refused("file-not-regular", "inspect", d.path("a"), "--home", d.path("a")); code != console.NotAuthentic {
		t.Errorf("a folder: exit %d", code)
	}
	if o := d.run("inspect", d.path("nothing"), "--home", d.path("a")); o.code != console.Failed {
		t.Errorf("a missing file: %s", fmt.Sprint(o))
	}
}

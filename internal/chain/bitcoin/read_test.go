package bitcoin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// raw joins byte strings.
func raw(parts ...string) []byte { return []byte(strings.Join(parts, "")) }

// refusesToRead checks one changed packet.
func refusesToRead(t *testing.T, name string, packet []byte, code string) {
	t.Helper()
	p, err := bitcoin.Read(packet)
	if err == nil {
		t.Errorf("%s: accepted %x", name, p.Bytes())
		return
	}
	if got := refusals(err); len(got) == 0 || got[0] != code {
		t.Errorf("%s: want %s, got %v", name, code, err)
	}
}

func TestReadGivesBackEveryByte(t *testing.T) {
	p := newWorld(t).packet(t)
	d := open(t, p.Bytes())
	set(&d.maps[0], raw("\xfc\x04test\x00"), []byte("global"))
	set(d.input(0), raw("\x00\x00")[1:], get(d.input(0), 0))
	set(d.input(1), raw("\xf0unknown"), nil)
	set(d.output(0), raw("\xfd\x00\x01wide type"), []byte{1})
	read, err := bitcoin.Read(d.bytes())
	must(t, err)
	if !bytes.Equal(read.Bytes(), d.bytes()) || read.TxID() != p.TxID() {
		t.Error("the packet changed on its way through")
	}
	again, err := bitcoin.Read([]byte(read.Base64()))
	must(t, err)
	if !bytes.Equal(again.Bytes(), read.Bytes()) {
		t.Error("base64 changed the packet")
	}
	if read.Unsigned().TxHash().String() != p.TxID() {
		t.Error("two identities")
	}
	read.Bytes()[0], read.Unsigned().TxIn[0].Sequence = 0, 0
	if read.Bytes()[0] != 'p' || read.Unsigned().TxIn[0].Sequence == 0 {
		t.Error("a caller can change the packet")
	}
}

func TestAttack008TrailingBytesAnywhere(t *testing.T) {
	w := newWorld(t)
	good := w.packet(t).Bytes()
	refusesToRead(t, "after the packet", append(bytes.Clone(good), 0), "psbt-trailing")
	d := open(t, good)
	set(d.input(0), []byte{0}, append(get(d.input(0), 0), 0))
	refusesToRead(t, "after a previous transaction", d.bytes(), "psbt-trailing")
	d = open(t, good)
	set(d.input(0), []byte{1}, append(get(d.input(0), 1), 0))
	refusesToRead(t, "after a witness utxo", d.bytes(), "psbt-trailing")
	d = open(t, good)
	tx := d.maps[0][0].value
	refusesToRead(t, "after the unsigned transaction", bytes.Replace(good, append([]byte{byte(len(tx))}, tx...), append([]byte{byte(len(tx) + 1)}, append(bytes.Clone(tx), 0)...), 1), "psbt-trailing")
	previous := w.request(t).Coins[0].PrevTx
	for _, at := range []int{4, len(previous) - 4} { // behind the version, and behind the last witness
		d = open(t, good)
		set(d.input(0), []byte{0}, append(append(bytes.Clone(previous[:at]), 7), previous[at:]...))
		if _, err := bitcoin.Read(d.bytes()); err == nil {
			t.Errorf("a byte more at %d of a previous transaction", at)
		}
	}
}

func TestAttack009Base64HasOneSpelling(t *testing.T) {
	packet, text := newWorld(t).packet(t), ""
	for n := 0; !strings.HasSuffix(text, "=") || strings.HasSuffix(text, "=="); n++ { // the padding must show
		d := open(t, packet.Bytes())
		set(&d.maps[0], []byte{0xf0}, make([]byte, n))
		text = base64.StdEncoding.EncodeToString(d.bytes())
	}
	if _, err := bitcoin.Read([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"line break at the end": text + "\n", "lines of 64": text[:64] + "\r\n" + text[64:], "four line breaks": text + "\n\n\n\n", "space": text[:8] + " " + text[8:],
		"no padding": strings.TrimRight(text, "="), "junk": text + "AAAA", "url alphabet": text[:40] + "-" + text[41:],
		"loose bits": text[:len(text)-2] + "B=", // the packet ends in a zero byte: the last digit is A, and two of its bits are not used
	} {
		refusesToRead(t, name, []byte(bad), "psbt-base64")
	}
	refusesToRead(t, "leading space", []byte(" "+text), "psbt-magic")
	refusesToRead(t, "almost the magic", []byte("cHNidPAA"), "psbt-magic")
}

func TestAttack010DuplicateKeysInEveryMap(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	for m := range open(t, good).maps {
		for _, key := range [][]byte{raw("\xf0unknown"), raw("\xfc\x01x\x00"), {0x7f}} {
			d := open(t, good)
			d.maps[m] = append(d.maps[m], pair{key, []byte{1}}, pair{[]byte{0x60}, nil}, pair{key, []byte{2}})
			refusesToRead(t, "unknown key", d.bytes(), "psbt-duplicate-key")
		}
		d := open(t, good)
		if len(d.maps[m]) > 0 {
			d.maps[m] = append(d.maps[m], d.maps[m][0])
			refusesToRead(t, "known key", d.bytes(), "psbt-duplicate-key")
		}
	}
}

func TestAttack011LengthsHaveOneSpelling(t *testing.T) {
	d := open(t, newWorld(t).packet(t).Bytes())
	set(d.output(0), raw("\xf0x"), []byte("value"))
	set(d.output(0), raw("\xfd\x00\x01x"), []byte("value"))
	good := d.bytes()
	if _, err := bitcoin.Read(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"key length in three bytes":   {"\x02\xf0x\x05value", "\xfd\x02\x00\xf0x\x05value"},
		"value length in three bytes": {"\x02\xf0x\x05value", "\x02\xf0x\xfd\x05\x00value"},
		"value length in five bytes":  {"\x02\xf0x\x05value", "\x02\xf0x\xfe\x05\x00\x00\x00value"},
		"value length in nine bytes":  {"\x02\xf0x\x05value", "\x02\xf0x\xff\x05\x00\x00\x00\x00\x00\x00\x00value"},
		"type in three bytes":         {"\x04\xfd\x00\x01x", "\x04\xfd\xf0\x00x"},
	} {
		refusesToRead(t, name, bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1), "psbt-compact-size")
	}
	for name, field := range map[string][3]string{ // map, key, value; every value is good for another key
		"global transaction with key data": {"g", "\x00x", ""}, "witness utxo with key data": {"i", "\x01x", ""}, "sighash with key data": {"i", "\x03x", "\x01\x00\x00\x00"},
		"partial signature without key": {"i", "\x02", "123456789"}, "partial signature of a short key": {"i", "\x02" + strings.Repeat("\x02", 32), "123456789"},
		"derivation of a strange key": {"o", "\x02\x05" + strings.Repeat("\x02", 32), "1234"}, "witness script with key data": {"o", "\x01x", ""}, "global xpub of 77 bytes": {"g", "\x01" + strings.Repeat("x", 77), "1234"},
	} {
		d := open(t, good)
		m := map[string]*[]pair{"g": &d.maps[0], "i": d.input(0), "o": d.output(0)}[field[0]]
		*m = append(*m, pair{[]byte(field[1]), []byte(field[2])})
		refusesToRead(t, name, d.bytes(), "psbt-key-length")
	}
	for name, field := range map[string][3]string{
		"sighash of three bytes": {"i", "\x03", "\x01\x00\x00"}, "half a path": {"i", "\x06\x02" + strings.Repeat("\x02", 32), "12345"}, "no fingerprint": {"o", "\x02\x02" + strings.Repeat("\x02", 32), ""},
		"xpub of another depth": {"g", "\x01\x04\x88\xb2\x1e\x03" + strings.Repeat("x", 73), "12341234"}, "wrong preimage": {"i", "\x0b" + strings.Repeat("x", 32), "y"}, "version of three bytes": {"g", "\xfb", "\x00\x00\x00"},
		"taproot path of five bytes": {"i", "\x16" + strings.Repeat("k", 32), "\x0012345"}, "taproot path without fingerprint": {"o", "\x07" + strings.Repeat("k", 32), "\x00"},
		"tree of half a branch": {"o", "\x06", "\x01\xc0\x01\x51"}, "tree with a leaf too many": {"o", "\x06", "\x00\xc0\x01\x51\x00\xc0\x01\x51"},
		"tree deeper than allowed": {"o", "\x06", "\x81\xc0\x01\x51\x81\xc0\x01\x51"}, "tree with an odd version": {"o", "\x06", "\x00\xc1\x01\x51"}, "tree out of order": {"o", "\x06", "\x02\xc0\x01\x51\x01\xc0\x01\x51\x02\xc0\x01\x51"},
	} {
		d := open(t, good)
		m := map[string]*[]pair{"g": &d.maps[0], "i": d.input(0), "o": d.output(0)}[field[0]]
		set(m, []byte(field[1]), []byte(field[2]))
		refusesToRead(t, name, d.bytes(), "psbt-value")
	}
}

// allocated runs f and returns how many bytes it took, all in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAttack012AnnouncedSizesAllocateNothing(t *testing.T) {
	const budget = 64 << 20
	good := newWorld(t).packet(t).Bytes()
	previous := func(tail string) []byte {
		d := open(t, good)
		set(d.input(0), []byte{0}, raw("\x02\x00\x00\x00", tail))
		return d.bytes()
	}
	global := func(tx string) []byte {
		var length bytes.Buffer
		_ = wire.WriteVarInt(&length, 0, uint64(len(tx)))
		return raw("psbt\xff\x01\x00", length.String(), tx, "\x00")
	}
	d := open(t, good)
	set(d.input(0), []byte{8}, raw("\xfe\xff\xff\xff\xff")) // a final witness of 103 GB, which killed btcd's extractor
	witnessBomb := d.bytes()
	d = open(t, good)
	for i := range byte(9) {
		set(&d.maps[0], []byte{0xf0, i}, make([]byte, 4<<20))
	}
	unknownBomb := d.bytes()
	d = open(t, good)
	for i := range uint16(2000) {
		set(d.output(0), append([]byte{0xf0}, byte(i), byte(i>>8)), nil)
	}
	pairBomb := d.bytes()
	for name, c := range map[string]struct {
		packet []byte
		code   string
	}{
		"final witness":       {witnessBomb, "input-finalised"},
		"nine unknowns":       {unknownBomb, "psbt-too-large"},
		"many fields":         {pairBomb, "psbt-too-large"},
		"inputs":              {global("\x02\x00\x00\x00\xfe\xff\xff\xff\x00"), "psbt-too-large"},
		"inputs not there":    {global("\x02\x00\x00\x00\xfd\x00\x0f"), "psbt-truncated"},
		"outputs":             {global("\x02\x00\x00\x00\x00\xfd\x01\x20" + strings.Repeat("\x00", 9*8193)), "psbt-too-large"},
		"previous inputs":     {previous("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "psbt-too-large"},
		"previous outputs":    {previous("\x01" + strings.Repeat("\x00", 41) + "\xfe\xff\xff\xff\x0f"), "psbt-too-large"},
		"witness items":       {previous("\x00\x01\x01" + strings.Repeat("\x00", 41) + "\x01" + strings.Repeat("\x00", 9) + "\xfe\xff\xff\xff\x0f"), "psbt-too-large"},
		"length of a key":     {raw("psbt\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "psbt-truncated"},
		"length of a value":   {raw("psbt\xff\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "psbt-truncated"},
		"base64 without end":  {append(raw("cHNidP"), bytes.Repeat([]byte("A"), 40<<20)...), "psbt-too-large"},
		"leaf hashes":         {raw("psbt\xff\x01\x00\x3c", "\x02\x00\x00\x00\x01", strings.Repeat("\x01", 36), "\x00\xff\xff\xff\xff\x01", strings.Repeat("\x00", 9), "\x00\x00\x00\x00", "\x00", "\x21\x16", strings.Repeat("k", 32), "\x05\xfe\xff\xff\xff\x0f\x00\x00"), "psbt-too-large"},
		"a script of 4 GB":    {previous("\x01" + strings.Repeat("\x00", 36) + "\xfe\xff\xff\xff\xff"), "psbt-truncated"},
		"script in an output": {previous("\x01" + strings.Repeat("\x00", 41) + "\x01" + strings.Repeat("\x00", 8) + "\xfe\xff\xff\xff\xff"), "psbt-truncated"},
	} {
		used := allocated(func() { refusesToRead(t, name, c.packet, c.code) })
		if used > budget {
			t.Errorf("%s took %d MiB", name, used>>20)
		}
	}
	heavy := wire.NewMsgTx(2) // the transaction with the most parts that fits
	for range 24_000 {
		heavy.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 1}, Witness: wire.TxWitness{nil, nil, nil, nil}})
	}
	heavy.AddTxOut(wire.NewTxOut(1, nil))
	var raw bytes.Buffer
	must(t, heavy.Serialize(&raw))
	d = open(t, good)
	set(d.input(0), []byte{0}, raw.Bytes())
	packet := d.bytes()
	if used := allocated(func() { _, _ = bitcoin.Read(packet) }); used > budget {
		t.Errorf("the greatest previous transaction took %d MiB", used>>20)
	}
}

func TestAttack012PreviousTransactionsFitABlock(t *testing.T) {
	d := open(t, newWorld(t).packet(t).Bytes())
	parent := openTx(t, get(d.input(0), 0))
	parent.TxOut[0].PkScript = make([]byte, 1_000_000)
	set(d.input(0), []byte{0}, serialise(t, parent))
	refusesToRead(t, "a megabyte of outputs", d.bytes(), "psbt-too-large")
	parent.TxOut[0].PkScript, parent.TxIn[0].Witness = nil, wire.TxWitness{make([]byte, 2_000_000), make([]byte, 2_000_000)}
	set(d.input(0), []byte{0}, serialise(t, parent))
	refusesToRead(t, "four megabytes of witnesses", d.bytes(), "psbt-too-large")
}

func TestAttack013VersionsDoNotMix(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	for version, code := range map[string]string{"\x02\x00\x00\x00": "psbt-version", "\x01\x00\x00\x00": "psbt-version", "\x00\x00\x00\x01": "psbt-version", "\x00\x00\x00\x00": ""} {
		d := open(t, good)
		set(&d.maps[0], []byte{0xfb}, []byte(version))
		if code == "" {
			_, err := bitcoin.Read(d.bytes())
			must(t, err)
			continue
		}
		refusesToRead(t, "version", d.bytes(), code)
	}
	for kind := byte(2); kind <= 8; kind++ { // 6 is TX_MODIFIABLE
		d := open(t, good)
		set(&d.maps[0], []byte{kind}, []byte{1, 0, 0, 0})
		refusesToRead(t, "global field of version 2", d.bytes(), "psbt-version-field")
	}
	for kind := byte(0x0e); kind <= 0x12; kind++ {
		d := open(t, good)
		set(d.input(0), []byte{kind}, []byte{1, 0, 0, 0})
		refusesToRead(t, "input field of version 2", d.bytes(), "psbt-version-field")
	}
	for kind := byte(3); kind <= 4; kind++ {
		d := open(t, good)
		set(d.output(0), []byte{kind}, []byte{1, 0, 0, 0})
		refusesToRead(t, "output field of version 2", d.bytes(), "psbt-version-field")
	}
}

func TestAttack014UnsignedMeansUnsigned(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	d := open(t, good)
	d.tx.TxIn[1].SignatureScript = []byte{0x51}
	refusesToRead(t, "script", d.bytes(), "psbt-unsigned-tx")
	d = open(t, good)
	d.tx.TxIn[0].Witness = wire.TxWitness{{1}}
	var tx, out bytes.Buffer
	must(t, d.tx.Serialize(&tx))
	out.WriteString("psbt\xff\x01\x00")
	must(t, wire.WriteVarBytes(&out, 0, tx.Bytes()))
	out.Write(make([]byte, 9))
	if _, err := bitcoin.Read(out.Bytes()); err == nil {
		t.Error("an unsigned transaction in witness form was read")
	}
	d = open(t, good)
	d.maps[0] = []pair{{[]byte{0xf0}, nil}}
	d.maps[0][0].value = nil
	refusesToRead(t, "no transaction", d.bytes(), "psbt-unsigned-tx")
}

func TestAttack015FinishedInputsAreNotSignedAgain(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	for _, kind := range []byte{7, 8} {
		d := open(t, p.Bytes())
		set(d.input(1), []byte{kind}, []byte{1, 0})
		refusesToRead(t, "finalised", d.bytes(), "input-finalised")
	}
	answers := w.answers(t, p)
	both, err := p.WithSignatures(append(answers[0], answers[2]...))
	must(t, err)
	signed, err := bitcoin.Read(both)
	must(t, err)
	_, err = bitcoin.Tasks(signed, w.scope(), 1)
	wantRefusal(t, err, "input-already-signed@input 0")
}

// Attack 120: every offset is a place where a packet may end.
func TestAttack120TruncationIsRefusedAtEveryByte(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	for n := range good {
		if _, err := bitcoin.Read(good[:n]); len(refusals(err)) == 0 {
			t.Fatalf("the first %d of %d bytes: %v", n, len(good), err)
		}
	}
	for i := range good { // one changed byte never panics, and what reads also comes back
		bad := bytes.Clone(good)
		bad[i] ^= 0x41
		if p, err := bitcoin.Read(bad); err == nil && !bytes.Equal(p.Bytes(), bad) {
			t.Fatalf("byte %d", i)
		}
	}
}

func TestPreviousTransactionsHaveOneSpelling(t *testing.T) {
	d := open(t, newWorld(t).packet(t).Bytes())
	good := bytes.Clone(get(d.input(0), 0))
	for name, bad := range map[string][]byte{
		"witness form without a witness": raw(string(good[:4]), "\x00\x01", string(good[4:len(good)-4]), "\x00", string(good[len(good)-4:])),
		"witness flag 2":                 raw(string(good[:4]), "\x00\x02", string(good[4:len(good)-4]), "\x00", string(good[len(good)-4:])),
		"no input":                       raw("\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
	} {
		set(d.input(0), []byte{0}, bad)
		refusesToRead(t, name, d.bytes(), "psbt-transaction")
	}
}

// The vectors of BIP174, 370, 371 and 373 as HWI keeps them. Valid packets that are refused, by reason: 14 of version 2,
// which this room does not read, and 2 with finished inputs, which nobody may be asked to sign.
func TestPublishedVectors(t *testing.T) {
	file, err := os.ReadFile("../../../../shared/vectors/psbt/hwi_test_psbt.json")
	if os.IsNotExist(err) {
		t.Log("shared vectors are not here; TestVectorsOfBIP174 holds a few of them")
		return
	}
	must(t, err)
	var vectors struct{ Invalid, Valid []string }
	must(t, json.Unmarshal(file, &vectors))
	for i, text := range vectors.Invalid {
		if _, err := bitcoin.Read([]byte(text)); len(refusals(err)) == 0 {
			t.Errorf("invalid vector %d: %v", i, err)
		}
	}
	reasons := map[string]int{}
	for i, text := range vectors.Valid {
		p, err := bitcoin.Read([]byte(text))
		if err != nil {
			reasons[refusals(err)[0]]++
			continue
		}
		reasons["read"]++
		if p.Base64() != text {
			t.Errorf("valid vector %d changed", i)
		}
	}
	if want := map[string]int{"read": 37, "psbt-version": 14, "input-finalised": 2}; !maps.Equal(reasons, want) {
		t.Errorf("valid vectors: %v, want %v", reasons, want)
	}
	if len(vectors.Invalid) != 67 || len(vectors.Valid) != 53 {
		t.Errorf("%d invalid and %d valid vectors", len(vectors.Invalid), len(vectors.Valid))
	}
}

// Vectors of BIP174 itself, so that the claim stands without the shared files.
func TestVectorsOfBIP174(t *testing.T) {
	const tx = "020000000126817137 1edff285e937adeea4b37b78000c0566cbb3ad64641713ca42171bf6 0000000000feffffff02d3dff505000000001976a914d0c59903c5bac2868760e90fd521a4665aa7652088ac00e1f5050000000017a9143545e6e33b832c47050f24d3eeb93c9c03948bc787b32e1300"
	body := unhex(t, tx)
	packet := raw("psbt\xff\x01\x00", string([]byte{byte(len(body))}), string(body), "\x00", "\x00", "\x00\x00")
	if _, err := bitcoin.Read(packet); err != nil {
		t.Error(err)
	}
	refusesToRead(t, "a transaction instead of a packet", body, "psbt-magic")
	refusesToRead(t, "a map is missing", packet[:len(packet)-1], "psbt-truncated")
	refusesToRead(t, "a map too many", append(packet, 0), "psbt-trailing")
}

func FuzzRead(f *testing.F) {
	w := newWorld(f)
	p := w.packet(f)
	stripped, _ := p.Strip()
	signed, err := p.WithSignatures(w.answers(f, p)[0])
	must(f, err)
	for _, seed := range [][]byte{p.Bytes(), stripped, signed, []byte(p.Base64()), raw("psbt\xff"), raw("psbt\xff\x01\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		p, err := bitcoin.Read(input)
		if err != nil {
			if len(refusals(err)) == 0 {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		if !bytes.Equal(p.Bytes(), input) && p.Base64() != string(input) {
			t.Fatal("parse and serialise is not the identity")
		}
		bare, proofs := p.Strip()
		if _, err := bitcoin.Read(bare); err != nil {
			t.Fatalf("the stripped packet does not read: %v", err)
		}
		if joined, err := bitcoin.Join(bare, proofs); err == nil && joined.TxID() != p.TxID() {
			t.Fatal("strip and join changed the transaction")
		}
	})
}

package transport

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Coinkite's real-scan.txt is what a camera gave: repeated frames of one series, in order of sight. It carries text,
// which this product refuses; under the letter of a transaction its bytes must still be those that others read.
func TestARealScanJoins(t *testing.T) {
	raw, here := published(t, "real-scan.txt")
	if !here {
		texts, err := Frames(Transaction, sample(9000, 7), Options{VersionMax: 20})
		if err != nil {
			t.Fatal(err)
		}
		raw = []byte(strings.ReplaceAll(strings.Join(append(texts, texts...), "\n"), "B$ZT", "B$ZU"))
	}
	j, refused := NewJoiner(), NewJoiner()
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		_, err := refused.Add(line)
		wantRefusal(t, err, "bbqr-content")
		if _, err := j.Add(strings.Replace(line, "B$ZU", "B$ZT", 1)); err != nil {
			t.Fatal(err)
		}
	}
	content, data, err := j.Payload()
	if err != nil || content != Transaction {
		t.Fatal(content, err)
	}
	// The digest that joinQRs of npm bbqr 1.2.0 gives for the same lines.
	if digest := sha256.Sum256(data); here && hex.EncodeToString(digest[:]) != "cbd1d2094510a863397872d156dd76c4017b059ea638a37137699bea558e990e" {
		t.Errorf("the scan joined to %d other bytes", len(data))
	}
}

// Attack 082: mixed series, malformed geometry, impossible totals, empty parts and half bytes are refused, and nothing
// of a refused frame stays behind.
func TestAttack082FramesThatDoNotBelongChangeNothing(t *testing.T) {
	series := []string{"B$HC0300" + "0102030405", "B$HC0301" + "1112131415", "B$HC0302" + "2122"}
	bad := []struct{ text, code string }{
		{"B$HC0400" + "0102030405", "bbqr-series-mixed"}, // another total
		{"B$HP0301" + "1112131415", "bbqr-series-mixed"}, // another content
		{"B$2C0301" + "AEBAGBAF", "bbqr-series-mixed"},   // another encoding
		{"B$HC0300" + "0102030406", "bbqr-series-mixed"}, // other bytes at a place seen
		{"B$HC0301" + "111213", "bbqr-series-mixed"},     // geometry: a short part that is not the last
		{"B$HC0301" + "111213141516", "bbqr-series-mixed"},
		{"B$HC0302" + "212223242526", "bbqr-series-mixed"}, // the last longer than the others
		{"B$HC0303" + "0102030405", "bbqr-header"},         // index beyond the total
		{"B$HC0000", "bbqr-header"},
		{"B$HC0a00" + "01", "bbqr-header"},
		{"B$HC-100" + "01", "bbqr-header"},
		{"B$HC0301", "bbqr-part-empty"},
		{"B$HC0301" + "111", "bbqr-part-text"}, // half a byte
		{"B$HC0301" + "11121314zz", "bbqr-part-text"},
		{"B$HC0301" + "11121314ab", "bbqr-part-text"}, // lower case
		{"B$HC0301" + "1112 31415", "bbqr-part-text"},
		{"B$2C0301" + "AEBAGBB", "bbqr-part-text"},     // stray bits behind the last byte
		{"B$2C0301" + "A", "bbqr-part-text"},           // five bits
		{"B$2C0301" + "AE======", "bbqr-part-text"},    // padding
		{"B$2C0301" + "AEBA\r\nGBA", "bbqr-part-text"}, // line ends, which base32 of Go would skip
		{"B$", "bbqr-header"},
		{"B$HC03", "bbqr-header"},
		{"B$QC0301" + "11", "bbqr-encoding"},
		{"B$HX0301" + "11", "bbqr-content"},
		{"B$HC0301" + strings.Repeat("11", frameTextMax), "bbqr-frame-too-long"},
	}
	j := NewJoiner()
	for step := 0; ; step++ {
		for _, c := range bad {
			if step == 0 && c.code == "bbqr-series-mixed" {
				continue // the first frame decides the series, so none can be another one yet
			}
			before := fmt.Sprintf("%+v", *j)
			fresh, err := j.Add(c.text)
			if step >= 1 && step <= 2 || c.code != "bbqr-series-mixed" {
				wantRefusal(t, err, c.code)
			}
			if err == nil || fresh || fmt.Sprintf("%+v", *j) != before {
				t.Errorf("after %d frames, %.30q: fresh %v, %v, state %+v", step, c.text, fresh, err, *j)
			}
		}
		if step == len(series) {
			break
		}
		if _, err := j.Add(series[step]); err != nil {
			t.Fatal(err)
		}
	}
	if _, data, err := j.Payload(); err != nil || hex.EncodeToString(data) != "010203040511121314152122" {
		t.Errorf("the series joined to %x, %v", data, err)
	}
}

func TestAttack082TheLastFrameFirstBindsTheOthers(t *testing.T) {
	j := NewJoiner()
	for _, step := range []struct{ text, code string }{
		{"B$HC0302" + "212223", ""}, {"B$HC0300" + "0102", "bbqr-series-mixed"}, {"B$HC0300" + "01020304", ""}, {"B$HC0301" + "11121314", ""},
	} {
		_, err := j.Add(step.text)
		if step.code != "" {
			wantRefusal(t, err, step.code)
		} else if err != nil {
			t.Error(err)
		}
	}
	if _, data, err := j.Payload(); err != nil || hex.EncodeToString(data) != "0102030411121314212223" {
		t.Errorf("joined to %x, %v", data, err)
	}
}

func TestAttack082TheLargestTotalIsTakenAndNoMore(t *testing.T) {
	j := NewJoiner()
	if _, err := j.Add("B$HCZZ0001"); err != nil {
		t.Fatal(err)
	}
	if have, need := j.Progress(); have != 1 || need != FramesMax || len(j.Missing()) != FramesMax-1 {
		t.Errorf("%d of %d", have, need)
	}
	_, _, err := j.Payload()
	wantRefusal(t, err, "bbqr-incomplete")
	if have, _ := j.Progress(); have != 1 {
		t.Error("asking too early lost a frame")
	}
	_, _, err = NewJoiner().Payload()
	wantRefusal(t, err, "bbqr-incomplete")
}

// Two series whose headers and lengths agree cannot be told apart by BBQr; the deflate stream, and above it the seal,
// find out. Then nothing of either stays behind.
func TestAttack082ASeriesThatDoesNotInflateIsForgotten(t *testing.T) {
	first, err := Frames(CBOR, sample(3000, 8), Options{VersionMax: 10})
	if err != nil {
		t.Fatal(err)
	}
	var other []string
	for seed := int64(9); len(other) == 0 || len(other) != len(first) || len(other[0]) != len(first[0]); seed++ {
		if other, err = Frames(CBOR, sample(3000, seed), Options{VersionMax: 10}); err != nil {
			t.Fatal(err)
		}
	}
	j := NewJoiner()
	for i, text := range first {
		if i == 1 {
			text = other[1]
		}
		if _, err := j.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = j.Payload()
	wantRefusal(t, err, "bbqr-deflate")
	if !reflect.DeepEqual(j, NewJoiner()) {
		t.Errorf("left behind: %+v", j)
	}
}

// series writes already encoded bytes as frames, as a hostile sender would.
func series(encoding byte, encoded []byte) []string {
	cut := cutter{prefix + string(rune(encoding)) + "C", encoded, versionLargest, groupsIn(versionLargest)}
	return cut.texts(cut.count(cut.groupsMax))
}

// Attack 083: a few frames that inflate to more than the cap are refused at the cap.
func TestAttack083ABombIsRefusedAtTheCap(t *testing.T) {
	bomb := func(size int) []string {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, flate.BestCompression)
		if err == nil {
			_, err = w.Write(make([]byte, size))
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return series('Z', out.Bytes())
	}
	add := func(texts []string) *Joiner {
		j := NewJoiner()
		for _, text := range texts {
			if _, err := j.Add(text); err != nil {
				t.Fatal(err)
			}
		}
		return j
	}
	if _, data, err := add(bomb(PayloadMax)).Payload(); err != nil || len(data) != PayloadMax {
		t.Errorf("the largest payload: %d bytes, %v", len(data), err)
	}
	for _, size := range []int{PayloadMax + 1, 60 * PayloadMax} {
		j := add(bomb(size))
		_, data, err := j.Payload()
		wantRefusal(t, err, "bbqr-payload-too-large")
		if data != nil || j.have != 0 {
			t.Errorf("%d bytes came out of a bomb", len(data))
		}
	}
}

func TestADeflateStreamMustEndWhereTheFramesEnd(t *testing.T) {
	good := compress([]byte(strings.Repeat("ab", 100)))
	for name, encoded := range map[string][]byte{"trailing byte": append(good[:len(good):len(good)], 0), "cut": good[:len(good)-2],
		"empty stream": {3, 0}, "noise": {0xff, 0xff}} {
		j := NewJoiner()
		for _, text := range series('Z', encoded) {
			if _, err := j.Add(text); err != nil {
				t.Fatal(err)
			}
		}
		if _, data, err := j.Payload(); err == nil {
			t.Errorf("%s: %d bytes came out", name, len(data))
		} else {
			wantRefusal(t, err, "bbqr-deflate")
		}
	}
}

// Attack 085: text that is not a frame is refused by its first characters, and not repeated in the error.
func TestAttack085OtherTextIsRefusedByItsPrefix(t *testing.T) {
	for _, text := range []string{"", "B", "b$HC010001", " B$HC010001", "\ufeffB$HC010001", "legal winner thank year wave sausage worth useful legal winner thank yellow",
		"https://example.com/B$HC010001", "UR:CRYPTO-PSBT/1-2/AEAD", "bitcoin:bc1qexample", "B＄HC010001", "70736274ff01"} {
		j := NewJoiner()
		fresh, err := j.Add(text)
		wantRefusal(t, err, "qr-not-bbqr")
		if fresh || j.parts != nil || len(text) > 2 && strings.Contains(err.Error(), text[2:]) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzJoiner(f *testing.F) {
	for _, seed := range []string{"B$2C0100AEBAG", "B$HC02000102\nB$HC020103", "B$ZC0100JPHM6SJJ", "B$HCZZ0001\nB$HCZZZY01", "B$", "UR:BYTES/1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, scan string) {
		j := NewJoiner()
		for text := range strings.SplitSeq(scan, "\n") {
			had, _ := j.Progress()
			fresh, err := j.Add(text)
			if err != nil && fresh {
				t.Fatalf("%q is refused and new", text)
			}
			have, need := j.Progress()
			if have > need || need > FramesMax || len(j.Missing()) != need-have || fresh != (have == had+1) {
				t.Fatalf("%d of %d with %d missing", have, need, len(j.Missing()))
			}
		}
		complete := j.Complete()
		content, data, err := j.Payload()
		if err == nil && (!complete || !content.known() || len(data) == 0 || len(data) > PayloadMax) {
			t.Fatalf("%d bytes of %s from an impossible series", len(data), content)
		}
		if err == nil {
			texts, err := Frames(content, data, Options{VersionMax: 40})
			if err != nil {
				t.Fatal(err)
			}
			if _, again := joined(t, texts); !bytes.Equal(again, data) {
				t.Fatal("what was received cannot be sent on")
			}
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("payload"), byte(20))
	f.Add(make([]byte, 4000), byte(1))
	f.Add(sample(700, 1), byte(6))
	f.Fuzz(func(t *testing.T, data []byte, version byte) {
		texts, err := Frames(PSBT, data, Options{VersionMax: int(version) % 42})
		if err != nil {
			return
		}
		if _, again := joined(t, texts); !bytes.Equal(again, data) {
			t.Fatal("other bytes came back")
		}
	})
}

package transport

import (
	"bytes"
	"errors"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"pgregory.net/rapid"
)

// wantRefusal checks that err is a refusal with a code, and that it says what to do.
func wantRefusal(t *testing.T, err error, code string) {
	t.Helper()
	var refusal *spend.Refusal
	if !errors.As(err, &refusal) {
		t.Errorf("error %v is no refusal; want %s", err, code)
		return
	}
	if refusal.Code != code || refusal.Kind != spend.Unreadable || refusal.Fix == "" {
		t.Errorf("refusal %s, kind %d, fix %q; want %s, unreadable, with a fix", refusal.Code, refusal.Kind, refusal.Fix, code)
	}
}

func joined(t *testing.T, texts []string) (FileType, []byte) {
	t.Helper()
	j := NewJoiner()
	for _, text := range texts {
		if fresh, err := j.Add(text); err != nil || !fresh {
			t.Fatalf("adding %.20q: fresh %v, %v", text, fresh, err)
		}
	}
	content, data, err := j.Payload()
	if err != nil {
		t.Fatal(err)
	}
	return content, data
}

// sample returns n bytes with some repetition, as real payloads have.
func sample(n int, seed int64) []byte {
	rng, out := rand.New(rand.NewSource(seed)), make([]byte, 0, n+40)
	for len(out) < n {
		if start := rng.Intn(len(out) + 1); len(out) > 100 && rng.Intn(60) == 0 {
			out = append(out, out[start:min(start+33, len(out))]...)
		} else {
			out = append(out, byte(rng.Intn(256)))
		}
	}
	return out[:n]
}

func TestWhatIsCutIsJoinedInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(rt, "data")
		if rapid.Bool().Draw(rt, "repeating") {
			data = bytes.Repeat(data, rapid.IntRange(1, 20).Draw(rt, "times"))
		}
		content := rapid.SampledFrom([]FileType{PSBT, CBOR, Transaction}).Draw(rt, "content")
		version := rapid.IntRange(4, 40).Draw(rt, "version")
		texts, err := Frames(content, data, Options{VersionMax: version})
		if err != nil {
			rt.Fatal(err)
		}
		for i, text := range texts {
			if len(text) > Capacity(version) || i < len(texts)-1 && len(text) != len(texts[0]) || len(text) > len(texts[0]) {
				rt.Fatalf("frame %d has %d characters, the first %d, version %d holds %d", i, len(text), len(texts[0]), version, Capacity(version))
			}
		}
		j := NewJoiner()
		for seen, i := range rapid.Permutation(indices(len(texts))).Draw(rt, "order") {
			if have, _ := j.Progress(); have != seen || j.Complete() {
				rt.Fatalf("%d frames before frame %d of the order", have, seen)
			}
			for again := range 2 {
				if fresh, err := j.Add(texts[i]); err != nil || fresh != (again == 0) {
					rt.Fatalf("frame %d time %d: fresh %v, %v", i, again, fresh, err)
				}
			}
			if slices.Contains(j.Missing(), i+1) {
				rt.Fatalf("frame %d is missing after it was added", i+1)
			}
		}
		got, back, err := j.Payload()
		if err != nil || got != content || !bytes.Equal(back, data) {
			rt.Fatalf("%d bytes came back as %d bytes of %s, %v", len(data), len(back), got, err)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestPartsAreEqual(t *testing.T) {
	texts, err := Frames(CBOR, sample(1100, 1), Options{VersionMax: 10})
	if err != nil {
		t.Fatal(err)
	}
	if short := len(texts[0]) - len(texts[len(texts)-1]); len(texts) < 3 || short > groupChars*len(texts) {
		t.Errorf("%d frames; the last is %d characters shorter than the first", len(texts), short)
	}
}

// A copy 900 bytes back is within the window that BBQr fixes and is compressed; a copy 2,000 bytes back is not and must
// not be, or small devices cannot inflate it. Deflate of the standard library finds both.
func TestCompressionKeepsToTheWindowOfBBQr(t *testing.T) {
	near, far := make([]byte, 900), make([]byte, 2000)
	rng := rand.New(rand.NewSource(3))
	rng.Read(near)
	rng.Read(far)
	if n := len(compress(bytes.Repeat(near, 8))); n > 1400 {
		t.Errorf("900 bytes eight times compress to %d", n)
	}
	if n := len(compress(bytes.Repeat(far, 8))); n < 15_900 {
		t.Errorf("2,000 random bytes eight times compress to %d: a distance beyond 1,024 was used", n)
	}
}

func TestBytesThatDoNotCompressAreSentAsTheyAre(t *testing.T) {
	noise := make([]byte, 500)
	rand.New(rand.NewSource(4)).Read(noise)
	for want, data := range map[string][]byte{"B$2P": noise, "B$ZP": make([]byte, 500)} {
		texts, err := Frames(PSBT, data, Options{})
		if err != nil || !strings.HasPrefix(texts[0], want) {
			t.Errorf("%v begins with %.4q, want %s", err, texts[0], want)
		}
	}
}

func TestTheExampleOfThePackageCommentIsTrue(t *testing.T) {
	texts, err := Frames(CBOR, []byte{1, 2, 3}, Options{})
	if err != nil || len(texts) != 1 || texts[0] != "B$2C0100AEBAG" {
		t.Errorf("frames %q, %v", texts, err)
	}
}

func TestSendingRefusesWhatDoesNotFit(t *testing.T) {
	noise := make([]byte, 20_000)
	rand.New(rand.NewSource(5)).Read(noise)
	for code, c := range map[string]struct {
		content FileType
		data    []byte
		version int
	}{
		"qr-content-unknown":   {'U', []byte("text"), 0},
		"qr-version-range":     {PSBT, []byte("x"), 41},
		"qr-payload-empty":     {PSBT, nil, 0},
		"qr-payload-too-large": {PSBT, make([]byte, PayloadMax+1), 40},
		"qr-series-too-long":   {PSBT, noise, 1},
	} {
		texts, err := Frames(c.content, c.data, Options{VersionMax: c.version})
		wantRefusal(t, err, code)
		if _, err := Symbols(c.content, c.data, Options{VersionMax: c.version}); err == nil || texts != nil {
			t.Errorf("%s: %d frames were made", code, len(texts))
		}
	}
	var refusal *spend.Refusal
	_, err := Frames(PSBT, noise, Options{VersionMax: 1})
	if errors.As(err, &refusal) && !strings.Contains(refusal.Fix, "file") {
		t.Errorf("a series that is too long should be carried as a file; the fix says %q", refusal.Fix)
	}
}

// Made with npm bbqr 1.2.0 (splitQRs of Coinkite, maxVersion 3): another implementation's frames in all three encodings.
func TestFramesOfAnotherImplementationJoin(t *testing.T) {
	text := strings.Repeat("coldsign carries bytes over the gap. ", 3)
	for name, texts := range map[string][]string{
		"Z": {"B$ZC0200JPHM6SJJZZGM6U2IJYWCVSSMFVLERKRMAGJPSZNJIUFCKGNJBLUYSBL2BLEVIU3E", "B$ZC0201MBUGI3DCNJTG4YIJAA"},
		"2": {"B$2C0400MNXWYZDTNFTW4IDDMFZHE2LFOMQGE6LUMVZSA33WMVZCA5DIMUQGOYLQFYQGG33M",
			"B$2C0401MRZWSZ3OEBRWC4TSNFSXGIDCPF2GK4ZAN53GK4RAORUGKIDHMFYC4IDDN5WGI43J",
			"B$2C0402M5XCAY3BOJZGSZLTEBRHS5DFOMQG65TFOIQHI2DFEBTWC4BOEAYDCMRTGQ2TMNZY", "B$2C0403HE"},
		"H": {"B$HC0400636F6C647369676E2063617272696573206279746573206F76657220746865206761",
			"B$HC0401702E20636F6C647369676E2063617272696573206279746573206F76657220746865",
			"B$HC0402206761702E20636F6C647369676E2063617272696573206279746573206F76657220",
			"B$HC0403746865206761702E2030313233343536373839"},
	} {
		if content, data := joined(t, texts); content != CBOR || string(data) != text+"0123456789" {
			t.Errorf("encoding %s: %s %q", name, content, data)
		}
	}
}

// published returns a published vector, or nothing where the vectors are not at hand.
func published(t *testing.T, name string) ([]byte, bool) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "vectors", "bbqr", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Logf("%s is not at hand", name)
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw, true
}

func TestPublishedPayloadsGoRoundAndCompressAsTheSpecificationSays(t *testing.T) {
	// BBQr.md gives the sizes after zlib at level 9; another compressor may differ by a few hundredths.
	for name, after := range map[string]int{"1in1000out.psbt": 22095, "1in100out.psbt": 2654, "1in10out.psbt": 670,
		"1in2out.psbt": 458, "devils-txn.txn": 356, "signed.txn": 77090} {
		raw, here := published(t, name)
		if !here {
			raw, after = sample(after, 6), 0
		}
		texts, err := Frames(PSBT, raw, Options{VersionMax: 27})
		if err != nil {
			t.Fatal(err)
		}
		if _, data := joined(t, texts); !bytes.Equal(data, raw) {
			t.Errorf("%s came back otherwise", name)
		}
		if got := len(compress(raw)); after > 0 && got > after*115/100+50 {
			t.Errorf("%s compresses to %d bytes, the specification says %d", name, got, after)
		}
	}
}

package bundle_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"pgregory.net/rapid"
)

func drawIntent(t *rapid.T) spend.Intent {
	name := rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,31}`)
	id := rapid.Custom(func(t *rapid.T) spend.WalletID {
		return [32]byte(append(rapid.SliceOfN(rapid.Byte(), 31, 31).Draw(t, "bytes"), 1+rapid.Byte().Draw(t, "last")%255))
	})
	intent := spend.Intent{
		Network: rapid.SampledFrom([]spend.Network{spend.BitcoinMainnet, spend.BitcoinTestnet, spend.BitcoinSignet, spend.BitcoinRegtest}).Draw(t, "network"),
		Purpose: spend.TopUp, Serial: rapid.Uint64Min(1).Draw(t, "serial"), Issuer: name.Draw(t, "issuer"),
		From: id.Draw(t, "from"), To: id.Draw(t, "to"), ToIndex: rapid.Uint32Max(1<<31-1).Draw(t, "index"),
		Amount:   money.New(money.BTC, money.U128{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64Min(1).Draw(t, "lo")}),
		Proposer: name.Draw(t, "proposer"), CreatedAt: rapid.Int64Range(1, 1<<37).Draw(t, "created"),
	}
	intent.ExpiresAt = intent.CreatedAt + rapid.Int64Range(1, int64(bundle.LifetimeMax/time.Second)).Draw(t, "life")
	if rapid.Bool().Draw(t, "consolidation") {
		intent.To = intent.From
	}
	return intent
}

// Attack 129: no amount wraps, none is cut, on any size of integer.
func TestAttack129EveryIntentComesBackWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		intent := drawIntent(t)
		raw, err := bundle.EncodeIntent(intent)
		if err != nil {
			t.Fatal(err)
		}
		back, err := bundle.DecodeIntent(raw)
		if err != nil || back != intent {
			t.Fatalf("%+v came back as %+v: %v", intent, back, err)
		}
	})
	for _, units := range []money.U128{{Lo: 1}, {Lo: 255}, {Lo: 256}, {Lo: math.MaxInt64}, {Lo: math.MaxUint64}, {Hi: 1}, {Hi: math.MaxUint64, Lo: math.MaxUint64}} {
		intent := exampleIntent()
		intent.Amount = money.New(money.BTC, units)
		back, err := bundle.DecodeIntent(intentBytes(t, intent))
		if err != nil || back.Amount.Units() != units {
			t.Errorf("%s came back as %s: %v", intent.Amount, back.Amount, err)
		}
	}
}

func TestIntentsThatNoRuleUnderstandsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*spend.Intent){
		"no network":      func(i *spend.Intent) { i.Network = "" },
		"another chain":   func(i *spend.Intent) { i.Network = "litecoin:mainnet" },
		"another purpose": func(i *spend.Intent) { i.Purpose = "withdrawal" },
		"serial zero":     func(i *spend.Intent) { i.Serial = 0 },
		"no issuer":       func(i *spend.Intent) { i.Issuer = "" },
		"no proposer":     func(i *spend.Intent) { i.Proposer = "" },
		"upper case":      func(i *spend.Intent) { i.Proposer = "Alice" },
		"from nothing":    func(i *spend.Intent) { i.From = spend.WalletID{} },
		"to nothing":      func(i *spend.Intent) { i.To = spend.WalletID{} },
		"hardened index":  func(i *spend.Intent) { i.ToIndex = 1 << 31 },
		"nothing":         func(i *spend.Intent) { i.Amount = money.Sats(0) },
		"no asset":        func(i *spend.Intent) { i.Amount = money.Amount{} },
		"another asset": func(i *spend.Intent) {
			i.Amount = money.New(money.Asset{Symbol: "ETH", Decimals: 18}, money.U128{Lo: 1})
		},
		"false decimals": func(i *spend.Intent) {
			i.Amount = money.New(money.Asset{Symbol: "BTC", Decimals: 9}, money.U128{Lo: 1})
		},
		"never made":       func(i *spend.Intent) { i.CreatedAt = 0 },
		"made before 1970": func(i *spend.Intent) { i.CreatedAt = -5; i.ExpiresAt = 5 },
		"no life":          func(i *spend.Intent) { i.ExpiresAt = i.CreatedAt },
		"life wraps":       func(i *spend.Intent) { i.CreatedAt = math.MinInt64; i.ExpiresAt = math.MaxInt64 },
		"after year 9999":  func(i *spend.Intent) { i.CreatedAt = math.MaxInt64 - 5; i.ExpiresAt = math.MaxInt64 },
	} {
		intent := exampleIntent()
		change(&intent)
		if raw, err := bundle.EncodeIntent(intent); err == nil {
			t.Errorf("%s: encoded as %x", name, raw)
		} else if r := (*spend.Refusal)(nil); !errors.As(err, &r) || r.Code != "intent-invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A wallet that pays itself merges its coins: policy and review know that nothing leaves.
func TestAWalletMayPayItself(t *testing.T) {
	intent := exampleIntent()
	intent.To = intent.From
	back, err := bundle.DecodeIntent(intentBytes(t, intent))
	if err != nil || back != intent {
		t.Errorf("a consolidation came back as %+v, %v", back, err)
	}
}

// Every other way to write the same intent in CBOR. People approve bytes, so one intent has one spelling.
func TestOtherSpellingsOfAnIntentAreRefused(t *testing.T) {
	good := intentBytes(t, exampleIntent())
	fields := fieldsOf(t, good)
	rebuilt := func(change func([][]byte) [][]byte) []byte {
		list := change(slices.Clone(fields))
		return append([]byte{0xa0 | byte(len(list))}, bytes.Join(list, nil)...)
	}
	if !bytes.Equal(rebuilt(func(f [][]byte) [][]byte { return f }), good) {
		t.Fatal("the test takes intents apart wrongly")
	}
	at := func(key byte, value ...byte) func([][]byte) [][]byte {
		return func(f [][]byte) [][]byte { f[key-1] = append([]byte{key}, value...); return f }
	}
	indefinite := append(append([]byte{0xbf}, good[1:]...), 0xff)
	for name, raw := range map[string][]byte{
		"duplicate key":        rebuilt(func(f [][]byte) [][]byte { return append(f, f[2]) }),
		"unknown key":          rebuilt(func(f [][]byte) [][]byte { return append(f, []byte{14, 0}) }),
		"text key":             rebuilt(func(f [][]byte) [][]byte { return append(f, []byte{0x61, 'a', 0}) }),
		"missing key":          rebuilt(func(f [][]byte) [][]byte { return f[1:] }),
		"missing last key":     rebuilt(func(f [][]byte) [][]byte { return f[:11] }),
		"other order":          rebuilt(func(f [][]byte) [][]byte { f[0], f[1] = f[1], f[0]; return f }),
		"longer integer":       rebuilt(at(7, 0x18, 7)),
		"much longer integer":  rebuilt(at(3, 0x1b, 0, 0, 0, 0, 0, 0, 0, 41)),
		"float for integer":    rebuilt(at(3, 0xf9, 0x51, 0x20)),
		"negative integer":     rebuilt(at(3, 0x20)),
		"bignum":               rebuilt(at(3, 0xc2, 0x41, 41)),
		"tagged integer":       rebuilt(at(3, 0xc1, 0x18, 41)),
		"null":                 rebuilt(at(9, 0xf6)),
		"undefined":            rebuilt(at(9, 0xf7)),
		"bool":                 rebuilt(at(3, 0xf5)),
		"text for bytes":       rebuilt(at(9, 0x61, 'J')),
		"bytes for text":       rebuilt(at(8, 0x43, 'B', 'T', 'C')),
		"array for bytes":      rebuilt(at(9, 0x81, 0x01)),
		"indefinite text":      rebuilt(at(8, 0x7f, 0x63, 'B', 'T', 'C', 0xff)),
		"invalid utf-8":        rebuilt(at(8, 0x63, 'B', 0xff, 'C')),
		"empty amount":         rebuilt(at(9, 0x40)),
		"leading zero":         rebuilt(at(9, 0x42, 0, 1)),
		"17-byte amount":       rebuilt(at(9, append([]byte{0x51}, bytes.Repeat([]byte{1}, 17)...)...)),
		"short wallet id":      rebuilt(at(5, append([]byte{0x58, 31}, bytes.Repeat([]byte{0xc0}, 31)...)...)),
		"long wallet id":       rebuilt(at(5, append([]byte{0x58, 33}, bytes.Repeat([]byte{0xc0}, 33)...)...)),
		"index above 32 bits":  rebuilt(at(7, 0x1b, 0, 0, 0, 1, 0, 0, 0, 7)),
		"trailing byte":        append(bytes.Clone(good), 0),
		"second value":         append(bytes.Clone(good), good...),
		"leading tag":          append([]byte{0xd9, 0xd9, 0xf7}, good...),
		"indefinite map":       indefinite,
		"longer map length":    append([]byte{0xb8, 12}, good[1:]...),
		"array":                {0x80},
		"nothing":              nil,
		"deep nesting":         bytes.Repeat([]byte{0x81}, 500),
		"huge claimed array":   {0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"huge claimed bytes":   {0xa1, 0x09, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"huge claimed map":     {0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"padding in long name": rebuilt(at(4, append([]byte{0x6c}, "exchanged-1\x00"...)...)),
	} {
		if intent, err := bundle.DecodeIntent(raw); err == nil {
			t.Errorf("%s was read as %+v", name, intent)
		} else if r := (*spend.Refusal)(nil); !errors.As(err, &r) || !strings.HasPrefix(r.Code, "intent-") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fieldsOf cuts an encoded intent into its twelve key-value pairs, by hand: every item in it has a one-byte head, a
// 0x58 length, or a 0x18/0x19/0x1a integer.
func fieldsOf(t *testing.T, raw []byte) [][]byte {
	t.Helper()
	var out [][]byte
	for rest := raw[1:]; len(rest) > 0; {
		n := 1 + itemLength(rest[1:])
		out, rest = append(out, rest[:n:n]), rest[n:]
	}
	if len(out) != 12 {
		t.Fatalf("an intent of %d fields", len(out))
	}
	return out
}

func itemLength(raw []byte) int {
	major, info := raw[0]>>5, int(raw[0]&31)
	switch {
	case major == 0 && info >= 24:
		return 1 + 1<<(info-24)
	case major == 0:
		return 1
	case info == 24:
		return 2 + int(raw[1])
	}
	return 1 + info
}

func TestTheLongestIntentFits(t *testing.T) {
	intent := exampleIntent()
	intent.Network, intent.Serial, intent.ToIndex = spend.BitcoinMainnet, math.MaxUint64, 1<<31-1
	intent.Issuer, intent.Proposer = strings.Repeat("i", 32), strings.Repeat("p", 32)
	intent.Amount = money.New(money.BTC, money.U128{Hi: math.MaxUint64, Lo: math.MaxUint64})
	intent.ExpiresAt = 253402300799
	intent.CreatedAt = intent.ExpiresAt - 1
	raw := intentBytes(t, intent)
	if back, err := bundle.DecodeIntent(raw); err != nil || back != intent {
		t.Errorf("%d bytes: %v", len(raw), err)
	}
	t.Logf("the longest intent has %d bytes", len(raw))
}

// Attack 120: any bytes are read without a panic, and what is accepted encodes to the same bytes.
func FuzzDecodeIntent(f *testing.F) {
	f.Add(intentBytes(f, exampleIntent()))
	f.Add([]byte{0xa0})
	f.Add([]byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		intent, err := bundle.DecodeIntent(raw)
		if err != nil {
			var r *spend.Refusal
			if !errors.As(err, &r) {
				t.Errorf("%v is not a refusal", err)
			}
			return
		}
		if again, err := bundle.EncodeIntent(intent); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%x encodes again to %x: %v", raw, again, err)
		}
	})
}

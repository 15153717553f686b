package bitcoin_test

import (
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
)

// A proprietary key says whose it is: an identifier with its length, then a subtype (BIP174). One without them is read
// in two ways by two programs.
func TestProprietaryKeysNameTheirOwner(t *testing.T) {
	good := newWorld(t).packet(t).Bytes()
	for m := range open(t, good).maps {
		for name, key := range map[string]string{
			"nothing": "\xfc", "a length alone": "\xfc\x04", "half an identifier": "\xfc\x04tes", "no subtype": "\xfc\x04test",
			"half a subtype": "\xfc\x04test\xfd\x01", "a subtype in three bytes": "\xfc\x04test\xfd\x01\x00", "a length in three bytes": "\xfc\xfd\x04\x00test\x00",
			"an identifier of 16 EB": "\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		} {
			d := open(t, good)
			set(&d.maps[m], []byte(key), []byte("value"))
			refusesToRead(t, name, d.bytes(), "psbt-key-length")
		}
		d := open(t, good)
		for _, key := range []string{"\xfc\x04test\x00", "\xfc\x04test\x01more", "\xfc\x00\x00", "\xfc\x04test\xfd\x00\x01more"} {
			set(&d.maps[m], []byte(key), []byte("value"))
		}
		_, err := bitcoin.Read(d.bytes())
		must(t, err)
	}
}

// A packet of BIP322 asks for a signature of a message, and a signer that took it for a payment would show a payment.
func TestAttack019MessagesOfBIP322AreNoPayments(t *testing.T) {
	w := newWorld(t)
	w.refusesEach(t, []change{
		{"a message", "field-foreign@global map", func(d *draft) { set(&d.maps[0], []byte{9}, []byte("I own these coins")) }},
		{"an empty message", "field-foreign@global map", func(d *draft) { set(&d.maps[0], []byte{9}, nil) }},
	})
	d := open(t, w.packet(t).Bytes())
	set(&d.maps[0], []byte("\x09key"), []byte("I own these coins"))
	refusesToRead(t, "a message with key data", d.bytes(), "psbt-key-length")
}

// Fields of BIP375 and BIP376 (silent payments) and BIP353 (names in the DNS) have the lengths that these give them, and
// ask for other things than a signature of this wallet.
func TestAttack019FieldsOfLaterBIPs(t *testing.T) {
	w := newWorld(t)
	key := "\x02" + strings.Repeat("k", 32)
	for name, c := range map[string]struct{ where, key, value string }{
		"share of a silent payment":      {"input", "\x1d" + key, key},
		"proof of a silent payment":      {"input", "\x1e" + key, strings.Repeat("p", 64)},
		"path of a silent payment key":   {"input", "\x1f" + key, "fingpath"},
		"tweak of a silent payment coin": {"input", "\x20", strings.Repeat("t", 32)},
		"proof of a name":                {"output", "\x35", "\x05alice" + "proof"},
	} {
		place := func(d *draft) *[]pair {
			if c.where == "output" {
				return d.output(0)
			}
			return d.input(0)
		}
		w.refusesEach(t, []change{{name, "field-foreign", func(d *draft) { set(place(d), []byte(c.key), []byte(c.value)) }}})
		d := open(t, w.packet(t).Bytes())
		set(place(d), []byte(c.key+"k"), []byte(c.value))
		refusesToRead(t, name+" under a longer key", d.bytes(), "psbt-key-length")
		d = open(t, w.packet(t).Bytes())
		set(place(d), []byte(c.key), []byte(c.value[:min(5, len(c.value))]))
		refusesToRead(t, name+" cut short", d.bytes(), "psbt-value")
	}
}

package bundle

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

const (
	intentMax = 512          // bytes; with the longest names an intent has 259
	nameMax   = 32           // characters of a person's or an issuer's name
	indexMax  = 1<<31 - 1    // the last unhardened index (BIP32)
	yearMax   = 253402300799 // 9999-12-31T23:59:59Z, the last second that RFC 3339 can write
	unitsMax  = 16           // bytes of a 128-bit amount
)

type intentWire struct {
	Network   string   `cbor:"1,keyasint"`
	Purpose   string   `cbor:"2,keyasint"`
	Serial    uint64   `cbor:"3,keyasint"`
	Issuer    string   `cbor:"4,keyasint"`
	From      [32]byte `cbor:"5,keyasint"`
	To        [32]byte `cbor:"6,keyasint"`
	ToIndex   uint32   `cbor:"7,keyasint"`
	Asset     string   `cbor:"8,keyasint"`
	Amount    []byte   `cbor:"9,keyasint"` // big-endian, no leading zero
	Proposer  string   `cbor:"10,keyasint"`
	CreatedAt int64    `cbor:"11,keyasint"`
	ExpiresAt int64    `cbor:"12,keyasint"`
	Entry     string   `cbor:"13,keyasint,omitempty"`
}

// IsName reports whether text may name a person or an issuer: [a-z0-9][a-z0-9._-]{0,31}. One spelling for the eye is
// one spelling in bytes: there is no upper case, no space and nothing outside ASCII.
func IsName(text string) bool {
	for i := range len(text) {
		c := text[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return text != "" && len(text) <= nameMax
}

// EncodeIntent returns the bytes that people approve.
func EncodeIntent(i spend.Intent) ([]byte, error) {
	w := intentWire{Network: string(i.Network), Purpose: string(i.Purpose), Serial: i.Serial, Issuer: i.Issuer, From: i.From, To: i.To,
		ToIndex: i.ToIndex, Asset: i.Amount.Asset().Symbol, Amount: bigEndian(i.Amount.Units()), Proposer: i.Proposer,
		CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt, Entry: i.Entry}
	back, err := w.intent()
	if err != nil {
		return nil, err
	}
	if back != i { // e.g. an asset that has BTC's symbol and other decimals
		return nil, badIntent("amount %s, which does not survive encoding", i.Amount)
	}
	return encode(w)
}

// DecodeIntent reads an intent. It accepts exactly what EncodeIntent writes.
func DecodeIntent(raw []byte) (spend.Intent, error) {
	if len(raw) > intentMax {
		return spend.Intent{}, tooLarge("intent", len(raw), intentMax)
	}
	var w intentWire
	if err := decode("intent", raw, &w); err != nil {
		return spend.Intent{}, err
	}
	return w.intent()
}

// intent checks every field. An intent that names an unknown network, purpose or asset is refused here, because no
// rule further up would know what it means.
func (w intentWire) intent() (spend.Intent, error) {
	network := spend.Network(w.Network)
	life := w.ExpiresAt - w.CreatedAt
	switch {
	case network != spend.BitcoinMainnet && !network.IsTest():
		return spend.Intent{}, badIntent("network %.32q, which this version does not know", w.Network)
	case spend.Purpose(w.Purpose) != spend.TopUp && spend.Purpose(w.Purpose) != spend.Payment:
		return spend.Intent{}, badIntent("purpose %.32q, which this version does not know", w.Purpose)
	case w.Asset != money.BTC.Symbol:
		return spend.Intent{}, badIntent("asset %.16q on %s", w.Asset, w.Network)
	case w.Serial == 0:
		return spend.Intent{}, badIntent("serial 0; the first is 1")
	case !IsName(w.Issuer) || !IsName(w.Proposer):
		return spend.Intent{}, badIntent("issuer %.32q or proposer %.32q, which is not a name", w.Issuer, w.Proposer)
	case w.From == [32]byte{}:
		return spend.Intent{}, badIntent("no wallet that pays")
	case !w.oneDestination(): // the same wallet twice is a consolidation
		return spend.Intent{}, badIntent("wallet %s at index %d and entry %.40q as the destination of a %s", spend.WalletID(w.To).Short(), w.ToIndex, w.Entry, w.Purpose)
	case w.ToIndex > indexMax:
		return spend.Intent{}, badIntent("index %d, which is hardened", w.ToIndex)
	case len(w.Amount) == 0 || len(w.Amount) > unitsMax || w.Amount[0] == 0:
		return spend.Intent{}, badIntent("an amount of %d bytes; it is above zero and has no leading zero", len(w.Amount))
	case w.CreatedAt <= 0 || w.ExpiresAt > yearMax || life <= 0:
		return spend.Intent{}, badIntent("a life from %s to %s", utc(w.CreatedAt), utc(w.ExpiresAt))
	case life > int64(LifetimeMax/time.Second):
		return spend.Intent{}, spend.Distrust("bundle-lifetime", "intent", "at most "+LifetimeMax.String(),
			(time.Duration(life) * time.Second).String(), "propose again with a shorter life")
	}
	return spend.Intent{Network: network, Purpose: spend.Purpose(w.Purpose), Serial: w.Serial, Issuer: w.Issuer, From: w.From, To: w.To,
		ToIndex: w.ToIndex, Entry: w.Entry, Amount: money.New(money.BTC, units(w.Amount)), Proposer: w.Proposer,
		CreatedAt: w.CreatedAt, ExpiresAt: w.ExpiresAt}, nil
}

// oneDestination reports whether the intent names the one destination that its purpose has: a wallet for a top-up, an
// entry of the address book for a payment, and never both.
func (w intentWire) oneDestination() bool {
	if spend.Purpose(w.Purpose) == spend.Payment {
		return w.To == [32]byte{} && w.ToIndex == 0 && IsName(w.Entry)
	}
	return w.To != [32]byte{} && w.Entry == ""
}

func bigEndian(v money.U128) []byte {
	full := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, v.Hi), v.Lo)
	zeros := bits.LeadingZeros64(v.Hi)
	if v.Hi == 0 {
		zeros = 64 + bits.LeadingZeros64(v.Lo)
	}
	return full[zeros/8:]
}

func units(raw []byte) money.U128 {
	var full [unitsMax]byte
	copy(full[unitsMax-len(raw):], raw)
	return money.U128{Hi: binary.BigEndian.Uint64(full[:8]), Lo: binary.BigEndian.Uint64(full[8:])}
}

func badIntent(format string, args ...any) *spend.Refusal {
	return &spend.Refusal{Kind: spend.Unreadable, Code: "intent-invalid", Where: "intent", Expected: "the values that docs/formats.md gives an intent",
		Found: fmt.Sprintf(format, args...),
		Fix:   "propose again with a warmctl of this version"}
}

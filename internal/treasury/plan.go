package treasury

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
)

// Plan says what a bundle asks of signers and of a QR session: before it is built, about; of a sealed one, exactly. It is
// stored as JSON with the intent and with the bundle.
type Plan struct {
	Amount       int64 `json:"amount"` // satoshi that arrive
	Fee          int64 `json:"fee"`
	FeeRate      int64 `json:"fee_rate"` // satoshi per 1000 vB
	Change       int64 `json:"change"`
	VirtualBytes int64 `json:"virtual_bytes"`
	Inputs       int   `json:"inputs"`
	PayloadBytes int   `json:"payload_bytes"` // the PSBT without previous transactions
	BundleBytes  int   `json:"bundle_bytes"`  // what crosses the gap, approvals and previous transactions with it
	Frames       int   `json:"frames"`        // of a QR series; 0: too many for one
	Bundles      int   `json:"bundles"`       // that it takes in all, this one with them

	Address string  `json:"address,omitempty"` // of a payment: that the entry had
	Child   *Lifted `json:"child,omitempty"`   // of a child: what it pays for
}

// Lifted says what a child does for a stuck transaction. Rates are in satoshi per 1000 vB.
type Lifted struct {
	Parent       string `json:"parent"`       // txid
	Transactions int    `json:"transactions"` // that no block has: the parent and its ancestors
	VirtualBytes int64  `json:"virtual_bytes"`
	Fee          int64  `json:"fee"`          // that they pay themselves
	RateAlone    int64  `json:"rate_alone"`   // that miners see without a child
	PackageRate  int64  `json:"package_rate"` // with it
	HighestRate  int64  `json:"highest_rate"` // that the limits allow
	HighestBy    string `json:"highest_by"`   // the limit that binds
	CapsKnown    bool   `json:"caps_known"`   // the daemon has a copy of the signers' policy
}

// FramesPerSecond is how fast a series is shown when nobody changes it.
const FramesPerSecond = 5

// Seconds is how long a QR series takes when no frame is missed.
func (p Plan) Seconds() int { return (p.Frames + FramesPerSecond - 1) / FramesPerSecond }

// What stands in a bundle beside payload and proofs, in bytes, when nobody has approved it yet: an armoured signature of
// the longest usual kind has about 500, and the intent, the seal and the frames between them about 900.
const (
	approvalBytes = 512
	bundleRest    = 1024
)

// planOf measures a packet that was built and is not sealed.
func (t *Treasury) planOf(packet *bitcoin.Packet, made bitcoin.Plan, amount, rate int64) Plan {
	stripped, proofs := packet.Strip()
	// Signatures do not compress. A stream of hashes does not either, and is the same for the same payload.
	rest := filler(stripped, bundleRest+t.rules.Need*approvalBytes)
	raw := slices.Concat(stripped, bytes.Join(proofs, nil), rest)
	return Plan{Amount: amount, Fee: made.Fee, FeeRate: rate, Change: made.Change, VirtualBytes: made.VirtualBytes, Inputs: len(made.Inputs),
		PayloadBytes: len(stripped), BundleBytes: len(raw), Frames: framesOf(raw), Bundles: 1}
}

func filler(seed []byte, n int) []byte {
	out, digest := make([]byte, 0, n+sha256.Size), sha256.Sum256(seed)
	for len(out) < n {
		out = append(out, digest[:]...)
		digest = sha256.Sum256(digest[:])
	}
	return out[:n]
}

// framesOf counts the frames of a QR series, 0 when there is none that long.
func framesOf(raw []byte) int {
	texts, err := transport.Frames(transport.CBOR, raw, transport.Options{})
	if err != nil {
		return 0
	}
	return len(texts)
}

// sealedAs corrects a plan by the sealed bytes.
func (p Plan) sealedAs(raw []byte) Plan {
	p.BundleBytes, p.Frames = len(raw), framesOf(raw)
	return p
}

// refuseAbove refuses a bundle that a signer would not read, or that nobody would hold a camera to. Coin selection has
// kept to the cap on inputs already.
func (t *Treasury) refuseAbove(p Plan) error {
	const where, fix = "plan", "merge small coins first: warmctl consolidation propose --wallet NAME; an operator sets the caps under bundle in the configuration"
	if p.BundleBytes > bundle.BundleMax {
		return spend.Refuse("bytes-above-cap", where, fmt.Sprintf("a bundle of at most %d bytes", bundle.BundleMax),
			fmt.Sprintf("about %d bytes for %d inputs", p.BundleBytes, p.Inputs), fix)
	}
	if most := t.rules.FramesMax; most > 0 && (p.Frames == 0 || p.Frames > most) {
		found := fmt.Sprintf("%d frames for %d inputs", p.Frames, p.Inputs)
		if p.Frames == 0 {
			found = fmt.Sprintf("more than %d frames for %d inputs", transport.FramesMax, p.Inputs)
		}
		return spend.Refuse("frames-above-cap", where, fmt.Sprintf("a QR series of at most %d frames", most), found, fix)
	}
	return nil
}

func (p Plan) encode() []byte {
	raw, err := json.Marshal(p)
	if err != nil {
		panic("treasury: " + err.Error()) // integers always encode
	}
	return raw
}

// planIn reads a stored plan; records of an older daemon have none, or a part.
func planIn(raw []byte) (Plan, bool) {
	var p Plan
	err := json.Unmarshal(raw, &p)
	return p, err == nil && p.Fee > 0
}

// FeeAmount is the fee as money.
func (p Plan) FeeAmount() money.Amount { return money.Sats(p.Fee) }

// Package bundle is the sealed envelope that crosses the air gap, the intent inside it, and the answer that comes back.
//
// All three are deterministic CBOR (RFC 8949 section 4.2.1): maps with small integer keys, shortest lengths, no
// indefinite length, no tag, no float. docs/formats.md lists every key. The outermost layer is an array:
//
//	bundle  [ "coldsign-bundle-v1", issuer name, body, seal ]
//	answer  [ "coldsign-answer-v1", wallet id, key position, body, seal ]
//
// where body is a byte string that holds a CBOR map and seal is an armoured SSHSIG over exactly those bytes, in the
// namespace that the first element names. The fields before the body only say which pinned key to check with; the body
// repeats them, and both must agree. So nobody without a pinned key can make a signer parse a body.
//
// Whatever is read is encoded again and must come out as the same bytes: a missing key, a null, a duplicate, a longer
// length than needed, another order, all end there. What may never happen here: a body parsed before its seal is
// verified; a bundle's own field that holds an extended key, a label, a path or free text; a clock of its own.
package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/words"
)

// What a bundle may hold. A PSBT with 500 inputs of a 2-of-3 wallet needs about 200 kB without previous transactions.
const (
	BundleMax    = 4 << 20 // bytes, the whole file
	payloadMax   = 1 << 20
	proofsMax    = 1000
	proofMax     = 1 << 20 // a previous transaction; the largest that nodes relay has 400 kB
	approvalsMax = 16
)

// LifetimeMax is the longest that any intent may live. Policy sets a shorter time per wallet (CheckLifetime).
const LifetimeMax = 7 * 24 * time.Hour

// SkewMax is how far a signer's clock may be behind the issuer's before a bundle counts as made in the future.
const SkewMax = 5 * time.Minute

// PSBT is the payload kind of a Bitcoin bundle.
const PSBT = "psbt"

// Body is what an issuer seals.
type Body struct {
	Intent      []byte // the exact bytes that people approved
	PayloadKind string // PSBT
	Payload     []byte // stripped of previous transactions
	Proofs      [][]byte
	Approvals   [][]byte // armoured signatures over Intent
	Issuer      string
	SealedAt    int64    // Unix seconds, UTC
	Replaces    [32]byte // identity of the first bundle of the line that this one replaces; zero when none

	// Counters are the last receipts of the paying wallet's keys that the issuer has seen, by rising position. They are a
	// claim: a signer whose own ledger knows less was restored from an older copy, and refuses.
	Counters []Counter
}

// Counter is the last receipt of the key at a position of a wallet.
type Counter struct {
	Position int
	Counter  uint64
}

// Opened is a bundle whose seal, issuer, form, approvals' signatures and times were good. It shares no memory with the
// bytes it was opened from.
type Opened struct {
	Body
	Intent spend.Intent // decoded from Body.Intent, which keeps the exact bytes
	ID     [32]byte
	Digest [32]byte // SHA-256 of the sealed bytes as they arrived
}

// Issuers says which key an issuer seals with.
type Issuers interface {
	Issuer(name string) (ssh.PublicKey, bool)
}

// Words returns the twelve words of the identity, the same on every machine.
func (o Opened) Words() string { return words.Line(o.ID) }

// CheckLifetime refuses an intent that was made to live longer than max. The intent itself says how long, so nobody
// can give an old approval a longer life.
func (o Opened) CheckLifetime(max time.Duration) error {
	if life := time.Duration(o.Intent.ExpiresAt-o.Intent.CreatedAt) * time.Second; life > max {
		return spend.Distrust("bundle-lifetime", "intent", "at most "+max.String(), life.String(),
			"propose again with a shorter life, and have it approved again")
	}
	return nil
}

// ID is the identity of a bundle: what was asked, and the bytes that are to do it. Proofs, approvals and seal are not
// in it, so that a bundle with one more approval is still the same bundle.
func ID(intent, payload []byte) [32]byte {
	tag, body := sha256.Sum256([]byte("coldsign/bundle-id/v1")), sha256.Sum256(payload)
	h := sha256.New()
	h.Write(tag[:])
	h.Write(tag[:])
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(intent))))
	h.Write(intent)
	h.Write(body[:])
	return [32]byte(h.Sum(nil))
}

type envelope struct {
	_      struct{} `cbor:",toarray"`
	Tag    string
	Issuer string
	Body   []byte
	Seal   []byte
}

type bodyWire struct {
	Issuer      string   `cbor:"1,keyasint"`
	SealedAt    int64    `cbor:"2,keyasint"`
	Intent      []byte   `cbor:"3,keyasint"`
	PayloadKind string   `cbor:"4,keyasint"`
	Payload     []byte   `cbor:"5,keyasint"`
	Proofs      [][]byte `cbor:"6,keyasint"`
	Approvals   [][]byte `cbor:"7,keyasint"`
	Replaces    []byte   `cbor:"8,keyasint,omitempty"`

	Counters []counterWire `cbor:"9,keyasint,omitempty"`
}

type counterWire struct {
	_        struct{} `cbor:",toarray"`
	Position uint8
	Counter  uint64
}

// Seal encodes and seals a body. It checks form and times as Open does, but not the approvals: whoever seals is not
// believed about them.
func Seal(b Body, issuer ssh.Signer, rand io.Reader) ([]byte, error) {
	w := bodyWire{Issuer: b.Issuer, SealedAt: b.SealedAt, Intent: b.Intent, PayloadKind: b.PayloadKind, Payload: b.Payload,
		Proofs: b.Proofs, Approvals: b.Approvals}
	if b.Replaces != [32]byte{} {
		w.Replaces = b.Replaces[:]
	}
	for _, c := range b.Counters {
		if c.Position < 0 || c.Position > positionMax {
			return nil, malformed("bundle-malformed", "bundle", "a counter of key position %d; a wallet has at most %d keys", c.Position, positionMax+1)
		}
		w.Counters = append(w.Counters, counterWire{Position: uint8(c.Position), Counter: c.Counter})
	}
	if err := w.check(); err != nil {
		return nil, err
	}
	intent, err := DecodeIntent(b.Intent)
	if err != nil {
		return nil, err
	}
	if err := checkIssuerAndSealing(b, intent); err != nil {
		return nil, err
	}
	body, err := encode(w)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	sealed, err := seal.Sign(issuer, seal.Bundle, body, rand)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	raw, err := encode(envelope{Tag: string(seal.Bundle), Issuer: b.Issuer, Body: body, Seal: sealed})
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if len(raw) > BundleMax {
		return nil, tooLarge("bundle", len(raw), BundleMax)
	}
	return raw, nil
}

// Open verifies the seal over the exact bytes with the issuer's pinned key, and only then reads them; it verifies every
// approval over the exact bytes of the intent, and only then reads the intent. Whose the approvals are is for the
// roster to say.
func Open(raw []byte, issuers Issuers, now time.Time) (Opened, error) {
	digest := sha256.Sum256(raw)
	e, err := openEnvelope(raw, issuers) // it has copies: what the caller does to its buffer afterwards changes nothing here
	if err != nil {
		return Opened{}, err
	}
	var w bodyWire
	if err := decodeLast("bundle", &e.Body, &w); err != nil {
		return Opened{}, err
	}
	if err := w.check(); err != nil {
		return Opened{}, err
	}
	b := w.body()
	if b.Issuer != e.Issuer {
		return Opened{}, spend.Distrust("issuer-mismatch", "bundle", "issuer "+e.Issuer+" inside as outside", "issuer "+b.Issuer,
			"do not use the bundle; have it exported again: warmctl bundle export ID")
	}
	for i, approval := range b.Approvals {
		if _, _, err := seal.Verify(approval, b.Intent, seal.Approve); err != nil {
			return Opened{}, invalidApproval(i, err)
		}
	}
	intent, err := DecodeIntent(b.Intent)
	if err != nil {
		return Opened{}, err
	}
	if err := errors.Join(checkIssuerAndSealing(b, intent), checkTimes(b, intent, now)); err != nil {
		return Opened{}, err
	}
	return Opened{Body: b, Intent: intent, ID: ID(b.Intent, b.Payload), Digest: digest}, nil
}

// openEnvelope reads the outermost array and verifies the seal. Nothing inside the body has been looked at when it
// returns.
func openEnvelope(raw []byte, issuers Issuers) (envelope, error) {
	if err := checkOutside("bundle", raw, string(seal.Bundle), BundleMax); err != nil {
		return envelope{}, err
	}
	var e envelope
	if err := decode("bundle", raw, &e); err != nil {
		return envelope{}, err
	}
	if !IsName(e.Issuer) {
		return envelope{}, malformed("bundle-malformed", "bundle", "an issuer whose name is not a name")
	}
	pinned, known := issuers.Issuer(e.Issuer)
	if !known || pinned == nil {
		return envelope{}, spend.Distrust("issuer-unknown", "bundle", "an issuer in the trust file", e.Issuer,
			"if the issuer is genuine, a keyholder pins its file: coldsign trust add FILE")
	}
	key, _, err := seal.Verify(e.Seal, e.Body, seal.Bundle)
	if err != nil {
		return envelope{}, err
	}
	if !seal.Same(key, pinned) {
		return envelope{}, spend.Distrust("issuer-key", "bundle", e.Issuer+" with key "+seal.Fingerprint(pinned),
			"key "+seal.Fingerprint(key), "a changed key must be pinned in person; until then treat the bundle as forged")
	}
	return e, nil
}

func (w bodyWire) body() Body {
	b := Body{Intent: w.Intent, PayloadKind: w.PayloadKind, Payload: w.Payload, Proofs: w.Proofs, Approvals: w.Approvals,
		Issuer: w.Issuer, SealedAt: w.SealedAt}
	copy(b.Replaces[:], w.Replaces)
	for _, c := range w.Counters {
		b.Counters = append(b.Counters, Counter{Position: int(c.Position), Counter: c.Counter})
	}
	return b
}

// check holds every rule about the form of a body that CBOR itself does not hold.
func (w bodyWire) check() error {
	bad := func(format string, args ...any) error {
		return malformed("bundle-malformed", "bundle", format, args...)
	}
	switch {
	case !IsName(w.Issuer):
		return bad("an issuer whose name is not a name")
	case w.PayloadKind != PSBT:
		return malformed("bundle-payload-kind", "bundle", "payload kind %.16q; this version knows %q", w.PayloadKind, PSBT)
	case len(w.Payload) == 0 || len(w.Payload) > payloadMax:
		return bad("a payload of %d bytes; it has 1 to %d", len(w.Payload), payloadMax)
	case len(w.Proofs) > proofsMax:
		return bad("%d proofs; at most %d", len(w.Proofs), proofsMax)
	case len(w.Approvals) > approvalsMax:
		return bad("%d approvals; at most %d", len(w.Approvals), approvalsMax)
	case w.Replaces != nil && (len(w.Replaces) != 32 || [32]byte(w.Replaces) == [32]byte{}):
		return bad("a replaced identity that is none")
	}
	for i, c := range w.Counters {
		if c.Position > positionMax || c.Counter == 0 || i > 0 && c.Position <= w.Counters[i-1].Position {
			return bad("counter %d of key position %d; positions rise, up to %d, and a counter is above zero", c.Counter, c.Position, positionMax)
		}
	}
	for i, proof := range w.Proofs {
		if len(proof) == 0 || len(proof) > proofMax {
			return bad("proof %d of %d bytes; it has 1 to %d", i, len(proof), proofMax)
		}
	}
	for i, approval := range w.Approvals {
		if len(approval) == 0 || len(approval) > seal.ArmoredMax {
			return bad("approval %d of %d bytes; it has 1 to %d", i, len(approval), seal.ArmoredMax)
		}
	}
	return nil
}

// checkIssuerAndSealing compares what the issuer says with what people approved.
func checkIssuerAndSealing(b Body, intent spend.Intent) error {
	if intent.Issuer != b.Issuer {
		return spend.Distrust("issuer-mismatch", "intent", "issuer "+b.Issuer+" of the bundle", "issuer "+intent.Issuer,
			"an intent is sealed by the issuer it names")
	}
	if b.SealedAt < intent.CreatedAt-int64(SkewMax/time.Second) || b.SealedAt >= intent.ExpiresAt {
		return spend.Distrust("bundle-sealed-outside", "bundle", "sealed between "+utc(intent.CreatedAt)+" and "+utc(intent.ExpiresAt),
			"sealed at "+utc(b.SealedAt), "propose again, and have it approved again")
	}
	return nil
}

func checkTimes(b Body, intent spend.Intent, now time.Time) error {
	at, ahead := now.Unix(), now.Add(SkewMax).Unix()
	if at >= intent.ExpiresAt {
		return spend.Distrust("bundle-expired", "intent", "a time before "+utc(intent.ExpiresAt), utc(at),
			"propose again, and have it approved again; if the time is wrong, set this machine's clock")
	}
	if latest := max(intent.CreatedAt, b.SealedAt); ahead < latest {
		return spend.Distrust("bundle-not-yet-valid", "bundle", "a time after "+utc(latest), utc(at),
			"set this machine's clock (UTC), or ask the issuer about its own")
	}
	return nil
}

func invalidApproval(i int, err error) error {
	return spend.Distrust("approval-invalid", fmt.Sprintf("approval %d", i), "a signature over these intent bytes", err.Error(),
		"ask for the approval again; if the intent was changed, everybody approves again")
}

// utc writes a Unix time as people read it. Times outside four-digit years print as numbers.
func utc(unix int64) string {
	if unix < 0 || unix > yearMax {
		return fmt.Sprintf("%d s", unix)
	}
	return time.Unix(unix, 0).UTC().Format(time.RFC3339)
}

package bundle

import (
	"bytes"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// What an answer may hold. A signature with its key and frame is below 120 bytes.
const (
	AnswerMax     = signaturesMax*120 + 4096 // bytes, the whole file
	signaturesMax = 1000                     // inputs of one transaction; 400,000 weight units hold fewer
	positionMax   = 14                       // a wallet has at most 15 keys
	refusalMax    = 48
	signatureMin  = 9 // bytes; the shortest DER, two one-byte integers, and the sighash byte
	signatureMax  = 73
)

// Answer is what a signer gives back: signatures, or a refusal, under the seal of its receipt key. It has a fixed
// schema and no place for text, so that nothing else can leave an air-gapped machine in it.
type Answer struct {
	Bundle     [32]byte // identity of the bundle
	Wallet     spend.WalletID
	Position   int    // of the key in the wallet
	Counter    uint64 // of the signer's own ledger
	Policy     [32]byte
	Refusal    string // code, empty when signed
	Signatures []AnswerSignature
}

// AnswerSignature is the signature of one input, DER and the sighash byte.
type AnswerSignature struct {
	Input     uint32
	PubKey    [33]byte
	Signature []byte
}

type answerEnvelope struct {
	_        struct{} `cbor:",toarray"`
	Tag      string
	Wallet   [32]byte
	Position uint8
	Body     []byte
	Seal     []byte
}

type answerWire struct {
	Bundle     [32]byte        `cbor:"1,keyasint"`
	Wallet     [32]byte        `cbor:"2,keyasint"`
	Position   uint8           `cbor:"3,keyasint"`
	Counter    uint64          `cbor:"4,keyasint"`
	Policy     [32]byte        `cbor:"5,keyasint"`
	Refusal    string          `cbor:"6,keyasint"`
	Signatures []signatureWire `cbor:"7,keyasint"`
}

type signatureWire struct {
	_         struct{} `cbor:",toarray"`
	Input     uint32
	PubKey    [33]byte
	Signature []byte
}

// SealAnswer encodes an answer and seals it with the receipt key of the signer.
func SealAnswer(a Answer, receipt ssh.Signer, rand io.Reader) ([]byte, error) {
	if a.Position < 0 || a.Position > positionMax {
		return nil, badAnswer("key position %d; a wallet has at most %d keys", a.Position, positionMax+1)
	}
	w := answerWire{Bundle: a.Bundle, Wallet: a.Wallet, Position: uint8(a.Position), Counter: a.Counter, Policy: a.Policy, Refusal: a.Refusal}
	for _, s := range a.Signatures {
		w.Signatures = append(w.Signatures, signatureWire{Input: s.Input, PubKey: s.PubKey, Signature: s.Signature})
	}
	if err := w.check(); err != nil {
		return nil, err
	}
	body, err := encode(w)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	sealed, err := seal.Sign(receipt, seal.Answer, body, rand)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return encode(answerEnvelope{Tag: string(seal.Answer), Wallet: w.Wallet, Position: w.Position, Body: body, Seal: sealed})
}

// OpenAnswer verifies the seal with the receipt key pinned for the wallet and position that the answer names, and only
// then reads it. That the answer belongs to a bundle the caller sent is for the caller to check.
func OpenAnswer(raw []byte, receipts func(wallet spend.WalletID, position int) (ssh.PublicKey, bool)) (Answer, error) {
	raw = bytes.Clone(raw)
	if err := checkOutside("answer", raw, string(seal.Answer), AnswerMax); err != nil {
		return Answer{}, err
	}
	var e answerEnvelope
	if err := decode("answer", raw, &e); err != nil {
		return Answer{}, err
	}
	if e.Position > positionMax {
		return Answer{}, badAnswer("key position %d; a wallet has at most %d keys", e.Position, positionMax+1)
	}
	where := fmt.Sprintf("key %d of wallet %s", e.Position, spend.WalletID(e.Wallet).Short())
	pinned, known := receipts(e.Wallet, int(e.Position))
	if !known || pinned == nil {
		return Answer{}, spend.Distrust("answer-signer-unknown", "answer", "a signer of a pinned wallet", where,
			"pin the wallet whose keys signed, or bring the answer to the daemon that sealed the bundle")
	}
	key, _, err := seal.Verify(e.Seal, e.Body, seal.Answer)
	if err != nil {
		return Answer{}, err
	}
	if !seal.Same(key, pinned) {
		return Answer{}, spend.Distrust("answer-key", "answer", where+" with receipt key "+seal.Fingerprint(pinned),
			"receipt key "+seal.Fingerprint(key), "do not use the answer; ask the keyholder which machine it came from")
	}
	var w answerWire
	if err := decode("answer", e.Body, &w); err != nil {
		return Answer{}, err
	}
	if w.Wallet != e.Wallet || w.Position != e.Position {
		return Answer{}, spend.Distrust("answer-signer-mismatch", "answer", where+" inside as outside",
			fmt.Sprintf("key %d of wallet %s", w.Position, spend.WalletID(w.Wallet).Short()),
			"do not use the answer; have the keyholder bring it again")
	}
	if err := w.check(); err != nil {
		return Answer{}, err
	}
	return w.answer(), nil
}

func (w answerWire) answer() Answer {
	a := Answer{Bundle: w.Bundle, Wallet: w.Wallet, Position: int(w.Position), Counter: w.Counter, Policy: w.Policy, Refusal: w.Refusal}
	for _, s := range w.Signatures {
		a.Signatures = append(a.Signatures, AnswerSignature{Input: s.Input, PubKey: s.PubKey, Signature: s.Signature})
	}
	return a
}

// check holds the schema: signatures or a refusal and never both, inputs in rising order, keys and signatures of their
// one size. Whether a signature verifies is for the chain's room to say.
func (w answerWire) check() error {
	switch {
	case w.Position > positionMax:
		return badAnswer("key position %d; a wallet has at most %d keys", w.Position, positionMax+1)
	case w.Refusal != "" && !isCode(w.Refusal):
		return badAnswer("a refusal that is not a code")
	case (w.Refusal == "") == (len(w.Signatures) == 0):
		return badAnswer("%d signatures and refusal %q; an answer has one of the two", len(w.Signatures), w.Refusal)
	case len(w.Signatures) > signaturesMax:
		return badAnswer("%d signatures; at most %d", len(w.Signatures), signaturesMax)
	}
	for i, s := range w.Signatures {
		switch {
		case i > 0 && s.Input <= w.Signatures[i-1].Input:
			return badAnswer("a signature of input %d after one of input %d", s.Input, w.Signatures[i-1].Input)
		case s.PubKey[0] != 2 && s.PubKey[0] != 3:
			return badAnswer("a key for input %d that is not a compressed key", s.Input)
		case len(s.Signature) < signatureMin || len(s.Signature) > signatureMax:
			return badAnswer("a signature of %d bytes for input %d; it has %d to %d", len(s.Signature), s.Input, signatureMin, signatureMax)
		}
	}
	return nil
}

// isCode reports whether text is a refusal code, [a-z0-9-]{1,48}.
func isCode(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return text != "" && len(text) <= refusalMax
}

func badAnswer(format string, args ...any) *spend.Refusal {
	return malformed("answer-malformed", "answer", format, args...)
}

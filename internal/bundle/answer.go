package bundle

import (
	"errors"
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/spend"
)

// Answer is what a signer gives back: signatures and receipt, or a signed refusal.
type Answer struct {
	Bundle     [32]byte
	Wallet     spend.WalletID
	Position   int // of the key in the wallet
	Counter    uint64
	Policy     [32]byte
	Refusal    string // code, empty when signed
	Signatures []AnswerSignature
}

// AnswerSignature is the signature of one input.
type AnswerSignature struct {
	Input     uint32
	PubKey    [33]byte
	Signature []byte
}

// SealAnswer encodes an answer and seals it with the receipt key of the signer.
func SealAnswer(a Answer, receipt ssh.Signer, rand io.Reader) ([]byte, error) {
	return nil, errors.New("bundle: skeleton")
}

// OpenAnswer verifies the seal against the receipt key of the signer it names, and only then reads it.
func OpenAnswer(raw []byte, receipts func(wallet spend.WalletID, position int) (ssh.PublicKey, bool)) (Answer, error) {
	return Answer{}, errors.New("bundle: skeleton")
}

// Kind is what a file or a QR payload looks like before anything in it is trusted.
type Kind int

// The kinds.
const (
	KindUnknown Kind = iota
	KindBundle
	KindAnswer
	KindPSBT
	KindBase64PSBT
)

// Sniff tells kinds apart by their first bytes.
func Sniff(raw []byte) Kind { return KindUnknown }

package bitcoin

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Task is one digest for one key to sign.
type Task struct {
	Input  int
	Branch wallet.Branch
	Index  uint32
	PubKey [33]byte
	Y      [32]byte // of PubKey, or zeros; whoever uses it checks it against PubKey
	Digest [32]byte
}

// Signature is what a key answers for one input.
type Signature struct {
	Input     uint32
	PubKey    [33]byte
	Signature []byte // strict DER, low S, and the sighash byte 0x01
}

const fixSigner = "let that signer sign again; if it repeats, stop using the device and keep the answer as evidence"

// fixNonce never says to sign again: each further signature would give away more.
const fixNonce = "sign nothing more with this key, and move the coins of its wallet to a new one: its private key may be known"

func distrust(code, where, expected, found string) error {
	return spend.Distrust(code, where, expected, found, fixSigner)
}

// checker verifies signatures.
type checker struct {
	curve         *curve
	countersigned bool // btcec has verified them already
}

// check verifies one signature: encoding, low S, type ALL, and the curve equation by two implementations.
func (k checker) check(digest [32]byte, key [33]byte, signature []byte, where string) error {
	return k.checkTask(Task{PubKey: key, Digest: digest}, signature, where)
}

func (k checker) checkTask(t Task, signature []byte, where string) error {
	digest, key := t.Digest, t.PubKey
	if len(signature) == 0 || signature[len(signature)-1] != sighashAll {
		return distrust("sighash-not-all", where, "01 (ALL)", fmt.Sprintf("%x", tail(signature)))
	}
	der := signature[:len(signature)-1]
	r, s, err := parseDER(der)
	if err != nil {
		return distrust("signature-encoding", where, "strict DER", err.Error())
	}
	if s.Cmp(k.curve.halfN) > 0 {
		return distrust("signature-high-s", where, "S in the lower half", "the other root, which relay refuses")
	}
	q, ok := pointOf(key, t.Y)
	first, second := k.countersigned || verifyBtcec(digest, key, der), ok && k.curve.verifyFor(q, digest, r, s)
	if first != second {
		return distrust("verifiers-differ", where, "one answer from two verifiers", fmt.Sprintf("btcec %t, ours %t", first, second))
	}
	if !first {
		return distrust("signature-invalid", where, fmt.Sprintf("a signature of %x over %x", key, digest), fmt.Sprintf("%x", der))
	}
	return nil
}

func tail(b []byte) []byte { return b[max(0, len(b)-1):] }

func verifyBtcec(digest [32]byte, key [33]byte, der []byte) bool {
	pub, err := btcec.ParsePubKey(key[:])
	if err != nil {
		return false
	}
	sig, err := ecdsa.ParseDERSignature(der)
	return err == nil && sig.Verify(digest[:], pub)
}

// parseDER reads SEQUENCE { INTEGER r, INTEGER s } with one-byte lengths, positive integers and no padding: exactly one
// spelling for each pair of numbers (BIP66).
func parseDER(der []byte) (r, s *big.Int, err error) {
	if len(der) < 8 || len(der) > signatureSize || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil, nil, fmt.Errorf("%d bytes that are no sequence of that length", len(der))
	}
	rest := der[2:]
	var numbers [2]*big.Int
	for i := range numbers {
		if len(rest) < 3 || rest[0] != 0x02 || rest[1] == 0 || int(rest[1]) > len(rest)-2 {
			return nil, nil, errors.New("an integer is missing or runs past the end")
		}
		digits := rest[2 : 2+int(rest[1])]
		rest = rest[2+len(digits):]
		switch {
		case digits[0]&0x80 != 0:
			return nil, nil, errors.New("a negative integer")
		case digits[0] == 0 && (len(digits) == 1 || digits[1]&0x80 == 0):
			return nil, nil, errors.New("a zero or padded integer")
		case len(digits) > 33:
			return nil, nil, errors.New("an integer over 256 bits")
		}
		numbers[i] = new(big.Int).SetBytes(digits)
	}
	if len(rest) != 0 {
		return nil, nil, fmt.Errorf("%d bytes after the second integer", len(rest))
	}
	return numbers[0], numbers[1], nil
}

// Nonce is the r of a signature with what it signed. The daemon keeps them per key: see NonceReuse.
type Nonce struct {
	PubKey [33]byte
	Digest [32]byte
	R      [32]byte
}

func (f *Proven) nonces(signatures []Signature) []Nonce {
	out := make([]Nonce, 0, len(signatures))
	for _, sig := range signatures {
		n := Nonce{PubKey: sig.PubKey, Digest: f.inputs[sig.Input].digest}
		if r, _, err := parseDER(sig.Signature[:len(sig.Signature)-1]); err == nil && r.BitLen() <= 256 {
			r.FillBytes(n.R[:])
			out = append(out, n)
		}
	}
	return out
}

// NonceReuse refuses one r under two digests or two keys. With the same key, two such signatures are the private key for
// anybody who can subtract; with different keys, a device's random numbers repeat. The same key may give the same r for
// the same digest: that is what deterministic nonces do.
func NonceReuse(nonces []Nonce) error {
	seen := make(map[[32]byte]Nonce, len(nonces))
	for _, n := range nonces {
		if before, again := seen[n.R]; again && before != n {
			return spend.Distrust("nonce-reused", fmt.Sprintf("key %x", n.PubKey), "a fresh nonce for each digest",
				fmt.Sprintf("r %x also under key %x", n.R, before.PubKey), fixNonce)
		}
		seen[n.R] = n
	}
	return nil
}

func newChecker() checker { return checker{curve: newCurve()} }

func (c provenInput) keyAt(position int) ([33]byte, bool) {
	if position < 0 || position >= len(c.derived.Keys) {
		return [33]byte{}, false
	}
	return c.derived.Keys[position], true
}

func (c provenInput) positionOf(key [33]byte) (int, bool) {
	position := slices.Index(c.derived.Keys, key)
	return max(0, position), position >= 0
}

// answer is one key's signatures in the order of the inputs.
type answer struct {
	position   int
	signatures [][]byte
}

func (k checker) answer(found *Proven, signatures []Signature) (answer, error) {
	if len(signatures) != len(found.inputs) {
		return answer{}, distrust("signature-count", "answer", fmt.Sprintf("%d signatures, one for each input", len(found.inputs)), fmt.Sprint(len(signatures)))
	}
	out := answer{position: -1, signatures: make([][]byte, len(signatures))}
	for _, sig := range signatures {
		where := fmt.Sprintf("input %d", sig.Input)
		if uint64(sig.Input) >= uint64(len(found.inputs)) || out.signatures[sig.Input] != nil {
			return answer{}, distrust("signature-input", where, "each input once", "an input that is not there, or a second signature for it")
		}
		position, ok := found.inputs[sig.Input].positionOf(sig.PubKey)
		if !ok {
			return answer{}, distrust("signature-foreign-key", where, "a key of the wallet", fmt.Sprintf("%x", sig.PubKey))
		}
		if out.position >= 0 && position != out.position {
			return answer{}, distrust("signature-mixed-keys", where, fmt.Sprintf("the key at position %d throughout", out.position), fmt.Sprintf("position %d", position))
		}
		out.position, out.signatures[sig.Input] = position, append([]byte{}, sig.Signature...)
	}
	err := inParallel(len(signatures), func(i int) error {
		sig := signatures[i]
		coin := found.inputs[sig.Input]
		task := Task{PubKey: sig.PubKey, Y: coin.derived.y(out.position), Digest: coin.digest}
		return k.checkTask(task, out.signatures[sig.Input], fmt.Sprintf("input %d", sig.Input))
	})
	if err != nil {
		return answer{}, err
	}
	return out, NonceReuse(found.nonces(signatures))
}

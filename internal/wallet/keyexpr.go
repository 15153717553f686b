package wallet

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/spend"
)

// Origin says from which master key, and by which steps, a key was derived. It is a claim: nothing public proves it.
type Origin struct {
	Fingerprint [4]byte
	Path        []uint32
}

// KeyExpression is one KEY of a descriptor (BIP380, BIP389): a fixed key, or an extended key with steps.
type KeyExpression struct {
	Origin   *Origin // nil when the descriptor gives none
	Key      string  // xpub or tpub in base58, or lower-case hexadecimal
	Steps    []Step  // below an extended key
	Wildcard bool    // ends in /*

	extended *hdkeychain.ExtendedKey // nil for a fixed key
	fixed    []byte                  // 33 bytes, or 32 inside tr
}

// Step is one step below an extended key: one index, or BIP389's tuple of several.
type Step []uint32

const multipathMax = 8 // choices of one tuple; wallets use two

// parseKey reads a KEY. Private keys, hardened steps and hardened wildcards are refused: public keys cannot follow them.
func parseKey(text string, xOnly bool) (KeyExpression, error) {
	const where = "descriptor"
	k := KeyExpression{}
	if rest, ok := strings.CutPrefix(text, "["); ok {
		origin, after, found := strings.Cut(rest, "]")
		if !found {
			return k, unreadable("a key origin without its end in %s", quote(text))
		}
		o, err := parseOrigin(origin)
		if err != nil {
			return k, err
		}
		k.Origin, text = &o, after
	}
	// Hexadecimal first: no extended key is hexadecimal throughout, and shorter text is neither.
	key, steps, ranged := strings.Cut(text, "/")
	k.Key = key
	if len(key) >= 64 && !strings.ContainsFunc(key, isNotHex) {
		if ranged {
			return k, unreadable("steps below a fixed key")
		}
		return k, k.readFixed(xOnly, where)
	}
	// Before base58 is decoded, because a key in wallet import format would otherwise be called a typing error.
	if isWIF(key) {
		return k, privateKey(where)
	}
	var err error
	if k.extended, err = readExtended(key, where); err != nil {
		return k, err
	}
	if ranged {
		err = k.parseSteps(steps)
	}
	return k, err
}

func isNotHex(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }

// isWIF recognises a private key in wallet import format by its form alone, so that it is never repeated in an error.
func isWIF(text string) bool {
	return (len(text) == 51 || len(text) == 52) && strings.ContainsRune("5KL9c", rune(text[0]))
}

// readFixed reads a key without children: compressed, or its x alone inside tr. Uncompressed keys, which BIP380 allows in
// old scripts, are refused everywhere: coins sent to one behind segwit could not be spent.
func (k *KeyExpression) readFixed(xOnly bool, where string) error {
	k.Key = strings.ToLower(k.Key)
	if xOnly && len(k.Key) == 64 {
		raw, err := hex.DecodeString(k.Key)
		if err == nil {
			_, err = schnorr.ParsePubKey(raw)
		}
		if err != nil {
			return spend.Refuse("key-off-curve", where, "the x of a point of secp256k1", "64 digits that are none", "export the key again")
		}
		k.fixed = raw
		return nil
	}
	key, err := readCompressed(k.Key, where)
	k.fixed = key[:]
	return err
}

// parseOrigin reads the inside of the brackets. Its path may be hardened, since it was walked with the private key.
func parseOrigin(text string) (Origin, error) {
	const digits = 8
	if len(text) < digits {
		return Origin{}, unreadable("the key origin %s, whose fingerprint is not 8 hexadecimal digits", quote(text))
	}
	fingerprint, ok := parseFingerprint(strings.ToLower(text[:digits]))
	if !ok {
		return Origin{}, unreadable("the key origin %s, whose fingerprint is not 8 hexadecimal digits", quote(text))
	}
	path, ok := parseSteps(text[digits:])
	if !ok {
		return Origin{}, unreadable("the key origin %s, whose path is not written like /48h/0h/0h/2h", quote(text))
	}
	return Origin{fingerprint, path}, nil
}

// parseSteps reads what follows an extended key: steps, at most one tuple, and perhaps a last wildcard.
func (k *KeyExpression) parseSteps(text string) error {
	parts := strings.Split(text, "/")
	if len(parts) > pathStepsMax {
		return unreadable("a key with %d steps, at most %d", len(parts), pathStepsMax)
	}
	for i, part := range parts {
		if part == "*h" || part == "*'" || part == "*H" {
			return refuseHardened("the wildcard " + part)
		}
		if part == "*" {
			if i != len(parts)-1 {
				return unreadable("a wildcard that is not the last step")
			}
			k.Wildcard = true
			return nil
		}
		step, err := parseTuple(part)
		if err != nil {
			return err
		}
		if len(step) > 1 && k.choices() > 1 {
			return unreadable("two tuples of steps in one key")
		}
		k.Steps = append(k.Steps, step)
	}
	return nil
}

// parseTuple reads one index, or <a;b>.
func parseTuple(text string) (Step, error) {
	inner, opened := strings.CutPrefix(text, "<")
	inner, closed := strings.CutSuffix(inner, ">")
	parts := []string{inner}
	if opened {
		parts = strings.Split(inner, ";")
	}
	// <0> is one choice and needs no tuple; BIP389 wants two or more, and none of them twice.
	if opened != closed || opened && len(parts) < 2 || len(parts) > multipathMax {
		return nil, unreadable("the step %s, which is neither a number nor a tuple like <0;1>", quote(text))
	}
	step := Step{}
	for _, part := range parts {
		index, ok := parseStep(part)
		if !ok || slices.Contains(step, index) {
			return nil, unreadable("the step %s, which is neither a number nor a tuple of different numbers", quote(text))
		}
		if index >= hardened {
			return nil, refuseHardened("the step " + part)
		}
		step = append(step, index)
	}
	return step, nil
}

func refuseHardened(found string) error {
	return spend.Refuse("descriptor-hardened", "descriptor", "steps without h below a public key", found,
		"only a private key has hardened children: derive them on the device and put its public account key into the descriptor")
}

// choices is how many branches the key has: the length of its tuple, or 1.
func (k KeyExpression) choices() int {
	most := 1
	for _, step := range k.Steps {
		most = max(most, len(step))
	}
	return most
}

// String writes the key in its canonical spelling: h for hardened, lower-case hexadecimal.
func (k KeyExpression) String() string {
	var b strings.Builder
	if k.Origin != nil {
		fmt.Fprintf(&b, "[%x%s]", k.Origin.Fingerprint, stepsText(k.Origin.Path))
	}
	b.WriteString(k.Key)
	for _, step := range k.Steps {
		b.WriteByte('/')
		b.WriteString(step.String())
	}
	if k.Wildcard {
		b.WriteString("/*")
	}
	return b.String()
}

// String writes one index as it is and several as <a;b>.
func (s Step) String() string {
	texts := make([]string, len(s))
	for i, index := range s {
		texts[i] = stepText(index)
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return "<" + strings.Join(texts, ";") + ">"
}

// branch returns the key with its tuple replaced by one of its choices.
func (k KeyExpression) branch(choice int) KeyExpression {
	steps := make([]Step, len(k.Steps))
	for i, step := range k.Steps {
		steps[i] = step
		if len(step) > 1 {
			steps[i] = Step{step[choice]}
		}
	}
	k.Steps = steps
	return k
}

// derive returns the 33 (inside tr also 32) bytes of the key for a branch and an index.
func (k KeyExpression) derive(choice int, index uint32) ([]byte, error) {
	if k.extended == nil {
		return k.fixed, nil
	}
	key := k.extended
	// A key without a tuple gives the same key on each branch, as BIP389 has it for mixed descriptors.
	steps := k.branch(choice).Steps
	if k.Wildcard {
		steps = append(steps, Step{index})
	}
	for _, step := range steps {
		child, err := key.Derive(step[0])
		if err != nil {
			return nil, fmt.Errorf("key %s: step %d: %w", k.Key, step[0], err)
		}
		key = child
	}
	pub, err := compressedOf(key)
	return pub[:], err
}

// xOnly parses a derived key as BIP340 takes it, without its parity.
func xOnly(key []byte) (*btcec.PublicKey, error) { return schnorr.ParsePubKey(key[len(key)-32:]) }

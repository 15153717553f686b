package bitcoin

import (
	"crypto/sha256"

	"github.com/btcsuite/btcd/address/v2"
)

// Field types of the global map. Those of version 2 (BIP370, BIP375) are refused: a packet of both versions would have
// two meanings.
const (
	globalUnsignedTx = 0x00
	globalXpub       = 0x01
	globalFirstOfV2  = 0x02
	globalLastOfV2   = 0x08
	globalMessage    = 0x09
	globalVersion    = 0xfb
)

// proprietary is the type of a field that one program made for itself, in all three maps.
const proprietary = 0xfc

// Field types of an input map.
const (
	inputPreviousTx       = 0x00
	inputWitnessUtxo      = 0x01
	inputPartialSig       = 0x02
	inputSighash          = 0x03
	inputRedeemScript     = 0x04
	inputWitnessScript    = 0x05
	inputDerivation       = 0x06
	inputFinalScript      = 0x07
	inputFinalWitness     = 0x08
	inputCommitment       = 0x09
	inputRipemd160        = 0x0a
	inputSha256           = 0x0b
	inputHash160          = 0x0c
	inputHash256          = 0x0d
	inputFirstOfV2        = 0x0e
	inputLastOfV2         = 0x12
	inputTapKeySig        = 0x13
	inputTapScriptSig     = 0x14
	inputTapLeaf          = 0x15
	inputTapDerivation    = 0x16
	inputTapInternalKey   = 0x17
	inputTapMerkleRoot    = 0x18
	inputMusigKeys        = 0x1a
	inputMusigNonce       = 0x1b
	inputMusigSig         = 0x1c
	inputSilentShare      = 0x1d
	inputSilentProof      = 0x1e
	inputSilentDerivation = 0x1f
	inputSilentTweak      = 0x20
	inputLastOfOtherKinds = inputSilentTweak
)

// Field types of an output map.
const (
	outputRedeemScript   = 0x00
	outputWitnessScript  = 0x01
	outputDerivation     = 0x02
	outputAmountOfV2     = 0x03
	outputScriptOfV2     = 0x04
	outputTapInternalKey = 0x05
	outputTapTree        = 0x06
	outputTapDerivation  = 0x07
	outputMusigKeys      = 0x08
	outputSilentInfo     = 0x09
	outputSilentLabel    = 0x0a
	outputNameProof      = 0x35
)

// shape says which lengths a field may have.
type shape struct {
	key   func(n int) bool
	value func(n int) bool
}

func exactly(lengths ...int) func(int) bool {
	return func(n int) bool {
		for _, l := range lengths {
			if n == l {
				return true
			}
		}
		return false
	}
}

func multiple(of, least int) func(int) bool {
	return func(n int) bool { return n >= least && n%of == 0 }
}

func between(least, most int) func(int) bool {
	return func(n int) bool { return n >= least && n <= most }
}

func anything(int) bool { return true }

func (s shape) check(f field, where string) error {
	if !s.key(len(f.data)) {
		return malformed("psbt-key-length", where, "a key of type %#02x with %d bytes", f.kind, len(f.data))
	}
	if !s.value(len(f.value)) {
		return malformed("psbt-value", where, "a value of type %#02x with %d bytes", f.kind, len(f.value))
	}
	return nil
}

func checkGlobalField(f field) error {
	const where = "global map"
	switch {
	case f.kind == globalUnsignedTx:
		return shape{exactly(0), anything}.check(f, where)
	case f.kind == globalXpub:
		if err := (shape{exactly(78), multiple(4, 4)}).check(f, where); err != nil {
			return err
		}
		if depth := int(f.data[4]); len(f.value) != 4+4*depth {
			return malformed("psbt-value", where, "a path of %d steps for a key of depth %d", len(f.value)/4-1, depth)
		}
	case f.kind == globalMessage:
		return shape{exactly(0), anything}.check(f, where)
	case f.kind == globalVersion:
		return shape{exactly(0), exactly(4)}.check(f, where)
	case f.kind == proprietary:
		return checkProprietary(f, where)
	case f.kind >= globalFirstOfV2 && f.kind <= globalLastOfV2:
		return malformed("psbt-version-field", where, "type %#02x of version 2 in a packet of version 0", f.kind)
	}
	return nil
}

func checkInputField(f field, where string) error {
	if f.kind >= inputFirstOfV2 && f.kind <= inputLastOfV2 {
		return malformed("psbt-version-field", where, "type %#02x of version 2 in a packet of version 0", f.kind)
	}
	switch f.kind {
	case inputPreviousTx: // readParents reads it
		return shape{exactly(0), anything}.check(f, where)
	case inputWitnessUtxo:
		if err := (shape{exactly(0), anything}).check(f, where); err != nil {
			return err
		}
		_, err := readOutput(f.value, where+" witness utxo")
		return err
	case inputPartialSig:
		return checkKeyed(f, where, between(9, 73))
	case inputSighash:
		return shape{exactly(0), exactly(4)}.check(f, where)
	case inputRedeemScript, inputWitnessScript, inputCommitment:
		return shape{exactly(0), anything}.check(f, where)
	case inputDerivation:
		return checkKeyed(f, where, multiple(4, 4))
	case inputFinalScript, inputFinalWitness:
		if err := (shape{exactly(0), anything}).check(f, where); err != nil {
			return err
		}
		return malformed("input-finalised", where, "a finished script or witness; a packet for signing has none")
	case inputRipemd160, inputSha256, inputHash160, inputHash256:
		return checkPreimage(f, where)
	case inputSilentShare, inputSilentProof, inputSilentDerivation, inputSilentTweak:
		return checkSilentInput(f, where)
	case proprietary:
		return checkProprietary(f, where)
	}
	return checkTaprootInput(f, where)
}

// checkTaprootInput holds the lengths of BIP371 and BIP373 fields. No rule reads them; Prove refuses them.
func checkTaprootInput(f field, where string) error {
	switch f.kind {
	case inputTapKeySig:
		return shape{exactly(0), exactly(64, 65)}.check(f, where)
	case inputTapScriptSig:
		return shape{exactly(64), exactly(64, 65)}.check(f, where)
	case inputTapLeaf:
		return shape{func(n int) bool { return n >= 33 && n <= 33+32*128 && n%32 == 1 }, between(1, txMax)}.check(f, where)
	case inputTapDerivation:
		return checkTapDerivation(f, where)
	case inputTapInternalKey, inputTapMerkleRoot:
		return shape{exactly(0), exactly(32)}.check(f, where)
	case inputMusigKeys:
		return shape{exactly(33), multiple(33, 33)}.check(f, where)
	case inputMusigNonce:
		return shape{exactly(66, 98), exactly(66)}.check(f, where)
	case inputMusigSig:
		return shape{exactly(66, 98), exactly(32)}.check(f, where)
	}
	return nil
}

// checkSilentInput holds the lengths of BIP375 and BIP376 fields, silent payments. Prove refuses them too.
func checkSilentInput(f field, where string) error {
	switch f.kind {
	case inputSilentShare:
		return shape{exactly(33), exactly(33)}.check(f, where)
	case inputSilentProof:
		return shape{exactly(33), exactly(64)}.check(f, where)
	case inputSilentDerivation:
		return shape{exactly(33), multiple(4, 4)}.check(f, where)
	}
	return shape{exactly(0), exactly(32)}.check(f, where)
}

func checkOutputField(f field, where string) error {
	switch f.kind {
	case outputAmountOfV2, outputScriptOfV2:
		return malformed("psbt-version-field", where, "type %#02x of version 2 in a packet of version 0", f.kind)
	case outputRedeemScript, outputWitnessScript:
		return shape{exactly(0), anything}.check(f, where)
	case outputDerivation:
		return checkKeyed(f, where, multiple(4, 4))
	case outputTapInternalKey:
		return shape{exactly(0), exactly(32)}.check(f, where)
	case outputTapTree:
		return checkTapTree(f, where)
	case outputTapDerivation:
		return checkTapDerivation(f, where)
	case outputMusigKeys:
		return shape{exactly(33), multiple(33, 33)}.check(f, where)
	case outputNameProof:
		return checkNameProof(f, where)
	case proprietary:
		return checkProprietary(f, where)
	}
	return nil
}

// checkNameProof reads the name in front of a proof that the DNS names this output (BIP353), not the proof.
func checkNameProof(f field, where string) error {
	if err := (shape{exactly(0), between(1, txMax)}).check(f, where); err != nil {
		return err
	}
	if name := int(f.value[0]); len(f.value) < 1+name {
		return malformed("psbt-value", where, "a name of %d bytes in a value of %d", name, len(f.value))
	}
	return nil
}

// checkProprietary checks that a key names its owner and its subtype (BIP174): one that does not is read differently by
// different programs.
func checkProprietary(f field, where string) error {
	c := &cursor{data: f.data, where: where}
	_, err := c.prefixed()
	if err == nil {
		_, err = c.compact()
	}
	if err != nil {
		return malformed("psbt-key-length", where, "a proprietary key %x without a whole identifier and subtype", shorten(f.key))
	}
	return nil
}

// checkKeyed checks a field whose key holds a public key, compressed or not. Whether it lies on the curve does not
// matter: only keys that a pinned wallet derives are ever used.
func checkKeyed(f field, where string, value func(int) bool) error {
	compressed := len(f.data) == 33 && (f.data[0] == 2 || f.data[0] == 3)
	if !compressed && !(len(f.data) == 65 && f.data[0] == 4) {
		return malformed("psbt-key-length", where, "type %#02x with %x, which is no public key", f.kind, shorten(f.data))
	}
	return shape{anything, value}.check(f, where)
}

func checkPreimage(f field, where string) error {
	var hash []byte
	switch f.kind {
	case inputRipemd160:
		return shape{exactly(20), anything}.check(f, where) // Prove refuses preimages, so an old hash is not computed here
	case inputSha256:
		h := sha256.Sum256(f.value)
		hash = h[:]
	case inputHash160:
		hash = address.Hash160(f.value)
	case inputHash256:
		h := sha256d(f.value)
		hash = h[:]
	}
	if string(hash) != string(f.data) {
		return malformed("psbt-value", where, "a preimage that does not hash to its key %x", shorten(f.data))
	}
	return nil
}

func checkTapDerivation(f field, where string) error {
	if err := (shape{exactly(32), anything}).check(f, where); err != nil {
		return err
	}
	c := &cursor{data: f.value, where: where}
	leaves, err := c.count(pairsMax, 32, "leaf hashes")
	if err != nil {
		return err
	}
	if _, err := c.take(uint64(leaves) * 32); err != nil {
		return err
	}
	if c.left() < 4 || c.left()%4 != 0 {
		return malformed("psbt-value", where, "a taproot derivation with a path of %d bytes", c.left())
	}
	return nil
}

// checkTapTree reads the leaves depth first and follows the depths: the tree must be whole.
func checkTapTree(f field, where string) error {
	if err := (shape{exactly(0), between(1, txMax)}).check(f, where); err != nil {
		return err
	}
	c := &cursor{data: f.value, where: where}
	var open []byte // depths that wait for a right sibling
	done := false
	for c.left() > 0 {
		head, err := c.take(2)
		if err != nil {
			return err
		}
		if _, err := c.prefixed(); err != nil {
			return err
		}
		depth := head[0]
		if done || depth > 128 || head[1]&1 != 0 {
			return malformed("psbt-value", where, "a taproot tree that is not one")
		}
		for len(open) > 0 && open[len(open)-1] == depth {
			open, depth = open[:len(open)-1], depth-1
		}
		if depth == 0 {
			done = true
		} else {
			open = append(open, depth)
		}
	}
	if !done || len(open) > 0 {
		return malformed("psbt-value", where, "a taproot tree with a missing branch")
	}
	return nil
}

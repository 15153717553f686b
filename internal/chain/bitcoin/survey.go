package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// Surveyed is what can be said about a packet without a pinned wallet. It is for eyes: nothing signs by it.
type Surveyed struct {
	packet *Packet
	coins  []surveyed
	fee    int64
}

// surveyed is a coin whose amount is proven and whose owner is not known.
type surveyed struct {
	spent      txOutput
	code       []byte // what a BIP143 signature names as the script; nil when that is not known, or for taproot
	sighash    byte
	digest     [32]byte
	known      bool // the digest is
	signatures int  // valid ones in the packet
}

// Digest is what the signatures of one input are over, computed by two code paths.
type Digest struct {
	Input   int
	Rule    string // "BIP143" or "BIP341"
	Sighash string // "ALL" or "DEFAULT"
	Hash    [32]byte
}

// Survey checks everything about a packet that needs no wallet: each coin is spent once, each amount is proven, nothing
// but everything is signed. An amount is proven by the previous transaction. Where every coin is a taproot output, what
// the packet states is enough, because every signature is over all the amounts and scripts: a false one makes all of
// them worthless. Among other coins a taproot coin needs its previous transaction too, since their signatures do not
// cover it. Whose coins they are, only Prove or a descriptor can say. The error joins every *spend.Refusal found.
func Survey(p *Packet) (Surveyed, error) {
	v := surveyor{prover: &prover{packet: p}, curve: newCurve()}
	v.timing()
	s := Surveyed{packet: p, coins: make([]surveyed, len(p.tx.inputs))}
	seen, stated := map[string]bool{}, p.allTaproot()
	for i, in := range p.tx.inputs {
		where := fmt.Sprintf("input %d", i)
		if seen[string(in.outpoint)] {
			v.refuse("input-duplicate", where, "each coin once", "a coin of an earlier input again")
		}
		seen[string(in.outpoint)] = true
		coin, paid := surveyed{}, stated
		if coin.spent, _ = p.statedOutput(i); !stated || p.spent[i].known {
			coin.spent, paid = v.previousOutput(i, where)
		} else if coin.spent.value < 0 || coin.spent.value > satsMax {
			v.refuse("amount-range", where, "0 to 21 million BTC", fmt.Sprintf("%d satoshi", coin.spent.value))
		}
		v.survey(i, &coin, where)
		s.coins[i] = coin
		if paid {
			v.inputs = append(v.inputs, provenInput{amount: coin.spent.value})
		}
	}
	s.fee = v.totals()
	if len(v.refusals) > 0 {
		return Surveyed{}, errors.Join(v.refusals...)
	}
	if err := s.digests(); err != nil {
		return Surveyed{}, err
	}
	return s, s.countSignatures(checker{curve: v.curve})
}

// surveyor is a prover without a scope.
type surveyor struct {
	*prover
	curve *curve
}

// statedOutput is the output that the packet says an input spends. The reader has read it, so it reads again.
func (p *Packet) statedOutput(i int) (txOutput, bool) {
	raw, ok := p.inputs[i].value(inputWitnessUtxo)
	if !ok {
		return txOutput{}, false
	}
	out, err := readOutput(raw, "witness utxo")
	return out, err == nil
}

// allTaproot reports whether every coin is, or is said to be, a taproot output.
func (p *Packet) allTaproot() bool {
	for i := range p.inputs {
		out, ok := p.statedOutput(i)
		if p.spent[i].known {
			out, ok = p.spent[i].output, true
		}
		if _, taproot := taprootKey(out.script); !ok || !taproot {
			return false
		}
	}
	return true
}

// survey looks at the fields of one input, by the kind of its coin.
func (v surveyor) survey(i int, coin *surveyed, where string) {
	script := coin.spent.script
	key, taproot := taprootKey(script)
	if taproot {
		v.taprootFields(i, key, coin, where)
		return
	}
	v.inputFields(i, where)
	coin.sighash = sighashAll
	witness, given := v.packet.inputs[i].value(inputWitnessScript)
	switch {
	case len(script) == 22 && script[0] == 0 && script[1] == 20:
		coin.code = slices.Concat([]byte{0x76, 0xa9, 20}, script[2:], []byte{0x88, 0xac})
	case given && !bytes.Equal(scriptOf(witness), script):
		v.refuse("witness-script-differs", where, "a script that hashes to "+hex.EncodeToString(shorten(script)), hex.EncodeToString(shorten(witness)))
	case given && txscript.GetScriptClass(witness) == txscript.MultiSigTy:
		coin.code = witness
	}
}

// scriptOf is the output script that pays a witness script.
func scriptOf(witness []byte) []byte {
	hash := sha256.Sum256(witness)
	return append([]byte{0, 32}, hash[:]...)
}

// taprootFields refuses what asks for another signature than one of the key path over everything, and an internal key
// that does not lead to the coin's own.
func (v surveyor) taprootFields(i int, key [32]byte, coin *surveyed, where string) {
	m := v.packet.inputs[i]
	for f := range m.all() {
		switch f.kind {
		case inputPreviousTx, inputWitnessUtxo, inputTapKeySig, inputTapDerivation, inputTapInternalKey, inputTapMerkleRoot:
		case inputSighash:
			if n := binary.LittleEndian.Uint32(f.value); n > sighashAll {
				v.refuse("sighash-not-all", where, "00 (DEFAULT) or 01 (ALL)", hex.EncodeToString(f.value))
			} else {
				coin.sighash = byte(n)
			}
		default:
			if f.kind <= inputLastOfOtherKinds {
				v.refuse("field-foreign", where, "fields of a taproot key path", fmt.Sprintf("type %#02x", f.kind))
			}
		}
	}
	internal, given := m.value(inputTapInternalKey)
	if root, _ := m.value(inputTapMerkleRoot); given {
		if leads, ok := v.curve.tweaked(internal, root); !ok || leads != key {
			v.refuse("taproot-key-differs", where, "an internal key that leads to "+hex.EncodeToString(key[:]), hex.EncodeToString(internal))
		}
	}
}

// digests computes what each input's signatures are over, by our own code and by txscript's.
func (s *Surveyed) digests() error {
	p := s.packet
	fetcher, coins := txscript.NewMultiPrevOutFetcher(nil), make([]txOutput, len(s.coins))
	for i, in := range p.msg.TxIn {
		coins[i] = s.coins[i].spent
		fetcher.AddPrevOut(in.PreviousOutPoint, &wire.TxOut{Value: coins[i].value, PkScript: coins[i].script})
	}
	shared, all, each := txscript.NewTxSigHashes(p.msg, fetcher), newCommitment(p.tx, coins), newMidstate(p.tx)
	for i := range s.coins {
		coin := &s.coins[i]
		var theirs []byte
		var err error
		switch _, taproot := taprootKey(coin.spent.script); {
		case taproot:
			coin.digest = all.digest(coin.sighash, i)
			theirs, err = txscript.CalcTaprootSignatureHash(shared, txscript.SigHashType(coin.sighash), p.msg, i, fetcher)
		case coin.code != nil:
			coin.digest = each.digest(p.tx.inputs[i], coin.code, coin.spent.value)
			theirs, err = txscript.CalcWitnessSigHash(coin.code, shared, txscript.SigHashAll, p.msg, i, coin.spent.value)
		default:
			continue
		}
		if coin.known = true; err != nil || !bytes.Equal(theirs, coin.digest[:]) {
			return spend.Refuse("digest-differs", fmt.Sprintf("input %d", i), fmt.Sprintf("%x", coin.digest), fmt.Sprintf("%x", theirs),
				"stop using this build: its two ways to compute a digest disagree")
		}
	}
	return nil
}

// countSignatures verifies those that the packet carries: an invalid one is somebody's attempt.
func (s *Surveyed) countSignatures(check checker) error {
	var refusals []error
	for i := range s.coins {
		coin, m, where := &s.coins[i], s.packet.inputs[i], fmt.Sprintf("input %d", i)
		key, _ := taprootKey(coin.spent.script)
		for f := range m.all() {
			var err error
			switch {
			case f.kind == inputTapKeySig:
				err = check.checkTaproot(coin.digest, key, coin.sighash, f.value, where)
			case f.kind == inputPartialSig && !coin.known:
				continue
			case f.kind == inputPartialSig && !coin.names(f.data):
				err = distrust("signature-foreign-key", where, "a key of the coin's script", hex.EncodeToString(f.data))
			case f.kind == inputPartialSig:
				err = check.check(coin.digest, [33]byte(f.data), f.value, where)
			default:
				continue
			}
			if coin.signatures++; err != nil {
				refusals = append(refusals, err)
			}
		}
	}
	return errors.Join(refusals...)
}

// names reports whether a key can sign for the coin: its hash is in a script of one key, or it stands in one of several.
func (c *surveyed) names(key []byte) bool {
	if len(key) != 33 {
		return false
	}
	if len(c.spent.script) == 22 {
		return bytes.Equal(address.Hash160(key), c.spent.script[2:])
	}
	return bytes.Contains(c.code, append([]byte{33}, key...))
}

// Digests returns what the signatures of each input are over. Inputs of old scripts, and of scripts that the packet does
// not show, have none.
func (s Surveyed) Digests() []Digest {
	var out []Digest
	for i, coin := range s.coins {
		d := Digest{Input: i, Rule: "BIP143", Sighash: "ALL", Hash: coin.digest}
		if _, taproot := taprootKey(coin.spent.script); taproot {
			d.Rule = "BIP341"
		}
		if coin.sighash == sighashDefault {
			d.Sighash = "DEFAULT"
		}
		if coin.known {
			out = append(out, d)
		}
	}
	return out
}

// Digests returns what the signatures of each input are over.
func (f *Proven) Digests() []Digest {
	out := make([]Digest, len(f.established().inputs))
	for i, coin := range f.inputs {
		out[i] = Digest{i, "BIP143", "ALL", coin.digest}
	}
	return out
}

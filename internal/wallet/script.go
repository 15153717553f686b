package wallet

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

// Scripts is what one index of a descriptor stands for.
type Scripts struct {
	ScriptPubKey  []byte
	RedeemScript  []byte // behind sh, else nil
	WitnessScript []byte // behind wsh, else nil
	Address       string // empty for a script that has none: pk and bare multi
}

// Derive returns the scripts of a branch and an index. Extended keys of another network are refused.
func (d Descriptor) Derive(n spend.Network, choice int, index uint32) (Scripts, error) {
	params, err := Params(n)
	if err != nil {
		return Scripts{}, err
	}
	if choice < 0 || choice >= d.Branches() || index >= hardened {
		return Scripts{}, spend.Refuse("wallet-index", "descriptor", fmt.Sprintf("a branch below %d and an index below 2^31", d.Branches()),
			fmt.Sprintf("branch %d, index %d", choice, index), "ask for a script that the descriptor has")
	}
	// A fixed key fits every network; an extended key says which it is for.
	for _, key := range d.Keys() {
		if key.extended != nil {
			if err := fitsNetwork(key.extended, n, "descriptor"); err != nil {
				return Scripts{}, err
			}
		}
	}
	var s Scripts
	if s.ScriptPubKey, err = d.root.scripts(choice, index, &s); err != nil {
		return Scripts{}, err
	}
	s.Address, err = addressOf(s.ScriptPubKey, params)
	return s, err
}

// scripts returns the output script of the expression and notes the scripts behind it in s.
func (e expression) scripts(choice int, index uint32, s *Scripts) ([]byte, error) {
	if e.inner != nil {
		inner, err := e.inner.scripts(choice, index, s)
		if err != nil {
			return nil, err
		}
		if e.function == "sh" {
			s.RedeemScript = inner
			return p2sh(inner), nil
		}
		s.WitnessScript = inner
		return p2wsh(inner), nil
	}
	keys := make([][]byte, len(e.keys))
	for i, key := range e.keys {
		var err error
		if keys[i], err = key.derive(choice, index); err != nil {
			return nil, err
		}
	}
	// The opcodes stand here as bytes rather than in a script builder, so that the page shows the template of each BIP.
	switch e.function {
	case "pk":
		return append(push(keys[0]), txscript.OP_CHECKSIG), nil
	case "pkh":
		return slices.Concat([]byte{txscript.OP_DUP, txscript.OP_HASH160}, push(address.Hash160(keys[0])),
			[]byte{txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG}), nil
	case "wpkh":
		return append([]byte{txscript.OP_0}, push(address.Hash160(keys[0]))...), nil
	case "tr":
		return p2tr(keys[0])
	}
	return multiScript(e.threshold, keys, e.function == "sortedmulti"), nil
}

// push is a push of at most 75 bytes.
func push(data []byte) []byte { return append([]byte{byte(len(data))}, data...) }

// p2sh is HASH160 <20 bytes> EQUAL (BIP16).
func p2sh(redeem []byte) []byte {
	return slices.Concat([]byte{txscript.OP_HASH160}, push(address.Hash160(redeem)), []byte{txscript.OP_EQUAL})
}

// p2wsh is 0 <32 bytes>, the single SHA-256 of the witness script (BIP141).
func p2wsh(witness []byte) []byte {
	hash := sha256.Sum256(witness)
	return append([]byte{txscript.OP_0}, push(hash[:])...)
}

// p2tr commits to the key and to the absence of any script, as BIP341 recommends.
func p2tr(key []byte) ([]byte, error) {
	internal, err := xOnly(key)
	if err != nil {
		return nil, err
	}
	output := txscript.ComputeTaprootKeyNoScript(internal)
	return append([]byte{txscript.OP_1}, push(schnorr.SerializePubKey(output))...), nil
}

// multiScript writes m <keys> n CHECKMULTISIG. sortedmulti sorts the derived keys, not the account keys (BIP67).
func multiScript(m int, keys [][]byte, sorted bool) []byte {
	if sorted {
		keys = slices.Clone(keys)
		slices.SortFunc(keys, bytes.Compare)
	}
	script := number(m)
	for _, key := range keys {
		script = append(script, push(key)...)
	}
	return append(append(script, number(len(keys))...), txscript.OP_CHECKMULTISIG)
}

// number is the shortest push of 1 to 127: an opcode of its own up to 16.
func number(n int) []byte {
	if n <= 16 {
		return []byte{byte(txscript.OP_1 - 1 + n)}
	}
	return []byte{1, byte(n)}
}

// addressOf returns the text of an output script, or nothing for one without address.
func addressOf(script []byte, params *chaincfg.Params) (string, error) {
	class, addresses, _, err := txscript.ExtractPkScriptAddrs(script, params)
	if err != nil {
		return "", err
	}
	// pk and bare multi contain keys, for which btcd offers addresses of other scripts. They have none of their own.
	if len(addresses) != 1 || class == txscript.PubKeyTy {
		return "", nil
	}
	if class == txscript.MultiSigTy {
		return "", nil
	}
	return addresses[0].EncodeAddress(), nil
}

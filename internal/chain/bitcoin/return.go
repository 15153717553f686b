package bitcoin

import (
	"fmt"

	"github.com/coldsign/coldsign/internal/spend"
)

// KeySignatures are the signatures of one key of the wallet.
type KeySignatures struct {
	Position   int
	Signatures []Signature
}

// Returned takes the signatures out of a packet that came back from another program, one complete set for each key, in
// the order of the keys. The packet is believed in nothing else: it must be for the very transaction of ours, and its
// signatures are verified against what our own packet proves, so that an output, an amount or a sighash type which was
// changed on the way has no effect (attack 071). A packet that brings no signature is refused, and so is a key that
// signed only some inputs.
func Returned(ours, back *Packet, s Scope) ([]KeySignatures, error) {
	if ours.tx.txid() != back.tx.txid() {
		return nil, spend.Distrust("returned-other-transaction", "packet", "transaction "+ours.TxID(), "transaction "+back.TxID(),
			"bring back the packet that was given out; if it is this one, distrust the other program")
	}
	found, err := prove(ours, s)
	if err != nil {
		return nil, err
	}
	sets := make([][]Signature, len(s.From.Keys()))
	for i, coin := range found.inputs {
		for _, f := range back.inputs[i].of(inputPartialSig) {
			where := fmt.Sprintf("input %d", i)
			if len(f.data) != 33 {
				return nil, distrust("signature-foreign-key", where, "a key of the wallet", fmt.Sprintf("%x", shorten(f.data)))
			}
			key := [33]byte(f.data)
			position, ok := coin.positionOf(key)
			if !ok {
				return nil, distrust("signature-foreign-key", where, "a key of the wallet", fmt.Sprintf("%x", key))
			}
			sets[position] = append(sets[position], Signature{uint32(i), key, f.value})
		}
	}
	var out []KeySignatures
	for position, set := range sets {
		if len(set) == 0 {
			continue
		}
		if _, err := newChecker().answer(found, set); err != nil {
			return nil, err
		}
		out = append(out, KeySignatures{position, set})
	}
	if len(out) == 0 {
		return nil, spend.Refuse("returned-unsigned", "packet", "signatures", "none", "sign it in the other program, and bring what it gives back")
	}
	return out, nil
}

package bitcoin

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/spend"
)

const sighashAll = 0x01

// midstate is our own BIP143: the three hashes that all inputs share, taken from our own reading of the bytes.
type midstate struct {
	head []byte // version, hash of outpoints, hash of sequences
	tail []byte // hash of outputs, lock time, sighash type
}

func newMidstate(t transaction) *midstate {
	outpoints, sequences, outputs := sha256.New(), sha256.New(), sha256.New()
	for _, in := range t.inputs {
		outpoints.Write(in.outpoint)
		sequences.Write(binary.LittleEndian.AppendUint32(nil, in.sequence))
	}
	for _, out := range t.outputs {
		outputs.Write(out.bytes)
	}
	again := func(sum []byte) []byte { second := sha256.Sum256(sum); return second[:] }
	m := &midstate{head: binary.LittleEndian.AppendUint32(nil, t.version)}
	m.head = append(append(m.head, again(outpoints.Sum(nil))...), again(sequences.Sum(nil))...)
	m.tail = binary.LittleEndian.AppendUint32(again(outputs.Sum(nil)), t.lockTime)
	m.tail = binary.LittleEndian.AppendUint32(m.tail, sighashAll)
	return m
}

// preimageMost has room for the script of 15 keys, the most that a wallet has.
const preimageMost = 1024

// digest is what a signature of type ALL of one input signs.
func (m *midstate) digest(in txInput, script []byte, amount int64) [32]byte {
	b := append(append(make([]byte, 0, preimageMost), m.head...), in.outpoint...)
	b = appendPrefixed(b, script)
	b = binary.LittleEndian.AppendUint64(b, uint64(amount))
	b = binary.LittleEndian.AppendUint32(b, in.sequence)
	return sha256d(append(b, m.tail...))
}

// computeDigests fills in the digest of every input by two code paths: ours, from our reading of the bytes, and
// txscript's, from the wire module's. A difference means that one of them would sign something else than it shows.
func computeDigests(p *Packet, coins []provenInput) error {
	fetcher := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range p.msg.TxIn {
		fetcher.AddPrevOut(in.PreviousOutPoint, &wire.TxOut{Value: coins[i].amount, PkScript: coins[i].derived.ScriptPubKey})
	}
	shared, ours := txscript.NewTxSigHashes(p.msg, fetcher), newMidstate(p.tx)
	return inParallel(len(coins), func(i int) error {
		coin := &coins[i]
		theirs, err := txscript.CalcWitnessSigHash(coin.derived.WitnessScript, shared, txscript.SigHashAll, p.msg, i, coin.amount)
		coin.digest = ours.digest(p.tx.inputs[i], coin.derived.WitnessScript, coin.amount)
		if err != nil || string(theirs) != string(coin.digest[:]) {
			return spend.Refuse("digest-differs", fmt.Sprintf("input %d", i), fmt.Sprintf("%x", coin.digest), fmt.Sprintf("%x", theirs),
				"stop using this build: its two ways to compute a digest disagree")
		}
		return nil
	})
}

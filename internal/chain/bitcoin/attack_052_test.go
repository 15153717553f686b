package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/coldsign/coldsign/internal/wallet"
)

// Attack 052: a wallet's recovery branch, open to one key after a time, is signed as if it were the quorum. No pinned
// wallet can have such a branch: a coin with one is foreign even when our own script is a part of it, and the relative
// lock that would open it is refused.
func TestAttack052RecoveryBranchesAreForeign(t *testing.T) {
	w := newWorld(t)
	ours := mustDerive(t, w.cold, wallet.Receive, 0)
	recovery := slices.Concat([]byte{33}, ours.Keys[0].PubKey[:], []byte{0xac, 0x69, 2, 0x90, 0x10, 0xb2}) // key CHECKSIGVERIFY 4240 CSV
	script := slices.Concat([]byte{0x63}, ours.WitnessScript, []byte{0x67}, recovery, []byte{0x68})        // IF quorum ELSE recovery ENDIF
	hash := sha256.Sum256(script)
	spends := func(sequence uint32, witness []byte) func(d *draft) {
		return func(d *draft) {
			c := coinAt(44_000_000, wallet.Receive, 0, append([]byte{0, 32}, hash[:]...))
			d.tx.TxIn[0].PreviousOutPoint, d.tx.TxIn[0].Sequence = c.Outpoint, sequence
			set(d.input(0), []byte{0}, c.PrevTx)
			set(d.input(0), []byte{5}, witness)
			drop(d.input(0), 1)
		}
	}
	w.refusesEach(t, []change{
		{"the recovery script itself", "input-foreign@input 0", spends(0xfffffffd, script)},
		{"under our own script", "input-foreign@input 0", spends(0xfffffffd, bytes.Clone(ours.WitnessScript))},
		{"when its time has come", "sequence-unusual@input 0", spends(4240, script)},
		{"in units of 512 seconds", "sequence-unusual@input 0", spends(1<<22|100, script)},
		{"a relative lock on our own coin", "sequence-unusual@input 0", func(d *draft) { d.tx.TxIn[0].Sequence = 4240 }},
	})
}

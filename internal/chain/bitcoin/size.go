package bitcoin

import (
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Sizes of a spend from wsh(sortedmulti(m, n keys)), counted as consensus does (BIP141: weight is four times the bytes
// outside witnesses plus the bytes inside; a virtual byte is four of weight, rounded up). They are exact for signatures
// of 71 bytes and a sighash byte, the longest that low S allows; a real one is that long or up to a few bytes shorter.

const (
	weightMax     = 400_000 // relay refuses heavier transactions, so nobody would mine what was signed
	signatureSize = 72      // bytes of a low-S DER signature with its sighash byte, at most
	wshOutputSize = 43      // amount 8, length 1, script 34
	dustRate      = 3_000   // satoshi per 1000 virtual bytes, the relay rule for dust
)

// witnessWeight is the weight of one input's witness: item count, the empty item that OP_CHECKMULTISIG takes too much, m
// signatures and the script (OP_m, n pushes of 33 bytes, OP_n, OP_CHECKMULTISIG).
func witnessWeight(m, n int) int64 {
	script := 3 + 34*n
	return 1 + 1 + int64(m)*(1+signatureSize) + compactSize(script) + int64(script)
}

// inputWeight is what one more input adds, the item count of the transaction left aside.
func inputWeight(m, n int) int64 { return 4*inputBytesMin + witnessWeight(m, n) }

// finishedWeight is the weight of a transaction whose unsigned bytes and number of inputs are known.
func finishedWeight(unsigned, inputs, m, n int) int64 {
	return 4*int64(unsigned) + 2 + int64(inputs)*witnessWeight(m, n)
}

func virtual(weight int64) int64 { return (weight + 3) / 4 }

// unsignedSize is how many bytes a transaction takes before it is signed; outputs is the size of all outputs.
func unsignedSize(inputs, outputCount int, outputs int64) int {
	return int(4 + compactSize(inputs) + int64(inputs)*inputBytesMin + compactSize(outputCount) + outputs + 4)
}

// feeFor rounds up: a fee below the rate that was asked for could fall below what relay takes.
func feeFor(weight, rate int64) int64 { return (virtual(weight)*rate + 999) / 1000 }

// dustFor is the least amount relay accepts for an output: what it would cost to make and to spend it at the dust rate.
func dustFor(script []byte) int64 {
	size := int64(len(appendOutput(nil, 0, script)))
	if txscript.IsWitnessProgram(script) {
		return (size + 67) * dustRate / 1000
	}
	return (size + 148) * dustRate / 1000
}

// VirtualBytes is the size of a finished transaction of a wallet that spends coins to one other pinned wallet: what a
// planner needs to tell a fee before it has chosen coins.
func VirtualBytes(from wallet.Wallet, coins int, change bool) int64 {
	s := selector{m: from.Threshold(), n: len(from.Keys()), destination: wshOutputSize}
	return virtual(s.weightOf(coins, change))
}

// payable says whether money sent to a script can be spent under rules that are in force: the five standard forms, each
// byte for byte. Everything else is refused with the code returned.
func payable(script []byte) (code string) {
	n := len(script)
	switch {
	case n == 25 && script[0] == 0x76 && script[1] == 0xa9 && script[2] == 20 && script[23] == 0x88 && script[24] == 0xac,
		n == 23 && script[0] == 0xa9 && script[1] == 20 && script[22] == 0x87,
		n == 22 && script[0] == 0 && script[1] == 20,
		n == 34 && (script[0] == 0 || script[0] == 0x51) && script[1] == 32:
		return ""
	case n > 0 && script[0] == 0x6a:
		return "output-op-return"
	case txscript.IsWitnessProgram(script):
		return "output-witness-version"
	}
	return "output-nonstandard"
}

// Package bitcoin is the life of a PSBT: read, proven, signed elsewhere, checked, finalised, and built.
//
// It exists so that a signer never believes what a packet says about itself. Read takes bytes from a stranger and gives
// a Packet only when every byte is accounted for. Prove rebuilds each input script from the pinned wallet, takes each
// amount from a previous transaction that hashes to the outpoint, and gives chain.Effects. Tasks gives the digests to
// sign, each computed by two code paths that share nothing but the bytes. VerifySignatures and Finalise check what comes
// back, again twice, and run the script engine before anything may be broadcast. Build makes a packet for the daemon.
//
// # Format
//
// BIP174, version 0: five magic bytes "psbt\xff", then one global map, one map for each input and one for each output of
// the unsigned transaction. A map is a run of pairs (CompactSize length, key, CompactSize length, value) that a zero
// byte ends; a key begins with a CompactSize type. A packet may also arrive as standard base64 without white space.
// Accepted packets serialise to the bytes that were read, unknown and proprietary fields included.
// ReadAny also takes version 2 (BIP370) and converts it, where that is exact.
//
// # Wallets
//
// One script form: wsh(sortedmulti(m, keys...)), every input from the same pinned wallet. Survey and Described also read
// wpkh and the key path of taproot, for a person who compares with another device; nothing signs by them.
//
// # Example
//
//	packet, err := bitcoin.Read(raw)
//	scope := bitcoin.Scope{From: cold, To: hot, ToIndex: 7, ToKnown: true, IndexMax: 10_000}
//	effects, err := bitcoin.Prove(packet, scope)
//	tasks, err := bitcoin.Tasks(packet, scope, position)  // sign each Digest, then
//	err = bitcoin.VerifySignatures(packet, scope, signatures)
//
// What may never happen here: an amount, an owner or a change output taken from a claim; a digest for a packet that was
// not proven; an allocation sized by a number from outside; a private key; a clock, a disk or a network.
package bitcoin

// Limits on what may come from outside, each checked before memory is taken for it.
const (
	packetMax      = 8 << 20                   // bytes of a binary packet; 900 inputs of a 2-of-3 wallet with small parents take about 1 MB
	repeatedMax    = 64 << 20                  // bytes of a packet with shared proofs, counted as if each input had its own
	base64Max      = (packetMax + 2) / 3 * 4   // characters of a packet in base64
	inputsMax      = 4096                      // the weight limit for relay allows about 960 of a 2-of-3 wallet
	outputsMax     = 8192                      // the weight limit for relay allows about 3,200
	pairsMax       = 1024                      // pairs in one map
	pairsTotalMax  = 100_000                   // pairs in all maps
	keyMax         = 10_000                    // bytes of a key; the longest useful one, a taproot control block, has 4,130
	txMax          = 4_000_000                 // bytes of a transaction, by the block weight limit
	txBaseMax      = 1_000_000                 // bytes of a transaction without witnesses, by the same limit
	txInputsMax    = txBaseMax / inputBytesMin // inputs of a previous transaction
	txOutputsMax   = txBaseMax / outputBytesMin
	txItemsMax     = 100_000 // witness items of a previous transaction
	inputBytesMin  = 41      // outpoint 36, empty script 1, sequence 4
	outputBytesMin = 9       // amount 8, empty script 1
)

// satsMax is 21 million BTC: no amount and no sum of amounts can be more.
const satsMax = 21_000_000 * 100_000_000

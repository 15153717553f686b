package bitcoin

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/coldsign/coldsign/internal/wallet"
)

// To know that a coin is ours, all keys of its script are derived again, and with hundreds of coins that would be most of
// the work of signing. So the scripts that the inputs point to are derived here together, by the arithmetic of the second
// verifier. What comes out is only compared with scripts that previous transactions hold: a mistake would make a coin of
// ours look foreign, never a foreign one ours. Outputs, where the script is the whole promise, are derived by the wallet
// room alone, one by one.
const (
	placesFew   = 8  // up to so many the wallet room is as quick
	placesChunk = 64 // places that are derived side by side
)

// heirs derives scripts of a wallet.
type heirs struct {
	from    wallet.Wallet
	records []wallet.KeyRecord
	lines   map[line]*forebear
	comb    comb
}

func newHeirs(from wallet.Wallet) *heirs {
	return &heirs{from: from, records: from.Keys(), lines: map[line]*forebear{}, comb: newComb()}
}

// ours is a script of the spending wallet, as much of it as is needed once the claims about it are checked: of thousands
// of coins, that is what has to be kept.
type ours struct {
	Branch        wallet.Branch
	Index         uint32
	Keys          [][33]byte // in the order of the wallet's records
	WitnessScript []byte
	ScriptPubKey  []byte
}

func oursOf(d wallet.Derived) ours {
	o := ours{Branch: d.Branch, Index: d.Index, WitnessScript: d.WitnessScript, ScriptPubKey: d.ScriptPubKey}
	for _, k := range d.Keys {
		o.Keys = append(o.Keys, k.PubKey)
	}
	return o
}

// derived is the script with what its claims are held against.
func (h *heirs) derived(o ours) wallet.Derived {
	d := wallet.Derived{Branch: o.Branch, Index: o.Index, WitnessScript: o.WitnessScript, ScriptPubKey: o.ScriptPubKey,
		Keys: make([]wallet.DerivedKey, len(o.Keys))}
	for i, r := range h.records {
		d.Keys[i] = wallet.DerivedKey{Position: i, PubKey: o.Keys[i], Fingerprint: r.Fingerprint, Path: steps(r, place{o.Branch, o.Index})}
	}
	return d
}

// line is a key of the wallet and a branch below it.
type line struct {
	position int
	branch   wallet.Branch
}

// forebear is the public key of a branch, with the HMAC that its chain code keys.
type forebear struct {
	key        affine
	compressed [33]byte
	mac        hash.Hash
}

// foresee derives the places that the inputs point to before they are asked for. What it does not find, because a claim
// is broken or a sum hit a case that the quick formulas do not cover, is derived by the wallet room when it is asked for,
// and refused there if it must be.
func (v *prover) foresee() {
	var places []place
	seen := map[place]bool{}
	for _, m := range v.packet.inputs {
		for _, at := range hints(m.of(inputDerivation)) {
			if at.branch <= wallet.ChangeBranch && at.index <= v.scope.IndexMax && !seen[at] {
				seen[at] = true
				places = append(places, at)
			}
		}
	}
	if len(places) <= placesFew {
		return
	}
	v.heirs, v.foreseen = newHeirs(v.scope.From), make(map[place]ours, len(places))
	for chunk := range slices.Chunk(places, placesChunk) {
		v.heirs.derive(chunk, v.foreseen)
	}
	v.heirs.comb = nil
}

// derive adds the scripts at places to known.
func (h *heirs) derive(places []place, known map[place]ours) {
	n := len(h.records)
	lanes, keys := make([]lane, len(places)*n), make([][33]byte, len(places)*n)
	for i, at := range places {
		for position := range n {
			h.begin(at, position, &lanes[i*n+position], &keys[i*n+position])
		}
	}
	h.comb.addMultiples(lanes)
	for i, at := range places {
		whole := true
		for j := i * n; j < (i+1)*n; j++ {
			whole = whole && !lanes[j].broken
			if keys[j] == ([33]byte{}) {
				keys[j] = lanes[j].sum.compressed()
			}
		}
		if script, ok := h.compose(at, slices.Clone(keys[i*n:(i+1)*n])); whole && ok {
			known[at] = script
		}
	}
}

// begin prepares the key at a position: the lane starts at the parent and adds the left half of the HMAC over the
// parent's key and the index (BIP32). A key that has no parent is put into key at once.
func (h *heirs) begin(at place, position int, l *lane, key *[33]byte) {
	var err error
	if h.records[position].Kind != wallet.BIP32 {
		*key, err = h.records[position].PubKey(at.branch, at.index)
		l.broken = err != nil
		return
	}
	p := h.forebear(line{position, at.branch})
	if p == nil {
		l.broken = true
		return
	}
	p.mac.Reset()
	p.mac.Write(p.compressed[:])
	p.mac.Write(binary.BigEndian.AppendUint32(nil, at.index))
	tweak := p.mac.Sum(nil)[:32]
	limbs := readLimbs(tweak)
	l.broken = limbs == [4]uint64{} || !less(limbs, order())
	l.digits, l.sum = combDigits(limbs), p.key
}

// forebear opens a branch of a BIP32 key, or gives nil when it has none.
func (h *heirs) forebear(at line) *forebear {
	if p, ok := h.lines[at]; ok {
		return p
	}
	h.lines[at] = nil
	account, err := hdkeychain.NewKeyFromString(h.records[at.position].Key)
	if err != nil {
		return nil
	}
	branch, err := account.Derive(uint32(at.branch))
	if err != nil {
		return nil
	}
	public, err := branch.ECPubKey()
	if err != nil {
		return nil
	}
	p := &forebear{compressed: [33]byte(public.SerializeCompressed()), mac: hmac.New(sha512.New, branch.ChainCode())}
	var ok bool
	if p.key, ok = decompress(p.compressed); !ok {
		return nil
	}
	h.lines[at] = p
	return p
}

// compose lays out the script of keys, which are in the order of the wallet's records.
func (h *heirs) compose(at place, keys [][33]byte) (ours, bool) {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b [33]byte) int { return bytes.Compare(a[:], b[:]) })
	if len(slices.Compact(slices.Clone(sorted))) != len(keys) {
		return ours{}, false
	}
	const opBase, opPush, opCheckMultisig = 0x50, 33, 0xae
	script := append(make([]byte, 0, 3+34*len(keys)), byte(opBase+h.from.Threshold()))
	for i := range sorted {
		script = append(append(script, opPush), sorted[i][:]...)
	}
	script = append(script, byte(opBase+len(keys)), opCheckMultisig)
	program := sha256.Sum256(script)
	return ours{at.branch, at.index, keys, script, append([]byte{0, 32}, program[:]...)}, true
}

// steps is the path of a key from its master.
func steps(r wallet.KeyRecord, at place) []uint32 {
	if r.Kind == wallet.Fixed {
		return []uint32{}
	}
	return append(append(make([]uint32, 0, len(r.Path)+2), r.Path...), uint32(at.branch), at.index)
}

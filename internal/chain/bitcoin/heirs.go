package bitcoin

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/coldsign/coldsign/internal/wallet"
)

// To know that a coin is ours, all keys of its script are derived again, and with hundreds of coins that would be most of
// the work of signing. So the scripts that the inputs point to are derived here together, by the arithmetic of the second
// verifier. What comes out is only compared with scripts that previous transactions hold: a mistake would make a coin of
// ours look foreign, never a foreign one ours. Outputs, where the script is the whole promise, are derived by the wallet
// room alone, one by one.
const (
	placesFew   = 8  // up to so many the wallet room is as quick
	placesChunk = 32 // places that are derived side by side
)

// heirs derives scripts of a wallet.
type heirs struct {
	from    wallet.Wallet
	records []wallet.KeyRecord
	lines   map[line]*forebear
	fixed   map[int][33]byte // keys that are the same everywhere, by position
	comb    comb
}

// newHeirs opens the branches that places need.
func newHeirs(from wallet.Wallet, places []place) *heirs {
	h := &heirs{from: from, records: from.Keys(), lines: map[line]*forebear{}, fixed: map[int][33]byte{}, comb: newComb()}
	for position, r := range h.records {
		if r.Kind != wallet.Fixed {
			continue
		}
		if key, err := r.PubKey(wallet.Receive, 0); err == nil {
			h.fixed[position] = key
		}
	}
	for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
		if !slices.ContainsFunc(places, func(at place) bool { return at.branch == branch }) {
			continue
		}
		for position, r := range h.records {
			if r.Kind != wallet.BIP32 {
				continue
			}
			if f := openForebear(from, position, branch); f != nil {
				h.lines[line{position, branch}] = f
			}
		}
	}
	return h
}

// ours is a script of the spending wallet, as much of it as is needed once the claims about it are checked: of thousands
// of coins, that is what has to be kept.
type ours struct {
	Branch        wallet.Branch
	Index         uint32
	Keys          [][33]byte // in the order of the wallet's records
	Ys            [][32]byte // of the keys: zeros, or nothing at all, where they are not known
	WitnessScript []byte
	ScriptPubKey  []byte
}

// y is that of the key at a position, or zeros.
func (o *ours) y(position int) [32]byte {
	if position >= len(o.Ys) {
		return [32]byte{}
	}
	return o.Ys[position]
}

func oursOf(d wallet.Derived) *ours {
	o := &ours{Branch: d.Branch, Index: d.Index, WitnessScript: d.WitnessScript, ScriptPubKey: d.ScriptPubKey}
	for _, k := range d.Keys {
		o.Keys = append(o.Keys, k.PubKey)
	}
	return o
}

// derived is the script with what its claims are held against.
func (h *heirs) derived(o *ours) wallet.Derived {
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

// forebear is the public key of a branch, with the code that its children are derived with.
type forebear struct {
	key        affine
	compressed [33]byte
	chain      []byte
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
	v.heirs = newHeirs(v.scope.From, places)
	chunks := evenly(places, placesChunk)
	found := make([][]*ours, len(chunks))
	_ = inParallel(len(chunks), func(i int) error { // what is not found is no error, see above
		found[i] = v.heirs.derive(chunks[i])
		return nil
	})
	v.heirs.comb, v.foreseen = nil, make(map[place]*ours, len(places))
	for i := range found {
		for _, script := range found[i] {
			v.foreseen[place{script.Branch, script.Index}] = script
		}
		found[i] = nil
	}
}

// derive gives the scripts at places, as far as it finds them. It changes nothing in h.
func (h *heirs) derive(places []place) (found []*ours) {
	n, macs := len(h.records), map[line]hash.Hash{}
	for at, f := range h.lines {
		macs[at] = hmac.New(sha512.New, f.chain)
	}
	lanes, keys := make([]lane, len(places)*n), make([][33]byte, len(places)*n)
	for i, at := range places {
		for position := range n {
			j := i*n + position
			h.begin(line{position, at.branch}, at.index, macs, &lanes[j])
			if key, same := h.fixed[position]; same {
				keys[j], lanes[j].broken = key, false
			} else if r := h.records[position]; r.Kind != wallet.BIP32 {
				var err error
				keys[j], err = r.PubKey(at.branch, at.index)
				lanes[j].broken = err != nil
			}
		}
	}
	h.comb.addMultiples(lanes)
	found = make([]*ours, 0, len(places))
	for i, at := range places {
		whole, ys := true, make([][32]byte, n)
		for j := i * n; j < (i+1)*n; j++ {
			whole = whole && !lanes[j].broken
			if keys[j] == ([33]byte{}) {
				keys[j], ys[j-i*n] = lanes[j].sum.compressed(), lanes[j].sum.y.bytes()
			}
		}
		if script, ok := h.compose(at, slices.Clone(keys[i*n:(i+1)*n])); whole && ok {
			script.Ys = ys
			found = append(found, script)
		}
	}
	return found
}

// begin prepares the lane of a key: it starts at the key's forebear and adds the left half of the HMAC over the forebear
// and the index (BIP32). A key without a forebear has an empty lane.
func (h *heirs) begin(at line, index uint32, macs map[line]hash.Hash, l *lane) {
	f, mac := h.lines[at], macs[at]
	if f == nil {
		l.broken = true
		return
	}
	mac.Reset()
	mac.Write(f.compressed[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	tweak := readLimbs(mac.Sum(nil)[:32])
	l.broken = tweak == [4]uint64{} || !less(tweak, order())
	l.digits, l.sum = combDigits(tweak), f.key
}

// openForebear opens a branch of a BIP32 key, or gives nil when it has none.
func openForebear(from wallet.Wallet, position int, branch wallet.Branch) *forebear {
	public, chain, ok := from.Parent(position, branch)
	if !ok {
		return nil
	}
	f := &forebear{compressed: public, chain: chain}
	if f.key, ok = decompress(public); !ok {
		return nil
	}
	return f
}

// compose lays out the script of keys, which are in the order of the wallet's records.
func (h *heirs) compose(at place, keys [][33]byte) (*ours, bool) {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b [33]byte) int { return bytes.Compare(a[:], b[:]) })
	if len(slices.Compact(slices.Clone(sorted))) != len(keys) {
		return nil, false
	}
	const opBase, opPush, opCheckMultisig = 0x50, 33, 0xae
	script := append(make([]byte, 0, 3+34*len(keys)), byte(opBase+h.from.Threshold()))
	for i := range sorted {
		script = append(append(script, opPush), sorted[i][:]...)
	}
	script = append(script, byte(opBase+len(keys)), opCheckMultisig)
	program := sha256.Sum256(script)
	return &ours{Branch: at.branch, Index: at.index, Keys: keys, WitnessScript: script, ScriptPubKey: append([]byte{0, 32}, program[:]...)}, true
}

// steps is the path of a key from its master.
func steps(r wallet.KeyRecord, at place) []uint32 {
	if r.Kind == wallet.Fixed {
		return []uint32{}
	}
	return append(append(make([]uint32, 0, len(r.Path)+2), r.Path...), uint32(at.branch), at.index)
}

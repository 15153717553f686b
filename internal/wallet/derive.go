package wallet

import (
	"bytes"
	"slices"

	"github.com/coldsign/coldsign/internal/spend"
)

// Derived is one script of a wallet.
type Derived struct {
	Branch        Branch
	Index         uint32
	Address       string
	ScriptPubKey  []byte
	WitnessScript []byte
	Keys          []DerivedKey // in record order, whatever the order in the script
}

// DerivedKey is one key of a derived script, with the path that a PSBT carries for it.
type DerivedKey struct {
	Position    int // of its record in the wallet
	PubKey      [33]byte
	Fingerprint [4]byte
	Path        []uint32 // from the master key; empty for a fixed key, branch and index for a key of a pool
}

// Derive returns the script at branch/index. It works on keys derived once and shares nothing that changes, so it may
// be called from several goroutines.
func (w Wallet) Derive(branch Branch, index uint32) (Derived, error) {
	if err := checkIndex(branch, index); err != nil {
		return Derived{}, err
	}
	if len(w.sources) == 0 {
		return Derived{}, spend.Refuse("wallet-index", "wallet", "a wallet that was composed or read", "an empty one", "read the wallet file first")
	}
	d := Derived{Branch: branch, Index: index, Keys: make([]DerivedKey, len(w.sources))}
	keys := make([][]byte, len(w.sources))
	// The witness script holds the derived keys in sorted order, d.Keys in record order: a position names a holder, and
	// holders must not change places from index to index.
	for i, s := range w.sources {
		r := w.records[i]
		key, err := s.key(r.where(), branch, index)
		if err != nil {
			return Derived{}, err
		}
		d.Keys[i] = DerivedKey{i, key, r.Fingerprint, r.steps(branch, index)}
		keys[i] = key[:]
	}
	if err := distinct(keys); err != nil {
		return Derived{}, err
	}
	d.WitnessScript = multiScript(w.threshold, keys, true)
	d.ScriptPubKey = p2wsh(d.WitnessScript)
	var err error
	d.Address, err = addressOf(d.ScriptPubKey, w.params)
	return d, err
}

// distinct refuses a script in which one key stands twice: a fixed key that is also a child of an account key would let
// its holder sign twice.
func distinct(keys [][]byte) error {
	for i, key := range keys {
		if slices.ContainsFunc(keys[:i], func(other []byte) bool { return bytes.Equal(key, other) }) {
			return spend.Refuse("wallet-key-duplicate", "derived script", "different keys", "one key twice", "compose the wallet from keys of different holders")
		}
	}
	return nil
}

func (s source) key(where string, branch Branch, index uint32) ([33]byte, error) {
	if s.branches[branch] != nil {
		parent, err := s.branches[branch]()
		if err != nil {
			return [33]byte{}, err
		}
		return parent.child(index)
	}
	if s.pool == nil {
		return s.fixed, nil
	}
	if at := PoolPosition(branch, index); at < uint64(len(s.pool)) {
		return s.pool[at], nil
	}
	return [33]byte{}, exhausted(where, len(s.pool), index)
}

package wallet

import (
	"bytes"
	"encoding/json"
	"strings"
)

// coreEntry is one element of the list that Bitcoin Core's importdescriptors takes.
type coreEntry struct {
	Descriptor string    `json:"desc"`
	Active     bool      `json:"active"`
	Internal   bool      `json:"internal"`
	Range      [2]uint32 `json:"range"`
	NextIndex  uint32    `json:"next_index"`
	Timestamp  int64     `json:"timestamp"`
}

const coreRangeLast = 999 // the first thousand scripts; Core itself extends the range of active descriptors

// CoreImport writes the argument of Bitcoin Core's importdescriptors for a wallet without private keys: one descriptor
// for each branch, since Core before version 29 reads no tuples. since is the Unix time from which Core looks for
// coins; 0 is the whole chain.
func (w Wallet) CoreImport(since int64) ([]byte, error) {
	if err := w.refusePools("Bitcoin Core"); err != nil {
		return nil, err
	}
	d, err := ParseDescriptor(w.descriptor)
	if err != nil {
		return nil, err
	}
	// Branch rewrites the tuple and String gives each half a checksum of its own, which Core demands.
	var entries []coreEntry
	for _, branch := range []Branch{Receive, ChangeBranch} {
		one, err := d.Branch(int(branch))
		if err != nil {
			return nil, err
		}
		entries = append(entries, coreEntry{one.String(), true, branch == ChangeBranch, [2]uint32{0, coreRangeLast}, 0, since})
	}
	return indented(entries), nil
}

// FromCore reads such a list, or what listdescriptors gives: one descriptor that says both branches, or the two that
// one stands for. Which of the two is for change is read from the descriptors, not from their flags.
func FromCore(raw []byte, l Label, options ...Option) (Wallet, error) {
	doc := document{"import-unreadable", "Bitcoin Core file", foreignFileMax}
	texts, err := coreDescriptors(doc, raw)
	if err != nil {
		return Wallet{}, err
	}
	if len(texts) != 1 && len(texts) != 2 {
		return Wallet{}, doc.malformed("%d descriptors, a wallet has two", len(texts))
	}
	// The descriptor of change may stand first: Core lists them by their checksums.
	if len(texts) == 2 && !strings.Contains(texts[0], "/0/*") {
		texts[0], texts[1] = texts[1], texts[0]
	}
	d, err := ParseDescriptor(texts[0])
	if err != nil {
		return Wallet{}, err
	}
	if len(texts) == 1 {
		return fromPolicy(d, nil, l, options)
	}
	if d, err = bothBranches(d); err != nil {
		return Wallet{}, err
	}
	change, err := ParseDescriptor(texts[1])
	if err != nil {
		return Wallet{}, err
	}
	// Two descriptors of two wallets would make a wallet whose change goes to the other.
	if want, err := d.Branch(d.Branches() - 1); err != nil || change.String() != want.String() {
		return Wallet{}, doc.malformed("two descriptors that are not the two branches of one wallet")
	}
	return fromPolicy(d, nil, l, options)
}

// coreDescriptors returns the texts of the list. The other fields say how far Core has looked, and bind nobody.
func coreDescriptors(doc document, raw []byte) ([]string, error) {
	var entries []json.RawMessage
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		// The list is read as the one field of an object, so that it is held to the same rules.
		raw = append(append([]byte(`{"descriptors":`), raw...), '}')
	}
	o, err := doc.read(raw, []string{"descriptors"}, []string{"wallet_name"})
	if err != nil {
		return nil, err
	}
	if entries, err = o.list("descriptors", keysMax); err != nil {
		return nil, err
	}
	texts := make([]string, len(entries))
	for i, entry := range entries {
		one, err := doc.read(entry, []string{"desc"}, []string{"active", "internal", "range", "next", "next_index", "timestamp", "label"})
		if err != nil {
			return nil, err
		}
		if texts[i], err = one.text("desc"); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

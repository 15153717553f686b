package wallet

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

package wallet

import (
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	walletFileMax = 256 << 10 // bytes; 15 records have below 12 KiB, three full pools 235 KiB
	walletFormat  = "wallet/v1"
)

// fileFields is the order in which a wallet file is written.
type fileFields struct {
	Format     string         `json:"coldsign"`
	Name       string         `json:"name"`
	Tier       string         `json:"tier"`
	Network    string         `json:"network"`
	Descriptor string         `json:"descriptor"`
	Keys       []recordFields `json:"keys"`
}

// Marshal writes the wallet file as indented JSON with a final newline; the same wallet always gives the same bytes.
func (w Wallet) Marshal() []byte {
	f := fileFields{walletFormat, w.name, string(w.tier), string(w.network), w.descriptor, []recordFields{}}
	for _, r := range w.records {
		f.Keys = append(f.Keys, r.fields())
	}
	return indented(f)
}

// Parse reads a wallet file and verifies everything in it again. Keys marked "proof": "none" need AcceptUnproven.
func Parse(file []byte, options ...Option) (Wallet, error) {
	doc := document{"wallet-unreadable", "wallet file", walletFileMax}
	o, err := doc.read(file, []string{"coldsign", "name", "tier", "network", "descriptor", "keys"}, nil)
	if err != nil {
		return Wallet{}, err
	}
	f, err := o.texts("coldsign", "name", "tier", "network", "descriptor")
	if err != nil {
		return Wallet{}, err
	}
	if f["coldsign"] != walletFormat {
		return Wallet{}, doc.malformed("the format %s where %s stands in a wallet file", quote(f["coldsign"]), walletFormat)
	}
	raws, err := o.list("keys", keysMax)
	if err != nil {
		return Wallet{}, err
	}
	// The threshold is taken from the descriptor, because the file states it nowhere else. The keys are taken from the
	// records, because only they are proven. matches then demands that the descriptor says the same.
	threshold, err := readThreshold(f["descriptor"])
	if err != nil {
		return Wallet{}, err
	}
	records := make([]KeyRecord, len(raws))
	for i, raw := range raws {
		if records[i], err = readRecord(raw, "wallet file"); err != nil {
			return Wallet{}, err
		}
	}
	w, err := compose(f["name"], spend.Tier(f["tier"]), threshold, records, options...)
	if err != nil {
		return Wallet{}, err
	}
	return w, w.matches(f["network"], f["descriptor"])
}

// readThreshold reads m out of the descriptor of a wallet file.
func readThreshold(text string) (int, error) {
	if strings.HasPrefix(text, poolTextHead) {
		return poolThreshold(text)
	}
	d, err := readPolicy(text)
	return d.Threshold(), err
}

// readPolicy reads a descriptor and accepts the one shape that wallets have.
func readPolicy(text string) (Descriptor, error) {
	d, err := ParseDescriptor(text)
	if err != nil {
		return Descriptor{}, err
	}
	// The shape is checked before any key, so that a foreign kind of wallet is told what it is.
	return d, checkShape(d)
}

// checkShape keeps other scripts out. Change detection, sizes, fees and signing know this one shape; another would have
// to be added to all of them.
func checkShape(d Descriptor) error {
	const shape = "wsh(sortedmulti)"
	if d.Shape() != shape {
		return spend.Refuse("wallet-script", "descriptor", shape+": the only script that wallets can be pinned with", d.Shape(),
			"set the wallet up again as native segwit multisig with sorted keys")
	}
	return nil
}

// matches compares the file's claims with what was rebuilt from its records.
func (w Wallet) matches(network, descriptor string) error {
	if network != string(w.network) {
		return spend.Distrust("wallet-network", w.where(), string(w.network)+", as its keys say", quote(network), "do not use this file; compose the wallet again from the key records")
	}
	if descriptor != w.descriptor {
		return spend.Distrust("wallet-descriptor", w.where(), "the descriptor that its key records give, ending in "+w.descriptor[strings.Index(w.descriptor, "#"):],
			"another one", "do not use this file; compose the wallet again from the key records")
	}
	return nil
}

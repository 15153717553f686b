package wallet

import (
	"strings"
)

// specterFile is the JSON that Specter Desktop defined and Sparrow and others write and read.
type specterFile struct {
	Label       string          `json:"label"`
	BlockHeight uint32          `json:"blockheight"`
	Descriptor  string          `json:"descriptor"`
	Devices     []specterDevice `json:"devices"`
}

type specterDevice struct {
	Type  string `json:"type"`
	Label string `json:"label"`
}

// Specter writes the wallet as Specter Desktop and Sparrow exchange it: the receive descriptor stands for both branches.
func (w Wallet) Specter() ([]byte, error) {
	if err := w.refusePools("the format of Sparrow and Specter"); err != nil {
		return nil, err
	}
	d, err := ParseDescriptor(w.descriptor)
	if err != nil {
		return nil, err
	}
	receive, err := d.Branch(int(Receive))
	if err != nil {
		return nil, err
	}
	// Block height 0 means: look through the whole chain. The true height is not known to this room, and a wrong one
	// hides coins.
	f := specterFile{Label: w.name, Descriptor: receive.String()}
	for _, r := range w.records {
		f.Devices = append(f.Devices, specterDevice{"other", r.Name})
	}
	return indented(f), nil
}

// FromSpecter reads such a file. A descriptor that ends in /0/* for every key stands for both branches, as the format
// has it; one with <0;1> says so itself. The file's label and block height are not taken over.
func FromSpecter(raw []byte, l Label, options ...Option) (Wallet, error) {
	doc := document{"import-unreadable", "Specter file", foreignFileMax}
	o, err := doc.read(raw, []string{"label", "descriptor"}, []string{"blockheight", "devices"})
	if err != nil {
		return Wallet{}, err
	}
	if _, err := o.anyText("label"); err != nil {
		return Wallet{}, err
	}
	text, err := o.text("descriptor")
	if err != nil {
		return Wallet{}, err
	}
	// The height decides nothing here, but a field that is read by nobody is where a parser's differences hide.
	if o.fields["blockheight"] != nil {
		if _, err := o.number("blockheight", hardened); err != nil {
			return Wallet{}, err
		}
	}
	names, err := specterNames(o)
	if err != nil {
		return Wallet{}, err
	}
	d, err := ParseUnchecked(text)
	if err != nil {
		return Wallet{}, err
	}
	if d, err = bothBranches(d); err != nil {
		return Wallet{}, err
	}
	if names != nil && len(names) != len(d.Keys()) {
		return Wallet{}, doc.malformed("%d devices for %d keys", len(names), len(d.Keys()))
	}
	return fromPolicy(d, names, l, options)
}

// specterNames reads the labels of the devices, or nil when the file lists none. They become names of keys only if they
// could be names of ours; whatever else they hold is never shown.
func specterNames(o object) ([]string, error) {
	if o.fields["devices"] == nil {
		return nil, nil
	}
	raws, err := o.list("devices", keysMax)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(raws))
	for i, raw := range raws {
		device, err := o.document.read(raw, []string{"type", "label"}, nil)
		if err != nil {
			return nil, err
		}
		if names[i], err = device.anyText("label"); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// bothBranches rewrites /0/* of every key as /<0;1>/*. A descriptor with another step somewhere stays as it is.
func bothBranches(d Descriptor) (Descriptor, error) {
	body, _, _ := strings.Cut(d.String(), "#")
	for _, key := range d.Keys() {
		if key.extended == nil {
			continue
		}
		text := key.String()
		account, ok := strings.CutSuffix(text, "/0/*")
		if !ok {
			return d, nil
		}
		body = strings.Replace(body, text, account+ourSteps, 1)
	}
	return ParseUnchecked(body)
}

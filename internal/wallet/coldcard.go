package wallet

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// The text file that a Coldcard writes and registers, and that Specter, Sparrow, Nunchuk and Passport read:
//
//	Name: WARM-1
//	Policy: 2 of 3
//	Format: P2WSH
//
//	Derivation: m/48'/1'/0'/2'
//	4BA43603: tpub...
//	56C4FAC3: tpub...
//
// Lines that begin with # are remarks, save "# derivation:", in which Sparrow puts the path of each key when they have
// different ones. A derivation holds for the keys after it, so one line may serve all. The format always means sorted
// keys, and receive and change branches 0 and 1.

const coldcardNameMax = 20 // characters that the device stores

// Coldcard writes the text file that Coldcard and several other devices register a multisig wallet from.
func (w Wallet) Coldcard() ([]byte, error) {
	if err := w.refuseFixedKeys("the Coldcard format"); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Name: %s\nPolicy: %d of %d\nFormat: P2WSH\n", w.name[:min(len(w.name), coldcardNameMax)], w.threshold, len(w.records))
	for i, r := range w.records {
		if i == 0 || !slices.Equal(r.Path, w.records[i-1].Path) {
			fmt.Fprintf(&b, "\nDerivation: %s\n", strings.ReplaceAll(pathText(r.Path), "h", "'"))
		}
		fmt.Fprintf(&b, "%X: %s\n", r.Fingerprint, r.Key)
	}
	return []byte(b.String()), nil
}

// coldcardFile is what the lines have said so far.
type coldcardFile struct {
	document
	name, policy, format string
	path                 []uint32 // of the keys that follow
	records              []KeyRecord
}

// FromColdcard reads such a text file. Its own name is not taken over; the format's keys are sorted in the script.
func FromColdcard(raw []byte, l Label, options ...Option) (Wallet, error) {
	f := coldcardFile{document: document{"import-unreadable", "Coldcard file", foreignFileMax}}
	if len(raw) > f.max {
		return Wallet{}, f.malformed("%d bytes, at most %d", len(raw), f.max)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if path, ok := strings.CutPrefix(line, "# derivation:"); ok {
			line = "derivation:" + path
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if err := f.take(line, l.Network); err != nil {
			return Wallet{}, err
		}
	}
	// Sscanf alone would take "02 of 3" and "2 of 3x": what is read must also be what would be written.
	var m, n int
	if _, err := fmt.Sscanf(f.policy, "%d of %d", &m, &n); err != nil || fmt.Sprintf("%d of %d", m, n) != f.policy || n != len(f.records) {
		return Wallet{}, f.malformed("the policy %s with %d keys", quote(f.policy), len(f.records))
	}
	if !strings.EqualFold(f.format, "P2WSH") {
		return Wallet{}, spend.Refuse("wallet-script", f.where, "the format P2WSH", quote(f.format), "set the wallet up again as native segwit multisig")
	}
	return composeForeign(f.records, m, l, options)
}

// take reads one line: a setting, or a fingerprint with its key.
func (f *coldcardFile) take(line string, network spend.Network) error {
	name, value, found := strings.Cut(line, ":")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	if !found || value == "" {
		return f.malformed("a line without a name and a value")
	}
	// The device reads names in any case; a name that it would not know could mean something to another reader.
	switch name {
	case "name":
		return f.once(&f.name, name, value)
	case "policy":
		return f.once(&f.policy, name, value)
	case "format":
		return f.once(&f.format, name, value)
	case "derivation":
		path, ok := parsePath(value)
		if !ok || len(path) == 0 {
			return f.malformed("the derivation %s, which is not written like m/48'/0'/0'/2'", quote(value))
		}
		f.path = path
		return nil
	}
	fingerprint, ok := parseFingerprint(name)
	if !ok {
		return f.malformed("the setting %s, which this program does not know", quote(name))
	}
	// Old firmware let the derivation out and guessed it. A guessed path is a claim that nobody made.
	if f.path == nil {
		return refuseOrigin(f.where + ", key " + hex.EncodeToString(fingerprint[:]))
	}
	f.records = append(f.records, KeyRecord{Name: foreignName("", len(f.records)), Network: network, Kind: BIP32,
		Fingerprint: fingerprint, Path: slices.Clone(f.path), Key: value})
	return nil
}

// once sets a field that has not been set: of two policies, two readers could follow different ones.
func (f *coldcardFile) once(field *string, name, value string) error {
	if *field != "" {
		return f.malformed("the setting %s twice", name)
	}
	*field = value
	return nil
}

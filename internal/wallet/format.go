package wallet

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
)

// Format names the kind of a file of another product.
type Format string

// The formats that are read and written.
const (
	DescriptorFormat Format = "descriptor" // the text alone, or with remarks and both halves as Sparrow writes it
	CoreFormat       Format = "core"       // Bitcoin Core: what importdescriptors takes and listdescriptors gives
	BSMSFormat       Format = "bsms"       // BIP129
	ColdcardFormat   Format = "coldcard"   // also of Passport, Nunchuk and other devices
	SparrowFormat    Format = "sparrow"    // JSON of Sparrow and Specter Desktop
	CaravanFormat    Format = "caravan"    // JSON of Caravan and Unchained
)

// Formats lists them in the order in which help texts name them.
func Formats() []Format {
	return []Format{DescriptorFormat, CoreFormat, BSMSFormat, ColdcardFormat, SparrowFormat, CaravanFormat}
}

// Sniff tells the format of a file by a mark that only one format has. What it says is a guess: reading decides.
func Sniff(raw []byte) (Format, error) {
	head := bytes.TrimSpace(raw[:min(len(raw), foreignFileMax)])
	has := func(mark string) bool { return bytes.Contains(head, []byte(mark)) }
	isJSON := bytes.HasPrefix(head, []byte("{")) || bytes.HasPrefix(head, []byte("["))
	switch {
	case isJSON && has(`"coldsign"`):
		return "", spend.Refuse("import-own", "file", "a file of another product", "a file of Coldsign", "pin it with: coldsign wallet add FILE")
	case isJSON && has(`"extendedPublicKeys"`):
		return CaravanFormat, nil
	case isJSON && has(`"desc"`):
		return CoreFormat, nil
	case isJSON && has(`"descriptor"`):
		return SparrowFormat, nil
	case bytes.HasPrefix(head, []byte("BSMS ")):
		return BSMSFormat, nil
	case !isJSON && has("Policy:"):
		return ColdcardFormat, nil
	case !isJSON && has("("):
		return DescriptorFormat, nil
	}
	return "", malformed("import-unreadable", "file", "text of no format that this program knows")
}

// Import reads a wallet from a file of another product.
func Import(raw []byte, f Format, l Label, options ...Option) (Wallet, error) {
	switch f {
	case DescriptorFormat:
		return fromDescriptorFile(raw, l, options)
	case CoreFormat:
		return FromCore(raw, l, options...)
	case BSMSFormat:
		return FromBSMS(raw, l, options...)
	case ColdcardFormat:
		return FromColdcard(raw, l, options...)
	case SparrowFormat:
		return FromSpecter(raw, l, options...)
	case CaravanFormat:
		return FromCaravan(raw, l, options...)
	}
	return Wallet{}, fmt.Errorf("format %s is none that is read", quote(string(f)))
}

// Export writes the wallet as a file of another product. since is when its first coin may have come, for the one format
// that has products search the chain from there (core); the zero time is the whole chain.
func (w Wallet) Export(f Format, since time.Time) ([]byte, error) {
	switch f {
	case DescriptorFormat:
		if err := w.refusePools("a descriptor"); err != nil {
			return nil, err
		}
		return []byte(w.descriptor + "\n"), nil
	case CoreFormat:
		seconds := int64(0)
		if !since.IsZero() {
			seconds = max(since.Unix(), 0)
		}
		return w.CoreImport(seconds)
	case BSMSFormat:
		return w.BSMS()
	case ColdcardFormat:
		return w.Coldcard()
	case SparrowFormat:
		return w.Specter()
	case CaravanFormat:
		return w.Caravan()
	}
	return nil, fmt.Errorf("format %s is none that is written", quote(string(f)))
}

// fromDescriptorFile reads a descriptor from a text file: one line, or as Sparrow writes it, with remarks and with the
// two halves for Bitcoin Core after it. Whatever stands there must say the same wallet.
func fromDescriptorFile(raw []byte, l Label, options []Option) (Wallet, error) {
	doc := document{"import-unreadable", "descriptor file", foreignFileMax}
	if len(raw) > doc.max {
		return Wallet{}, doc.malformed("%d bytes, at most %d", len(raw), doc.max)
	}
	var lines []string
	for _, line := range strings.Split(string(raw), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 && len(lines) != 3 {
		return Wallet{}, doc.malformed("%d descriptors; a file has one, or one and its two branches", len(lines))
	}
	d, err := readPolicy(lines[0])
	if err != nil {
		return Wallet{}, err
	}
	for i, line := range lines[1:] {
		half, err := ParseDescriptor(line)
		if err != nil {
			return Wallet{}, err
		}
		if want, err := d.Branch(i); err != nil || half.String() != want.String() {
			return Wallet{}, doc.malformed("a descriptor %d that is not branch %d of the first", i+2, i)
		}
	}
	return fromPolicy(d, nil, l, options)
}

// Policy returns the wallet policy of BIP388, e.g. wsh(sortedmulti(2,@0/**,@1/**,@2/**)): what hardware wallets show
// of a wallet beside its name. A wallet with a fixed key or a pool has none, because a placeholder always has children.
func (w Wallet) Policy() (template string, ok bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "wsh(sortedmulti(%d", w.threshold)
	for i, r := range w.records {
		if r.Kind != BIP32 {
			return "", false
		}
		fmt.Fprintf(&b, ",@%d/**", i)
	}
	b.WriteString("))")
	return b.String(), len(w.records) > 0
}

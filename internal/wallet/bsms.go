package wallet

import (
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// A BSMS 1.0 descriptor record is what a coordinator hands to the signers of a multisig wallet (BIP129). Four lines:
//
//	BSMS 1.0
//	wsh(sortedmulti(2,[4ba43603/48h/1h/0h/2h]tpub.../**,...))
//	/0/*,/1/*
//	bcrt1q...
//
// The last line is the first receive address. It is the record's only defence against a change of the descriptor, so it
// is derived again and must be equal. Round 1 of BIP129, where signers sign their keys with a message signature, is not
// read: our key records prove more, and a signature that is not checked would look like a proof.

// The lines of a BSMS 1.0 descriptor record (BIP129): version, descriptor template, paths, first address.
const (
	bsmsVersion  = "BSMS 1.0"
	bsmsTemplate = "/**"
	bsmsPaths    = "/0/*,/1/*"
	bsmsNoPaths  = "No path restrictions"
	ourSteps     = "/<0;1>/*"
)

// BSMS writes the wallet as a BSMS 1.0 descriptor record, unencrypted.
func (w Wallet) BSMS() ([]byte, error) {
	if err := w.refusePools("a BSMS record"); err != nil {
		return nil, err
	}
	first, err := w.Derive(Receive, 0)
	if err != nil {
		return nil, err
	}
	body, _, _ := strings.Cut(w.descriptor, "#")
	lines := []string{bsmsVersion, strings.ReplaceAll(body, ourSteps, bsmsTemplate), bsmsPaths, first.Address}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// FromBSMS reads a BSMS 1.0 descriptor record and derives its first address again.
func FromBSMS(raw []byte, l Label, options ...Option) (Wallet, error) {
	doc := document{"import-unreadable", "BSMS record", foreignFileMax}
	if len(raw) > doc.max {
		return Wallet{}, doc.malformed("%d bytes, at most %d", len(raw), doc.max)
	}
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	if len(lines) != 4 || lines[0] != bsmsVersion {
		return Wallet{}, doc.malformed("text that is not the four lines of a record of version %s", bsmsVersion)
	}
	d, err := bsmsDescriptor(doc, lines[1], lines[2])
	if err != nil {
		return Wallet{}, err
	}
	w, err := fromPolicy(d, nil, l, options)
	if err != nil {
		return Wallet{}, err
	}
	first, err := w.Derive(Receive, 0)
	if err != nil {
		return Wallet{}, err
	}
	if lines[3] != first.Address {
		return Wallet{}, spend.Distrust("import-address", doc.where, "the first address "+first.Address, "another one", "do not use this record; its descriptor was changed, or it is for another network")
	}
	return w, nil
}

// bsmsDescriptor expands the template. A checksum, where there is one, belongs to the text as it stands.
func bsmsDescriptor(doc document, text, paths string) (Descriptor, error) {
	body, sum, given := strings.Cut(text, "#")
	// The checksum is over "/**", so it has to be checked before the template is expanded.
	if want, ok := descriptorChecksum(body); given && (!ok || sum != want) {
		return Descriptor{}, malformed("descriptor-checksum", doc.where, "a checksum that does not belong to its text")
	}
	// A template without its paths would leave it to each reader which scripts are meant. Sparrow writes the branches
	// into the descriptor and repeats them as paths; both say one thing, or the descriptor is refused for its steps.
	templated := strings.Contains(body, bsmsTemplate)
	if paths == bsmsPaths || !templated && paths == bsmsNoPaths {
		return ParseUnchecked(strings.ReplaceAll(body, bsmsTemplate, ourSteps))
	}
	return Descriptor{}, doc.malformed("the paths %s; this program knows %s for a template and %q for none", quote(paths), bsmsPaths, bsmsNoPaths)
}

package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Caps on a file. A policy of ten wallets is about 8 KiB, an address book of a hundred entries about 15.
const (
	fileMax  = 64 << 10 // bytes
	nodesMax = 4096
	depthMax = 8
)

// readFile checks the form of the bytes of a policy or an address book, and reads them into a struct of scalars. The
// kind begins every refusal code.
func readFile(kind string, raw []byte, into any) error {
	if len(raw) > fileMax {
		return malformed(kind+"-too-large", kind, "%d bytes; at most %d", len(raw), fileMax)
	}
	for i, c := range raw {
		if c != '\n' && (c < ' ' || c > '~') {
			line := bytes.Count(raw[:i], []byte("\n")) + 1
			return malformed(kind+"-not-ascii", fmt.Sprintf("line %d", line), "byte %#02x; printable ASCII only", c)
		}
	}
	var root yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	if err := decoder.Decode(&root); err != nil {
		return malformed(kind+"-syntax", kind, "%v", err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return malformed(kind+"-syntax", kind, "more than one document")
	}
	budget := nodesMax
	if where, found := plainNode(&root, depthMax, &budget); found != "" {
		return malformed(kind+"-syntax", where, "%s", found)
	}
	strict := yaml.NewDecoder(bytes.NewReader(raw))
	strict.KnownFields(true)
	if err := strict.Decode(into); err != nil {
		return malformed(kind+"-syntax", kind, "%v", err)
	}
	return nil
}

// plainNode finds the parts of YAML that let a file mean something else than it seems to.
func plainNode(n *yaml.Node, depth int, budget *int) (where, found string) {
	where = fmt.Sprintf("line %d", n.Line)
	*budget--
	switch {
	case depth == 0 || *budget < 0:
		return where, fmt.Sprintf("more than %d levels or %d values", depthMax, nodesMax)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return where, "an anchor or alias"
	case n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge":
		return where, "a tag or merge key"
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return where, "block text"
	}
	for _, child := range n.Content {
		if where, found := plainNode(child, depth-1, budget); found != "" {
			return where, found
		}
	}
	return where, ""
}

package wallet

import (
	"fmt"
	"strconv"
	"strings"
)

// Descriptor is an output script descriptor (BIP380 to BIP383, BIP386, BIP389) of public keys. It is immutable.
//
// It knows pk, pkh, wpkh, sh, wsh, multi, sortedmulti and tr with a key alone. Uncompressed keys, private keys, script
// trees and everything else are refused by name, never skipped.
type Descriptor struct{ root expression }

// expression is one function of a descriptor: a wrapper with inner, or a script of keys.
type expression struct {
	function  string
	inner     *expression     // of sh and wsh
	threshold int             // of multi and sortedmulti
	keys      []KeyExpression // of the others
}

const descriptorMax = 8 << 10 // characters; 20 keys with origins have below 4 KiB

// Limits on the keys of multi, by what stands around it (BIP383).
const (
	bareKeysMax = 3
	shKeysMax   = 15
	wshKeysMax  = 20
)

func unreadable(format string, args ...any) error {
	return malformed("descriptor-unreadable", "descriptor", format, args...)
}

// ParseDescriptor reads a descriptor with its checksum.
func ParseDescriptor(text string) (Descriptor, error) {
	if !strings.Contains(text, "#") {
		return Descriptor{}, malformed("descriptor-checksum", "descriptor", "no checksum; it ends in # and eight characters")
	}
	return ParseUnchecked(text)
}

// ParseUnchecked reads a descriptor whose checksum may be missing, as in formats that leave it out. A checksum that is
// there must be right.
func ParseUnchecked(text string) (Descriptor, error) {
	if len(text) > descriptorMax {
		return Descriptor{}, unreadable("%d characters, at most %d", len(text), descriptorMax)
	}
	// The checksum comes before the grammar: a wrong one means that the text is not what was written, whatever it says now.
	body, sum, given := strings.Cut(text, "#")
	want, ok := descriptorChecksum(body)
	if !ok {
		return Descriptor{}, unreadable("a character that no descriptor has")
	}
	if given && sum != want {
		return Descriptor{}, malformed("descriptor-checksum", "descriptor", "the checksum %s, which does not belong to this text", quote(sum))
	}
	root, err := parseExpression(body, "")
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{root}
	return d, d.checkBranches()
}

// checkBranches demands that all tuples have the same length, since they advance together.
func (d Descriptor) checkBranches() error {
	for _, key := range d.Keys() {
		if n := key.choices(); n > 1 && n != d.Branches() {
			return unreadable("tuples of %d and of %d steps in one descriptor", n, d.Branches())
		}
	}
	return nil
}

// inside says which functions may stand where: at the top (""), inside sh, inside wsh.
func inside(context, function string) bool {
	switch function {
	case "sh", "tr":
		return context == ""
	case "wsh", "wpkh":
		return context == "" || context == "sh"
	case "pk", "pkh", "multi", "sortedmulti":
		return context == "" || context == "sh" || context == "wsh" || context == "sh(wsh"
	}
	return false
}

// parseExpression reads function(arguments). The rules of inside bound the recursion to three levels.
func parseExpression(text, context string) (expression, error) {
	function, rest, found := strings.Cut(text, "(")
	arguments, closed := strings.CutSuffix(rest, ")")
	if !found || !closed {
		return expression{}, unreadable("%s where a script stands, e.g. wsh(...)", quote(text))
	}
	// Segwit in segwit, sh in sh and the like have no meaning on the chain. Some would make scripts that nobody can spend.
	if !inside(context, function) {
		place := "at the top"
		if context != "" {
			place = "inside " + context
		}
		return expression{}, unreadable("%s %s, where this program does not know it", quote(function), place)
	}
	e := expression{function: function}
	switch function {
	case "sh", "wsh":
		if context == "sh" {
			function = "sh(wsh"
		}
		inner, err := parseExpression(arguments, function)
		e.inner = &inner
		return e, err
	case "multi", "sortedmulti":
		return e.parseMulti(arguments, context)
	}
	// tr may carry a tree of scripts. A tree that is skipped would be a hidden way to spend, so it is refused by name.
	if strings.ContainsAny(arguments, ",{") {
		return e, unreadable("more than one key inside %s; script trees are not known to this program", function)
	}
	key, err := parseKey(arguments, function == "tr")
	e.keys = []KeyExpression{key}
	return e, err
}

// parseMulti reads m and the keys. Bare multi is standard up to 3 keys, sh holds 520 bytes, wsh counts to 20.
func (e expression) parseMulti(arguments, context string) (expression, error) {
	parts := strings.Split(arguments, ",")
	most := wshKeysMax
	switch context {
	case "":
		most = bareKeysMax
	case "sh":
		most = shKeysMax
	}
	if n := len(parts) - 1; n < 1 || n > most {
		return e, unreadable("%d keys in %s, 1 to %d are possible there", n, e.function, most)
	}
	// The number must be in its one spelling: "02" and "+2" would give one script two descriptors, and two identities.
	threshold, err := strconv.ParseUint(parts[0], 10, 8)
	if err != nil || strconv.FormatUint(threshold, 10) != parts[0] || threshold < 1 || int(threshold) > len(parts)-1 {
		return e, unreadable("the threshold %s of %d keys", quote(parts[0]), len(parts)-1)
	}
	e.threshold = int(threshold)
	for _, part := range parts[1:] {
		key, err := parseKey(part, false)
		if err != nil {
			return e, err
		}
		e.keys = append(e.keys, key)
	}
	return e, nil
}

// String writes the descriptor in its canonical spelling with its checksum.
func (d Descriptor) String() string {
	body := d.root.String()
	sum, _ := descriptorChecksum(body) // every character was in the set when it was read
	return body + "#" + sum
}

// String writes the expression without a checksum.
func (e expression) String() string {
	if e.inner != nil {
		return e.function + "(" + e.inner.String() + ")"
	}
	var arguments []string
	if e.threshold > 0 {
		arguments = append(arguments, strconv.Itoa(e.threshold))
	}
	for _, key := range e.keys {
		arguments = append(arguments, key.String())
	}
	return e.function + "(" + strings.Join(arguments, ",") + ")"
}

// script returns the innermost expression, the one with keys.
func (d Descriptor) script() expression {
	e := d.root
	for e.inner != nil {
		e = *e.inner
	}
	return e
}

// Shape returns the functions from outside in, e.g. "wsh(sortedmulti)".
func (d Descriptor) Shape() string {
	shape, depth := d.root.function, 0
	for e := d.root.inner; e != nil; e = e.inner {
		shape += "(" + e.function
		depth++
	}
	return shape + strings.Repeat(")", depth)
}

// Threshold returns m of multi and sortedmulti, and 0 of everything else.
func (d Descriptor) Threshold() int { return d.script().threshold }

// Keys returns the keys in the order of the text.
func (d Descriptor) Keys() []KeyExpression { return append([]KeyExpression(nil), d.script().keys...) }

// Ranged reports whether a key ends in a wildcard, so that the descriptor stands for many scripts.
func (d Descriptor) Ranged() bool {
	for _, key := range d.Keys() {
		if key.Wildcard {
			return true
		}
	}
	return false
}

// Branches returns how many descriptors the tuples stand for; without a tuple, 1.
func (d Descriptor) Branches() int {
	most := 1
	for _, key := range d.Keys() {
		most = max(most, key.choices())
	}
	return most
}

// Branch returns one of the descriptors that the tuples stand for, e.g. 1 for the change descriptor of <0;1>.
func (d Descriptor) Branch(choice int) (Descriptor, error) {
	if choice < 0 || choice >= d.Branches() {
		return Descriptor{}, fmt.Errorf("branch %d of a descriptor with %d", choice, d.Branches())
	}
	return Descriptor{d.root.branch(choice)}, nil
}

// branch rebuilds the expression rather than changing it: descriptors share their parts and are immutable.
func (e expression) branch(choice int) expression {
	if e.inner != nil {
		inner := e.inner.branch(choice)
		e.inner = &inner
		return e
	}
	keys := make([]KeyExpression, len(e.keys))
	for i, key := range e.keys {
		keys[i] = key.branch(choice)
	}
	e.keys = keys
	return e
}

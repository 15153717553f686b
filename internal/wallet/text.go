package wallet

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
)

// taggedHash is SHA-256 over tag and fields as BIP340 tags it. Each field is preceded by its length in four bytes, so
// that no two lists of fields have the same bytes.
func taggedHash(tag string, fields ...[]byte) [32]byte {
	prefix := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(prefix[:])
	h.Write(prefix[:])
	for _, f := range fields {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f))))
		h.Write(f)
	}
	return [32]byte(h.Sum(nil))
}

// quote makes a word from outside safe to print. Longer text is only measured: what stands in the wrong place may be a
// private key or a phrase, and no error may repeat a secret.
func quote(text string) string {
	const shown = 24 // shorter than any spelling of a key
	if len(text) > shown {
		return "text of " + strconv.Itoa(len(text)) + " characters"
	}
	return strconv.QuoteToASCII(text)
}

// isPrintable reports whether text has only the 95 printable ASCII characters.
func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

const (
	walletNameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	keyNameLetters    = walletNameLetters + "abcdefghijklmnopqrstuvwxyz._"
)

// isName reports whether text has lengthMin to 32 characters of allowed and begins with a letter or digit.
func isName(text, allowed string, lengthMin int) bool {
	const lengthMax = 32
	if len(text) < lengthMin || len(text) > lengthMax || strings.ContainsRune("-._", rune(text[0])) {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(allowed, r) })
}

// pathText writes steps as m/48h/1h/0h/2h; no step is "m".
func pathText(path []uint32) string { return "m" + stepsText(path) }

// stepsText writes steps as they stand behind a fingerprint: /48h/1h/0h/2h.
func stepsText(path []uint32) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(stepText(step))
	}
	return b.String()
}

func stepText(step uint32) string {
	if step >= hardened {
		return strconv.FormatUint(uint64(step-hardened), 10) + "h"
	}
	return strconv.FormatUint(uint64(step), 10)
}

// parseStep reads one step. Hardened steps end in h or an apostrophe, as BIP380's vectors have it; signs, leading
// zeros and numbers beyond 2^31-1 are no steps.
func parseStep(text string) (uint32, bool) {
	digits := strings.TrimSuffix(text, "h")
	if digits == text {
		digits = strings.TrimSuffix(text, "'")
	}
	// 31 bits: the 32nd marks a hardened step and cannot be written as a number.
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, false
	}
	if digits != text {
		n += hardened
	}
	return uint32(n), true
}

const pathStepsMax = 16 // steps of one path; BIP48 needs four

// parsePath reads m/48h/1h/0h/2h.
func parsePath(text string) ([]uint32, bool) {
	rest, found := strings.CutPrefix(text, "m")
	if !found {
		return nil, false
	}
	return parseSteps(rest)
}

// parseSteps reads /48h/1h/0h/2h, or nothing.
func parseSteps(text string) ([]uint32, bool) {
	if text == "" {
		return nil, true
	}
	parts := strings.Split(text, "/")
	if parts[0] != "" || len(parts)-1 > pathStepsMax {
		return nil, false
	}
	path := make([]uint32, len(parts)-1)
	for i, part := range parts[1:] {
		step, ok := parseStep(part)
		if !ok {
			return nil, false
		}
		path[i] = step
	}
	return path, true
}

// document says which JSON object is being read, so that its refusals can.
type document struct {
	code, where string
	max         int // bytes
}

// malformed refuses the document, naming what was found in it.
func (d document) malformed(format string, args ...any) error {
	return malformed(d.code, d.where, format, args...)
}

// object is one JSON object whose names were compared exactly. encoding/json alone would take "Name" for "name" and
// the last of two.
type object struct {
	document
	fields map[string]json.RawMessage
}

// read takes one JSON object with every name of required, perhaps those of optional, and nothing else around it.
func (d document) read(raw []byte, required, optional []string) (object, error) {
	o := object{d, map[string]json.RawMessage{}}
	if len(raw) > d.max {
		return o, d.malformed("%d bytes, at most %d", len(raw), d.max)
	}
	// The decoder is used for its tokens only. Values stay raw until somebody asks for them by name.
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return o, d.malformed("text that is no JSON object")
	}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return o, d.malformed("JSON with a broken name")
		}
		if _, twice := o.fields[name]; twice {
			return o, d.malformed("the field %s twice", quote(name))
		}
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			return o, d.malformed("the unknown field %s", quote(name))
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return o, d.malformed("JSON with a broken value of %s", quote(name))
		}
		o.fields[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return o, d.malformed("a JSON object without its end")
	}
	// White space may follow, a second value may not: two readers could take different ones.
	if _, err := decoder.Token(); err != io.EOF {
		return o, d.malformed("more text after the JSON object")
	}
	for _, name := range required {
		if _, ok := o.fields[name]; !ok {
			return o, d.malformed("no field %s", quote(name))
		}
	}
	return o, nil
}

// anyText returns a field that is a string. Its characters may be anything, so it must not reach a screen unchecked.
func (o object) anyText(name string) (string, error) {
	var s string
	raw := o.fields[name]
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", o.malformed("a field %s that is no text", quote(name))
	}
	return s, nil
}

// text returns a field that is a string of printable ASCII. Escapes that hide other characters do not get through.
func (o object) text(name string) (string, error) {
	s, err := o.anyText(name)
	if err != nil {
		return "", err
	}
	if !isPrintable(s) {
		return "", o.malformed("a field %s with characters that are not printable ASCII", quote(name))
	}
	return s, nil
}

// texts returns several text fields at once.
func (o object) texts(names ...string) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range names {
		value, err := o.text(name)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

// list returns a field that is an array of at most max values.
func (o object) list(name string, max int) ([]json.RawMessage, error) {
	var values []json.RawMessage
	raw := o.fields[name]
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &values) != nil {
		return nil, o.malformed("a field %s that is no list", quote(name))
	}
	if len(values) > max {
		return nil, o.malformed("a list %s of %d, at most %d", quote(name), len(values), max)
	}
	return values, nil
}

// number returns a field that is a whole number from 0 to max.
func (o object) number(name string, max uint64) (uint64, error) {
	n, err := strconv.ParseUint(string(o.fields[name]), 10, 64)
	if err != nil || n > max || strconv.FormatUint(n, 10) != string(o.fields[name]) {
		return 0, o.malformed("a field %s that is no whole number from 0 to %d", quote(name), max)
	}
	return n, nil
}

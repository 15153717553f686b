package accounts

import (
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// clientData is what a browser says that it was asked (WebAuthn section 5.8.1).
type clientData struct {
	kind, challenge, origin string
	cross                   bool // crossOrigin, or a topOrigin
}

// membersMax is the most members that client data has, at any depth of nestingMax.
const (
	membersMax = 32
	nestingMax = 4
)

// readClientData reads one JSON object (RFC 8259) whose names each come once, with nothing behind it. What it does not
// know it passes over, as browsers add members to see whether somebody trips over them; what it knows must have its
// type.
func readClientData(raw []byte) (d clientData, ok bool) {
	if !utf8.Valid(raw) {
		return d, false
	}
	r := jsonReader{raw: raw}
	r.object(0, func(name string) {
		switch name {
		case "type":
			d.kind = r.text()
		case "challenge":
			d.challenge = r.text()
		case "origin":
			d.origin = r.text()
		case "crossOrigin":
			d.cross = r.truth() || d.cross
		case "topOrigin":
			d.cross = true
			r.skip(1)
		default:
			r.skip(1)
		}
	})
	r.space()
	return d, !r.bad && r.at == len(r.raw)
}

// jsonReader reads JSON from the front. After bytes that are none it is bad, and gives nothing more.
type jsonReader struct {
	raw []byte
	at  int
	bad bool
}

func (r *jsonReader) peek() byte {
	if r.bad || r.at >= len(r.raw) {
		return 0
	}
	return r.raw[r.at]
}

// take passes over c, or is bad.
func (r *jsonReader) take(c byte) {
	if r.peek() != c || c == 0 {
		r.bad = true
		return
	}
	r.at++
}

func (r *jsonReader) space() {
	for c := r.peek(); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = r.peek() {
		r.at++
	}
}

// object reads an object; member reads each value.
func (r *jsonReader) object(depth int, member func(name string)) {
	r.space()
	r.take('{')
	var names []string
	r.space()
	for first := true; !r.bad && (r.peek() != '}' || !first); first = false {
		if !first {
			r.take(',')
		}
		r.space()
		name := r.text()
		if slices.Contains(names, name) || len(names) >= membersMax || depth >= nestingMax {
			r.bad = true
		}
		names = append(names, name)
		r.space()
		r.take(':')
		r.space()
		if !r.bad {
			member(name)
		}
		r.space()
		if r.peek() == '}' {
			break
		}
	}
	r.take('}')
}

// skip reads any value.
func (r *jsonReader) skip(depth int) {
	switch c := r.peek(); {
	case c == '{':
		r.object(depth, func(string) { r.skip(depth + 1) })
	case c == '[':
		r.array(depth)
	case c == '"':
		r.text()
	case c == 't', c == 'f':
		r.truth()
	case c == 'n':
		r.word("null")
	default:
		r.number()
	}
}

func (r *jsonReader) array(depth int) {
	r.take('[')
	r.space()
	for n := 0; !r.bad && (r.peek() != ']' || n > 0); n++ {
		if n > 0 {
			r.take(',')
		}
		if n >= membersMax || depth >= nestingMax {
			r.bad = true
		}
		r.space()
		if !r.bad {
			r.skip(depth + 1)
		}
		r.space()
		if r.peek() == ']' {
			break
		}
	}
	r.take(']')
}

func (r *jsonReader) word(w string) {
	for i := range len(w) {
		r.take(w[i])
	}
}

func (r *jsonReader) truth() bool {
	if r.peek() == 't' {
		r.word("true")
		return !r.bad
	}
	r.word("false")
	return false
}

func (r *jsonReader) digits() {
	if c := r.peek(); c < '0' || c > '9' {
		r.bad = true
	}
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.at++
	}
}

func (r *jsonReader) number() {
	if r.peek() == '-' {
		r.at++
	}
	if r.peek() == '0' {
		r.at++
	} else {
		r.digits()
	}
	if r.peek() == '.' {
		r.at++
		r.digits()
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.at++
		if c := r.peek(); c == '+' || c == '-' {
			r.at++
		}
		r.digits()
	}
}

// text reads a string.
func (r *jsonReader) text() string {
	r.take('"')
	var out []byte
	for !r.bad {
		c := r.peek()
		r.at++
		switch {
		case c == '"':
			return string(out)
		case c < ' ':
			r.bad = true // a control character, or the end
		case c != '\\':
			out = append(out, c)
		default:
			out = r.escape(out)
		}
	}
	return ""
}

func (r *jsonReader) escape(out []byte) []byte {
	c := r.peek()
	r.at++
	switch c {
	case '"', '\\', '/':
		return append(out, c)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'u':
		one := r.hex()
		if utf16.IsSurrogate(one) {
			r.word(`\u`)
			one = utf16.DecodeRune(one, r.hex())
			r.bad = r.bad || one == utf8.RuneError
		}
		return utf8.AppendRune(out, one)
	}
	r.bad = true
	return out
}

func (r *jsonReader) hex() rune {
	if r.bad || len(r.raw)-r.at < 4 {
		r.bad = true
		return 0
	}
	n, err := strconv.ParseUint(string(r.raw[r.at:r.at+4]), 16, 16)
	r.bad = err != nil
	r.at += 4
	return rune(n)
}

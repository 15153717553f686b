// Package console is everything between a command and a person: streams, the terminal, exit codes, hints, secrets that
// are typed, files that a person names, frames that a camera reads, and the loop that draws a screen.
//
// Manners. Data goes to standard output, words to standard error, questions to the terminal, which is opened by itself
// so that standard input and output stay free for data. Errors are "name: fact" in lower case, followed by "hint:"
// lines with the command to type. Everything that came from outside is escaped to printable ASCII before a terminal
// sees it. With --json there is one object on standard output, or one error object on standard error; both carry a
// schema, and only ASCII:
//
//	{"schema":"coldsign.error/v1","code":3,"error":"...","refusals":[{"code":...}],"hints":["..."]}
//
// What may never happen here: a rule about money, a network connection, a child process, a secret in an error, a file
// overwritten, a confirmation from anything but a person's keys on a terminal.
package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf16"
)

// Console is what a command may touch of the outside world. TTY is nil when there is no terminal.
type Console struct {
	Name    string // the program's name, before the colon in messages
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	TTY     *Terminal
	Now     func() time.Time
	NoStyle bool // no bright, dim or inverse text: NO_COLOR is set, or the terminal is dumb
}

// New returns the console of a process. It has a terminal when the process has one.
func New(name string) *Console {
	c := &Console{Name: name, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Now: time.Now}
	if tty, err := OpenTerminal(); err == nil {
		c.TTY = tty
	}
	c.NoStyle = os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	return c
}

// Say writes one line of words to standard error, under the program's name.
func (c *Console) Say(format string, args ...any) {
	fmt.Fprintf(c.Err, "%s: %s\n", c.Name, Printable(fmt.Sprintf(format, args...)))
}

// Hint writes one line that gives the next command.
func (c *Console) Hint(text string) { fmt.Fprintf(c.Err, "hint: %s\n", Printable(text)) }

// JSON writes v, which must encode to a JSON object without a "schema" key, as one line with its schema first.
func (c *Console) JSON(schema string, v any) error {
	line, err := object(schema, v)
	if err != nil {
		return err
	}
	_, err = c.Out.Write(line)
	return err
}

// object encodes v with its schema in front, in ASCII, with a newline.
func object(schema string, v any) ([]byte, error) {
	var body, head bytes.Buffer
	for _, part := range []struct {
		to *bytes.Buffer
		v  any
	}{{&body, v}, {&head, schema}} {
		encoder := json.NewEncoder(part.to)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(part.v); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", schema, err)
		}
	}
	fields := bytes.TrimSpace(body.Bytes())
	var named map[string]json.RawMessage
	if err := json.Unmarshal(fields, &named); err != nil || named == nil {
		return nil, fmt.Errorf("encoding %s: %T is not a JSON object", schema, v)
	}
	if _, taken := named["schema"]; taken {
		return nil, fmt.Errorf("encoding %s: %T already has a schema", schema, v)
	}
	line := append([]byte(`{"schema":`), bytes.TrimSpace(head.Bytes())...)
	if len(named) > 0 {
		line = append(line, ',')
	}
	line = append(line, fields[1:]...)
	return append(asciiJSON(line), '\n'), nil
}

// asciiJSON rewrites every character outside printable ASCII as \uXXXX, which means the same inside a JSON string, and
// cannot reach a terminal as a control or a bidirectional mark. The encoder has escaped everything below space.
func asciiJSON(line []byte) []byte {
	out := make([]byte, 0, len(line))
	for _, r := range string(line) {
		switch {
		case r >= ' ' && r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

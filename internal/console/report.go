package console

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

// finding is one leaf of an error: a refusal, or any other error, with the text that was wrapped around it.
type finding struct {
	context string
	refusal *spend.Refusal // nil for any other error
	err     error
}

// findings lists the leaves of an error in order, through errors.Join and through wraps. The text that a wrap put in
// front of an error ("top-up.psbt: ") is kept as context.
func findings(err error) []finding {
	if refusal, ok := err.(*spend.Refusal); ok {
		return []finding{{refusal: refusal, err: err}}
	}
	switch wrapped := err.(type) {
	case interface{ Unwrap() []error }:
		var out []finding
		for _, inner := range wrapped.Unwrap() {
			out = append(out, findings(inner)...)
		}
		if len(out) > 0 {
			return out
		}
	case interface{ Unwrap() error }:
		if inner := wrapped.Unwrap(); inner != nil && refuses(inner) {
			context := strings.TrimSuffix(err.Error(), inner.Error())
			out := findings(inner)
			for i := range out {
				out[i].context = context + out[i].context
			}
			return out
		}
	}
	return []finding{{err: err}}
}

// refuses reports whether a refusal is anywhere in err.
func refuses(err error) bool {
	var refusal *spend.Refusal
	return errors.As(err, &refusal)
}

// hintsOf returns the hints of every failure in err, outermost first.
func hintsOf(err error) []string {
	out := []string{}
	walk(err, func(e error) {
		if failure, ok := e.(*Failure); ok {
			out = append(out, failure.Hints...)
		}
	})
	return out
}

// Report prints an error to standard error, as words or as one JSON object. Every refusal in it is printed with its
// code, where it is, what was expected, what was found, and who can fix it. A nil error prints nothing.
func (c *Console) Report(err error, asJSON bool) {
	if err == nil {
		return
	}
	if asJSON {
		c.reportJSON(err)
		return
	}
	for _, f := range findings(err) {
		if f.refusal == nil {
			fmt.Fprintf(c.Err, "%s: %s\n", c.Name, Printable(f.context+f.err.Error()))
			continue
		}
		c.reportRefusal(f)
	}
	for _, hint := range hintsOf(err) {
		c.Hint(hint)
	}
}

// reportRefusal prints one refusal over several lines, each of them escaped.
func (c *Console) reportRefusal(f finding) {
	r := f.refusal
	where := ""
	if r.Where != "" {
		where = " at " + r.Where
	}
	fmt.Fprintf(c.Err, "%s: %s\n", c.Name, Printable(f.context+"refused: "+r.Code+where))
	for _, part := range [][2]string{{"  expected: ", r.Expected}, {"  found:    ", r.Found}, {"hint: ", r.Fix}} {
		if part[1] != "" {
			fmt.Fprintf(c.Err, "%s%s\n", part[0], Printable(part[1]))
		}
	}
}

// jsonRefusal is a refusal as coldsign.error/v1 writes it.
type jsonRefusal struct {
	Code     string `json:"code"`
	Where    string `json:"where"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	Fix      string `json:"fix"`
}

// jsonError is coldsign.error/v1. Lists are empty rather than null.
type jsonError struct {
	Code     Code          `json:"code"`
	Error    string        `json:"error"`
	Refusals []jsonRefusal `json:"refusals"`
	Hints    []string      `json:"hints"`
}

// reportJSON prints the error as one object on one line.
func (c *Console) reportJSON(err error) {
	out := jsonError{Code: CodeOf(err), Error: oneLine(err), Refusals: []jsonRefusal{}, Hints: hintsOf(err)}
	for _, f := range findings(err) {
		if r := f.refusal; r != nil {
			out.Refusals = append(out.Refusals, jsonRefusal{r.Code, r.Where, r.Expected, r.Found, r.Fix})
		}
	}
	line, encodeErr := object("coldsign.error/v1", out)
	if encodeErr != nil {
		panic("console: an error object that does not encode: " + encodeErr.Error())
	}
	c.Err.Write(line)
}

// oneLine joins the leaves of an error with semicolons, where errors.Join would use line breaks.
func oneLine(err error) string {
	var parts []string
	for _, f := range findings(err) {
		parts = append(parts, f.context+f.err.Error())
	}
	return strings.Join(parts, "; ")
}

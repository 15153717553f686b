package admin

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/coldsign/coldsign/internal/spend"
)

// Kind says what sort of failure a problem is. It travels as text, so that both ends may be of different versions.
type Kind string

// The kinds, each with the exit code that a command gives for it (see docs/cli.md).
const (
	Broken       Kind = "failed"        // 1
	Misused      Kind = "usage"         // 2
	Refused      Kind = "refused"       // 3
	NotAuthentic Kind = "not-authentic" // 5
	Waiting      Kind = "waiting"       // 6
)

// Reason is one refusal as the wire writes it.
type Reason struct {
	Code     string `json:"code"`
	Where    string `json:"where,omitempty"`
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	Fix      string `json:"fix,omitempty"`
	Kind     string `json:"kind"` // policy, not-authentic, unreadable
}

// Problem is every reply that is not a success. It is an error on both ends.
type Problem struct {
	Schema   string   `json:"schema"`
	Kind     Kind     `json:"kind"`
	Code     string   `json:"code"`
	Sentence string   `json:"error"`
	Reasons  []Reason `json:"refusals,omitempty"`
	Hints    []string `json:"hints,omitempty"`
}

// Error returns the sentence.
func (p *Problem) Error() string { return p.Sentence }

// Unwrap gives the refusals back as errors, so that a command treats a refusal by the daemon like one of its own.
func (p *Problem) Unwrap() []error {
	var out []error
	for _, r := range p.Reasons {
		kind := map[string]spend.Kind{"policy": spend.ByPolicy, "not-authentic": spend.NotAuthentic}
		k, known := kind[r.Kind]
		if !known {
			k = spend.Unreadable
		}
		out = append(out, &spend.Refusal{Kind: k, Code: r.Code, Where: r.Where, Expected: r.Expected, Found: r.Found, Fix: r.Fix})
	}
	return out
}

// NewProblem states a failure that is not a refusal of input.
func NewProblem(kind Kind, code, sentence string, hints ...string) *Problem {
	return &Problem{SchemaError, kind, code, sentence, nil, hints}
}

// ProblemOf turns an error of the rooms below into what the wire carries. An error that is neither a Problem nor a
// refusal becomes "internal": its text goes to the daemon's log, not to the caller.
func ProblemOf(err error) *Problem {
	var known *Problem
	if errors.As(err, &known) {
		return known
	}
	found := refusalsIn(err)
	if len(found) == 0 {
		return NewProblem(Broken, "internal", "the daemon could not do it; its log says why")
	}
	p := &Problem{Schema: SchemaError, Kind: Refused, Code: found[0].Code, Sentence: found[0].Error()}
	if len(found) > 1 {
		p.Sentence = fmt.Sprintf("%s (and %d more)", p.Sentence, len(found)-1)
	}
	for _, r := range found {
		reason := Reason{r.Code, r.Where, r.Expected, r.Found, r.Fix, "policy"}
		switch r.Kind {
		case spend.NotAuthentic:
			reason.Kind, p.Kind = "not-authentic", NotAuthentic
		case spend.Unreadable:
			reason.Kind, p.Kind = "unreadable", NotAuthentic
		}
		p.Reasons = append(p.Reasons, reason)
	}
	return p
}

// refusalsIn collects every refusal in a tree of wrapped and joined errors, in order.
func refusalsIn(err error) []*spend.Refusal {
	switch e := err.(type) {
	case nil:
		return nil
	case *spend.Refusal:
		return []*spend.Refusal{e}
	case interface{ Unwrap() []error }:
		var out []*spend.Refusal
		for _, inner := range e.Unwrap() {
			out = append(out, refusalsIn(inner)...)
		}
		return out
	case interface{ Unwrap() error }:
		return refusalsIn(e.Unwrap())
	}
	return nil
}

// httpStatus is what a proxy or a log sees; the client reads the kind.
func (p *Problem) httpStatus() int {
	if p.Code == "not-enrolled" {
		return http.StatusForbidden
	}
	switch p.Kind {
	case Misused:
		return http.StatusBadRequest
	case Refused, NotAuthentic:
		return http.StatusUnprocessableEntity
	case Waiting:
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

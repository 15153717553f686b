package console

import (
	"context"
	"errors"

	"github.com/coldsign/coldsign/internal/spend"
)

// Code is a process exit code. Scripts at an exchange must be able to tell "refused" from "broken".
type Code int

// The exit codes. This is the only table of them.
const (
	Done           Code = 0
	Failed         Code = 1
	Usage          Code = 2
	Refused        Code = 3
	Declined       Code = 4
	NotAuthentic   Code = 5
	Waiting        Code = 6
	KeyUnavailable Code = 7
	Paused         Code = 8
	Interrupted    Code = 130
)

// Codes returns every exit code in rising order, for `help exit-codes` and the manual.
func Codes() []Code {
	return []Code{Done, Failed, Usage, Refused, Declined, NotAuthentic, Waiting, KeyUnavailable, Paused, Interrupted}
}

// String says what the code means.
func (c Code) String() string {
	switch c {
	case Done:
		return "done"
	case Failed:
		return "failed"
	case Usage:
		return "wrong usage"
	case Refused:
		return "refused by policy"
	case Declined:
		return "refused by a person"
	case NotAuthentic:
		return "not authentic (tampered, expired, replayed)"
	case Waiting:
		return "waiting for approvals"
	case KeyUnavailable:
		return "key device unavailable"
	case Paused:
		return "paused"
	case Interrupted:
		return "interrupted"
	}
	return "unknown"
}

// ErrInterrupted is returned when a person stops a prompt or a screen (ctrl-c), or a signal asks the process to end.
var ErrInterrupted = errors.New("interrupted")

// Failure is an error with the exit code and the hints that a command gives it.
type Failure struct {
	Code  Code
	Err   error
	Hints []string
}

// Error returns the fact alone; Report prints the hints.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the wrapped error.
func (f *Failure) Unwrap() error { return f.Err }

// Fail gives an error its exit code and hints. A failure that is done, or has no error, is a broken invariant.
func Fail(code Code, err error, hints ...string) error {
	if code == Done || err == nil {
		panic("console: a failure needs a code and an error")
	}
	return &Failure{code, err, hints}
}

// CodeOf returns the exit code that an error deserves: the outermost code that a command gave it, unless that is the
// general Failed; else that of the first refusal in it; else Interrupted or Failed.
func CodeOf(err error) Code {
	if err == nil {
		return Done
	}
	code := Failed
	walk(err, func(e error) {
		if failure, ok := e.(*Failure); ok && code == Failed {
			code = failure.Code
		}
	})
	var refusal *spend.Refusal
	switch {
	case code != Failed:
		return code
	case errors.As(err, &refusal):
		return codeOfKind(refusal.Kind)
	case errors.Is(err, ErrInterrupted), errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Failed
}

// walk visits every error in a tree of wraps and joins, outermost and first ones first.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch wrapped := err.(type) {
	case interface{ Unwrap() []error }:
		for _, inner := range wrapped.Unwrap() {
			walk(inner, visit)
		}
	case interface{ Unwrap() error }:
		walk(wrapped.Unwrap(), visit)
	}
}

// codeOfKind maps the kinds of refusal to exit codes. An unknown kind is treated as the worst one.
func codeOfKind(kind spend.Kind) Code {
	if kind == spend.ByPolicy {
		return Refused
	}
	return NotAuthentic
}

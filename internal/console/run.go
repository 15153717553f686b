package console

import "errors"

// View is a screen that a person works with keys.
type View interface {
	Screen(cols, rows int) []string
	Key(key string)
	Confirming() bool
	Done() bool
}

// Run draws the view and feeds it keys until it is done.
func (c *Console) Run(v View) error { return errors.ErrUnsupported }

// Confirm asks for a line until check accepts it, at most tries times.
func (c *Console) Confirm(prompt string, tries int, check func(string) bool) error {
	return errors.ErrUnsupported
}

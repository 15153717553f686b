package console

import (
	"errors"
	"fmt"
	"io"
)

// Secret is a passphrase or PIN that cannot be printed, compared or encoded.
type Secret struct {
	_ [0]func()
	b *[]byte
}

// Bytes returns the secret itself. The caller must not keep it.
func (s Secret) Bytes() []byte { return *s.b }

// Wipe overwrites the secret.
func (s Secret) Wipe() { clear(*s.b) }

// Format prints a placeholder for every verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// Secret reads one line from the terminal without echo, or from a file descriptor when fd is not negative.
func (c *Console) Secret(prompt string, fd int) (Secret, error) { return Secret{}, errors.ErrUnsupported }

// SecretConfirm asks for a new secret, twice on a terminal.
func (c *Console) SecretConfirm(prompt string, fd, lengthMin int) (Secret, error) {
	return Secret{}, errors.ErrUnsupported
}

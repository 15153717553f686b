package keystore

import (
	"fmt"
	"io"
	"strings"
)

// Secrets are held by functions. Format methods are not called on unexported fields, and a pointer is not enough to
// hide bytes there: asked for a verb that a pointer does not have, as in %s, fmt follows it and prints what it finds.
// Of a function it prints an address at most. A struct with a function cannot be compared with == either.

// Secret is a passphrase or a PIN. It cannot be printed, compared or encoded. Wiping is best effort: the runtime may
// have moved or copied the bytes before.
type Secret struct{ reveal func() *[]byte }

// NewSecret takes the bytes over; the caller does not use them again.
func NewSecret(b []byte) Secret { return Secret{func() *[]byte { return &b }} }

// Format prints a word instead of the secret.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// Wipe overwrites the secret.
func (s Secret) Wipe() {
	if s.reveal != nil {
		b := s.reveal()
		clear(*b)
		*b = nil
	}
}

func (s Secret) bytes() []byte {
	if s.reveal == nil {
		return nil
	}
	return *s.reveal()
}

// Mnemonic is a seed as BIP39 words. It leaves this package only for the one screen on which a person copies it.
type Mnemonic struct{ reveal func() []string }

// ParseMnemonic splits text into words. The checksum is checked when the words are used.
func ParseMnemonic(text string) Mnemonic { return mnemonic(strings.Fields(text)) }

func mnemonic(words []string) Mnemonic { return Mnemonic{func() []string { return words }} }

// Format prints a word instead of the seed.
func (Mnemonic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[seed]") }

// Words returns the words, for showing them to the person who writes them down.
func (m Mnemonic) Words() []string {
	if m.reveal == nil {
		return nil
	}
	return m.reveal()
}

package keystore

import (
	"fmt"
	"io"
	"strings"
)

// Secret is a passphrase or a PIN. It cannot be printed, compared or encoded. Wiping is best effort: the runtime may
// have moved or copied the bytes before.
type Secret struct {
	_ [0]func() // == does not compile
	b *[]byte   // a pointer: fmt prints an address when it digs into a struct, never the bytes
}

// NewSecret takes the bytes over; the caller does not use them again.
func NewSecret(b []byte) Secret { return Secret{b: &b} }

// Format prints a word instead of the secret.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// Wipe overwrites the secret.
func (s Secret) Wipe() {
	if s.b != nil {
		clear(*s.b)
		*s.b = nil
	}
}

func (s Secret) bytes() []byte {
	if s.b == nil {
		return nil
	}
	return *s.b
}

// Mnemonic is a seed as BIP39 words. It leaves this package only for the one screen on which a person copies it.
type Mnemonic struct {
	_ [0]func()
	w *[]string
}

// ParseMnemonic splits text into words. The checksum is checked when the words are used.
func ParseMnemonic(text string) Mnemonic {
	words := strings.Fields(text)
	return Mnemonic{w: &words}
}

// Format prints a word instead of the seed.
func (Mnemonic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[seed]") }

// Words returns the words, for showing them to the person who writes them down.
func (m Mnemonic) Words() []string {
	if m.w == nil {
		return nil
	}
	return *m.w
}

package console

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// secretMax is the longest secret, in bytes.
const secretMax = 1024

// Secret is a passphrase or PIN. It cannot be printed, compared or encoded; it comes from a terminal without echo or
// from a file descriptor, never from a flag or the environment. Wiping is best effort: the runtime may have copies.
//
// It is held by a function, because nothing else is opaque to fmt: for a verb that pointers do not have, fmt follows a
// pointer and prints what it points to, and inside an unexported field no Format method is asked.
type Secret struct{ get func() []byte }

func newSecret(b []byte) Secret { return Secret{func() []byte { return b }} }

// Bytes returns the secret itself. The caller must not keep it beyond Wipe.
func (s Secret) Bytes() []byte { return s.get() }

// Wipe overwrites the secret.
func (s Secret) Wipe() {
	if s.get != nil {
		clear(s.get())
	}
}

// Format prints the same for every verb and every secret.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// MarshalText refuses every text encoding, JSON included.
func (Secret) MarshalText() ([]byte, error) { return nil, errors.New("a secret is never encoded") }

// MarshalBinary refuses every binary encoding.
func (Secret) MarshalBinary() ([]byte, error) { return nil, errors.New("a secret is never encoded") }

// Secret asks for a secret on the terminal, without echo, or reads one line from the file descriptor fd when fd is not
// negative. An empty secret is refused.
func (c *Console) Secret(prompt string, fd int) (Secret, error) {
	var line []byte
	var err error
	switch {
	case fd >= 0:
		line, err = readSecretLine(fd)
	case c.TTY == nil:
		return Secret{}, Fail(Usage, fmt.Errorf("%s: there is no terminal to ask on", prompt),
			"run it in a terminal, or give the secret on a file descriptor")
	default:
		line, err = c.TTY.readLine(Line{Prompt: prompt + ": ", Max: secretMax, Hidden: true, Paste: true})
	}
	if err == nil {
		err = checkSecret(line)
	}
	if err != nil {
		clear(line)
		return Secret{}, fmt.Errorf("%s: %w", prompt, err)
	}
	return newSecret(line), nil
}

// SecretConfirm asks for a new secret: twice on a terminal, once from a file descriptor. Below lengthMin characters it
// is refused. Callers give NewSecretMin, or less on networks whose coins are worth nothing.
func (c *Console) SecretConfirm(prompt string, fd, lengthMin int) (Secret, error) {
	first, err := c.Secret(prompt, fd)
	if err != nil {
		return Secret{}, err
	}
	if utf8.RuneCount(first.Bytes()) < lengthMin {
		first.Wipe()
		return Secret{}, Fail(Usage, fmt.Errorf("%s: shorter than %d characters", prompt, lengthMin),
			"six or more random words are easy to type and hard to guess")
	}
	if fd >= 0 {
		return first, nil
	}
	second, err := c.Secret(prompt+", again", fd)
	if err != nil {
		first.Wipe()
		return Secret{}, err
	}
	defer second.Wipe()
	if subtle.ConstantTimeCompare(first.Bytes(), second.Bytes()) != 1 {
		first.Wipe()
		return Secret{}, Fail(Usage, fmt.Errorf("%s: the two differ", prompt))
	}
	return first, nil
}

// NewSecretMin is the least length of a new passphrase, in characters.
const NewSecretMin = 12

// checkSecret refuses what a person cannot have meant. It never says what it saw.
func checkSecret(line []byte) error {
	if len(line) == 0 {
		return Fail(Usage, errors.New("empty"))
	}
	if !utf8.Valid(line) || bytes.ContainsFunc(line, unicode.IsControl) {
		return Fail(Usage, errors.New("contains a control character, or is not UTF-8"))
	}
	return nil
}

// readSecretLine reads up to a line end or the end of input, byte by byte, so that the next reader of the descriptor
// gets the next line. More than 1 KiB is refused.
func readSecretLine(fd int) ([]byte, error) {
	line, one := make([]byte, 0, secretMax), make([]byte, 1)
	for {
		n, err := unix.Read(fd, one)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			continue
		case err != nil:
			return line, fmt.Errorf("reading file descriptor %d: %w", fd, err)
		case n == 0 || one[0] == '\n':
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case len(line) == secretMax:
			return line, Fail(Usage, fmt.Errorf("longer than %d bytes", secretMax))
		}
		line = append(line, one[0])
	}
}

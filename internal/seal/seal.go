// Package seal signs and verifies SSHSIG signatures, the format of `ssh-keygen -Y sign`, under one namespace per purpose.
package seal

import (
	"errors"
	"io"

	"golang.org/x/crypto/ssh"
)

// Namespace says what a signature is for. A signature made for one purpose verifies for no other.
type Namespace string

// The purposes.
const (
	Approve Namespace = "coldsign-approve-v1" // a person approves an intent
	Bundle  Namespace = "coldsign-bundle-v1"  // an issuer seals a bundle
	Answer  Namespace = "coldsign-answer-v1"  // a signer seals its answer
	Pin     Namespace = "coldsign-pin-v1"     // a signer pins a wallet file
	Roster  Namespace = "coldsign-roster-v1"  // the roster of people
	Policy  Namespace = "coldsign-policy-v1"  // the rules a signer holds
)

// Flags are what a hardware security key (sk) states inside its signature. They are zero for every other key.
type Flags struct {
	Hardware     bool // the key is an sk key
	UserPresent  bool
	UserVerified bool
	Counter      uint32
}

// Sign returns the armoured signature of message.
func Sign(signer ssh.Signer, ns Namespace, message []byte, rand io.Reader) ([]byte, error) {
	return nil, errors.New("seal: skeleton")
}

// Verify checks armored over message and returns the key that made it.
func Verify(armored, message []byte, ns Namespace) (ssh.PublicKey, Flags, error) {
	return nil, Flags{}, errors.New("seal: skeleton")
}

// Fingerprint returns SHA256:... as ssh-keygen -l prints it.
func Fingerprint(key ssh.PublicKey) string { return ssh.FingerprintSHA256(key) }

// ParseKey reads one authorized_keys line without options.
func ParseKey(line string) (ssh.PublicKey, error) { return nil, errors.New("seal: skeleton") }

// KeyLine writes key as an authorized_keys line without comment.
func KeyLine(key ssh.PublicKey) string { return "" }

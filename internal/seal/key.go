package seal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/spend"
)

// keyLineMax bounds an authorized_keys line in bytes; a P-256 sk key with a comment has about 300.
const keyLineMax = 1024

// applicationPrefix begins the application of every sk key that OpenSSH makes. A key made for a web site has an origin
// there, and a page could ask it for signatures.
const applicationPrefix = "ssh:"

// Fingerprint returns "SHA256:..." as `ssh-keygen -l` prints it.
func Fingerprint(key ssh.PublicKey) string { return ssh.FingerprintSHA256(key) }

// Same reports whether two keys are the same key.
func Same(a, b ssh.PublicKey) bool {
	return a != nil && b != nil && bytes.Equal(a.Marshal(), b.Marshal())
}

// KeyLine writes key as an authorized_keys line without comment and without newline.
func KeyLine(key ssh.PublicKey) string {
	return key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
}

// ParseKey reads one authorized_keys line, "type base64" and perhaps a comment, as in a .pub file. Options are not
// read: a line that begins with one is refused.
func ParseKey(line string) (ssh.PublicKey, error) {
	if len(line) > keyLineMax {
		return nil, badKey("%d characters; a key has at most %d", len(line), keyLineMax)
	}
	kind, rest, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	encoded, comment, _ := strings.Cut(rest, " ")
	if !found || strings.ContainsAny(comment, "\r\n") {
		return nil, badKey("text that is not one line \"type base64\"")
	}
	if !allowedType(kind) {
		return nil, refusedType(kind)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return nil, badKey("a key that is not base64")
	}
	key, err := parseBlob(blob)
	if err != nil {
		return nil, err
	}
	if key.Type() != kind {
		return nil, badKey("a line that says %s around a key of type %s", kind, key.Type())
	}
	return key, nil
}

// parseBlob reads a public key in wire format, of an allowed type and in its only spelling.
func parseBlob(blob []byte) (ssh.PublicKey, error) {
	var head struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(blob, &head); err != nil {
		return nil, badKey("a key that cannot be read")
	}
	if !allowedType(head.Type) {
		return nil, refusedType(head.Type)
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil || !bytes.Equal(key.Marshal(), blob) {
		return nil, badKey("a %s key that cannot be read", head.Type)
	}
	if application, ok := application(head.Type, head.Rest); ok && !strings.HasPrefix(application, applicationPrefix) {
		return nil, spend.Distrust("seal-key-type", "key", "a security key made for \"ssh:\"", fmt.Sprintf("one made for %.64q", application),
			"make a key with: ssh-keygen -t ed25519-sk -O verify-required")
	}
	return key, nil
}

// application returns what an sk key was made for; ok is false for other keys.
func application(keyType string, rest []byte) (name string, ok bool) {
	switch keyType {
	case ssh.KeyAlgoSKED25519:
		var w struct{ Key, Application string }
		err := ssh.Unmarshal(rest, &w)
		return w.Application, err == nil
	case ssh.KeyAlgoSKECDSA256:
		var w struct{ Curve, Key, Application string }
		err := ssh.Unmarshal(rest, &w)
		return w.Application, err == nil
	}
	return "", false
}

// allowedType is the whole list: two curves, each plain or in a security key. RSA is refused because its SHA-1
// signatures share the key type, certificates because they would bring a second roster.
func allowedType(keyType string) bool {
	switch keyType {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return true
	}
	return false
}

func refusedType(keyType string) *spend.Refusal {
	return spend.Distrust("seal-key-type", "key", "ssh-ed25519, ecdsa-sha2-nistp256, or one of them in a security key",
		fmt.Sprintf("%.64q", keyType), "make a key with: ssh-keygen -t ed25519-sk -O verify-required")
}

func badKey(format string, args ...any) *spend.Refusal {
	r := spend.Malformed("key-malformed", "key", format, args...)
	r.Expected = "a line as in a .pub file of ssh-keygen"
	return r
}

// Package approvals holds the roster of people and judges whether enough different people signed an intent.
//
// It exists because authority lies with people and not with machines: a signer counts approvals itself, offline, from
// a roster that it pinned. The roster is a text file in the shape of OpenSSH's allowed_signers, so that anyone can check
// an approval with `ssh-keygen -Y verify` alone. A line is one key of one person:
//
//	alice namespaces="coldsign-approve-v1",valid-after="20260101Z",valid-before="20280101Z" ssh-ed25519 AAAA... role=approver site=zurich device=fido2
//
// Name, options, key type, key, then role, site and device in this order, which OpenSSH takes for a comment. All of them
// are required. Times are OpenSSH's YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS with the Z of UTC. Empty lines and lines
// that begin with # are skipped. Everything else is refused: a rule that was not understood might have been a
// restriction.
//
// What may never happen here: a person who counts twice, a key of two people, an approval that is dropped without being
// reported, a local time.
package approvals

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
)

// What a roster may hold.
const (
	rosterMax = 64 << 10 // bytes
	keysMax   = 200
	lineMax   = 1024
	nameMax   = 32
)

// The roles a person can have.
const (
	RoleApprover  = "approver"  // their approval of an intent counts
	RoleKeyholder = "keyholder" // they run a signer
	RoleOperator  = "operator"  // they may propose
	RoleAuditor   = "auditor"   // they may read
)

// How a person's private key is held, as the roster says.
const (
	DeviceFile   = "file" // on test networks only
	DevicePKCS11 = "pkcs11"
	DeviceFIDO2  = "fido2"
	DeviceAgent  = "agent"
)

// Roster is the people and their keys. It does not change after ParseRoster; the zero Roster knows nobody.
type Roster struct {
	version [32]byte
	keys    []Key
}

// Person is one human with all the keys that may speak for them.
type Person struct {
	Name string
	Keys []Key
}

// Key is one line of the roster.
type Key struct {
	Person     string
	Namespaces []seal.Namespace
	After      time.Time // valid from here
	Before     time.Time // and no longer at this moment
	Public     ssh.PublicKey
	Role       string
	Site       string
	Device     string
}

// ValidAt reports whether the key may speak at a moment.
func (k Key) ValidAt(t time.Time) bool { return !t.Before(k.After) && t.Before(k.Before) }

// Version is the SHA-256 of the roster file.
func (r Roster) Version() [32]byte { return r.version }

// People returns everybody in the order of the file, each with all their keys.
func (r Roster) People() []Person {
	var out []Person
	for _, key := range r.keys {
		i := slices.IndexFunc(out, func(p Person) bool { return p.Name == key.Person })
		if i < 0 {
			i, out = len(out), append(out, Person{Name: key.Person})
		}
		out[i].Keys = append(out[i].Keys, key)
	}
	return out
}

// Find returns the line of a key.
func (r Roster) Find(public ssh.PublicKey) (Key, bool) {
	i := slices.IndexFunc(r.keys, func(k Key) bool { return seal.Same(k.Public, public) })
	if i < 0 {
		return Key{}, false
	}
	return r.keys[i], true
}

// has reports whether a person is on the roster, whatever their keys may do.
func (r Roster) has(person string) bool {
	return slices.ContainsFunc(r.keys, func(k Key) bool { return k.Person == person })
}

// ParseRoster reads a roster file. Whether the file itself is genuine is for its seal to say (namespace seal.Roster).
func ParseRoster(raw []byte) (Roster, error) {
	if len(raw) > rosterMax {
		return Roster{}, bad(0, "%d bytes; at most %d", len(raw), rosterMax)
	}
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		return Roster{}, bad(0, "a last line that does not end; the file may be cut")
	}
	roster, material := Roster{version: sha256.Sum256(raw)}, map[string]bool{}
	for number, line := range bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n")) {
		// Comments too: a roster is shown to people, and an escape code in one could hide a line of it.
		if i := bytes.IndexFunc(line, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			return Roster{}, bad(number+1, "a character at %d that is not printable ASCII", i)
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := parseLine(number+1, string(line))
		if err != nil {
			return Roster{}, err
		}
		// The same secret in two lines would be one human who counts as two, or one token in two roles.
		if raw := keyMaterial(key.Public); material[raw] {
			return Roster{}, bad(number+1, "a key that an earlier line has already: %s", seal.Fingerprint(key.Public))
		} else {
			material[raw] = true
		}
		if roster.keys = append(roster.keys, key); len(roster.keys) > keysMax {
			return Roster{}, bad(number+1, "more than %d keys", keysMax)
		}
	}
	if len(roster.keys) == 0 {
		return Roster{}, bad(0, "no key")
	}
	return roster, nil
}

// parseLine reads name, options, key type, key, role, site and device, with single spaces between them.
func parseLine(number int, line string) (Key, error) {
	if len(line) > lineMax {
		return Key{}, bad(number, "%d characters; at most %d", len(line), lineMax)
	}
	fields := strings.Split(line, " ")
	if len(fields) != 7 {
		return Key{}, bad(number, "%d fields; there are seven, with single spaces: name options key-type key role= site= device=", len(fields))
	}
	key := Key{Person: fields[0]}
	if !isName(key.Person) {
		return Key{}, bad(number, "name %.40q; a name is lower-case letters, digits, dots, dashes, underscores", key.Person)
	}
	if err := key.readOptions(number, fields[1]); err != nil {
		return Key{}, err
	}
	var err error
	if key.Public, err = seal.ParseKey(fields[2] + " " + fields[3]); err != nil {
		return Key{}, bad(number, "%s", err)
	}
	for i, field := range []struct {
		name string
		into *string
	}{{"role=", &key.Role}, {"site=", &key.Site}, {"device=", &key.Device}} {
		value, found := strings.CutPrefix(fields[4+i], field.name)
		if !found || !isName(value) {
			return Key{}, bad(number, "%.40q where %s was expected", fields[4+i], field.name)
		}
		*field.into = value
	}
	return key, key.check(number)
}

// readOptions reads namespaces, valid-after and valid-before, each once, in any order.
func (k *Key) readOptions(number int, text string) error {
	seen := map[string]bool{}
	for text != "" {
		name, rest, found := strings.Cut(text, "=\"")
		value, rest, closed := strings.Cut(rest, "\"")
		if !found || !closed || seen[name] {
			return bad(number, "options %.60q; each is written once, as name=\"value\"", text)
		}
		seen[name] = true
		var err error
		switch name {
		case "namespaces":
			err = k.readNamespaces(value)
		case "valid-after":
			k.After, err = parseTime(value)
		case "valid-before":
			k.Before, err = parseTime(value)
		default:
			err = fmt.Errorf("option %.40q, which this version does not know", name)
		}
		if err != nil {
			return bad(number, "%s", err)
		}
		if text = rest; text != "" {
			if text, found = strings.CutPrefix(text, ","); !found || text == "" {
				return bad(number, "options that are not separated by single commas")
			}
		}
	}
	if !seen["namespaces"] || !seen["valid-after"] || !seen["valid-before"] {
		return bad(number, "a key without namespaces, valid-after and valid-before")
	}
	return nil
}

func (k *Key) readNamespaces(value string) error {
	for _, ns := range strings.Split(value, ",") {
		if !seal.Namespace(ns).Known() || slices.Contains(k.Namespaces, seal.Namespace(ns)) {
			return fmt.Errorf("namespace %.40q, which is not one of Coldsign's, or is there twice", ns)
		}
		k.Namespaces = append(k.Namespaces, seal.Namespace(ns))
	}
	return nil
}

// check compares what a line says with itself.
func (k Key) check(number int) error {
	if !slices.Contains([]string{RoleApprover, RoleKeyholder, RoleOperator, RoleAuditor}, k.Role) {
		return bad(number, "role %s, which this version does not know", k.Role)
	}
	if !slices.Contains([]string{DeviceFile, DevicePKCS11, DeviceFIDO2, DeviceAgent}, k.Device) {
		return bad(number, "device %s, which this version does not know", k.Device)
	}
	if isSecurityKey := strings.HasPrefix(k.Public.Type(), "sk-"); isSecurityKey != (k.Device == DeviceFIDO2) {
		return bad(number, "device %s with a key of type %s; security keys, and only they, are fido2", k.Device, k.Public.Type())
	}
	if !k.After.Before(k.Before) {
		return bad(number, "a key that is never valid")
	}
	return nil
}

// parseTime reads OpenSSH's absolute times in UTC. Without the Z, OpenSSH would read them in the time zone of whatever
// machine it runs on, so the Z is required.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{"20060102Z", "200601021504Z", "20060102150405Z"} {
		if len(text) == len(layout) {
			t, err := time.Parse(layout, text)
			if err == nil && t.Format(layout) == text {
				return t, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("time %.20q; write YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ", text)
}

// keyMaterial is the point of a key without what surrounds it: a security key and a file that hold the same secret, or
// one secret under two applications, are one key.
func keyMaterial(key ssh.PublicKey) string {
	holder, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		panic("approvals: a key without its material, of type " + key.Type())
	}
	switch material := holder.CryptoPublicKey().(type) {
	case ed25519.PublicKey:
		return "ed25519 " + string(material)
	case *ecdsa.PublicKey:
		point, err := material.Bytes()
		if err != nil {
			panic("approvals: a point that is not on its curve")
		}
		return "p256 " + string(point)
	}
	panic("approvals: unknown material of a key of type " + key.Type())
}

// isName reports whether text is [a-z0-9][a-z0-9._-]{0,31}, as room bundle has it: names in intents and names here
// are the same words.
func isName(text string) bool {
	for i := range len(text) {
		c := text[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return text != "" && len(text) <= nameMax
}

func bad(line int, format string, args ...any) *spend.Refusal {
	where := "roster"
	if line > 0 {
		where = fmt.Sprintf("roster line %d", line)
	}
	return &spend.Refusal{Kind: spend.Unreadable, Code: "roster-malformed", Where: where, Expected: "a line as docs/formats.md describes it",
		Found: fmt.Sprintf(format, args...),
		Fix:   "correct the roster, and have its keyholders sign it again: coldsign roster sign FILE"}
}

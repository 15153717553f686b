// Package seal signs and verifies SSHSIG, the format of `ssh-keygen -Y sign`, with one namespace per purpose.
//
// It exists so that every signature by a person or a machine that is not a chain signature (approvals, bundle seals,
// answers, pins, rosters) can be made by a FIDO2 key, a PKCS#11 token, an agent or a file, and can be checked by
// anybody with OpenSSH alone. A signature is text:
//
//	-----BEGIN SSH SIGNATURE-----
//	base64, 70 columns a line
//	-----END SSH SIGNATURE-----
//
// and the base64 holds, with SSH's length-prefixed strings (PROTOCOL.sshsig):
//
//	byte[6]  "SSHSIG"
//	uint32   1
//	string   public key (wire format)
//	string   namespace
//	string   reserved, empty
//	string   "sha512"
//	string   signature: string algorithm, string blob; for sk keys then byte flags, uint32 counter
//
// The key signs "SSHSIG" and the strings namespace, reserved, hash name and SHA-512(message). An sk key signs
// SHA-256(application), flags, counter and SHA-256 of that (PROTOCOL.u2f), so flags and counter are authenticated too.
//
// Stricter than OpenSSH: exactly one spelling of the armour, only SHA-512, only four key types (Ed25519 and NIST P-256,
// each plain or sk), user presence always, and no byte that a parser could skip. What may never happen here: a
// signature of one purpose that verifies for another, or an RSA, DSA or certificate key.
package seal

import (
	"crypto/sha512"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/spend"
)

// Namespace says what a signature is for. A signature made for one purpose verifies for no other.
type Namespace string

// The purposes. The number rises when the signed bytes change their meaning, so that an old signature cannot be read
// in a new way.
const (
	Approve Namespace = "coldsign-approve-v1" // a person approves an intent
	Bundle  Namespace = "coldsign-bundle-v1"  // an issuer seals a bundle
	Answer  Namespace = "coldsign-answer-v1"  // a signer seals its answer
	Pin     Namespace = "coldsign-pin-v1"     // a signer pins a wallet file
	Roster  Namespace = "coldsign-roster-v1"  // the roster of people
	Policy  Namespace = "coldsign-policy-v1"  // the rules a signer holds
	Book    Namespace = "coldsign-book-v1"    // the addresses that may be paid besides wallets
	Change  Namespace = "coldsign-change-v1"  // a person approves a change of the exchange: a market, a fee, a balance
)

// Known reports whether ns is one of the purposes above.
func (ns Namespace) Known() bool {
	switch ns {
	case Approve, Bundle, Answer, Pin, Roster, Policy, Book, Change:
		return true
	}
	return false
}

// Flags are what a hardware security key (sk) states inside its signature. They are zero for every other key.
type Flags struct {
	Hardware     bool   // the key is an sk key
	UserPresent  bool   // somebody touched it; Verify refuses an sk signature without
	UserVerified bool   // it saw a PIN or a finger; the caller decides whether that is required
	Counter      uint32 // rises with each use of the key, so that a caller who remembers it can notice a clone
}

// Sign returns the armoured signature of message, after verifying it: a token that gives a wrong signature is noticed
// here and not on the other side of the air gap.
func Sign(signer ssh.Signer, ns Namespace, message []byte, rand io.Reader) ([]byte, error) {
	if !ns.Known() {
		return nil, fmt.Errorf("namespace %q is not one of Coldsign's", string(ns))
	}
	key := signer.PublicKey()
	if !allowedType(key.Type()) {
		return nil, fmt.Errorf("a %s key cannot seal; Ed25519 and P-256 keys can", key.Type())
	}
	signature, err := signer.Sign(rand, signedBytes(ns, message))
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", Fingerprint(key), err)
	}
	armored := armor(ssh.Marshal(wire{
		Magic: [6]byte([]byte(magic)), Version: version, Key: key.Marshal(), Namespace: string(ns), Hash: hashName,
		Signature: ssh.Marshal(*signature),
	}))
	if _, _, err := Verify(armored, message, ns); err != nil {
		return nil, fmt.Errorf("key %s gave a signature that does not verify: %w", Fingerprint(key), err)
	}
	return armored, nil
}

// Verify checks armored over message and returns the key that made it. That the signature is good says nothing about
// whose the key is: the caller compares it with a key that it holds already.
func Verify(armored, message []byte, ns Namespace) (ssh.PublicKey, Flags, error) {
	if !ns.Known() {
		return nil, Flags{}, spend.Distrust("seal-namespace", "signature", "a namespace of Coldsign", fmt.Sprintf("%q", ns), "")
	}
	w, err := parse(armored)
	if err != nil {
		return nil, Flags{}, err
	}
	if w.Namespace != string(ns) {
		return nil, Flags{}, spend.Distrust("seal-namespace", "signature", fmt.Sprintf("%q", ns), fmt.Sprintf("%.64q", w.Namespace),
			"sign again with: ssh-keygen -Y sign -n "+string(ns))
	}
	if w.Hash != hashName {
		return nil, Flags{}, spend.Distrust("seal-hash", "signature", hashName, fmt.Sprintf("%.16q", w.Hash),
			"sign again without -O hashalg")
	}
	key, err := parseBlob(w.Key)
	if err != nil {
		return nil, Flags{}, err
	}
	signature, flags, err := parseSignature(key.Type(), w.Signature)
	if err != nil {
		return nil, Flags{}, err
	}
	if err := key.Verify(signedBytes(ns, message), signature); err != nil {
		return nil, Flags{}, spend.Distrust("seal-invalid", "signature", "a signature by "+Fingerprint(key)+" over these bytes",
			"one that does not verify", "the signed bytes or the signature were changed; ask the signer to sign again")
	}
	return key, flags, nil
}

// signedBytes is what the key itself signs: never the message, always its hash with the purpose in front.
func signedBytes(ns Namespace, message []byte) []byte {
	digest := sha512.Sum512(message)
	return ssh.Marshal(struct {
		Magic     [6]byte
		Namespace string
		Reserved  string
		Hash      string
		Digest    []byte
	}{[6]byte([]byte(magic)), string(ns), "", hashName, digest[:]})
}

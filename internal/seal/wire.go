package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/spend"
)

// ArmoredMax is the longest armoured signature that is read, in bytes. The longest genuine one, an sk-ecdsa key with a
// long application, is below 700.
const ArmoredMax = 2048

const (
	begin    = "-----BEGIN SSH SIGNATURE-----\n"
	end      = "-----END SSH SIGNATURE-----\n"
	columns  = 70 // ssh-keygen's line length
	magic    = "SSHSIG"
	version  = 1
	hashName = "sha512"

	userPresent  = 0x01 // FIDO flag UP
	userVerified = 0x04 // FIDO flag UV
)

// wire is the content of the armour.
type wire struct {
	Magic     [6]byte
	Version   uint32
	Key       []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// armor writes blob as ssh-keygen does.
func armor(blob []byte) []byte {
	text := base64.StdEncoding.EncodeToString(blob)
	out := []byte(begin)
	for len(text) > 0 {
		n := min(columns, len(text))
		out = append(append(out, text[:n]...), '\n')
		text = text[n:]
	}
	return append(out, end...)
}

// parse reads the armour. The last step writes what was read and compares: whatever a decoder might have skipped
// (other white space, padding bits, bytes after the end) makes a difference there.
func parse(armored []byte) (wire, error) {
	if len(armored) > ArmoredMax {
		return wire{}, malformed("%d bytes; a signature has at most %d", len(armored), ArmoredMax)
	}
	body, ok := bytes.CutPrefix(armored, []byte(begin))
	if ok {
		body, ok = bytes.CutSuffix(body, []byte(end))
	}
	if !ok {
		return wire{}, malformed("text that is not framed as ssh-keygen frames a signature")
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(string(bytes.ReplaceAll(body, []byte("\n"), nil)))
	if err != nil {
		return wire{}, malformed("characters that are not base64")
	}
	var w wire
	if err := ssh.Unmarshal(blob, &w); err != nil || string(w.Magic[:]) != magic {
		return wire{}, malformed("content that is not SSHSIG")
	}
	if w.Version != version {
		return wire{}, &spend.Refusal{Kind: spend.Unreadable, Code: "seal-version", Where: "signature",
			Expected: fmt.Sprint(version), Found: fmt.Sprint(w.Version), Fix: "sign with an OpenSSH that writes SSHSIG version 1"}
	}
	if w.Reserved != "" {
		return wire{}, malformed("%d reserved bytes", len(w.Reserved))
	}
	if !bytes.Equal(armor(ssh.Marshal(w)), armored) {
		return wire{}, malformed("a signature spelled in another way than ssh-keygen spells it")
	}
	return w, nil
}

// parseSignature reads the inner signature for a key type, with what an sk key says about its user.
func parseSignature(keyType string, raw []byte) (*ssh.Signature, Flags, error) {
	signature := new(ssh.Signature)
	if err := ssh.Unmarshal(raw, signature); err != nil {
		return nil, Flags{}, malformed("an inner signature that cannot be read")
	}
	if signature.Format != keyType {
		return nil, Flags{}, spend.Distrust("seal-key-type", "signature", "algorithm "+keyType+" of its own key",
			fmt.Sprintf("algorithm %.64q", signature.Format), "sign again with ssh-keygen -Y sign")
	}
	if err := checkBlob(keyType, signature.Blob); err != nil {
		return nil, Flags{}, err
	}
	if keyType == ssh.KeyAlgoED25519 || keyType == ssh.KeyAlgoECDSA256 {
		if len(signature.Rest) != 0 { // x/crypto ignores these bytes for plain keys
			return nil, Flags{}, malformed("%d bytes after the inner signature", len(signature.Rest))
		}
		return signature, Flags{}, nil
	}
	if len(signature.Rest) != 5 {
		return nil, Flags{}, malformed("%d bytes of security key flags and counter; there are 5", len(signature.Rest))
	}
	bits := signature.Rest[0]
	flags := Flags{Hardware: true, UserPresent: bits&userPresent != 0, UserVerified: bits&userVerified != 0,
		Counter: binary.BigEndian.Uint32(signature.Rest[1:])}
	if !flags.UserPresent {
		return nil, Flags{}, spend.Distrust("seal-untouched", "signature", "a security key that somebody touched",
			"one that signed on its own", "make the key again without -O no-touch-required")
	}
	return signature, flags, nil
}

// checkBlob accepts one spelling of a signature's numbers. Ed25519 has one by itself; for P-256 the two integers are
// read and written again, because an integer with leading zeros would verify as well.
func checkBlob(keyType string, blob []byte) error {
	if keyType == ssh.KeyAlgoED25519 || keyType == ssh.KeyAlgoSKED25519 {
		if len(blob) != 64 {
			return malformed("an Ed25519 signature of %d bytes; it has 64", len(blob))
		}
		return nil
	}
	var numbers struct{ R, S *big.Int }
	if err := ssh.Unmarshal(blob, &numbers); err != nil || !bytes.Equal(ssh.Marshal(numbers), blob) {
		return malformed("a P-256 signature whose integers are not minimal")
	}
	return nil
}

func malformed(format string, args ...any) *spend.Refusal {
	r := spend.Malformed("seal-malformed", "signature", format, args...)
	r.Expected = "the output of ssh-keygen -Y sign"
	return r
}

package wallet

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// checkReceipt accepts exactly "ssh-ed25519 AAAA..." or "ecdsa-sha2-nistp256 AAAA...", no options, no comment. The line
// stands in the record that the proof signs, so it must have one spelling.
func checkReceipt(line, where string) error {
	refuse := func(found string) error {
		return malformed("key-receipt", where, "%s where a receipt key stands, e.g. ssh-ed25519 AAAA...", found)
	}
	algorithm, encoded, _ := strings.Cut(line, " ")
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || base64.StdEncoding.EncodeToString(blob) != encoded {
		return refuse("text that is not base64")
	}
	// The algorithm stands twice, before and inside the base64; a reader could follow either.
	fields, ok := sshFields(blob)
	if !ok || len(fields) == 0 || string(fields[0]) != algorithm {
		return refuse("an encoded key that does not name the same algorithm")
	}
	switch {
	case algorithm == "ssh-ed25519" && len(fields) == 2 && len(fields[1]) == 32:
		return nil
	case algorithm == "ecdsa-sha2-nistp256" && len(fields) == 3 && string(fields[1]) == "nistp256":
		// A point off the curve would verify nothing, and every answer of this signer would be refused later.
		if _, err := ecdh.P256().NewPublicKey(fields[2]); err == nil {
			return nil
		}
	}
	return refuse("a key of " + quote(algorithm) + " that cannot be used")
}

// sshFields splits an SSH public key into its length-prefixed strings.
func sshFields(blob []byte) (fields [][]byte, ok bool) {
	for len(blob) > 0 {
		if len(blob) < 4 {
			return nil, false
		}
		n := binary.BigEndian.Uint32(blob)
		if uint64(n) > uint64(len(blob)-4) {
			return nil, false
		}
		fields, blob = append(fields, blob[4:4+n]), blob[4+n:]
	}
	return fields, true
}

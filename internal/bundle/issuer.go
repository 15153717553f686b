package bundle

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

// issuerFileMax bounds an issuer file, in bytes; a real one has about 200.
const issuerFileMax = 4 << 10

const issuerFormat = "issuer/v1"

// Issuer is what a signer must know of a daemon to believe its seals. `exchanged issuer export` writes it as JSON,
// `coldsign trust add` pins it:
//
//	{"coldsign": "issuer/v1", "name": "exchanged-1", "network": "bitcoin:regtest", "key": "ssh-ed25519 AAAA..."}
type Issuer struct {
	Name    string
	Network spend.Network
	Key     ssh.PublicKey
}

type issuerFile struct {
	Coldsign string        `json:"coldsign"`
	Name     string        `json:"name"`
	Network  spend.Network `json:"network"`
	Key      string        `json:"key"`
}

// Marshal writes the issuer file.
func (i Issuer) Marshal() ([]byte, error) {
	text, err := json.MarshalIndent(issuerFile{issuerFormat, i.Name, i.Network, seal.KeyLine(i.Key)}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// ParseIssuer reads an issuer file. Only the exact bytes that Marshal writes are accepted, which refuses unknown and
// repeated fields at once.
func ParseIssuer(raw []byte) (Issuer, error) {
	if len(raw) > issuerFileMax {
		return Issuer{}, malformed("issuer-unreadable", "issuer file", "%d bytes, at most %d", len(raw), issuerFileMax)
	}
	var file issuerFile
	if err := json.Unmarshal(raw, &file); err != nil || file.Coldsign != issuerFormat {
		return Issuer{}, malformed("issuer-unreadable", "issuer file", "no %s object", issuerFormat)
	}
	key, err := seal.ParseKey(file.Key)
	if err == nil && !IsName(file.Name) {
		err = errors.New("a name that is not lower case letters, digits, dot, dash or underscore")
	}
	if err != nil {
		return Issuer{}, malformed("issuer-unreadable", "issuer file", "%v", err)
	}
	issuer := Issuer{file.Name, file.Network, key}
	if canonical, err := issuer.Marshal(); err != nil || !bytes.Equal(canonical, raw) {
		return Issuer{}, malformed("issuer-unreadable", "issuer file", "other bytes than exchanged writes for the same issuer")
	}
	return issuer, nil
}

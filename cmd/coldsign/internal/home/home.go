// Package home is one keyholder's folder: which network it is for, which files its keyholder has pinned, and the
// signer ledger, an append-only memory of everything it was asked to sign.
//
// Layout:
//
//	home.json        network of this home; a home serves one network
//	keys/            key files (room keystore)
//	pins/KIND/NAME   pinned files: wallets, issuers, the roster, the policy, the address book
//	ledger.jsonl     the signer ledger, one JSON object a line, hash-chained
//	ledger.lock      held while a command may write
//
// A pinned file is believed only when the newest ledger entry for it names its SHA-256 and carries a seal by the key
// that is about to sign (SSHSIG, namespace coldsign-pin-v1): somebody who can write the folder, and has no key, cannot
// put a wallet, a roster or a policy of his own in place. A policy, a roster or an address book is kept with the
// signatures of the keyholders who stand behind it (namespaces coldsign-policy-v1, -roster-v1, -book-v1, over the exact
// bytes), so that room signing can ask at every use whether they are a quorum. What may never happen here: a pin that is
// read without that check, a ledger line that is edited, or a signature that leaves before its reservation is on the disk.
package home

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/coldsign/coldsign/internal/spend"
)

const homeFormat = "home/v1"

// Home is an opened folder. It holds no lock and no secret.
type Home struct {
	dir     string
	network spend.Network
}

type homeFile struct {
	Coldsign string        `json:"coldsign"`
	Network  spend.Network `json:"network"`
}

// ErrExists says that a home is already there; nothing was changed.
var ErrExists = errors.New("is already a coldsign home")

// ErrNone says that the folder is no home.
var ErrNone = errors.New("is not a coldsign home")

// Create makes a new home in dir, which must not be a home yet. Folders are readable by the owner alone.
func Create(dir string, network spend.Network) (*Home, error) {
	if _, err := os.Stat(filepath.Join(dir, "home.json")); err == nil {
		return nil, fmt.Errorf("%s %w", dir, ErrExists)
	}
	for _, sub := range []string{"keys", filepath.Join("pins", "wallet"), filepath.Join("pins", "issuer"),
		filepath.Join("pins", "roster"), filepath.Join("pins", "policy"), filepath.Join("pins", "book")} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(homeFile{homeFormat, network}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := writeSynced(filepath.Join(dir, "home.json"), append(text, '\n'), os.O_EXCL); err != nil {
		return nil, err
	}
	return &Home{dir, network}, nil
}

// Open reads an existing home.
func Open(dir string) (*Home, error) {
	text, err := os.ReadFile(filepath.Join(dir, "home.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %w", dir, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	var file homeFile
	if err := strictJSON(text, &file); err != nil || file.Coldsign != homeFormat {
		return nil, fmt.Errorf("%s: not a %s file", filepath.Join(dir, "home.json"), homeFormat)
	}
	return &Home{dir, file.Network}, nil
}

// Network returns the one network of this home.
func (h *Home) Network() spend.Network { return h.network }

// KeysDir is where room keystore keeps its files.
func (h *Home) KeysDir() string { return filepath.Join(h.dir, "keys") }

// strictJSON decodes one object and refuses unknown fields and trailing data.
func strictJSON(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("data after the object")
	}
	return nil
}

// writeSynced creates or appends to a file and returns only when the bytes and the folder entry are on the disk.
func writeSynced(path string, data []byte, mode int) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|mode, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

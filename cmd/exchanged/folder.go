package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// folder is where the daemon keeps everything:
//
//	exchanged.yaml              configuration
//	issuer.key                  Ed25519 key that seals bundles, OpenSSH format, 0600
//	records.key, records/       encrypted database and its key, 0600
//	tls/                        authority, server and operator certificates with their keys
//	staff/NAME.crt              enrolled certificates; a person without a file here is turned away
//	wallets/ID.wallet           registered wallets; the running daemon picks new ones up
//	roster, rosters/            people who may approve: the one that counts, and every one that ever did
//	book, policy, papers/       copies of what the keyholders signed: those that count, and every one that ever did
//	exchange/                   keys and data of the exchange, where there is one (exchange_init.go)
//	listening                   address that the daemon listened on last
type folder string

func (f folder) path(name ...string) string {
	return filepath.Join(append([]string{string(f)}, name...)...)
}

const (
	walletMax = 256 << 10
	rosterMax = 256 << 10
	keyMax    = 16 << 10
)

// folder finds the daemon's folder from --data or --config.
func (a *app) folder() (folder, error) {
	switch {
	case a.data != "":
		return folder(a.data), nil
	case a.config != "":
		return folder(filepath.Dir(a.config)), nil
	}
	return "", console.Fail(console.Usage, errors.New("neither --data nor --config is given"), "exchanged status --data DIR")
}

// private reads a file that only its owner may read.
func (f folder) private(name ...string) ([]byte, error) {
	path := f.path(name...)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, console.Fail(console.Failed, fmt.Errorf("%s has mode %04o: others may read it", path, info.Mode().Perm()), "chmod 600 "+path)
	}
	return console.ReadFile(path, keyMax)
}

func (f folder) issuerKey() (ssh.Signer, error) {
	raw, err := f.private("issuer.key")
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(raw)
	if err != nil || signer.PublicKey().Type() != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("%s is not an Ed25519 key in OpenSSH format", f.path("issuer.key"))
	}
	return signer, nil
}

func (f folder) recordsKey() ([]byte, error) {
	return f.key32("records.key")
}

func (f folder) authority() (admin.Authority, error) {
	cert, err := console.ReadFile(f.path("tls", "ca.crt"), keyMax)
	if err != nil {
		return admin.Authority{}, err
	}
	key, err := f.private("tls", "ca.key")
	if err != nil {
		return admin.Authority{}, err
	}
	return admin.LoadAuthority(cert, key)
}

// Enrolled reports whether a certificate is the one on file for a person.
func (f folder) Enrolled(name string, certificate *x509.Certificate) bool {
	if admin.CheckPerson(name) != nil {
		return false
	}
	raw, err := console.ReadFile(f.path("staff", name+".crt"), keyMax)
	if err != nil {
		return false
	}
	known, err := admin.ParseCertificate(raw)
	return err == nil && known.Equal(certificate)
}

// walletFiles reads the registered wallets by file name.
func (f folder) walletFiles() (map[string][]byte, error) {
	entries, err := os.ReadDir(f.path("wallets"))
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), ".wallet") {
			continue
		}
		raw, err := console.ReadFile(f.path("wallets", entry.Name()), walletMax)
		if err != nil {
			return nil, err
		}
		out[entry.Name()] = raw
	}
	return out, nil
}

// wallets parses the registered wallets. Whoever registered keys without proof had to name that risk.
func (f folder) wallets() ([]wallet.Wallet, error) {
	files, err := f.walletFiles()
	if err != nil {
		return nil, err
	}
	var out []wallet.Wallet
	for name, raw := range files {
		w, err := wallet.Parse(raw, wallet.AcceptUnproven())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, w)
	}
	return out, nil
}

// roster reads the roster that counts now. It is parsed again only when its bytes changed.
type roster struct {
	folder folder
	mu     sync.Mutex
	raw    string
	parsed approvals.Roster
}

func (r *roster) now() (approvals.Roster, error) {
	raw, err := console.ReadFile(r.folder.path("roster"), rosterMax)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = nil, nil // nobody may approve yet
	}
	if err != nil {
		return approvals.Roster{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(raw) == 0 {
		return approvals.Roster{}, nil
	}
	if r.raw == string(raw) {
		return r.parsed, nil
	}
	parsed, err := approvals.ParseRoster(raw)
	if err != nil {
		return approvals.Roster{}, err
	}
	r.raw, r.parsed = string(raw), parsed
	return parsed, nil
}

// replace gives a file new contents in one step: a reader sees the old bytes or the new ones.
func replace(path string, data []byte, mode fs.FileMode) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // left behind by a process that was killed
	}
	if err := console.WriteNew(temp, data, mode); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// taken reports whether a file could not be written because its name is taken: nothing is ever overwritten.
func taken(err error) bool {
	var refusal *spend.Refusal
	return errors.As(err, &refusal) && refusal.Code == "file-exists"
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// home is a person's folder:
//
//	warmctl.json         who this is, and where the daemon is
//	ca.crt               the daemon's authority, pinned at init
//	tls.key, tls.csr     this person's TLS key and the request to have it signed
//	tls.crt              the certificate, after enroll
//	wallets/ID.wallet    pinned wallets
//	keys/NAME.json       approval keys in PKCS#11 tokens: where they are, never what they are
type home string

func (h home) path(name ...string) string {
	return filepath.Join(append([]string{string(h)}, name...)...)
}

const (
	fileMax   = 16 << 10
	walletMax = 256 << 10
)

// identity is warmctl.json.
type identity struct {
	Format string `json:"coldsign"` // warmctl/v1
	Name   string `json:"name"`
	Server string `json:"server"`
}

const identityFormat = "warmctl/v1"

func (h home) identity() (identity, error) {
	raw, err := console.ReadFile(h.path("warmctl.json"), fileMax)
	if errors.Is(err, fs.ErrNotExist) {
		return identity{}, console.Fail(console.Failed, fmt.Errorf("%s is no home of warmctl", h), "warmctl init --home "+string(h)+" --name NAME --server https://127.0.0.1:7443 --ca FILE")
	}
	if err != nil {
		return identity{}, err
	}
	var id identity
	if err := json.Unmarshal(raw, &id); err != nil || id.Format != identityFormat || admin.CheckPerson(id.Name) != nil {
		return identity{}, fmt.Errorf("%s is not readable", h.path("warmctl.json"))
	}
	return id, nil
}

// client connects to the daemon with this home's certificate.
func (a *app) client() (*admin.Client, error) {
	id, err := a.home.identity()
	if err != nil {
		return nil, err
	}
	cert, err := console.ReadFile(a.home.path("tls.crt"), fileMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, console.Fail(console.Failed, errors.New("this home has no certificate yet"),
			"give "+a.home.path("tls.csr")+" to an operator, who runs: exchanged staff enroll "+id.Name+" --csr tls.csr --out "+id.Name+".crt",
			"then: warmctl enroll --cert "+id.Name+".crt")
	}
	key, errKey := console.ReadFile(a.home.path("tls.key"), fileMax)
	authority, errCA := console.ReadFile(a.home.path("ca.crt"), fileMax)
	if err := errors.Join(err, errKey, errCA); err != nil {
		return nil, err
	}
	return admin.NewClient(admin.Credentials{Server: id.Server, Authority: authority, Cert: cert, Key: key}, a.Now)
}

// wallets returns the wallets pinned in this home, by name. Whoever pinned keys without proof had to name that risk.
func (h home) wallets() ([]wallet.Wallet, error) {
	entries, err := os.ReadDir(h.path("wallets"))
	if err != nil {
		return nil, err
	}
	var out []wallet.Wallet
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".wallet") {
			continue
		}
		raw, err := console.ReadFile(h.path("wallets", entry.Name()), walletMax)
		if err != nil {
			return nil, err
		}
		w, err := wallet.Parse(raw, wallet.AcceptUnproven())
		// What stands there was verified when it was pinned, so a file that does not hold was changed since.
		if err != nil {
			return nil, console.Fail(console.NotAuthentic, fmt.Errorf("pinned wallet %s: %w", entry.Name(), err), changedPin)
		}
		if entry.Name() != w.ID().String()+".wallet" {
			return nil, spend.Distrust("pin-changed", "pinned wallet "+entry.Name(), "the wallet of that identity", "wallet "+w.ID().String(), changedPin)
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(x, y wallet.Wallet) int { return strings.Compare(x.Name(), y.Name()) })
	return out, nil
}

// changedPin is what to do about a pinned file that is not what was pinned.
const changedPin = "find out who changed this home; then take the file away, get the wallet from the keyholders again, and compare its words: warmctl wallet add FILE"

// pinned finds a wallet by its identity.
func pinned(list []wallet.Wallet, id spend.WalletID) (wallet.Wallet, bool) {
	i := slices.IndexFunc(list, func(w wallet.Wallet) bool { return w.ID() == id })
	if i < 0 {
		return wallet.Wallet{}, false
	}
	return list[i], true
}

// taken reports whether a file could not be written because its name is taken: nothing is ever overwritten.
func taken(err error) bool {
	var refusal *spend.Refusal
	return errors.As(err, &refusal) && refusal.Code == "file-exists"
}

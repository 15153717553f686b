package home

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

// Kind says what a pinned file is.
type Kind string

// The kinds of pinned files. There is one roster, one policy and one address book, each under its own name.
const (
	WalletPin Kind = "wallet"
	IssuerPin Kind = "issuer"
	RosterPin Kind = "roster"
	PolicyPin Kind = "policy"
	BookPin   Kind = "book"
)

// Pin is a file that a key of this home vouches for.
type Pin struct {
	Kind       Kind
	Name       string
	Data       []byte
	Signatures [][]byte // of the keyholders who stand behind a policy, a roster or a book; they are judged at each use
}

// Signatory is the key that pins: its name in the home and its receipt key.
type Signatory struct {
	Key     string
	Receipt ssh.Signer
}

// pinMessage binds the bytes to their kind and name, so that a sealed file cannot be moved to another place.
func pinMessage(p Pin) []byte {
	return append(fmt.Appendf(nil, "coldsign pin\n%s\n%s\n", p.Kind, p.Name), p.Data...)
}

func pinHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (h *Home) pinPath(kind Kind, name, hash string) string {
	return filepath.Join(h.dir, "pins", string(kind), name+"."+hash[:16])
}

// Pin seals a file with a key and records it. The file is on the disk before the ledger names it, and every version
// stays there. Pinning the same bytes and signatures with the same key again changes nothing.
func (h *Home) Pin(l *Ledger, now time.Time, p Pin, by Signatory, rand io.Reader) error {
	hash, vouchers := pinHash(p.Data), texts(p.Signatures)
	if e, ok := l.pin(p.Kind, p.Name, by.Key); ok && e.SHA256 == hash && slices.Equal(e.Vouchers, vouchers) {
		return nil
	}
	armored, err := seal.Sign(by.Receipt, seal.Pin, pinMessage(p), rand)
	if err != nil {
		return fmt.Errorf("seal of %s %s: %w", p.Kind, p.Name, err)
	}
	path := h.pinPath(p.Kind, p.Name, hash)
	switch found, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := writeSynced(path, p.Data, os.O_EXCL); err != nil {
			return err
		}
	case err != nil:
		return err
	case !bytes.Equal(found, p.Data):
		return fmt.Errorf("%s is there with other contents", path)
	}
	return l.Append(now, Entry{Event: Pinned, Kind: string(p.Kind), Name: p.Name, SHA256: hash, Key: by.Key, Seal: string(armored), Vouchers: vouchers})
}

func texts(signatures [][]byte) []string {
	var out []string
	for _, s := range signatures {
		out = append(out, string(s))
	}
	return out
}

// Vouch signs a file for the keyholders who are to pin it, with the receipt key that the wallet's file names, and
// records that this key stands behind it. What the file means is for the caller to have shown.
func (h *Home) Vouch(l *Ledger, now time.Time, p Pin, by Signatory, rand io.Reader) ([]byte, error) {
	armored, err := seal.Sign(by.Receipt, p.Kind.Namespace(), p.Data, rand)
	if err != nil {
		return nil, fmt.Errorf("signature of %s: %w", p.Kind, err)
	}
	return armored, l.Append(now, Entry{Event: Vouched, Kind: string(p.Kind), Name: p.Name, SHA256: pinHash(p.Data), Key: by.Key})
}

// Namespace is the purpose of the keyholders' signatures under a file of this kind.
func (k Kind) Namespace() seal.Namespace {
	switch k {
	case PolicyPin:
		return seal.Policy
	case RosterPin:
		return seal.Roster
	case BookPin:
		return seal.Book
	}
	panic("home: nobody vouches for a file of kind " + string(k))
}

// NeedsQuorum reports whether a file of this kind counts only with the signatures of a quorum of keyholders.
func (k Kind) NeedsQuorum() bool { return k == PolicyPin || k == RosterPin || k == BookPin }

// pin is the newest entry for a file by a key.
func (l *Ledger) pin(kind Kind, name, key string) (Entry, bool) {
	return l.last(func(e Entry) bool {
		return e.Event == Pinned && e.Kind == string(kind) && e.Name == name && e.Key == key
	})
}

// Pins returns the files of one kind that a key vouches for, by name. A file that was changed, is missing, or whose
// seal is not by receipt is a refusal, never a gap: the caller would otherwise believe that it was not pinned.
func (h *Home) Pins(l *Ledger, kind Kind, key string, receipt ssh.PublicKey) ([]Pin, error) {
	var out []Pin
	for _, name := range l.pinNames(kind, key) {
		e, _ := l.pin(kind, name, key)
		data, err := os.ReadFile(h.pinPath(kind, name, e.SHA256))
		if err != nil || pinHash(data) != e.SHA256 {
			return nil, spend.Distrust("pin-changed", string(kind)+" "+name, "the file that was pinned, SHA-256 "+e.SHA256[:16],
				"another file, or none", "restore the home from its backup, or start a new home and register again")
		}
		pin := Pin{Kind: kind, Name: name, Data: data}
		for _, v := range e.Vouchers {
			pin.Signatures = append(pin.Signatures, []byte(v))
		}
		signer, _, err := seal.Verify([]byte(e.Seal), pinMessage(pin), seal.Pin)
		if err != nil || !bytes.Equal(signer.Marshal(), receipt.Marshal()) {
			return nil, spend.Distrust("pin-unsealed", string(kind)+" "+name, "a seal by key "+key+" of this home", "none, or one by somebody else",
				"treat this home as tampered with: stop, and compare with another keyholder")
		}
		out = append(out, pin)
	}
	return out, nil
}

// pinNames lists the names of a kind that a key pinned, oldest first.
func (l *Ledger) pinNames(kind Kind, key string) []string {
	var out []string
	for _, e := range l.entries {
		if e.Event == Pinned && e.Kind == string(kind) && e.Key == key && !slices.Contains(out, e.Name) {
			out = append(out, e.Name)
		}
	}
	return out
}

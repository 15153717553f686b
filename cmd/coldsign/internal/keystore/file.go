package keystore

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	fileFormat = "keystore/v1"
	extension  = ".json"
	fileMax    = 96 << 10 // bytes; one of a full pool has below 80 KiB, every other below 2 KiB
	filesMax   = 256
)

// file is a key file as it is written, field by field in this order.
type file struct {
	Format string          `json:"coldsign"`
	Kind   Kind            `json:"kind"`
	Record json.RawMessage `json:"record"`
	KDF    *kdf            `json:"kdf,omitempty"`
	Seal   *sealed         `json:"seal,omitempty"`
	Token  *tokenPlace     `json:"token,omitempty"`

	record wallet.KeyRecord // what Record says, verified
}

type kdf struct {
	Name      string   `json:"name"`
	MemoryKiB uint32   `json:"memory_kib"`
	Passes    uint32   `json:"passes"`
	Lanes     uint8    `json:"lanes"`
	Salt      hexBytes `json:"salt"`
}

type sealed struct {
	Name       string   `json:"name"`
	Nonce      hexBytes `json:"nonce"`
	Ciphertext hexBytes `json:"ciphertext"`
}

type tokenPlace struct {
	Module  string `json:"module"`
	Label   string `json:"label"`
	Key     string `json:"key"`
	Receipt string `json:"receipt"`
}

type hexBytes []byte

// MarshalText writes lower-case hexadecimal digits.
func (b hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

// UnmarshalText reads hexadecimal digits; the comparison with what would be written keeps them lower case.
func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.AppendDecode(nil, text)
	return err
}

// encode writes the file. The same content always gives the same bytes.
func (f file) encode() []byte {
	f.Record = f.record.Marshal()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(f); err != nil {
		panic("keystore: text that JSON cannot hold: " + err.Error()) // only strings, numbers and a record come here
	}
	return b.Bytes()
}

// decode reads a key file and checks everything that can be known without the secret.
func decode(raw []byte) (file, error) {
	if len(raw) > fileMax {
		return file{}, unreadable("%d bytes, a key file has at most %d", len(raw), fileMax)
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return file{}, unreadable("text that is not the JSON of a key file")
	}
	if f.Format != fileFormat {
		return file{}, unreadable("another format than %s", fileFormat)
	}
	record, err := wallet.ParseKeyRecord(f.Record)
	if err != nil {
		return file{}, err
	}
	f.record = record
	if err := checkName(record.Name); err != nil {
		return file{}, err
	}
	if err := f.checkKind(); err != nil {
		return file{}, err
	}
	if !bytes.Equal(f.encode(), raw) {
		return file{}, unreadable("bytes that this program would write differently")
	}
	return f, nil
}

// checkKind holds a file to one of the two kinds, and its record to the same.
func (f file) checkKind() error {
	software := f.KDF != nil && f.Seal != nil && f.Token == nil && f.record.Kind == wallet.BIP32 && f.record.Device == wallet.DeviceFile
	token := f.KDF == nil && f.Seal == nil && f.Token != nil && (f.record.Kind == wallet.Fixed || f.record.Kind == wallet.Pool) && f.record.Device == wallet.DevicePKCS11
	switch {
	case f.Kind == Software && software:
		return f.checkSeal()
	case f.Kind == InToken && token:
		return TokenKey(*f.Token).check()
	}
	return unreadable("a kind that its other parts contradict")
}

func (f file) checkSeal() error {
	n := len(f.Seal.Ciphertext) - chacha20poly1305.Overhead
	if f.KDF.Name != kdfName || f.Seal.Name != sealName || len(f.KDF.Salt) != saltBytes || len(f.Seal.Nonce) != chacha20poly1305.NonceSizeX || n != 16 && n != 32 {
		return unreadable("a seal that is not %s and %s with their lengths", kdfName, sealName)
	}
	return Params{f.KDF.MemoryKiB, f.KDF.Passes, f.KDF.Lanes}.check(f.record.Network)
}

func unreadable(format string, args ...any) error {
	return &spend.Refusal{Kind: spend.Unreadable, Code: "key-file-unreadable", Where: "key file", Expected: "a key file as this program writes it",
		Found: fmt.Sprintf(format, args...), Fix: "restore it from the home's backup, or make it again from the seed words: coldsign key import NAME"}
}

func (f file) info() Info {
	info := Info{Name: f.record.Name, Kind: f.Kind, Record: f.record}
	if f.Token != nil {
		info.Token = TokenKey(*f.Token)
	}
	return info
}

// read reads the file of a key: a regular file of that name in this directory, never through a link.
func (s *Store) read(name string) (file, error) {
	if err := checkName(name); err != nil {
		return file{}, err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return file{}, fmt.Errorf("key store: %w", err)
	}
	defer root.Close()
	before, err := root.Lstat(name + extension)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, spend.Refuse("key-missing", where(name), "a key file in "+s.dir, "none", "list the keys with: coldsign key list")
	}
	if err != nil {
		return file{}, fmt.Errorf("key file: %w", err)
	}
	if !before.Mode().IsRegular() {
		return file{}, unreadable("%s, which is not a regular file", name+extension)
	}
	raw, err := readSame(root, name+extension, before)
	if err != nil {
		return file{}, err
	}
	f, err := decode(raw)
	if err != nil {
		return file{}, err
	}
	if f.record.Name != name {
		return file{}, spend.Refuse("key-name", "key file "+name+extension, "the key "+name, "the key "+f.record.Name, "give the file the name of its key")
	}
	return f, nil
}

// readSame reads the file that was looked at before, not one that took its place meanwhile.
func readSame(root *os.Root, name string, before fs.FileInfo) ([]byte, error) {
	opened, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer opened.Close()
	now, err := opened.Stat()
	if err != nil || !os.SameFile(before, now) {
		return nil, unreadable("%s, which changed while it was opened", name)
	}
	raw, err := io.ReadAll(io.LimitReader(opened, fileMax+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return raw, nil
}

// names lists the keys. Files that do not end in .json are none of this room's business.
func (s *Store) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), extension); ok && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	if len(names) > filesMax {
		return nil, fmt.Errorf("key store: %d key files, at most %d", len(names), filesMax)
	}
	slices.Sort(names)
	return names, nil
}

// free refuses a name that is in use, before a passphrase is stretched or a token asked.
func (s *Store) free(name string) error {
	if _, err := os.Lstat(filepath.Join(s.dir, name+extension)); err == nil {
		return taken(name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("key store: %w", err)
	}
	return nil
}

func taken(name string) error {
	return spend.Refuse("key-exists", where(name), "a name that no key has", "a key of that name", "choose another name; key files are never overwritten")
}

// write makes the file whole or not at all: a temporary file is filled and synced, then linked to its name, which
// fails if the name exists.
func (s *Store) write(name string, data []byte) (err error) {
	temporary, err := os.CreateTemp(s.dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	defer func() {
		_ = temporary.Close()
		_ = os.Remove(temporary.Name())
	}()
	if _, err := temporary.Write(data); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if err := temporary.Sync(); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	err = os.Link(temporary.Name(), filepath.Join(s.dir, name+extension))
	if errors.Is(err, fs.ErrExist) {
		return taken(name)
	}
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	return s.sync()
}

// sync makes the new name last through a power cut.
func (s *Store) sync() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	return nil
}

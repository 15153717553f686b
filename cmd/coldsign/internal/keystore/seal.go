package keystore

import (
	"fmt"
	"io"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// Params are the costs of deriving a file's key from its passphrase (argon2id).
type Params struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// The bounds of Params. Below the floor a stolen file is opened by guessing; above the ceiling a prepared file holds
// the machine up. They hold when a file is written and when it is read.
const (
	memoryKiBFloor = 64 << 10 // mainnet; with 3 passes the second recommendation of RFC 9106
	passesFloor    = 3
	memoryKiBTest  = 256 // networks whose coins are worth nothing
	memoryKiBMax   = 2 << 20
	passesMax      = 16
	lanesMax       = 16
	workKiBMax     = 6 << 20 // memory times passes: some ten seconds
)

// DefaultParams cost 256 MiB and half a second to a second.
func DefaultParams() Params { return Params{MemoryKiB: 256 << 10, Passes: 3, Lanes: 4} }

// TestParams cost nearly nothing. They are refused on mainnet.
func TestParams() Params { return Params{MemoryKiB: memoryKiBTest, Passes: 1, Lanes: 1} }

func (p Params) check(network spend.Network) error {
	memoryMin, passesMin := uint32(memoryKiBFloor), uint32(passesFloor)
	if network.IsTest() {
		memoryMin, passesMin = memoryKiBTest, 1
	}
	inside := p.MemoryKiB >= memoryMin && p.MemoryKiB <= memoryKiBMax && p.Passes >= passesMin && p.Passes <= passesMax &&
		p.Lanes >= 1 && p.Lanes <= lanesMax && uint64(p.MemoryKiB)*uint64(p.Passes) <= workKiBMax
	if inside {
		return nil
	}
	return spend.Refuse("key-file-kdf", "cost of the passphrase",
		fmt.Sprintf("%d to %d KiB, %d to %d passes, 1 to %d lanes, at most %d KiB times passes on %s",
			memoryMin, memoryKiBMax, passesMin, passesMax, lanesMax, workKiBMax, network),
		fmt.Sprintf("%d KiB, %d passes, %d lanes", p.MemoryKiB, p.Passes, p.Lanes), "import the seed words into a new key file")
}

const (
	saltBytes    = 32
	sealKeyBytes = chacha20poly1305.KeySize
	kdfName      = "argon2id"
	sealName     = "xchacha20-poly1305"
)

// seal encrypts entropy under the passphrase and binds it to the whole public part of the file.
func seal(c Creation, record wallet.KeyRecord, entropy []byte) (file, error) {
	fresh := make([]byte, saltBytes+chacha20poly1305.NonceSizeX)
	if _, err := io.ReadFull(c.Rand, fresh); err != nil {
		return file{}, fmt.Errorf("salt and nonce: %w", err)
	}
	if repeats(fresh) {
		return file{}, weak("salt and nonce", "random bytes", "a repeating pattern")
	}
	p := c.params()
	f := file{Format: fileFormat, Kind: Software, record: record,
		KDF:  &kdf{Name: kdfName, MemoryKiB: p.MemoryKiB, Passes: p.Passes, Lanes: p.Lanes, Salt: fresh[:saltBytes]},
		Seal: &sealed{Name: sealName, Nonce: fresh[saltBytes:]}}
	key := f.sealKey(c.Passphrase)
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return file{}, fmt.Errorf("seal: %w", err)
	}
	f.Seal.Ciphertext = aead.Seal(nil, f.Seal.Nonce, entropy, f.additionalData())
	return f, nil
}

// unseal gives one refusal for a wrong passphrase and for a changed file: the difference would tell a thief when a
// guess is right.
func (f file) unseal(passphrase Secret) ([]byte, error) {
	key := f.sealKey(passphrase)
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	entropy, err := aead.Open(nil, f.Seal.Nonce, f.Seal.Ciphertext, f.additionalData())
	if err != nil {
		return nil, spend.Distrust("key-locked", where(f.record.Name), "the passphrase of an unchanged key file",
			"a wrong passphrase, or a key file that was changed", "try the passphrase again; if it is right, import the seed words into a new key file")
	}
	return entropy, nil
}

func (f file) sealKey(passphrase Secret) []byte {
	return argon2.IDKey(passphrase.bytes(), f.KDF.Salt, f.KDF.Passes, f.KDF.MemoryKiB, f.KDF.Lanes, sealKeyBytes)
}

// additionalData is the file as it is written, with an empty ciphertext.
func (f file) additionalData() []byte {
	bare := *f.Seal
	bare.Ciphertext = nil
	f.Seal = &bare
	return append([]byte("coldsign/keystore/v1\n"), f.encode()...)
}

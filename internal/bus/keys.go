package bus

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"
)

// credentialsMax is the longest credentials file, in bytes.
const credentialsMax = 16 << 10

const credentialsTitle = "coldsign bus credentials v1"

// Users are the public nkeys by which a server knows the segments.
type Users map[Segment]string

// secret is key material that no fmt verb and no comparison can reach.
type secret struct {
	_ [0]func()
	b *[32]byte
}

// Format writes what it is instead of what is in it.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }

// Credentials are what one segment holds: its nkey, which servers know, and a key for each segment that it speaks with.
type Credentials struct {
	segment Segment
	seed    secret
	user    string
	pairs   map[Segment]secret
}

// Segment returns whose credentials these are.
func (c Credentials) Segment() Segment { return c.segment }

// User returns the public nkey.
func (c Credentials) User() string { return c.user }

// NewCredentials makes fresh keys for all segments, in the order of Segments.
func NewCredentials(random io.Reader) ([]Credentials, error) {
	out := make([]Credentials, 0, len(Segments()))
	at := map[Segment]int{}
	for i, s := range Segments() {
		seed, err := draw(random)
		if err != nil {
			return nil, err
		}
		c, err := newCredentials(s, seed)
		if err != nil {
			return nil, err
		}
		at[s] = i
		out = append(out, c)
	}
	for _, r := range rules() {
		for _, from := range r.from {
			to := r.to[0]
			if _, made := out[at[from]].pairs[to]; made {
				continue
			}
			key, err := draw(random)
			if err != nil {
				return nil, err
			}
			out[at[from]].pairs[to], out[at[to]].pairs[from] = key, key
		}
	}
	return out, nil
}

// UsersOf collects the public nkeys.
func UsersOf(all []Credentials) Users {
	users := Users{}
	for _, c := range all {
		users[c.segment] = c.user
	}
	return users
}

// Marshal writes the credentials as text, to be written with mode 0600:
//
//	coldsign bus credentials v1
//	segment gateway
//	nkey <64 hexadecimal digits of the Ed25519 seed>
//	key engine <64 hexadecimal digits>
func (c Credentials) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nsegment %s\nnkey %s\n", credentialsTitle, c.segment, hex.EncodeToString(c.seed.b[:]))
	for _, s := range slices.Sorted(maps.Keys(c.pairs)) {
		fmt.Fprintf(&b, "key %s %s\n", s, hex.EncodeToString(c.pairs[s].b[:]))
	}
	return b.Bytes()
}

var errCredentials = errors.New("not a credentials file of this version") // it never says what was read

// ParseCredentials reads what Marshal wrote, and nothing else.
func ParseCredentials(raw []byte) (Credentials, error) {
	lines := strings.Split(string(raw), "\n")
	if len(raw) > credentialsMax || len(lines) < 4 || lines[0] != credentialsTitle || lines[len(lines)-1] != "" {
		return Credentials{}, errCredentials
	}
	name, isSegment := strings.CutPrefix(lines[1], "segment ")
	seed, isSeed := strings.CutPrefix(lines[2], "nkey ")
	if !isSegment || !isSeed {
		return Credentials{}, errCredentials
	}
	s, err := ParseSegment(name)
	if err != nil {
		return Credentials{}, errCredentials
	}
	key, err := readSecret(seed)
	if err != nil {
		return Credentials{}, err
	}
	c, err := newCredentials(s, key)
	if err != nil {
		return Credentials{}, err
	}
	for _, line := range lines[3 : len(lines)-1] {
		fields := strings.Split(line, " ")
		if len(fields) != 3 || fields[0] != "key" {
			return Credentials{}, errCredentials
		}
		peer, err := ParseSegment(fields[1])
		if err != nil {
			return Credentials{}, errCredentials
		}
		if c.pairs[peer], err = readSecret(fields[2]); err != nil {
			return Credentials{}, err
		}
	}
	if !bytes.Equal(c.Marshal(), raw) {
		return Credentials{}, errCredentials // repeated, in another order, or written in another way
	}
	return c, nil
}

func readSecret(text string) (secret, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return secret{}, errCredentials
	}
	return secret{b: (*[32]byte)(raw)}, nil
}

func newCredentials(s Segment, seed secret) (Credentials, error) {
	pair, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, seed.b[:])
	if err != nil {
		return Credentials{}, errors.New("nkey: not usable")
	}
	defer pair.Wipe()
	user, err := pair.PublicKey()
	if err != nil {
		return Credentials{}, errors.New("nkey: not usable")
	}
	return Credentials{segment: s, seed: seed, user: user, pairs: map[Segment]secret{}}, nil
}

// sign answers a server's challenge.
func (c Credentials) sign(nonce []byte) ([]byte, error) {
	pair, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, c.seed.b[:])
	if err != nil {
		return nil, errors.New("nkey: not usable")
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// box makes the cipher of one purpose between two segments. No key is ever used for two messages with the same number:
// salt is fresh for each session, epoch and greeting.
func (c Credentials) box(from, to Segment, salt []byte, purpose string) (cipher.AEAD, error) {
	key, err := c.derive(from, to, salt, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (c Credentials) derive(from, to Segment, salt []byte, purpose string, size int) ([]byte, error) {
	peer := to
	if c.segment == to {
		peer = from
	}
	pair, shared := c.pairs[peer]
	if !shared {
		return nil, fmt.Errorf("%w: %s and %s share no key", ErrDenied, c.segment, peer)
	}
	return hkdf.Key(sha256.New, pair.b[:], salt, fmt.Sprintf("coldsign bus v1 %s to %s: %s", from, to, purpose), size)
}

func draw(random io.Reader) (secret, error) {
	s := secret{b: new([32]byte)}
	if _, err := io.ReadFull(random, s.b[:]); err != nil {
		return secret{}, fmt.Errorf("random numbers: %w", err)
	}
	return s, nil
}

package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/coldsign/coldsign/internal/exchange"
)

// A snapshot file is: the line sealMagic; salt 32; and pieces, each: length of the ciphertext 4, big endian, and the
// ciphertext. Pieces are AES-256-GCM under HKDF-SHA256(snapshot key, salt); the nonce is three zero bytes, the piece's
// number 8, and 1 for the last piece, else 0. So pieces cannot be changed, reordered, dropped or added, and no key is
// used for two files. In clear the pieces are: last command 8, time 8, hash of the journal's chain 32, hash of the state
// 32, and what State.Snapshot wrote.
const (
	sealMagic = "coldsign snapshot v1\n"
	saltSize  = 32
	pieceSize = 1 << 20
	headSize  = 8 + 8 + 32 + 32
)

var errSealed = errors.New("not the bytes that were sealed")

func pieceCipher(key, salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, salt, sealMagic, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func pieceNonce(number uint64, last bool) (n [12]byte) {
	binary.BigEndian.PutUint64(n[3:], number)
	if last {
		n[11] = 1
	}
	return n
}

// sealWriter seals what is written to it. Close seals the last piece.
type sealWriter struct {
	to     io.Writer
	aead   cipher.AEAD
	piece  []byte
	out    []byte
	number uint64
	faults Faults
}

func newSealWriter(to io.Writer, key []byte, random io.Reader) (*sealWriter, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, err
	}
	aead, err := pieceCipher(key, salt)
	if err != nil {
		return nil, err
	}
	if _, err := to.Write(append([]byte(sealMagic), salt...)); err != nil {
		return nil, err
	}
	return &sealWriter{to: to, aead: aead, piece: make([]byte, 0, pieceSize)}, nil
}

func (w *sealWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(w.piece) == pieceSize {
			if err := w.flush(false); err != nil {
				return 0, err
			}
		}
		take := min(len(p), pieceSize-len(w.piece))
		w.piece, p = append(w.piece, p[:take]...), p[take:]
	}
	return n, nil
}

func (w *sealWriter) flush(last bool) error {
	nonce := pieceNonce(w.number, last)
	w.out = w.aead.Seal(append(w.out[:0], 0, 0, 0, 0), nonce[:], w.piece, nil)
	binary.BigEndian.PutUint32(w.out, uint32(len(w.out)-4))
	w.number, w.piece = w.number+1, w.piece[:0]
	w.faults.at("snapshot-write")
	_, err := w.to.Write(w.out)
	return err
}

func (w *sealWriter) Close() error { return w.flush(true) }

// sealReader gives back what was written to a sealWriter, piece by piece, each only after it proved genuine.
type sealReader struct {
	from   io.Reader
	aead   cipher.AEAD
	sealed []byte
	plain  []byte
	rest   []byte
	number uint64
	last   bool
}

func newSealReader(from io.Reader, key []byte) (*sealReader, error) {
	head := make([]byte, len(sealMagic)+saltSize)
	if _, err := io.ReadFull(from, head); err != nil || !bytes.HasPrefix(head, []byte(sealMagic)) {
		return nil, errSealed
	}
	aead, err := pieceCipher(key, head[len(sealMagic):])
	if err != nil {
		return nil, err
	}
	return &sealReader{from: from, aead: aead}, nil
}

func (r *sealReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.last {
			return 0, r.end()
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// end insists that nothing follows the last piece.
func (r *sealReader) end() error {
	if n, err := io.ReadFull(r.from, make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("%w: bytes behind the last piece", errSealed)
	}
	return io.EOF
}

func (r *sealReader) next() error {
	var length [4]byte
	if _, err := io.ReadFull(r.from, length[:]); err != nil {
		return fmt.Errorf("%w: cut before piece %d", errSealed, r.number)
	}
	size := int(binary.BigEndian.Uint32(length[:]))
	if size < r.aead.Overhead() || size > pieceSize+r.aead.Overhead() {
		return fmt.Errorf("%w: piece %d of %d bytes", errSealed, r.number, size)
	}
	if cap(r.sealed) < size {
		r.sealed = make([]byte, size, pieceSize+r.aead.Overhead())
	}
	r.sealed = r.sealed[:size]
	if _, err := io.ReadFull(r.from, r.sealed); err != nil {
		return fmt.Errorf("%w: cut in piece %d", errSealed, r.number)
	}
	// Only the last piece may be short, and only a short one, or one that is full by chance, is the last.
	for _, last := range []bool{size < pieceSize+r.aead.Overhead(), true} {
		nonce := pieceNonce(r.number, last)
		plain, err := r.aead.Open(r.plain[:0], nonce[:], r.sealed, nil)
		if err == nil {
			r.plain, r.rest, r.last = plain, plain, last
			r.number++
			return nil
		}
	}
	return fmt.Errorf("%w: piece %d", errSealed, r.number)
}

// snapshotHead is what a snapshot says about itself.
type snapshotHead struct {
	seq          uint64
	at           exchange.Millis
	chain, state [32]byte
}

func (h *snapshotHead) append(out []byte) []byte {
	out = binary.BigEndian.AppendUint64(out, h.seq)
	out = binary.BigEndian.AppendUint64(out, uint64(h.at))
	return append(append(out, h.chain[:]...), h.state[:]...)
}

func readSnapshotHead(r io.Reader) (h snapshotHead, err error) {
	raw := make([]byte, headSize)
	if _, err := io.ReadFull(r, raw); err != nil {
		return h, err
	}
	return snapshotHead{binary.BigEndian.Uint64(raw), exchange.Millis(binary.BigEndian.Uint64(raw[8:])), [32]byte(raw[16:48]), [32]byte(raw[48:])}, nil
}

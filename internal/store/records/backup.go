package records

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A backup is: the magic, a salt of 16 bytes, and chunks, each its length in 4 bytes and a sealed part of the stream of
// all records. A chunk is sealed with AES-256-GCM under a key of this salt alone; its nonce is its number in 11 bytes
// and a 1 for the last one, so that no chunk can be left out, moved, or cut off at the end.
const (
	backupMagic = "CSRECBK1"
	saltBytes   = 16
	chunkBytes  = 1 << 18
)

// errBackup says that bytes are not a whole backup of records with this key.
var errBackup = errors.New("records: not a whole backup under this key")

// Backup writes all records, sealed, as they are at one moment, and returns their hash. It may run while others read
// and write.
func (r *Records) Backup(ctx context.Context, w io.Writer, random io.Reader) ([32]byte, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return [32]byte{}, fmt.Errorf("records: salt: %w", err)
	}
	aead, err := backupKey(r.seal.s.backup, salt)
	if err != nil {
		return [32]byte{}, err
	}
	if _, err := w.Write(append([]byte(backupMagic), salt...)); err != nil {
		return [32]byte{}, fmt.Errorf("records: backup: %w", err)
	}
	if err := r.Flush(ctx); err != nil {
		return [32]byte{}, err
	}
	out := &chunkWriter{w: w, aead: aead}
	hash := sha256.New()
	err = r.db.view(ctx, func(tx *sql.Tx) error { return stream(ctx, tx, io.MultiWriter(hash, out)) })
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(hash.Sum(nil)), out.flush(true)
}

// Restore fills empty records from a backup, and compares their hash with the backup's before it says how far they
// know. An interrupted restore leaves records that nobody can use, except to make them again.
func (r *Records) Restore(ctx context.Context, in io.Reader) ([32]byte, error) {
	head := make([]byte, len(backupMagic)+saltBytes)
	if _, err := io.ReadFull(in, head); err != nil || string(head[:len(backupMagic)]) != backupMagic {
		return [32]byte{}, errors.Join(errBackup, err)
	}
	aead, err := backupKey(r.seal.s.backup, head[len(backupMagic):])
	if err != nil {
		return [32]byte{}, err
	}
	r.Flush(ctx) // a failure is as good: nothing of this stays
	r.forgive()
	r.writing.Lock()
	defer r.writing.Unlock()
	// Only records that never took anything are at zero.
	if err := r.db.commit(ctx, []call{{query: updateProgress, args: []any{int64(unfinished), int64(0), int64(0)}}}); err != nil {
		return [32]byte{}, fmt.Errorf("restore needs empty records: %w", err)
	}
	r.known = false
	hash := sha256.New()
	plain := bufio.NewReader(io.TeeReader(&chunkReader{r: in, aead: aead}, hash))
	seq, at, err := r.fill(ctx, plain)
	if err != nil {
		return [32]byte{}, err
	}
	for _, rest := range []io.Reader{plain, in} {
		if n, err := io.ReadFull(rest, head[:1]); n != 0 || err != io.EOF {
			return [32]byte{}, fmt.Errorf("%w: something else stands where it ends", errBackup)
		}
	}
	if err := r.db.commit(ctx, []call{{query: updateProgress, args: []any{seq, at, int64(unfinished)}}}); err != nil {
		return [32]byte{}, err
	}
	got, err := r.hash(ctx)
	if err == nil && got != [32]byte(hash.Sum(nil)) {
		err = fmt.Errorf("records: restored ones have hash %x, the backup %x", got, hash.Sum(nil))
	}
	r.wake()
	return got, err
}

func backupKey(key, salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, salt, "coldsign records backup", 32)
	if err != nil {
		return nil, fmt.Errorf("records: backup key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("records: backup key: %w", err)
	}
	return cipher.NewGCM(block)
}

func chunkNonce(number uint64, last bool) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[3:], number)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// chunkWriter cuts a stream into sealed chunks.
type chunkWriter struct {
	w      io.Writer
	aead   cipher.AEAD
	number uint64
	plain  []byte
}

// Write keeps bytes until a chunk is full, and one chunk back: the last one is sealed as such.
func (c *chunkWriter) Write(raw []byte) (int, error) {
	for rest := raw; len(rest) > 0; {
		if len(c.plain) == chunkBytes {
			if err := c.flush(false); err != nil {
				return 0, err
			}
		}
		n := min(len(rest), chunkBytes-len(c.plain))
		c.plain, rest = append(c.plain, rest[:n]...), rest[n:]
	}
	return len(raw), nil
}

func (c *chunkWriter) flush(last bool) error {
	sealed := c.aead.Seal(make([]byte, 4), chunkNonce(c.number, last), c.plain, nil)
	binary.BigEndian.PutUint32(sealed, uint32(len(sealed)-4))
	c.number, c.plain = c.number+1, c.plain[:0]
	if _, err := c.w.Write(sealed); err != nil {
		return fmt.Errorf("records: backup: %w", err)
	}
	return nil
}

// chunkReader joins sealed chunks and ends only after the last one.
type chunkReader struct {
	r      io.Reader
	aead   cipher.AEAD
	number uint64
	plain  []byte
	ended  bool
}

// Read gives what was opened.
func (c *chunkReader) Read(into []byte) (int, error) {
	for len(c.plain) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(into, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

func (c *chunkReader) next() error {
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return fmt.Errorf("%w: it was cut off", errBackup)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < uint32(c.aead.Overhead()) || size > chunkBytes+uint32(c.aead.Overhead()) {
		return fmt.Errorf("%w: a chunk of %d bytes", errBackup, size)
	}
	sealed := make([]byte, size)
	if _, err := io.ReadFull(c.r, sealed); err != nil {
		return fmt.Errorf("%w: it was cut off", errBackup)
	}
	for _, last := range []bool{false, true} {
		plain, err := c.aead.Open(nil, chunkNonce(c.number, last), sealed, nil)
		if err != nil {
			continue
		}
		c.plain, c.ended, c.number = plain, last, c.number+1
		return nil
	}
	return fmt.Errorf("%w: chunk %d does not open", errBackup, c.number)
}

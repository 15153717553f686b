package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	checkName = "records.check"
	checkTag  = "coldsign/store-key/v1"
)

// checkKey compares the key with the records' own mark before SQLite may touch them.
//
// SQLite cannot do it: after a crash the last transactions stand in its log alone, and under a wrong key it takes the
// log for an empty one, finds that the file is no database, and deletes the log on its way out. The mark is an
// HMAC-SHA256 by the key over a tag, in hexadecimal. It tells nothing about a random key, and it is written before the
// first record.
func checkKey(dir string, key []byte) error {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(checkTag))
	mark := append(hex.AppendEncode(nil, mac.Sum(nil)), '\n')
	path := filepath.Join(dir, checkName)
	found, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return writeCheck(dir, path, mark)
	}
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if !hmac.Equal(bytes.TrimSpace(found), bytes.TrimSpace(mark)) {
		return spend.Distrust("store-key-wrong", dir, "the key that these records were made with", "another key",
			"the operator gives the right key; the records were not touched")
	}
	return nil
}

func writeCheck(dir, path string, mark []byte) error {
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(filepath.Join(dir, fileName+suffix)); err == nil && info.Size() > 0 {
			return spend.Distrust("store-damaged", dir, checkName+" beside the records", "records without it",
				"the operator restores the whole directory from a backup")
		}
	}
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	_, err = f.Write(mark)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}

package records

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"testing"
)

// blackHole takes every row.
type blackHole struct{}

func (blackHole) commit(context.Context, []call, ...rows) error   { return nil }
func (blackHole) view(context.Context, func(*sql.Tx) error) error { return nil }
func (blackHole) close() error                                    { return nil }
func (blackHole) tidy()                                           {}

// FuzzBackup reads streams that are no backup's, and chunks that nobody sealed.
func FuzzBackup(f *testing.F) {
	stream := []byte{}
	for _, t := range tables() {
		stream = append(appendBytes(stream, []byte(t.name)), 0)
	}
	f.Add(append(stream, make([]byte, 16)...))
	f.Add(append(appendBytes(nil, []byte("assets")), 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 'B', 'T', 'C'))
	aead, err := backupKey(key("one"), make([]byte, saltBytes))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := &Records{db: blackHole{}}
		in := bytes.NewReader(raw)
		if _, _, err := r.fill(t.Context(), in); err == nil && in.Len() == len(raw) {
			t.Fatal("nothing is a backup")
		}
		if plain, err := io.ReadAll(&chunkReader{r: bytes.NewReader(raw), aead: aead}); err == nil || len(plain) > 0 {
			t.Fatalf("%d bytes that nobody sealed are opened", len(plain))
		}
	})
}

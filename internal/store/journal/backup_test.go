package journal

import (
	"bytes"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
)

// elsewhere is an empty SQLite place with the same key.
func (b *bench) elsewhere() Options { return Options{Dir: b.t.TempDir(), Key: b.options.Key} }

// backedUp writes and prunes, closes, opens and writes again: three epochs, a mark of pruning.
func (b *bench) backedUp() (Report, []byte) {
	b.some()
	j := b.open()
	if err := j.Prune(b.ctx, 3); err != nil {
		b.t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	j = b.open()
	b.write(j, frame(9, 600))
	var out bytes.Buffer
	report, err := j.Write(b.ctx, &out)
	if err != nil || report.Frames != 4 || report.Last != 608 {
		b.t.Fatalf("%+v, %v", report, err)
	}
	return report, out.Bytes()
}

func claimBackup(b *bench) {
	want, raw := b.backedUp()
	here := b.options
	if here.Dir != "" {
		here.Dir = b.t.TempDir()
	} else {
		here.Group = "restored"
	}
	for _, o := range []Options{here, b.elsewhere()} {
		got, err := Read(b.ctx, o, bytes.NewReader(raw))
		if err != nil || got != want {
			b.t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
		_, err = Read(b.ctx, o, bytes.NewReader(raw))
		b.refused(err, "restore-not-empty", "")
		j, err := Open(b.ctx, o)
		if err != nil {
			b.t.Fatal(err)
		}
		if got, err = j.Verify(b.ctx); err != nil || got != want {
			b.t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
		b.write(j, frame(609, 2))
		if err := j.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func claimBackupDamaged(b *bench) {
	_, raw := b.backedUp()
	if bytes.Contains(raw, []byte(marker)) {
		b.t.Error("the backup holds a command in plain text")
	}
	for _, i := range []int{len(backupMagic) + 3, len(backupMagic) + 20, len(raw) / 2, len(raw) - 50, len(raw) - 1} {
		o := b.elsewhere()
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		_, err := Read(b.ctx, o, bytes.NewReader(bad))
		b.refused(err, "backup-damaged", "")
		_, err = Open(b.ctx, o)
		b.refused(err, "restore-unfinished", "")
	}
	for _, cut := range []int{len(raw) - 1, len(raw) / 2, len(backupMagic) + 4} {
		_, err := Read(b.ctx, b.elsewhere(), bytes.NewReader(raw[:cut]))
		b.refused(err, "backup-damaged", "")
	}
	_, err := Read(b.ctx, b.elsewhere(), bytes.NewReader([]byte("no backup at all, and long enough to be one")))
	b.refused(err, "backup-unreadable", "")
	other := b.elsewhere()
	other.Key = key("other")
	_, err = Read(b.ctx, other, bytes.NewReader(raw))
	b.refused(err, "backup-damaged", "")
}

// A backup comes from outside: whatever its bytes, reading it ends with a refusal or with a whole journal.
func FuzzReadBackup(f *testing.F) {
	j, err := Open(f.Context(), Options{Dir: f.TempDir(), Key: key("store"), Random: bytes.NewReader(make([]byte, saltBytes))}) // every worker makes the same
	if err != nil {
		f.Fatal(err)
	}
	defer j.Close()
	if err := j.Append(f.Context(), frame(1, 2), nil); err != nil {
		f.Fatal(err)
	}
	var whole bytes.Buffer
	if _, err := j.Write(f.Context(), &whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add([]byte(backupMagic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := newKeyring(key("store"))
		if err != nil {
			t.Fatal(err)
		}
		read := &Journal{table: &memory{values: map[string][]byte{}}, keys: keys}
		found, err := read.restore(t.Context(), bytes.NewReader(raw))
		if err == nil && (found.Last != 2 || !bytes.Equal(raw, whole.Bytes())) {
			t.Fatal("it took bytes that were not backed up")
		}
		if err != nil {
			if _, refused := err.(*spend.Refusal); !refused {
				t.Fatalf("%T: %v", err, err)
			}
		}
	})
}

package journal

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/engine"
)

// of opens the journal as a program of a language does.
func (b *bench) of(language uint32, follow bool) (*Journal, error) {
	o := b.options
	o.Language, o.Follow = language, follow
	return Open(b.ctx, o)
}

// raised is a journal with frames 1 to 3 in language 1 and one more, written by a program of language 2.
func (b *bench) raised() {
	b.t.Helper()
	j := b.open()
	b.write(j, frame(1, 2), frame(3, 1))
	b.close(j)
	newer, err := b.of(2, false)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(newer, frame(4, 2))
	b.close(newer)
}

func (b *bench) close(j *Journal) {
	b.t.Helper()
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func claimNewer(b *bench) {
	b.raised()
	for _, follow := range []bool{false, true} {
		_, err := b.of(1, follow)
		b.refused(err, "journal-newer", "")
		if !strings.Contains(err.Error(), "language 1 or older") || !strings.Contains(err.Error(), "found 2") {
			b.t.Fatalf("both languages are to be named: %v", err)
		}
	}
	j, err := b.of(2, false)
	if err != nil {
		b.t.Fatal(err)
	}
	salts, err := j.table.salts(b.ctx)
	if err != nil || len(salts) != 3 {
		b.t.Fatalf("%d epochs, %v: whoever was refused began one", len(salts), err)
	}
	b.close(j)
}

func claimRaised(b *bench) {
	j := b.open()
	b.write(j, frame(1, 2))
	b.close(j)
	newer, err := b.of(2, false) // it only looks
	if err != nil {
		b.t.Fatal(err)
	}
	b.close(newer)
	older, err := b.of(1, false)
	if err != nil {
		b.t.Fatalf("the way back was closed before there was a frame: %v", err)
	}
	b.write(older, frame(3, 1))
	b.close(older)
	if newer, err = b.of(2, false); err != nil {
		b.t.Fatal(err)
	}
	b.write(newer, frame(4, 3))
	if got := b.read(newer, 1); len(got) != 3 || !same(got[2], frame(4, 3)) {
		b.t.Fatalf("%d frames", len(got))
	}
	if r, err := newer.Verify(b.ctx); err != nil || r.Frames != 3 {
		b.t.Fatal(r, err)
	}
	b.close(newer)
	_, err = b.of(1, false)
	b.refused(err, "journal-newer", "")
}

func claimNewerWhileFollowing(b *bench) {
	j := b.open()
	b.write(j, frame(1, 2))
	follower, err := b.of(1, true)
	if err != nil {
		b.t.Fatal(err)
	}
	defer follower.Close()
	b.close(j)
	newer, err := b.of(2, false)
	if err != nil {
		b.t.Fatal(err)
	}
	b.read(follower, 1) // a newer program that has written nothing changes nothing
	b.write(newer, frame(3, 1))
	read := 0
	err = follower.Read(b.ctx, 1, func(engine.Frame) error { read++; return nil })
	b.refused(err, "journal-newer", "")
	if read != 1 {
		b.t.Fatalf("%d frames were handed on", read)
	}
	b.close(newer)
}

func claimBackupLanguage(b *bench) {
	b.raised()
	j, err := b.of(2, true)
	if err != nil {
		b.t.Fatal(err)
	}
	var out bytes.Buffer
	report, err := j.Write(b.ctx, &out)
	if err != nil {
		b.t.Fatal(err)
	}
	b.close(j)
	o := b.elsewhere()
	_, err = Read(b.ctx, o, bytes.NewReader(out.Bytes()))
	b.refused(err, "journal-newer", "")
	o = b.elsewhere()
	o.Language = 2
	if again, err := Read(b.ctx, o, bytes.NewReader(out.Bytes())); err != nil || again.Head != report.Head {
		b.t.Fatal(again, err)
	}
	o.Language = 1
	_, err = Open(b.ctx, o)
	b.refused(err, "journal-newer", "")
	later := bytes.Replace(out.Bytes(), []byte(backupMagic), []byte("coldsign journal backup v3\n"), 1)
	_, err = Read(b.ctx, b.elsewhere(), bytes.NewReader(later))
	b.refused(err, "journal-newer", "its beginning")
}

func claimForgedLanguage(b *bench) {
	b.raised()
	j, err := b.of(2, true)
	if err != nil {
		b.t.Fatal(err)
	}
	salts, err := j.table.salts(b.ctx)
	if err != nil || len(salts[2]) != saltBytes+languageBytes {
		b.t.Fatal(salts, err)
	}
	b.close(j)
	// The intruder makes the newer epoch look like one of the first language, for an older program to go on with.
	b.change("UPDATE $E SET salt = substr(salt, 1, 32) WHERE epoch = 2 AND $J")
	_, err = b.of(1, false)
	b.refused(err, "journal-damaged", "frame 4")
}

func TestABackupOfTheFirstVersionIsRead(t *testing.T) {
	b := &bench{t: t, ctx: t.Context(), options: Options{Dir: t.TempDir(), Key: key("store")}}
	report, raw := b.backedUp()
	old := bytes.Replace(raw, []byte(backupMagic), []byte(backupFirst), 1)
	epochs := len(old) - len(bytes.TrimPrefix(old, []byte(backupFirst))) + 8
	for at := epochs + 8; at+languageBytes <= len(old) && bytes.Equal(old[at:at+languageBytes], []byte{0, 0, 0, 1}); at += 8 + saltBytes {
		old = slices.Delete(old, at, at+languageBytes)
	}
	sum := sha256.Sum256(old[:len(old)-sha256.Size])
	old = append(old[:len(old)-sha256.Size], sum[:]...)
	again, err := Read(t.Context(), b.elsewhere(), bytes.NewReader(old))
	if err != nil || again.Head != report.Head {
		t.Fatal(again, err)
	}
}

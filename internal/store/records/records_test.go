package records

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// files returns every byte of every file of a directory.
func files(t *testing.T, dir string) []byte {
	t.Helper()
	var out []byte
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		out = append(out, raw...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func hash(t testing.TB, r *Records) [32]byte {
	t.Helper()
	sum, err := r.Hash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// claims hold for both databases.
func claims() map[string]func(*testing.T, *bench) {
	return map[string]func(*testing.T, *bench){
		"Records are what the state says":                        claimRecordsAreWhatTheStateSays,
		"Compare notices what is wrong":                          claimCompareNoticesWhatIsWrong,
		"Events are taken once however often they are told":      claimEventsAreTakenOnceHoweverOftenTheyAreTold,
		"A failed write leaves nothing and the next one goes on": claimAFailedWriteLeavesNothingAndTheNextOneGoesOn,
		"A second writer is stopped":                             claimASecondWriterIsStopped,
		"Records outlive the process":                            claimRecordsOutliveTheProcess,
		"A backup comes back with the same hash":                 claimABackupComesBackWithTheSameHash,
		"Order history":                                          claimOrderHistory,
		"Trades of everybody and of one":                         claimTradesOfEverybodyAndOfOne,
		"Candles are their trades":                               claimCandlesAreTheirTrades,
		"Deposits withdrawals and addresses":                     claimDepositsWithdrawalsAndAddresses,
		"Answers know what the question demands":                 claimAnswersKnowWhatTheQuestionDemands,
	}
}

func TestRecordsInSQLite(t *testing.T) {
	for name, claim := range claims() {
		t.Run(name, func(t *testing.T) { claim(t, inSQLite(t)) })
	}
}

func TestRecordsInPostgreSQL(t *testing.T) {
	server := startServer(t)
	for name, claim := range claims() {
		t.Run(name, func(t *testing.T) { claim(t, inPostgreSQL(t, server)) })
	}
}

// The records are a projection: whatever the pieces in which they were told, they are what the state says, and what
// another follower, or the journal read again, makes of it.
func claimRecordsAreWhatTheStateSays(t *testing.T, b *bench) {
	for seed := range uint64(3) {
		b.options = b.another()
		r, s := b.open(), newStory(t, seed)
		for range 4 {
			s.steps(60)
			s.write(t, r)
			if err := r.Compare(b.ctx, s.State); err != nil {
				t.Fatal(err)
			}
		}
		before := hash(t, r)
		state, err := r.Rebuild(b.ctx, journal{s.frames}, s.options)
		if err != nil {
			t.Fatal(err)
		}
		if hash(t, r) != before || state.Hash() != s.State.Hash() {
			t.Error("made again they are others")
		}
		if err := r.Compare(b.ctx, state); err != nil {
			t.Error(err)
		}
	}
}

func TestBothDatabasesHaveOneHash(t *testing.T) {
	s := newStory(t, 5).steps(100)
	var sums [][32]byte
	both(t, func(t *testing.T, b *bench) {
		r := b.open()
		s.write(t, r)
		sums = append(sums, hash(t, r))
	})
	if len(sums) != 2 || sums[0] != sums[1] || sums[0] == [32]byte{} {
		t.Errorf("%x", sums)
	}
}

func claimCompareNoticesWhatIsWrong(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 1).steps(60)
	s.write(t, r)
	for _, forged := range []call{
		{putBalance, []any{int64(s.traders[0]), int64(enginetest.Dollar), amount(money.U128{Lo: 1}), amount(money.U128{})}},
		{putAccount, []any{int64(7777), r.seal.seal(field("accounts.name", 7777), []byte("nobody")), int64(0), int64(0), int64(0), r.seal.seal(field("accounts.totp", 7777), nil), int64(0), int64(0)}},
		{deleteOrders, nil}, {deleteMarkets, nil},
	} {
		if err := r.Compare(b.ctx, s.State); err != nil {
			t.Fatal(err)
		}
		last, _ := r.Last(b.ctx)
		keep := call{updateProgress, []any{int64(last), int64(s.Now), int64(last)}}
		if err := r.db.commit(b.ctx, []call{keep, forged}); err != nil {
			t.Fatal(err)
		}
		if err := r.Compare(b.ctx, s.State); err == nil {
			t.Errorf("%s is not noticed", forged.query)
		}
		if _, err := r.Rebuild(b.ctx, journal{s.frames}, s.options); err != nil {
			t.Fatal(err)
		}
	}
}

func claimEventsAreTakenOnceHoweverOftenTheyAreTold(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 2).steps(40)
	all := bytes.Join(s.events, nil)
	middle := len(s.frames) / 2
	for range 2 {
		if err := tell(b.ctx, r, s.frames[middle].First+uint64(s.frames[middle].Count)-1, s.frames[middle].At, bytes.Join(s.events[:middle+1], nil)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // from the beginning again, and then to the end
		if err := tell(b.ctx, r, s.State.Seq(), s.Now, all); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Compare(b.ctx, s.State); err != nil {
		t.Error(err)
	}
	if err := tell(b.ctx, r, s.State.Seq()+1, s.Now, []byte("no event")); !errors.Is(err, exchange.ErrBytes) {
		t.Error(err)
	}
	if err := r.Compare(b.ctx, s.State); !errors.Is(err, exchange.ErrBytes) {
		t.Error("a comparison passes over what could not be written:", err)
	}
	if last, err := r.Last(b.ctx); last != s.State.Seq() || err != nil {
		t.Error(last, err)
	}
	if err := r.Compare(b.ctx, s.State); err != nil {
		t.Error("a write that failed left something:", err)
	}
}

func claimAFailedWriteLeavesNothingAndTheNextOneGoesOn(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 3).steps(30)
	if err := tell(b.ctx, r, s.frames[20].First, s.frames[20].At, append(bytes.Join(s.events[:20], nil), "no event"...)); !errors.Is(err, exchange.ErrBytes) {
		t.Fatal(err)
	}
	// What was told with it is lost as well, so nothing may be taken that comes behind.
	rest, next := s.frames[21:], bytes.Join(s.events[21:], nil)
	if err := r.Write(b.ctx, s.State.Seq(), s.Now, next); !errors.Is(err, exchange.ErrBytes) {
		t.Fatalf("%d frames are taken behind a gap: %v", len(rest), err)
	}
	s.write(t, r) // asks how far they know first
	if err := r.Compare(b.ctx, s.State); err != nil {
		t.Error(err)
	}
	before := hash(t, r)
	if _, err := r.Rebuild(b.ctx, journal{s.frames}, s.options); err != nil || hash(t, r) != before {
		t.Error("the failed write is in the candles:", err)
	}
}

func claimASecondWriterIsStopped(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 4).steps(10)
	s.write(t, r)
	if b.options.Dir != "" {
		if _, err := Open(b.ctx, b.options); err == nil {
			t.Error("two writers have one file")
		}
		return
	}
	other := b.open()
	half := s.frames[len(s.frames)-1]
	s.step()
	next := s.frames[len(s.frames)-1]
	seq, events := next.First+uint64(next.Count)-1, s.events[len(s.events)-1]
	if err := tell(b.ctx, other, half.First+uint64(half.Count)-1, half.At, nil); err != nil { // it learns where the tables are
		t.Fatal(err)
	}
	if err := tell(b.ctx, r, seq, next.At, events); err != nil {
		t.Fatal(err)
	}
	if err := tell(b.ctx, other, seq, next.At, events); !errors.Is(err, ErrOther) {
		t.Error("both writers go on:", err)
	}
	if last, err := other.Last(b.ctx); err != nil || last != seq {
		t.Error("it does not learn:", last, err)
	}
	if err := tell(b.ctx, other, seq, next.At, events); err != nil {
		t.Error("what is known already is no reason to fail:", err)
	}
	if err := r.Compare(b.ctx, s.State); err != nil {
		t.Error(err)
	}
}

func claimRecordsOutliveTheProcess(t *testing.T, b *bench) {
	s := newStory(t, 6).steps(50)
	r := b.open()
	s.write(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = b.open()
	s.steps(50)
	s.write(t, r)
	if err := r.Compare(b.ctx, s.State); err != nil {
		t.Error(err)
	}
	read := b.options
	read.Read = true
	reader, err := Open(b.ctx, read)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if hash(t, reader) != hash(t, r) {
		t.Error("a reader sees something else")
	}
	if err := tell(b.ctx, reader, 1<<40, 0, nil); err == nil {
		t.Error("a reader writes")
	}
	other := b.options
	other.Key, other.Read = key("two"), true
	if _, err := Open(b.ctx, other); err == nil {
		t.Error("another key opens them")
	}
}

// Control 33: whoever takes the files, or the database server's disk, finds no name, address, label or secret.
func TestControl033NothingPersonalIsInTheFiles(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		r, s := b.open(), newStory(t, 7).steps(20)
		s.write(t, r)
		events := rare(s)
		if err := tell(b.ctx, r, s.State.Seq()+1, s.Now, events); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(bytes.Join(append(s.events, events), nil), []byte(marker)) {
			t.Fatal("the marker is in no event: the search would find nothing anywhere")
		}
		a, err := r.Answer(b.ctx, exchange.Question{Accounts: &exchange.DirectoryQuestion{Account: 99}})
		if err != nil || a.Accounts[0].Name != marker+".saver" || len(a.Keys) != 1 || a.Keys[0].Label != marker || a.Keys[0].Secret != nil || a.Keys[0].Allowed[0] != "203.0.113.0/24" {
			t.Fatalf("%+v %v", a, err)
		}
		if bytes.Contains(b.dump(), []byte(marker)) {
			t.Error("the marker is in the files")
		}
	})
}

func claimABackupComesBackWithTheSameHash(t *testing.T, b *bench) {
	r, s := b.open(), newStory(t, 8).steps(200)
	s.write(t, r)
	var backup bytes.Buffer
	sum, err := r.Backup(b.ctx, &backup, rand.Reader)
	if err != nil || sum != hash(t, r) {
		t.Fatal(err)
	}
	if bytes.Contains(backup.Bytes(), []byte("BTCUSDT")) {
		t.Error("a backup is in clear")
	}
	raw := backup.Bytes()
	for _, o := range []Options{b.another(), {Dir: t.TempDir(), Key: b.options.Key}} { // and from either database into SQLite
		b.options = o
		other := b.open()
		got, err := other.Restore(b.ctx, bytes.NewReader(raw))
		if err != nil || got != sum {
			t.Fatalf("%x %x %v", got, sum, err)
		}
		if err := other.Compare(b.ctx, s.State); err != nil {
			t.Error(err)
		}
		if _, err := other.Restore(b.ctx, bytes.NewReader(raw)); !errors.Is(err, ErrOther) {
			t.Error("it is restored over records:", err)
		}
		other.Close()
	}
	s.steps(5)
	s.write(t, r)
}

func TestADamagedBackupIsRefusedAndSoAreItsRecords(t *testing.T) {
	b := &bench{t: t, ctx: t.Context(), options: Options{Dir: t.TempDir(), Key: key("one")}}
	r, s := b.open(), newStory(t, 9).steps(100)
	s.write(t, r)
	var backup bytes.Buffer
	if _, err := r.Backup(b.ctx, &backup, rand.Reader); err != nil {
		t.Fatal(err)
	}
	raw := backup.Bytes()
	for what, bad := range map[string][]byte{"cut": raw[:len(raw)-1], "cut to its head": raw[:24], "longer": append(bytes.Clone(raw), 0), "empty": nil,
		"changed": append(append(bytes.Clone(raw[:len(raw)/2]), raw[len(raw)/2]^1), raw[len(raw)/2+1:]...)} {
		b.options.Dir = t.TempDir()
		other := b.open()
		if _, err := other.Restore(b.ctx, bytes.NewReader(bad)); !errors.Is(err, errBackup) {
			t.Errorf("%s: %v", what, err)
		}
		if len(bad) > 100 {
			if _, err := other.Last(b.ctx); !errors.Is(err, ErrUnfinished) {
				t.Errorf("%s: what is left says it is whole: %v", what, err)
			}
		}
		if _, err := other.Rebuild(b.ctx, journal{s.frames}, s.options); err != nil || hash(t, other) != hash(t, r) {
			t.Errorf("%s: the journal does not help: %v", what, err)
		}
		other.Close()
	}
}

// A database server that is started again costs the writes of that moment and nothing else.
func TestPostgreSQLMayBeStartedAgain(t *testing.T) {
	server := startServer(t)
	b, s := inPostgreSQL(t, server), newStory(t, 16).steps(30)
	r := b.open()
	s.write(t, r)
	for _, end := range []func() error{server.Kill, server.Stop} {
		if err := errors.Join(end(), server.Run(b.ctx)); err != nil {
			t.Fatal(err)
		}
		s.steps(10)
		last := s.frames[len(s.frames)-1]
		seq, events := last.First+uint64(last.Count)-1, bytes.Join(s.events, nil)
		if err := tell(b.ctx, r, seq, last.At, events); err == nil {
			t.Error("a connection to a server that was ended still writes")
		}
		if _, err := r.Last(b.ctx); err != nil {
			t.Fatal(err)
		}
		if err := tell(b.ctx, r, seq, last.At, events); err != nil {
			t.Fatal(err)
		}
		if err := r.Compare(b.ctx, s.State); err != nil {
			t.Error(err)
		}
	}
}

// refused reports the code with which records are refused.
func refused(t *testing.T, o Options) string {
	t.Helper()
	r, err := Open(t.Context(), o)
	if err == nil {
		r.Close()
		return ""
	}
	var refusal *spend.Refusal
	if !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	return refusal.Code
}

func TestRecordsThatCannotBeUsedAreRefusedByName(t *testing.T) {
	b := inSQLite(t)
	r := b.open()
	if code := refused(t, b.options); code != "records-in-use" {
		t.Error(code)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	other := b.options
	other.Key = key("two")
	for _, other.Read = range []bool{false, true} {
		if code := refused(t, other); code != "records-damaged" {
			t.Errorf("another key, read %t: %q", other.Read, code)
		}
	}
	path := filepath.Join(b.options.Dir, fileName)
	raw, err := os.ReadFile(path)
	if err == nil {
		raw[20] ^= 1
		err = os.WriteFile(path, raw, 0o600)
	}
	if code := refused(t, b.options); err != nil || code != "records-damaged" {
		t.Error("a damaged file:", code, err)
	}
	server := startServer(t)
	b = inPostgreSQL(t, server)
	later := b.open().db.(*postgres)
	if _, err := later.writer.Exec(t.Context(), "UPDATE version SET number = 99"); err != nil {
		t.Fatal(err)
	}
	if code := refused(t, b.options); code != "records-newer" {
		t.Error(code)
	}
}

package keystore

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

// The account keys that other wallets show for the seed of BIP39's first vector at m/48h/<coin>h/0h/2h.
func TestAccountKeysAreThoseOfOtherWallets(t *testing.T) {
	for network, want := range map[spend.Network]string{
		spend.BitcoinMainnet: "xpub6DkFAXWQ2dHxq2vatrt9qyA3bXYU4ToWQwCHbf5XB2mSTexcHZCeKS1VZYcPoBd5X8yVcbXFHJR9R8UCVpt82VX1VhR28mCyxUFL4r6KFrf",
		spend.BitcoinRegtest: "tpubDFH9dgzveyD8zTbPUFuLrGmCydNvxehyNdUXKJAQN8x4aZ4j6UZqGfnqFrD4NqyaTVGKbvEW54tsvPTK2UoSbCC1PJY8iCNiwTL3RWZEheQ",
	} {
		entropy, err := entropyOf(strings.Fields(abandon12))
		if err != nil {
			t.Fatal(err)
		}
		key, err := deriveSoftware(entropy, network)
		if err != nil {
			t.Fatal(err)
		}
		record, err := key.record("A")
		if err != nil {
			t.Fatal(err)
		}
		if record.Key != want || record.Fingerprint != [4]byte{0x73, 0xc5, 0xda, 0x0a} {
			t.Errorf("%s: %x %s", network, record.Fingerprint, record.Key)
		}
		if err := record.Verify(); err != nil {
			t.Errorf("%s: %v", network, err)
		}
	}
}

func TestACreatedKeyIsListedUnlockedAndSigns(t *testing.T) {
	store := newStore(t)
	record, words, err := store.Create(creation("A", rand.Reader), Entropy{Kernel: rand.Reader, Extra: secret("4 1 6 6 2 3 5 1 2 2 6 4 3 3 1 5 5 2 6 1")})
	if err != nil {
		t.Fatal(err)
	}
	if len(words.Words()) != 24 {
		t.Errorf("%d words", len(words.Words()))
	}
	list, err := store.List()
	if err != nil || len(list) != 1 || list[0].Name != "A" || list[0].Kind != Software || !bytes.Equal(list[0].Record.Marshal(), record.Marshal()) {
		t.Fatalf("the list is %+v, %v", list, err)
	}
	key := unlock(t, store, "A")
	for _, index := range []uint32{0, 1, 41, 1<<31 - 1} {
		digest := [32]byte{byte(index), 7}
		der, public, err := key.Sign(t.Context(), wallet.ChangeBranch, index, digest)
		if err != nil {
			t.Fatal(err)
		}
		want, err := record.PubKey(wallet.ChangeBranch, index)
		if err != nil || public != want {
			t.Errorf("index %d: signed by %x, the record says %x, %v", index, public, want, err)
		}
		if err := verify(der, public, digest); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := key.Sign(t.Context(), 2, 0, [32]byte{}); err == nil {
		t.Error("a third branch signed")
	}
	if _, _, err := key.Sign(t.Context(), wallet.Receive, 1<<31, [32]byte{}); err == nil {
		t.Error("a hardened index signed")
	}
}

// Two homes that were given the same words are twins: same record, same signatures, same receipts.
func TestAttack064TwoMachinesOfOneSeedSignTheSameBytes(t *testing.T) {
	store := newStore(t)
	_, words, err := store.Create(creation("A", rand.Reader), entropyFixture("x"))
	if err != nil {
		t.Fatal(err)
	}
	twin := newStore(t)
	again := creation("A", rand.Reader)
	again.Passphrase = secret("another passphrase")
	if _, err := twin.Import(again, words); err != nil {
		t.Fatal(err)
	}
	one := unlock(t, store, "A")
	other, err := twin.Unlock("A", secret("another passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if !bytes.Equal(one.Record().Marshal(), other.Record().Marshal()) {
		t.Error("the records differ")
	}
	for i := range uint32(20) {
		a, _, errA := one.Sign(t.Context(), wallet.Receive, i, [32]byte{byte(i), 1})
		b, _, errB := other.Sign(t.Context(), wallet.Receive, i, [32]byte{byte(i), 1})
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("index %d: %x and %x, %v, %v", i, a, b, errA, errB)
		}
	}
	a, errA := one.Receipt().Sign(rand.Reader, []byte("receipt"))
	b, errB := other.Receipt().Sign(rand.Reader, []byte("receipt"))
	if errA != nil || errB != nil || !bytes.Equal(a.Blob, b.Blob) {
		t.Errorf("receipts %v %v, %v, %v", a, b, errA, errB)
	}
}

func TestReceiptKeyIsTheOneOfTheRecord(t *testing.T) {
	key := unlock(t, withAbandon(t), "A")
	line := keyLine(key.Receipt().PublicKey())
	if want := receiptOfAbandon; line != want || key.Record().Receipt != want {
		t.Errorf("receipt key %s, record %s, want %s", line, key.Record().Receipt, want)
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key.Record().Receipt))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Receipt().Sign(rand.Reader, []byte("answer"))
	if err != nil || parsed.Verify([]byte("answer"), signature) != nil || parsed.Verify([]byte("other"), signature) == nil {
		t.Errorf("%v, %v", signature, err)
	}
}

func TestAClosedKeySignsNothing(t *testing.T) {
	key := unlock(t, withAbandon(t), "A")
	receipt := key.Receipt()
	if err := key.Close(); err != nil {
		t.Fatal(err)
	}
	if der, _, err := key.Sign(t.Context(), wallet.Receive, 0, [32]byte{1}); !errors.Is(err, ErrClosed) || der != nil {
		t.Errorf("signing: %x, %v", der, err)
	}
	if key.Receipt() != nil {
		t.Error("a closed key has a receipt key")
	}
	if signature, err := receipt.Sign(rand.Reader, []byte("x")); err == nil {
		t.Errorf("a wiped receipt key signed %x", signature.Blob)
	}
	if err := key.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func TestNamesAreTakenOnceAndNeverPaths(t *testing.T) {
	store := withAbandon(t)
	before := fileOf(t, store, "A")
	_, err := store.Import(creation("A", &stream{seed: "s"}), ParseMnemonic(abandon12))
	refused(t, "a second key A", err, "key-exists")
	if !bytes.Equal(before, fileOf(t, store, "A")) {
		t.Error("the first key was overwritten")
	}
	refused(t, "writing over it", store.write("A", []byte("x")), "key-exists")
	for _, name := range []string{"", "-a", "../a", "a/b", "a.b", "a b", "é", "a\x00", strings.Repeat("a", 33), ".a"} {
		_, err := store.Import(creation(name, &stream{seed: "s"}), ParseMnemonic(abandon12))
		refused(t, "importing as "+name, err, "key-name")
		_, err = store.Info(name)
		refused(t, "reading "+name, err, "key-name")
	}
	_, err = store.Unlock("B", secret(passphrase))
	refused(t, "a key that is not there", err, "key-missing")
	entries, err := os.ReadDir(store.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the store holds %v, %v", entries, err)
	}
	info, err := os.Stat(filepath.Join(store.dir, "A.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	replace(t, store, "B", before)
	_, err = store.Unlock("B", secret(passphrase))
	refused(t, "a key file under another name", err, "key-name")
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	store := withAbandon(t)
	if err := os.Symlink("A.json", filepath.Join(store.dir, "B.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(store.dir, "C.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"B", "C"} {
		_, err := store.Info(name)
		refused(t, name, err, "key-file-unreadable")
	}
	if _, err := store.List(); err == nil {
		t.Error("a list leaves out what it cannot read")
	}
	if _, err := Open(filepath.Join(store.dir, "A.json"), nil); err == nil {
		t.Error("a file was opened as a store")
	}
	if _, err := Open(filepath.Join(store.dir, "missing"), nil); err == nil {
		t.Error("a directory that is not there was opened")
	}
	open := filepath.Join(store.dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(open, nil); err == nil {
		t.Error("a directory that everybody may write was opened")
	}
}

func TestImportTakesTwelveOrTwentyFourWords(t *testing.T) {
	store := newStore(t)
	eighteen := strings.Join(wordsOf(make([]byte, 24)), " ")
	_, err := store.Import(creation("A", &stream{seed: "s"}), ParseMnemonic(eighteen))
	refused(t, "18 words", err, "seed-words")
	_, err = store.Import(creation("A", &stream{seed: "s"}), ParseMnemonic(strings.Replace(abandon12, "about", "abandon", 1)))
	refused(t, "a wrong checksum", err, "seed-checksum")
	_, err = store.Import(creation("A", &stream{seed: "s"}), Mnemonic{})
	refused(t, "no words", err, "seed-words")
	if _, err := store.Import(creation("A", &stream{seed: "s"}), ParseMnemonic("  "+strings.ToUpper(abandon12)+"\n")); err != nil {
		t.Errorf("capitals and spaces: %v", err)
	}
}

// Attack 068: a bent signature of our own does not leave.
func TestAttack068VerifyRefusesEveryBentByte(t *testing.T) {
	private, public := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{3}, 32))
	digest, pub := [32]byte{1}, [33]byte(public.SerializeCompressed())
	der := signLowR(private, digest).Serialize()
	if err := verify(der, pub, digest); err != nil {
		t.Fatal(err)
	}
	for i := range der {
		bent := bytes.Clone(der)
		bent[i] ^= 1
		refused(t, "a bent byte", verify(bent, pub, digest), "signature-fault")
	}
	refused(t, "another digest", verify(der, pub, [32]byte{2}), "signature-fault")
	refused(t, "trailing bytes", verify(append(bytes.Clone(der), 0), pub, digest), "signature-fault")
}

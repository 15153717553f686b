package keystore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// basin is a token with a pool. It signs with the key of the label, whatever public key the caller has pinned, as no
// honest token does.
type basin struct {
	keys    map[string]*btcec.PrivateKey
	public  [][33]byte
	receipt *ecdsa.PrivateKey
	asked   []string // labels that were asked to sign
	closed  int
}

func newBasin(t *testing.T, n int) *basin {
	t.Helper()
	receipt, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := &basin{keys: map[string]*btcec.PrivateKey{}, receipt: receipt}
	for i := range n {
		key, err := btcec.NewPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		b.keys[place().PoolLabel(i)] = key
		b.public = append(b.public, [33]byte(key.PubKey().SerializeCompressed()))
	}
	return b
}

func (b *basin) SignDigest(_ context.Context, label string, _ [33]byte, digest [32]byte) ([]byte, error) {
	b.asked = append(b.asked, label)
	key, ok := b.keys[label]
	if !ok {
		return nil, errors.New("no key of that label")
	}
	return signLowR(key, digest).Serialize(), nil
}

func (b *basin) P256Signer(string) (crypto.Signer, error) { return b.receipt, nil }

func (b *basin) Close() error { b.closed++; return nil }

func (b *basin) creation() TokenCreation {
	return TokenCreation{Name: "B", Network: spend.BitcoinRegtest, Where: place(), Pool: b.public}
}

// pinnedPool is a store that holds the pool as key B.
func pinnedPool(t *testing.T, b *basin) *Store {
	t.Helper()
	store, err := Open(t.TempDir(), func(string, string, []byte) (Token, error) { return b, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.AddToken(t.Context(), b.creation(), b); err != nil {
		t.Fatal(err)
	}
	return store
}

func TestAPoolSignsEachIndexWithItsOwnKey(t *testing.T) {
	token := newBasin(t, 6)
	store := pinnedPool(t, token)
	if want := []string{"b-0000", "b-0001", "b-0002", "b-0003", "b-0004", "b-0005"}; !slices.Equal(token.asked, want) {
		t.Errorf("proven by %v, want each key once", token.asked)
	}
	info, err := store.Info("B")
	if err != nil || info.Kind != InToken || info.Record.Kind != wallet.Pool || info.Record.Verify() != nil {
		t.Fatalf("%+v, %v", info, err)
	}
	key, err := store.Unlock("B", secret("1234"))
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	for position, public := range token.public {
		branch, index, digest := wallet.Branch(position%2), uint32(position/2), [32]byte{byte(position), 9}
		der, by, err := key.Sign(t.Context(), branch, index, digest)
		if err != nil || by != public || verify(der, public, digest) != nil {
			t.Errorf("%d/%d: %x by %x, %v", branch, index, der, by, err)
		}
		if last := token.asked[len(token.asked)-1]; last != place().PoolLabel(position) {
			t.Errorf("%d/%d was signed by %s", branch, index, last)
		}
	}
	before := len(token.asked)
	_, _, err = key.Sign(t.Context(), wallet.Receive, 3, [32]byte{1})
	refused(t, "an index beyond the pool", err, "wallet-pool-exhausted")
	_, _, err = key.Sign(t.Context(), wallet.ChangeBranch, 1<<31-1, [32]byte{1})
	refused(t, "the last index of all", err, "wallet-pool-exhausted")
	if len(token.asked) != before {
		t.Error("the token was asked for a key that the pool does not have")
	}
}

// Attack 055 and 067 at the token: keys that changed place, are missing, or are somebody else's.
func TestAttack055And067APoolThatIsNotThePinnedOne(t *testing.T) {
	token := newBasin(t, 6)
	c := token.creation()
	c.Pool = slices.Clone(c.Pool)
	c.Pool[2], c.Pool[3] = c.Pool[3], c.Pool[2]
	empty := newStore(t)
	_, err := empty.AddToken(t.Context(), c, token)
	refused(t, "keys in another order than the token's", err, "key-proof")
	c.Pool = append(slices.Clone(token.public), token.public[0], token.public[1])
	if _, err = empty.AddToken(t.Context(), c, token); err == nil || !strings.Contains(err.Error(), "pool key 6") {
		t.Errorf("more keys than the token has: %v", err)
	}
	c.Pool = token.public[:5]
	_, err = empty.AddToken(t.Context(), c, token)
	refused(t, "an odd number of keys", err, "key-pool")
	if list, err := empty.List(); err != nil || len(list) != 0 {
		t.Errorf("the store holds %v, %v", list, err)
	}

	store := pinnedPool(t, token)
	key, err := store.Unlock("B", secret("1234"))
	if err != nil {
		t.Fatal(err)
	}
	token.keys["b-0002"], token.keys["b-0003"] = token.keys["b-0003"], token.keys["b-0002"]
	for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
		der, _, err := key.Sign(t.Context(), branch, 1, [32]byte{1})
		refused(t, "the key of another index", err, "signature-fault")
		if der != nil {
			t.Errorf("its signature left: %x", der)
		}
	}
	if _, _, err := key.Sign(t.Context(), wallet.Receive, 0, [32]byte{1}); err != nil {
		t.Errorf("an index that is as it was: %v", err)
	}
	stranger := newBasin(t, 6)
	token.keys = stranger.keys
	_, err = store.Unlock("B", secret("1234"))
	refused(t, "a stranger's pool", err, "signature-fault")
}

func TestThePoolFileIsHeldToItsRecord(t *testing.T) {
	token := newBasin(t, 4)
	store := pinnedPool(t, token)
	raw := fileOf(t, store, "B")
	keys := strings.Split(wallet.PoolText(token.public), " ")
	for name, c := range map[string]struct{ old, new, code string }{
		"two keys changed place": {keys[0] + " " + keys[1], keys[1] + " " + keys[0], "key-fingerprint"},
		"another kind":           {`"kind": "pool"`, `"kind": "fixed"`, "key-encoding"},
		"a software key":         {`"kind": "token"`, `"kind": "software"`, "key-file-unreadable"},
		"a label with a bell":    {`"key": "b"`, `"key": "b\u0007"`, "key-file-unreadable"},
	} {
		changed := bytes.Replace(raw, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(changed, raw) {
			t.Fatalf("%s: nothing changed", name)
		}
		_, err := decode(changed)
		refused(t, name, err, c.code)
	}
	full := newBasin(t, 400)
	if _, err := pinnedPool(t, full).Info("B"); err != nil {
		t.Errorf("a full pool does not fit into its file: %v", err)
	}
}

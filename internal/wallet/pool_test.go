package wallet_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// basin is the holder of a pool, as a token has it.
type basin struct {
	record  wallet.KeyRecord
	private []*btcec.PrivateKey
}

// pool returns the holder of n keys that depend on the seed alone.
func pool(t testing.TB, seed byte, n int, network spend.Network) *basin {
	t.Helper()
	b := &basin{}
	var keys [][33]byte
	for i := range n {
		scalar := sha(fmt.Sprintf("pool %d key %d", seed, i))
		private, public := btcec.PrivKeyFromBytes(scalar[:])
		b.private = append(b.private, private)
		keys = append(keys, [33]byte(public.SerializeCompressed()))
	}
	b.record = wallet.KeyRecord{Name: fmt.Sprintf("pool-%d", seed), Network: network, Kind: wallet.Pool, Fingerprint: wallet.PoolFingerprint(keys),
		Path: []uint32{}, Key: wallet.PoolText(keys), Receipt: receiptLine(seed), Device: wallet.DevicePKCS11}
	b.prove(t)
	return b
}

// prove signs the record as it now stands with every key.
func (b *basin) prove(t testing.TB) wallet.KeyRecord {
	t.Helper()
	var signatures [][]byte
	digest := b.record.ProofDigest()
	for _, private := range b.private {
		signatures = append(signatures, ecdsa.Sign(private, digest[:]).Serialize())
	}
	var err error
	b.record.Proof, err = wallet.PoolProof(signatures)
	must(t, err)
	return b.record
}

// pooled is a wallet of a seed, a pool and a pool.
func pooled(t testing.TB, n int) wallet.Wallet {
	t.Helper()
	w, err := wallet.New("POOL-A", spend.Cold, 2, []wallet.KeyRecord{seeded(t, 1, spend.BitcoinRegtest).record,
		pool(t, 2, n, spend.BitcoinRegtest).record, pool(t, 3, n+2, spend.BitcoinRegtest).record})
	must(t, err)
	return w
}

func TestPoolRecordsRoundTripAndProveEveryKey(t *testing.T) {
	b := pool(t, 2, 6, spend.BitcoinRegtest)
	must(t, b.record.Verify())
	back, err := wallet.ParseKeyRecord(b.record.Marshal())
	must(t, err)
	if !bytes.Equal(back.Marshal(), b.record.Marshal()) || back.ProofDigest() != b.record.ProofDigest() {
		t.Error("a pool changed on its way through its file")
	}
	keys, err := back.PoolKeys()
	must(t, err)
	for i, key := range keys {
		branch, index := wallet.Branch(i%2), uint32(i/2)
		got, err := back.PubKey(branch, index)
		must(t, err)
		if got != key || wallet.PoolPosition(branch, index) != uint64(i) || !bytes.Equal(key[:], b.private[i].PubKey().SerializeCompressed()) {
			t.Errorf("key %d is not at %d/%d", i, branch, index)
		}
	}
	full := pool(t, 3, 400, spend.BitcoinRegtest)
	_, err = wallet.ParseKeyRecord(full.record.Marshal())
	must(t, err)
}

// Attack 055 on a pool: every key of it is proven, so no key can be swapped, moved, dropped or added, and no proof lent.
func TestAttack055PoolsProveEachKeyInItsPlace(t *testing.T) {
	honest, thief := pool(t, 2, 6, spend.BitcoinRegtest), pool(t, 9, 6, spend.BitcoinRegtest)
	keys := strings.Split(honest.record.Key, " ")
	stolen := strings.Split(thief.record.Key, " ")
	for name, list := range map[string][]string{
		"the last key swapped":   append(slices.Clone(keys[:5]), stolen[5]),
		"two keys changed place": {keys[1], keys[0], keys[2], keys[3], keys[4], keys[5]},
		"two keys cut off":       keys[:4],
		"two keys added":         append(slices.Clone(keys), stolen[0], stolen[1]),
	} {
		r := honest.record
		r.Key = strings.Join(list, " ")
		refused(t, r.Verify(), "key-fingerprint")
		var points [][33]byte
		for _, text := range list {
			raw, err := hex.DecodeString(text)
			must(t, err)
			points = append(points, [33]byte(raw))
		}
		r.Fingerprint = wallet.PoolFingerprint(points)
		if err := r.Verify(); refused(t, err, "key-proof").Kind != spend.NotAuthentic {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range keys { // one signature missing, doubled, or by another
		r := honest.record
		r.Proof = slices.Clone(r.Proof)
		copy(r.Proof[i*64:], thief.record.Proof[i*64:(i+1)*64])
		refused(t, r.Verify(), "key-proof")
		copy(r.Proof[i*64:(i+1)*64], make([]byte, 64))
		refused(t, r.Verify(), "key-proof")
	}
	for _, cut := range []int{1, 63, 64, 6*64 - 1} {
		r := honest.record
		r.Proof = r.Proof[:cut]
		refused(t, r.Verify(), "key-proof")
	}
	longer := honest.record
	longer.Proof = append(slices.Clone(longer.Proof), longer.Proof[:64]...)
	refused(t, longer.Verify(), "key-proof")
	high := honest.record // n - s verifies as well; a second spelling is refused
	high.Proof = slices.Clone(high.Proof)
	var s btcec.ModNScalar
	s.SetByteSlice(high.Proof[32:64])
	other := s.Negate().Bytes()
	copy(high.Proof[32:64], other[:])
	refused(t, high.Verify(), "key-proof")
	renamed := honest.record
	renamed.Receipt = thief.record.Receipt
	refused(t, renamed.Verify(), "key-proof")
}

func TestPoolsAreStrict(t *testing.T) {
	b := pool(t, 2, 6, spend.BitcoinRegtest)
	keys := strings.Split(b.record.Key, " ")
	for name, c := range map[string]struct {
		change func(*wallet.KeyRecord)
		code   string
	}{
		"one key":         {func(r *wallet.KeyRecord) { r.Key = keys[0] }, "key-pool"},
		"odd":             {func(r *wallet.KeyRecord) { r.Key = strings.Join(keys[:5], " ") }, "key-pool"},
		"none":            {func(r *wallet.KeyRecord) { r.Key = "" }, "key-pool"},
		"too many":        {func(r *wallet.KeyRecord) { r.Key = strings.Repeat(r.Key+" ", 67) + r.Key }, "key-pool"},
		"a key twice":     {func(r *wallet.KeyRecord) { r.Key = strings.Join([]string{keys[0], keys[0]}, " ") }, "key-pool"},
		"two spaces":      {func(r *wallet.KeyRecord) { r.Key = strings.Replace(r.Key, " ", "  ", 2) }, "key-encoding"},
		"upper case":      {func(r *wallet.KeyRecord) { r.Key = strings.ToUpper(r.Key) }, "key-encoding"},
		"short key":       {func(r *wallet.KeyRecord) { r.Key = r.Key[1:] }, "key-encoding"},
		"off the curve":   {func(r *wallet.KeyRecord) { r.Key = "02" + strings.Repeat("00", 31) + "05 " + keys[0] }, "key-off-curve"},
		"with a path":     {func(r *wallet.KeyRecord) { r.Path = []uint32{0} }, "key-path"},
		"other print":     {func(r *wallet.KeyRecord) { r.Fingerprint[0] ^= 1 }, "key-fingerprint"},
		"in a file":       {func(r *wallet.KeyRecord) { r.Device = wallet.DeviceFile }, "key-device"},
		"unproven":        {func(r *wallet.KeyRecord) { r.Proof = nil }, "key-unproven"},
		"a fixed key":     {func(r *wallet.KeyRecord) { r.Kind = wallet.Fixed }, "key-encoding"},
		"another network": {func(r *wallet.KeyRecord) { r.Network = spend.BitcoinMainnet }, "key-proof"},
	} {
		r := b.record
		c.change(&r)
		if got := refused(t, r.Verify(), c.code); got.Code != c.code {
			t.Errorf("  that was: %s", name)
		}
	}
	foreign := b.record
	foreign.Proof, foreign.Device, foreign.Receipt = nil, wallet.DeviceForeign, ""
	file := replaced(t, pooled(t, 6).Marshal(), hexOf(b.record.Proof), "none")
	_, err := wallet.Parse(file, wallet.AcceptUnproven())
	refused(t, err, "key-unproven")
	_, err = wallet.New("POOL-A", spend.Cold, 2, []wallet.KeyRecord{foreign, seeded(t, 1, spend.BitcoinRegtest).record, seeded(t, 3, spend.BitcoinRegtest).record})
	refused(t, err, "key-device")
	if _, err := b.record.PoolKeys(); err != nil {
		t.Error(err)
	}
	_, err = seeded(t, 1, spend.BitcoinRegtest).record.PoolKeys()
	refused(t, err, "key-pool")
	if _, err := wallet.PoolProof([][]byte{{0x30, 0}}); err == nil {
		t.Error("bytes that are no signature were joined into a proof")
	}
}

// Every index derives a script of its own, both branches counted, and the PSBT path says where it stands.
func TestPoolIndexesDeriveDistinctScripts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := 2 * rapid.IntRange(1, 20).Draw(rt, "half the keys")
		w := pooled(t, n)
		if w.Indexes() != uint32(n/2) {
			rt.Fatalf("%d indexes of a pool of %d keys", w.Indexes(), n)
		}
		seen := map[string]place{}
		for index := range w.Indexes() {
			for _, branch := range []wallet.Branch{wallet.Receive, wallet.ChangeBranch} {
				d, err := w.Derive(branch, index)
				if err != nil {
					rt.Fatal(err)
				}
				if at, again := seen[d.Address]; again {
					rt.Fatalf("%d/%d has the address of %v", branch, index, at)
				}
				seen[d.Address] = place{branch, index}
				for i, k := range d.Keys[1:] {
					own, err := w.Keys()[i+1].PubKey(branch, index)
					if err != nil || own != k.PubKey || !slices.Equal(k.Path, []uint32{uint32(branch), index}) || !bytes.Contains(d.WitnessScript, own[:]) {
						rt.Fatalf("pool %d at %d/%d: %+v, %v", i, branch, index, k, err)
					}
				}
			}
		}
		for _, index := range []uint32{w.Indexes(), w.Indexes() + 1, 1<<31 - 1} {
			_, err := w.Derive(wallet.Branch(index%2), index)
			refused(t, err, "wallet-pool-exhausted")
			_, err = w.Keys()[1].PubKey(wallet.Receive, index)
			refused(t, err, "wallet-pool-exhausted")
		}
	})
}

func TestPoolWalletFilesRoundTripUnderATagOfTheirOwn(t *testing.T) {
	w := pooled(t, 6)
	back, err := wallet.Parse(w.Marshal())
	must(t, err)
	if back.ID() != w.ID() || !bytes.Equal(back.Marshal(), w.Marshal()) || back.Threshold() != 2 || back.Indexes() != 3 {
		t.Error("a wallet with pools changed on its way through its file")
	}
	if !strings.HasPrefix(w.Descriptor(), "coldsign-pool:wsh(sortedmulti(2,[4ba43603/48h/1h/0h/2h]tpub") {
		t.Errorf("descriptor %s", w.Descriptor())
	}
	if _, err := wallet.ParseDescriptor(w.Descriptor()); refused(t, err, "descriptor-unreadable").Kind != spend.Unreadable {
		t.Error("another product may take the text for a descriptor")
	}
	// The identity as the package comment words it.
	tag := sha("coldsign/pool-wallet/v1")
	text := w.Descriptor()
	want := sha(string(tag[:]) + string(tag[:]) + "\x00\x00\x00\x0fbitcoin:regtest" + "\x00\x00" + string([]byte{byte(len(text) >> 8), byte(len(text))}) + text)
	if w.ID() != spend.WalletID(want) {
		t.Errorf("identity %s, want %x", w.ID(), want)
	}
	if pinned(t, spend.BitcoinRegtest).Indexes() != 1<<31 {
		t.Error("a wallet without a pool ends somewhere")
	}
	// Held constant: pinned wallets name these values.
	if got := hexOf(w.Keys()[1].Fingerprint[:]); got != "d5e49e4e" {
		t.Errorf("fingerprint %s of the pool", got)
	}
}

// Attack 036, 056, 060 on the file of a wallet with pools.
func TestAttack036To060PoolFilesAreRebuilt(t *testing.T) {
	w, file := pooled(t, 6), pooled(t, 6).Marshal()
	other := pool(t, 9, 6, spend.BitcoinRegtest)
	resum := func(from, to string) []byte {
		body, _, _ := strings.Cut(w.Descriptor(), "#")
		changed := strings.Replace(body, from, to, 1)
		if changed == body {
			t.Fatalf("the descriptor has no %q", from)
		}
		return replaced(t, file, w.Descriptor(), changed+"#"+checksum(changed))
	}
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"a lower threshold":            {resum("multi(2,", "multi(1,"), "wallet-threshold"},
		"no threshold":                 {resum("multi(2,", "multi("), "descriptor-unreadable"},
		"another spelling":             {resum("multi(2,", "multi(02,"), "descriptor-unreadable"},
		"a higher threshold":           {resum("multi(2,", "multi(3,"), ""},
		"another size":                 {resum("pool(6,", "pool(4,"), "wallet-descriptor"},
		"another script":               {resum("coldsign-pool:wsh(sortedmulti(", "coldsign-pool:wsh(multi("), "descriptor-unreadable"},
		"another checksum":             {replaced(t, file, w.Descriptor(), w.Descriptor()[:len(w.Descriptor())-1]+"!"), "descriptor-checksum"},
		"no checksum":                  {replaced(t, file, w.Descriptor(), strings.Split(w.Descriptor(), "#")[0]), "descriptor-checksum"},
		"a plain descriptor":           {replaced(t, file, w.Descriptor(), regtestDescriptor), "wallet-descriptor"},
		"a stranger's pool":            {replaced(t, file, w.Keys()[1].Key, other.record.Key), "key-fingerprint"},
		"a stranger's pool and prints": {bytes.ReplaceAll(replaced(t, file, w.Keys()[1].Key, other.record.Key), []byte(hexOf(w.Keys()[1].Fingerprint[:])), []byte(hexOf(other.record.Fingerprint[:]))), "descriptor-checksum"},
	} {
		got, err := wallet.Parse(c.file)
		if c.code == "" {
			must(t, err)
			if got.ID() == w.ID() {
				t.Errorf("%s has the same identity", name)
			}
			continue
		}
		if r := refused(t, err, c.code); r.Code != c.code {
			t.Errorf("  that was: %s", name)
		}
	}
}

// checksum is the reference code of BIP380, so that a file can be changed by somebody who knows how.
func checksum(body string) string {
	const charset = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
	const letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	step := func(c uint64, v int) uint64 {
		top := c >> 35
		c = (c&0x7ffffffff)<<5 ^ uint64(v)
		for i, g := range []uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd} {
			if top>>i&1 == 1 {
				c ^= g
			}
		}
		return c
	}
	c, class, count := uint64(1), 0, 0
	for _, r := range body {
		at := strings.IndexRune(charset, r)
		c, class, count = step(c, at&31), class*3+at>>5, count+1
		if count == 3 {
			c, class, count = step(c, class), 0, 0
		}
	}
	if count > 0 {
		c = step(c, class)
	}
	for range 8 {
		c = step(c, 0)
	}
	c ^= 1
	var out strings.Builder
	for i := range 8 {
		out.WriteByte(letters[c>>(5*(7-i))&31])
	}
	return out.String()
}

// Attack 057 where a holder brings several keys.
func TestAttack057PoolKeysOfTwoHoldersDiffer(t *testing.T) {
	seed, b := seeded(t, 1, spend.BitcoinRegtest), pool(t, 2, 6, spend.BitcoinRegtest)
	fixed := token(2, spend.BitcoinRegtest)
	fixed.private = b.private[3]
	fixed.record.Key = hexOf(b.private[3].PubKey().SerializeCompressed())
	fixed.record.Fingerprint = wallet.FingerprintOf([33]byte(b.private[3].PubKey().SerializeCompressed()))
	fixed.prove()
	_, err := wallet.New("POOL", spend.Cold, 2, []wallet.KeyRecord{seed.record, b.record, fixed.record})
	refused(t, err, "wallet-key-duplicate")

	shorter := &basin{record: b.record, private: b.private[:4]} // the same token under another name, two keys fewer
	shorter.record.Name = "again"
	var keys [][33]byte
	for _, private := range shorter.private {
		keys = append(keys, [33]byte(private.PubKey().SerializeCompressed()))
	}
	shorter.record.Key, shorter.record.Fingerprint = wallet.PoolText(keys), wallet.PoolFingerprint(keys)
	shorter.prove(t)
	must(t, shorter.record.Verify())
	_, err = wallet.New("POOL", spend.Cold, 2, []wallet.KeyRecord{seed.record, b.record, shorter.record})
	refused(t, err, "wallet-key-duplicate")
}

// A wallet of fixed keys alone is one address for ever, and a wallet must fit into its file.
func TestWalletsThatCannotBeUsedAreNotRegistered(t *testing.T) {
	_, err := wallet.New("ONE", spend.Cold, 2, records(token(1, spend.BitcoinRegtest), token(2, spend.BitcoinRegtest), token(3, spend.BitcoinRegtest)))
	refused(t, err, "wallet-one-address")
	mixed, err := wallet.New("MIX", spend.Cold, 2, []wallet.KeyRecord{token(1, spend.BitcoinRegtest).record, token(2, spend.BitcoinRegtest).record, pool(t, 3, 4, spend.BitcoinRegtest).record})
	must(t, err)
	if mixed.Indexes() != 2 {
		t.Errorf("%d indexes", mixed.Indexes())
	}
	full := func(n int) []wallet.KeyRecord {
		var out []wallet.KeyRecord
		for i := range n {
			out = append(out, pool(t, byte(i), 400, spend.BitcoinRegtest).record)
		}
		return out
	}
	largest, err := wallet.New("FULL", spend.Cold, 2, full(3))
	must(t, err)
	back, err := wallet.Parse(largest.Marshal())
	must(t, err)
	if back.ID() != largest.ID() || back.Indexes() != 200 {
		t.Error("three full pools do not round trip")
	}
	_, err = wallet.New("FULL", spend.Cold, 2, full(4))
	refused(t, err, "wallet-too-large")
}

func TestNoFormatOfAnotherProductSaysAPool(t *testing.T) {
	w := pooled(t, 6)
	for _, f := range wallet.Formats() {
		out, err := w.Export(f, time.Time{})
		refused(t, err, "export-pool-key")
		if len(out) > 0 {
			t.Errorf("%s: %s", f, out)
		}
	}
	if template, ok := w.Policy(); ok {
		t.Errorf("policy %s", template)
	}
}

func FuzzPoolRecord(f *testing.F) {
	f.Add(pool(f, 2, 2, spend.BitcoinRegtest).record.Marshal())
	f.Add(pool(f, 3, 6, spend.BitcoinMainnet).record.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := wallet.ParseKeyRecord(raw)
		if !readOrRefused(t, err) || r.Kind != wallet.Pool {
			return
		}
		keys, err := r.PoolKeys()
		if err != nil || wallet.PoolText(keys) != r.Key {
			t.Fatalf("a pool has two spellings: %v", err)
		}
		for i, want := range keys {
			if got, err := r.PubKey(wallet.Branch(i%2), uint32(i/2)); err != nil || got != want {
				t.Fatalf("key %d: %v", i, err)
			}
		}
	})
}

// What every signer and the daemon pay at each start for the largest wallet there may be.
func BenchmarkParseThreeFullPools(b *testing.B) {
	var all []wallet.KeyRecord
	for i := range byte(3) {
		all = append(all, pool(b, i, wallet.PoolKeysMax, spend.BitcoinRegtest).record)
	}
	w, err := wallet.New("FULL", spend.Cold, 2, all)
	must(b, err)
	file := w.Marshal()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := wallet.Parse(file); err != nil {
			b.Fatal(err)
		}
	}
}

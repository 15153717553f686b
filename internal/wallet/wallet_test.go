package wallet_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// Referee: bitcoinjs-lib 7.0.5 with bip32 5 built the addresses from the seeds; @bitcoinerlab/descriptors 3.2.0 gave the
// same addresses from the descriptor text, and its checksum. Seeds are 32 bytes 01.. and 03.., the fixed key's private
// key is 32 bytes 02...
const (
	regtestDescriptor = "wsh(sortedmulti(2,[4ba43603/48h/1h/0h/2h]tpubDDwf2gdFxFahr9RUtDQCuZmsx34CfdZ7RALAirwC2FGeLBzW1TDiEpqFeRdxLdZD7rfsbZHYwSaT6CLM3TAcYRw6xfRv4U6KCQt4Zuhvjkz/<0;1>/*,[ebc0ee0b]024d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766,[56c4fac3/48h/1h/0h/2h]tpubDEg3kqr2jo5ergkJbFqRHvCpiob7wR7Hi44J7y987G1JZfbzBND77XKTyPZzGvh3uyDf8kexMJnFD9W8FuraJ4wLMsx6YuZVXRSRRcx6QdD/<0;1>/*))#n3ngv8k3"
	mainnetDescriptor = "wsh(sortedmulti(2,[4ba43603/48h/0h/0h/2h]xpub6DknhdAsmeDQc7uaCcTBvPM5HJ2sN2gaBmNiJJtpczK3hMQWdKeodaBUSgi9qJrMKqPLqPuNFa7egPzCn8oJ7uU1zzhgAeHvzgYpxqchsQS/<0;1>/*,[ebc0ee0b]024d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766,[56c4fac3/48h/0h/0h/2h]xpub6Ewx2N9hNSArJyF35CUGhaZLuZxQPNmJzWVwmpoV9U7Xu5wqka93nd3zEzokew9MzkNV4u6TCVDkHHR6QHQuYEFaasKzWkrkncXHMXGNdZP/<0;1>/*))#6jw50par"
)

type place struct {
	branch wallet.Branch
	index  uint32
}

func refereeAddresses() map[string]map[place]string {
	const last = 1<<31 - 1
	return map[string]map[place]string{
		regtestDescriptor: {
			{wallet.Receive, 0}:      "bcrt1qjjeeyc4u0hlm98g9xthrqm4487t9pettc53y6wuhmu54jmqxf6aqhgdkhy",
			{wallet.Receive, 1}:      "bcrt1q8275lze92renhr48jttanyzlxs7fynjd05jsn6gyelqsv2r3ljssggmt2u",
			{wallet.ChangeBranch, 0}: "bcrt1qwv23nrhsxr2208jls8u5syaykt7uu9epae64wg8j2zyfakhq2ydsjrp5tj",
			{wallet.ChangeBranch, 7}: "bcrt1qlt7mcuevfs2vrjurfwd46c9pj66ssezck70n5pnl0gqk89vyl42s724p63",
			{wallet.Receive, last}:   "bcrt1qap49c92r8j0j8jy6r5mxu56kvnqhpyz5c0v8spwm0eg6nkphyyxsye8kzh",
		},
		mainnetDescriptor: {
			{wallet.Receive, 0}:      "bc1qhmankn738p5gk7wxwl4rt4z46t27dq90nx2vxk4glgh0ure965vqfzj87t",
			{wallet.Receive, 1}:      "bc1qancz0qnfhxpt59kry7crevlwdumm4jghjc85ggyryce77k46xnvslt0flx",
			{wallet.ChangeBranch, 0}: "bc1qd80jzlf4dwzkcn2n3g8jd4mlllsvemgj5wzlrjsywp04trpfaqrq8asgsr",
			{wallet.ChangeBranch, 7}: "bc1q7cz973ttda03y6encxadcac5ags48fvks92w4qs08k0skmladpwqn8z54a",
			{wallet.Receive, last}:   "bc1qkx92p8yqs4z7n8m79dr43srlc3tlzd0m6z03xwshrf5laupp99gq8k94vv",
		},
	}
}

func TestAddressesAreTheReferees(t *testing.T) {
	for descriptor, addresses := range refereeAddresses() {
		network := spend.BitcoinRegtest
		if descriptor == mainnetDescriptor {
			network = spend.BitcoinMainnet
		}
		w := pinned(t, network)
		if w.Descriptor() != descriptor {
			t.Errorf("descriptor\n%s, want\n%s", w.Descriptor(), descriptor)
		}
		d, err := wallet.ParseDescriptor(descriptor)
		must(t, err)
		for at, want := range addresses {
			derived, err := w.Derive(at.branch, at.index)
			must(t, err)
			if derived.Address != want {
				t.Errorf("%s %v: wallet derives %s, want %s", network, at, derived.Address, want)
			}
			scripts, err := d.Derive(network, int(at.branch), at.index)
			must(t, err)
			if scripts.Address != want || !bytes.Equal(scripts.WitnessScript, derived.WitnessScript) || !bytes.Equal(scripts.ScriptPubKey, derived.ScriptPubKey) {
				t.Errorf("%s %v: descriptor derives %s, want %s", network, at, scripts.Address, want)
			}
		}
	}
}

func TestFileRoundTripsByteForByte(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	file := w.Marshal()
	back, err := wallet.Parse(file)
	must(t, err)
	if !bytes.Equal(back.Marshal(), file) || back.ID() != w.ID() || back.Words() != w.Words() {
		t.Error("a wallet file changed on its way through Parse and Marshal")
	}
	if back.Name() != "COLD-A" || back.Tier() != spend.Cold || back.Network() != spend.BitcoinRegtest || back.Threshold() != 2 || len(back.Keys()) != 3 {
		t.Errorf("read back as %s %s %s %d", back.Name(), back.Tier(), back.Network(), back.Threshold())
	}
	if back.Unproven() != nil {
		t.Errorf("unproven keys %v in a wallet of proven ones", back.Unproven())
	}
	if !bytes.Contains(file, []byte(`/<0;1>/*`)) {
		t.Error("the descriptor in the file is not readable")
	}
}

func TestDerivedKeysKeepRecordOrder(t *testing.T) {
	holders := trio(t, spend.BitcoinRegtest)
	w := pinned(t, spend.BitcoinRegtest)
	derived, err := w.Derive(wallet.ChangeBranch, 5)
	must(t, err)
	for i, key := range derived.Keys {
		own, err := holders[i].record.PubKey(wallet.ChangeBranch, 5)
		must(t, err)
		if key.Position != i || key.PubKey != own || key.Fingerprint != holders[i].record.Fingerprint {
			t.Errorf("key %d is %+v", i, key)
		}
		if !bytes.Contains(derived.WitnessScript, own[:]) {
			t.Errorf("key %d does not stand in the script", i)
		}
	}
	if want := append(slices.Clone(holders[0].record.Path), 1, 5); !slices.Equal(derived.Keys[0].Path, want) {
		t.Errorf("path %v, want %v", derived.Keys[0].Path, want)
	}
	if len(derived.Keys[1].Path) != 0 {
		t.Errorf("a fixed key has the path %v", derived.Keys[1].Path)
	}
}

// The public derivation must meet the private one, or the signer could not sign what the wallet receives.
func TestPublicChildrenBelongToPrivateOnes(t *testing.T) {
	h := seeded(t, 1, spend.BitcoinRegtest)
	rapid.Check(t, func(t *rapid.T) {
		branch, index := rapid.Uint32Range(0, 1).Draw(t, "branch"), rapid.Uint32Range(0, 1<<31-1).Draw(t, "index")
		key, err := h.account.Derive(branch)
		if err == nil {
			key, err = key.Derive(index)
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := key.ECPubKey()
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.record.PubKey(wallet.Branch(branch), index)
		if err != nil || !bytes.Equal(got[:], want.SerializeCompressed()) {
			t.Fatalf("%d/%d: %x %v", branch, index, got, err)
		}
	})
}

func TestIndexesOutsideTheWalletAreRefused(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	for _, at := range []place{{2, 0}, {wallet.Receive, 1 << 31}, {1 << 31, 0}} {
		_, err := w.Derive(at.branch, at.index)
		refused(t, err, "wallet-index")
		_, err = w.Keys()[0].PubKey(at.branch, at.index)
		refused(t, err, "wallet-index")
	}
	_, err := wallet.Wallet{}.Derive(wallet.Receive, 0)
	refused(t, err, "wallet-index")
}

func TestWalletsAreImmutableAndConcurrent(t *testing.T) {
	given := records(trio(t, spend.BitcoinRegtest)...)
	w, err := wallet.New("COLD-A", spend.Cold, 2, given)
	must(t, err)
	given[0].Name, given[2].Path[3] = "other", 0
	id, first := w.ID(), refereeAddresses()[regtestDescriptor][place{wallet.Receive, 0}]
	keys := w.Keys()
	keys[0].Path[0], keys[0].Proof[0], keys[0].Name = 0, 0, "other"
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if d, err := w.Derive(wallet.Receive, 0); err != nil || d.Address != first {
					t.Errorf("derived %s, %v", d.Address, err)
				}
			}
		})
	}
	all.Wait()
	if w.ID() != id || w.Keys()[0].Verify() != nil || w.Keys()[2].Verify() != nil {
		t.Error("a caller changed the wallet")
	}
}

// Attack 033: a drill key cannot become a key for coins, and the other way round: network, coin type, version bytes.
func TestAttack033NetworksDoNotMix(t *testing.T) {
	main, test := trio(t, spend.BitcoinMainnet), trio(t, spend.BitcoinRegtest)
	_, err := wallet.New("MIXED", spend.Cold, 2, records(main[0], main[1], test[2]))
	refused(t, err, "wallet-network")

	claimed := test[0]
	claimed.record.Network = spend.BitcoinMainnet
	_, err = wallet.New("DRILL", spend.Cold, 2, records(main[1], main[2], claimed))
	refused(t, err, "key-network")
	claimed.prove()
	refused(t, claimed.record.Verify(), "key-network")

	const hard = 1 << 31
	coin := onPath(t, 1, spend.BitcoinMainnet, []uint32{hard + 48, hard + 1, hard, hard + 2})
	refused(t, coin.record.Verify(), "key-path")

	fixed := token(2, spend.BitcoinRegtest)
	fixed.record.Network = spend.BitcoinMainnet
	refused(t, fixed.record.Verify(), "key-proof")

	file := replaced(t, pinned(t, spend.BitcoinRegtest).Marshal(), `"network": "bitcoin:regtest"`, `"network": "bitcoin:signet"`)
	_, err = wallet.Parse(file)
	refused(t, err, "wallet-network")
	_, err = wallet.Params("ethereum:1")
	refused(t, err, "network-unknown")
	if pinned(t, spend.BitcoinRegtest).ID() == pinned(t, spend.BitcoinTestnet).ID() {
		t.Error("two networks share an identity")
	}
}

// Attack 037: the order of keys belongs to the policy. multi in place of sortedmulti is another script, another order of
// records another wallet.
func TestAttack037OrderMakesAnotherWallet(t *testing.T) {
	unsorted, err := wallet.ParseUnchecked(strings.Replace(strings.Split(mainnetDescriptor, "#")[0], "sortedmulti", "multi", 1))
	must(t, err)
	scripts, err := unsorted.Derive(spend.BitcoinMainnet, 0, 0)
	must(t, err)
	// bitcoinjs-lib 7.0.5, p2ms without sorting
	if want := "bc1qelv92qv4vzyjs7323yx9h2t546ksys8r052deu84zekdjpundvequ847sg"; scripts.Address != want {
		t.Errorf("multi derives %s, want %s", scripts.Address, want)
	}
	if scripts.Address == refereeAddresses()[mainnetDescriptor][place{wallet.Receive, 0}] {
		t.Error("multi and sortedmulti share an address")
	}
	w := pinned(t, spend.BitcoinMainnet)
	file := replaced(t, w.Marshal(), mainnetDescriptor, unsorted.String())
	_, err = wallet.Parse(file)
	refused(t, err, "wallet-script")

	h := trio(t, spend.BitcoinMainnet)
	other, err := wallet.New("COLD-A", spend.Cold, 2, records(h[2], h[1], h[0]))
	must(t, err)
	if other.ID() == w.ID() {
		t.Error("another order of keys has the same identity")
	}
}

// Attack 055: a cosigner's key is swapped for an attacker's, alone or with everything that depends on it.
func TestAttack055SwappedKeyFailsItsProof(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	h, thief := trio(t, spend.BitcoinRegtest), seeded(t, 9, spend.BitcoinRegtest)
	swapped := h[0].record
	swapped.Key = thief.record.Key
	refused(t, swapped.Verify(), "key-proof")
	swapped.Fingerprint = thief.record.Fingerprint
	refused(t, swapped.Verify(), "key-proof")

	file := bytes.ReplaceAll(w.Marshal(), []byte(h[0].record.Key), []byte(thief.record.Key))
	_, err := wallet.Parse(file)
	refused(t, err, "descriptor-checksum")
	d, err := wallet.ParseUnchecked(strings.Replace(strings.Split(regtestDescriptor, "#")[0], h[0].record.Key, thief.record.Key, 1))
	must(t, err)
	file = replaced(t, file, strings.Replace(regtestDescriptor, h[0].record.Key, thief.record.Key, 1), d.String())
	_, err = wallet.Parse(file)
	refused(t, err, "key-proof")
	_, err = wallet.Parse(file, wallet.AcceptUnproven())
	refused(t, err, "key-proof") // consent to missing proofs is no consent to wrong ones

	other, err := wallet.New("COLD-A", spend.Cold, 2, records(thief, h[1], h[2]))
	must(t, err)
	if other.ID() == w.ID() || other.Words() == w.Words() {
		t.Error("a wallet with the thief's own proven key has the same words")
	}
	_, member := other.KeyPosition(h[0].record)
	if member {
		t.Error("the swapped-out holder is found in the thief's wallet")
	}
}

// Attack 056: thresholds that let one key spend, or none; too few and too many keys.
func TestAttack056ThresholdsAndCounts(t *testing.T) {
	h := trio(t, spend.BitcoinRegtest)
	for _, threshold := range []int{-1, 0, 1, 4, 1 << 40} {
		_, err := wallet.New("COLD", spend.Cold, threshold, records(h...))
		refused(t, err, "wallet-threshold")
	}
	_, err := wallet.New("COLD", spend.Cold, 2, records(h[0], h[1]))
	refused(t, err, "wallet-key-count")
	_, err = wallet.New("COLD", spend.Cold, 2, nil)
	refused(t, err, "wallet-key-count")
	var many []*holder
	for seed := byte(10); seed < 25; seed++ {
		many = append(many, token(seed, spend.BitcoinRegtest))
	}
	many = append([]*holder{h[0]}, many...)
	_, err = wallet.New("COLD", spend.Cold, 2, records(many...))
	refused(t, err, "wallet-key-count")
	_, err = wallet.New("COLD", spend.Cold, 15, records(many[:15]...))
	must(t, err)

	w := pinned(t, spend.BitcoinRegtest)
	lowered, err := wallet.ParseUnchecked(strings.Replace(strings.Split(regtestDescriptor, "#")[0], "multi(2,", "multi(1,", 1))
	must(t, err)
	_, err = wallet.Parse(replaced(t, w.Marshal(), regtestDescriptor, lowered.String()))
	refused(t, err, "wallet-threshold")
	raised, err := wallet.New("COLD-A", spend.Cold, 3, records(h...))
	must(t, err)
	if raised.ID() == w.ID() {
		t.Error("another threshold has the same identity")
	}
}

// Attack 057: one holder in two places.
func TestAttack057DuplicateKeysAndFingerprints(t *testing.T) {
	h := trio(t, spend.BitcoinRegtest)
	_, err := wallet.New("COLD", spend.Cold, 2, records(h[0], h[1], h[0]))
	refused(t, err, "wallet-key-duplicate")

	const hard = 1 << 31
	second := onPath(t, 1, spend.BitcoinRegtest, []uint32{hard + 48, hard + 1, hard + 1, hard + 2})
	must(t, second.record.Verify())
	_, err = wallet.New("COLD", spend.Cold, 2, records(h[0], h[1], second))
	refused(t, err, "wallet-fingerprint-duplicate")

	child, err := h[0].record.PubKey(wallet.Receive, 4)
	must(t, err)
	key, err := h[0].account.Derive(0)
	must(t, err)
	key, err = key.Derive(4)
	must(t, err)
	fixed := token(2, spend.BitcoinRegtest)
	fixed.private, err = key.ECPrivKey()
	must(t, err)
	fixed.record.Key, fixed.record.Fingerprint = hex.EncodeToString(child[:]), wallet.FingerprintOf(child)
	fixed.prove()
	w, err := wallet.New("COLD", spend.Cold, 2, records(h[0], fixed, h[2]))
	must(t, err)
	_, err = w.Derive(wallet.Receive, 4)
	refused(t, err, "wallet-key-duplicate")
}

// Attack 058: the identity is the hash. A name renames nothing; anything else is another wallet.
func TestAttack058IdentityIsTheHash(t *testing.T) {
	w := pinned(t, spend.BitcoinRegtest)
	renamed, err := wallet.New("COLD-B", spend.Warm, 2, w.Keys())
	must(t, err)
	if renamed.ID() != w.ID() {
		t.Error("a name changed the identity")
	}
	// Held constant: pinned wallets in homes and trust files name this value.
	if got, want := w.ID().String(), refereeID(regtestDescriptor); got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
	for _, name := range []string{"", "A", "cold", "-COLD", "COLD A", "CÖLD", "COLD\x1b[2J", "COLD\n", strings.Repeat("A", 33)} {
		_, err := wallet.New(name, spend.Cold, 2, w.Keys())
		refused(t, err, "wallet-name")
	}
	_, err = wallet.New("COLD", "tepid", 2, w.Keys())
	refused(t, err, "wallet-tier")
}

// refereeID computes the identity as the package comment words it.
func refereeID(descriptor string) string {
	tag := sha("coldsign/wallet/v1")
	sum := sha(string(tag[:]) + string(tag[:]) + "\x00\x00\x00\x0fbitcoin:regtest" + "\x00\x00" + string([]byte{byte(len(descriptor) >> 8), byte(len(descriptor))}) + descriptor)
	return hex.EncodeToString(sum[:])
}

func TestKeyPositionNeedsKeyAndOrigin(t *testing.T) {
	w, h := pinned(t, spend.BitcoinRegtest), trio(t, spend.BitcoinRegtest)
	for i := range h {
		renamed := h[i].record
		renamed.Name = "renamed"
		if at, ok := w.KeyPosition(renamed); !ok || at != i {
			t.Errorf("key %d found at %d, %v", i, at, ok)
		}
	}
	forged := seeded(t, 9, spend.BitcoinRegtest).record
	forged.Fingerprint = h[0].record.Fingerprint
	if _, ok := w.KeyPosition(forged); ok {
		t.Error("a forged fingerprint was found in the wallet")
	}
	moved := h[0].record
	moved.Fingerprint = [4]byte{1}
	if _, ok := w.KeyPosition(moved); ok {
		t.Error("a key with another origin was found in the wallet")
	}
}

func TestWalletFilesAreStrict(t *testing.T) {
	file := pinned(t, spend.BitcoinRegtest).Marshal()
	text := string(file)
	for name, bad := range map[string]string{
		"empty":            "",
		"null":             "null",
		"a list":           "[" + text + "]",
		"trailing":         text + "{}",
		"unfinished":       strings.TrimSuffix(strings.TrimSpace(text), "}"),
		"unknown field":    strings.Replace(text, "{", `{"note":"x",`, 1),
		"repeated field":   strings.Replace(text, "{", `{"tier":"hot",`, 1),
		"other case":       strings.Replace(text, `"tier"`, `"Tier"`, 1),
		"escaped repeat":   strings.Replace(text, "{", `{"\u0074ier":"hot",`, 1),
		"missing field":    strings.Replace(text, `"tier": "cold",`, "", 1),
		"number for text":  strings.Replace(text, `"tier": "cold"`, `"tier": 1`, 1),
		"object for list":  strings.Replace(strings.Replace(text, `"keys": [`, `"keys": {`, 1), "\n  ]", "\n  }", 1),
		"other version":    strings.Replace(text, "wallet/v1", "wallet/v2", 1),
		"key record":       string(seeded(t, 1, spend.BitcoinRegtest).record.Marshal()),
		"too large":        text + strings.Repeat(" ", 256<<10),
		"hidden character": strings.Replace(text, `"COLD-A"`, `"COLD\u202e-A"`, 1),
	} {
		_, err := wallet.Parse([]byte(bad))
		if r := refused(t, err, "wallet-unreadable"); r.Kind != spend.Unreadable {
			t.Errorf("%s: kind %d", name, r.Kind)
		}
	}
	_, err := wallet.Parse(replaced(t, file, `"device": "file"`, `"device": "file", "extra": "1"`))
	refused(t, err, "key-unreadable")
	_, err = wallet.Parse(replaced(t, file, "#n3ngv8k3", "#n3ngv8k4"))
	refused(t, err, "descriptor-checksum")
	d, err := wallet.ParseUnchecked(strings.Replace(strings.Split(regtestDescriptor, "#")[0], "<0;1>", "<0;2>", 1))
	must(t, err)
	_, err = wallet.Parse(replaced(t, file, regtestDescriptor, d.String()))
	refused(t, err, "wallet-descriptor")
	_, err = wallet.Parse(replaced(t, file, regtestDescriptor, strings.ReplaceAll(regtestDescriptor, "h", "'")))
	refused(t, err, "descriptor-checksum")
}

func BenchmarkDerive(b *testing.B) {
	w := pinned(b, spend.BitcoinRegtest)
	for i := range b.N {
		if _, err := w.Derive(wallet.Receive, uint32(i)); err != nil {
			b.Fatal(err)
		}
	}
}

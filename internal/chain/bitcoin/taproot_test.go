package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"pgregory.net/rapid"
)

// The transaction of BIP341's wallet-test-vectors.json (keyPathSpending) and the nine coins that it spends.
const bip341Unsigned = "02000000097de20cbff686da83a54981d2b9bab3586f4ca7e48f57f5b55963115f3b334e9c010000000000000000d7b7cab5" +
	"7b1393ace2d064f4d4a2cb8af6def61273e127517d44759b6dafdd990000000000fffffffff8e1f583384333689228c5d28e" +
	"ac13366be082dc57441760d957275419a418420000000000fffffffff0689180aa63b30cb162a73c6d2a38b7eeda2a83ece7" +
	"4310fda0843ad604853b0100000000feffffffaa5202bdf6d8ccd2ee0f0202afbbb7461d9264a25e5bfd3c5a52ee1239e0ba" +
	"6c0000000000feffffff956149bdc66faa968eb2be2d2faa29718acbfe3941215893a2a3446d32acd0500000000000000000" +
	"00e664b9773b88c09c32cb70a2a3e4da0ced63b7ba3b22f848531bbb1d5d5f4c94010000000000000000e9aa6b8e6c9de676" +
	"19e6a3924ae25696bb7b694bb677a632a74ef7eadfd4eabf0000000000ffffffffa778eb6a263dc090464cd125c466b5a996" +
	"67720b1c110468831d058aa1b82af10100000000ffffffff0200ca9a3b000000001976a91406afd46bcdfd22ef94ac122aa1" +
	"1f241244a37ecc88ac807840cb0000000020ac9a87f5594be208f8532db38cff670c450ed2fea8fcdefcc9a663f78bab962b" +
	"0065cd1d"

func bip341Coins() []string {
	return []string{
		"00b108190000000022512053a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343",
		"808f891b00000000225120147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3",
		"80158611000000001976a914751e76e8199196d454941c45d1b3a323f1433bd688ac",
		"006e0a1e00000000225120e4d810fd50586274face62b8a807eb9719cef49c04177cc6b76a9a4251d5450e",
		"80098d250000000022512091b64d5324723a985170e4dc5a0f84c041804f2cd12660fa5dec09fc21783605",
		"80d28716000000001600147dd65592d0ab2fe0d0257d571abf032cd9db93dc",
		"00e80d280000000022512075169f4001aa68f15bbed28b218df1d0a62cbbcf1188c6665110c293c907b831",
		"804c8b2000000000225120712447206d7a5238acc7ff53fbe94a3b64539ad291c7cdbc490b7577e4b17df5",
		"002b0c230000000022512077e30a5522dd9f894c3f8b8bd4c4b2cf82ca7da8a3ea6a239655c39c050ab220",
	}
}

// bip341Spend is one of its inputs: what is signed, and by which output key.
type bip341Spend struct {
	input                                      int
	sighash                                    byte
	internal, root, message, digest, signature string
}

// bip341Spends are inputs 3 (ALL, with a script tree) and 4 (DEFAULT), the two types that are computed here.
func bip341Spends() []bip341Spend {
	return []bip341Spend{
		{input: 3, sighash: 1, internal: "93478e9488f956df2396be2ce6c5cced75f900dfa18e7dabd2428aae78451820", root: "c525714a7f49c28aedbbba78c005931a81c234b2f6c99a73e4d06082adc8bf2b",
			message: "0001020000000065cd1de3b33bb4ef3a52ad1fffb555c0d82828eb22737036eaeb02a235d82b909c4c3f58a6964a4f5f8f0b642ded0a8a" +
				"553be7622a719da71d1f5befcefcdee8e0fde623ad0f61ad2bca5ba6a7693f50fce988e17c3780bf2b1e720cfbb38fbdd52e2118959c72" +
				"21ab5ce9e26c3cd67b22c24f8baa54bac281d8e6b05e400e6c3a957ea2e6dab7c1f0dcd297c8d61647fd17d821541ea69c3cc37dcbad7f" +
				"90d4eb4bc50003000000",
			digest:    "bf013ea93474aa67815b1b6cc441d23b64fa310911d991e713cd34c7f5d46669",
			signature: "ff45f742a876139946a149ab4d9185574b98dc919d2eb6754f8abaa59d18b025637a3aa043b91817739554f4ed2026cf8022dbd83e351ce1fabc272841d2510a01"},
		{input: 4, sighash: 0, internal: "e0dfe2300b0dd746a3f8674dfd4525623639042569d829c7f0eed9602d263e6f", root: "ccbd66c6f7e8fdab47b3a486f59d28262be857f30d4773f2d5ea47f7761ce0e2",
			message: "0000020000000065cd1de3b33bb4ef3a52ad1fffb555c0d82828eb22737036eaeb02a235d82b909c4c3f58a6964a4f5f8f0b642ded0a8a" +
				"553be7622a719da71d1f5befcefcdee8e0fde623ad0f61ad2bca5ba6a7693f50fce988e17c3780bf2b1e720cfbb38fbdd52e2118959c72" +
				"21ab5ce9e26c3cd67b22c24f8baa54bac281d8e6b05e400e6c3a957ea2e6dab7c1f0dcd297c8d61647fd17d821541ea69c3cc37dcbad7f" +
				"90d4eb4bc50004000000",
			digest:    "4f900a0bae3f1446fd48490c2958b5a023228f01661cda3496a11da502a7f7ef",
			signature: "b4010dd48a617db09926f729e79c33ae0b4e94b79f04a1ae93ede6315eb3669de185a17d2b0ac9ee09fd4c64b678a0b61a0a86fa888a273c8511be83bfd6810f"},
	}
}

// Attacks 027 and 119: the digest covers amount and script of every coin, and is the one that BIP341 publishes.
func TestAttack027And119DigestsOfBIP341(t *testing.T) {
	var coins [][]byte
	for _, coin := range bip341Coins() {
		coins = append(coins, unhex(t, coin))
	}
	unsigned := unhex(t, bip341Unsigned)
	for _, s := range bip341Spends() {
		message, digest, err := bitcoin.TaprootMessage(unsigned, coins, s.sighash, s.input)
		must(t, err)
		// The vectors count the epoch to the message.
		if got := "00" + hex.EncodeToString(message); got != s.message {
			t.Errorf("input %d: message %s, want %s", s.input, got, s.message)
		}
		if got := hex.EncodeToString(digest[:]); got != s.digest {
			t.Errorf("input %d: digest %s, want %s", s.input, got, s.digest)
		}
		key, ok := bitcoin.TaprootTweaked(unhex(t, s.internal), unhex(t, s.root))
		if !ok || !bytes.Equal(key[:], coins[s.input][11:]) {
			t.Errorf("input %d: output key %x, want %x", s.input, key, coins[s.input][11:])
		}
		must(t, bitcoin.CheckTaproot(digest, key, s.sighash, unhex(t, s.signature), false))
		for i := range coins { // one satoshi, and one bit of a script, of any coin
			for _, at := range []int{0, len(coins[i]) - 1} {
				coins[i][at] ^= 1
				if _, other, err := bitcoin.TaprootMessage(unsigned, coins, s.sighash, s.input); err != nil || other == digest {
					t.Errorf("input %d: coin %d may say anything at byte %d: %v", s.input, i, at, err)
				}
				coins[i][at] ^= 1
			}
		}
	}
}

// All of BIP341's key paths: those of the two types have our digest, and every signature passes both verifiers.
func TestPublishedVectorsOfBIP341(t *testing.T) {
	file, err := os.ReadFile("../../../../shared/vectors/psbt/bip341_wallet.json")
	if os.IsNotExist(err) {
		t.Log("shared vectors are not here; two of them stand in this file")
		return
	}
	must(t, err)
	var vectors struct {
		ScriptPubKey []struct {
			Given        struct{ InternalPubkey string }
			Intermediary struct{ MerkleRoot, TweakedPubkey string }
		}
		KeyPathSpending []struct {
			Given struct {
				RawUnsignedTx string
				UtxosSpent    []struct {
					ScriptPubKey string
					AmountSats   int64
				}
			}
			InputSpending []struct {
				Given struct {
					TxinIndex int
					HashType  byte
				}
				Intermediary struct{ SigHash string }
				Expected     struct{ Witness []string }
			}
		}
	}
	must(t, json.Unmarshal(file, &vectors))
	for i, v := range vectors.ScriptPubKey {
		key, ok := bitcoin.TaprootTweaked(unhex(t, v.Given.InternalPubkey), unhex(t, v.Intermediary.MerkleRoot))
		if !ok || hex.EncodeToString(key[:]) != v.Intermediary.TweakedPubkey {
			t.Errorf("script %d: output key %x, want %s", i, key, v.Intermediary.TweakedPubkey)
		}
	}
	digests, signatures := 0, 0
	for _, v := range vectors.KeyPathSpending {
		var coins [][]byte
		for _, coin := range v.Given.UtxosSpent {
			coins = append(coins, txOut(wire.NewTxOut(coin.AmountSats, unhex(t, coin.ScriptPubKey))))
		}
		for _, s := range v.InputSpending {
			want := [32]byte(unhex(t, s.Intermediary.SigHash))
			if s.Given.HashType <= 1 {
				digests++
				if _, got, err := bitcoin.TaprootMessage(unhex(t, v.Given.RawUnsignedTx), coins, s.Given.HashType, s.Given.TxinIndex); err != nil || got != want {
					t.Errorf("input %d: digest %x, want %x: %v", s.Given.TxinIndex, got, want, err)
				}
			}
			signatures++
			ours, theirs := bitcoin.VerifySchnorrBoth(want, [32]byte(coins[s.Given.TxinIndex][11:]), unhex(t, s.Expected.Witness[0])[:64])
			if !ours || !theirs {
				t.Errorf("input %d: ours %t, btcec %t", s.Given.TxinIndex, ours, theirs)
			}
		}
	}
	if len(vectors.ScriptPubKey) != 7 || digests != 2 || signatures != 7 {
		t.Errorf("%d scripts, %d digests, %d signatures", len(vectors.ScriptPubKey), digests, signatures)
	}
}

// BIP340's test-vectors.csv, those with a message of 32 bytes that show one reason each.
func TestAttack068SchnorrVectorsOfBIP340(t *testing.T) {
	const key, message = "DFF1D77F2A671C5F36183726DB2341BE58FEAE1DA2DECED843240F7B502BA659", "243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C89"
	for _, v := range []struct {
		name, key, message, signature string
		valid                         bool
	}{
		{"0", "F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9", "0000000000000000000000000000000000000000000000000000000000000000",
			"E907831F80848D1069A5371B402410364BDF1C5F8307B0084C55F1CE2DCA821525F66A4A85EA8B71E482A74F382D2CE5EBEEE8FDB2172F477DF4900D310536C0", true},
		{"1", key, message, "6896BD60EEAE296DB48A229FF71DFE071BDE413E6D43F917DC8DCF8C78DE33418906D11AC976ABCCB20B091292BFF4EA897EFCB639EA871CFA95F6DE339E4B0A", true},
		{"4: a short r", "D69C3509BB99E412E68B0FE8544E72837DFA30746D8BE2AA65975F29D22DC7B9", "4DF3C3F68FCC83B27E9D42C90431A72499F17875C81A599B566C9889B9696703",
			"00000000000000000000003B78CE563F89A0ED9414F5AA28AD0D96D6795F9C6376AFB1548AF603B3EB45C9F8207DEE1060CB71C04E80F593060B07D28308D7F4", true},
		{"5: a key off the curve", "EEFDEA4CDB677750A420FEE807EACF21EB9898AE79B9768766E4FAA04A2D4A34", message,
			"6CFF5C3BA86C69EA4B7376F31A9BCB4F74C1976089B2D9963DA2E5543E17776969E89B4C5564D00349106B8497785DD7D1D713A8AE82B32FA79D5F7FC407D39B", false},
		{"6: an odd y", key, message, "FFF97BD5755EEEA420453A14355235D382F6472F8568A18B2F057A14602975563CC27944640AC607CD107AE10923D9EF7A73C643E166BE5EBEAFA34B1AC553E2", false},
		{"7: the message negated", key, message, "1FA62E331EDBC21C394792D2AB1100A7B432B013DF3F6FF4F99FCB33E0E1515F28890B3EDB6E7189B630448B515CE4F8622A954CFE545735AAEA5134FCCDB2BD", false},
		{"8: s negated", key, message, "6CFF5C3BA86C69EA4B7376F31A9BCB4F74C1976089B2D9963DA2E5543E177769961764B3AA9B2FFCB6EF947B6887A226E8D7C93E00C5ED0C1834FF0D0C2E6DA6", false},
		{"9: a sum at infinity, r 0", key, message, "0000000000000000000000000000000000000000000000000000000000000000123DDA8328AF9C23A94C1FEECFD123BA4FB73476F0D594DCB65C6425BD186051", false},
		{"10: a sum at infinity, r 1", key, message, "00000000000000000000000000000000000000000000000000000000000000017615FBAF5AE28864013C099742DEADB4DBA87F11AC6754F93780D5A1837CF197", false},
		{"11: an r off the curve", key, message, "4A298DACAE57395A15D0795DDBFD1DCB564DA82B0F269BC70A74F8220429BA1D69E89B4C5564D00349106B8497785DD7D1D713A8AE82B32FA79D5F7FC407D39B", false},
	} {
		ours, theirs := bitcoin.VerifySchnorrBoth([32]byte(unhex(t, v.message)), [32]byte(unhex(t, v.key)), unhex(t, v.signature))
		if ours != v.valid || theirs != v.valid {
			t.Errorf("vector %s: ours %t, btcec %t, want %t", v.name, ours, theirs, v.valid)
		}
	}
}

// Numbers at and beyond their ends, which no published vector with a useful key has.
func TestSchnorrNumbersHaveOneSpelling(t *testing.T) {
	private, _ := btcec.PrivKeyFromBytes([]byte{9})
	key, digest := [32]byte(schnorr.SerializePubKey(private.PubKey())), [32]byte{1, 2, 3}
	parsed, err := schnorr.Sign(private, digest[:])
	must(t, err)
	good := parsed.Serialize()
	spelled := func(at int, n *big.Int) []byte {
		return append(append(bytes.Clone(good[:at]), n.FillBytes(make([]byte, 32))...), good[at+32:]...)
	}
	for name, signature := range map[string][]byte{"s is n": spelled(32, bitcoin.CurveOrder()), "r is p": spelled(0, bitcoin.FieldPrime()), "short": good[:63],
		"r and s are all ones": bytes.Repeat([]byte{0xff}, 64), "long": append(bytes.Clone(good), 0), "none": nil} {
		if ours, theirs := bitcoin.VerifySchnorrBoth(digest, key, signature); ours || theirs {
			t.Errorf("%s: ours %t, btcec %t", name, ours, theirs)
		}
	}
	if ours, theirs := bitcoin.VerifySchnorrBoth(digest, key, good); !ours || !theirs {
		t.Errorf("a good one: ours %t, btcec %t", ours, theirs)
	}
}

func TestAttack068SchnorrVerifiersAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")
		secret[0], secret[31] = 1, secret[31]|1
		digest := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		private, _ := btcec.PrivKeyFromBytes(secret)
		key := [32]byte(schnorr.SerializePubKey(private.PubKey()))
		parsed, err := schnorr.Sign(private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := parsed.Serialize()
		if ours, theirs := bitcoin.VerifySchnorrBoth(digest, key, signature); !ours || !theirs {
			t.Fatalf("a good signature: ours %t, btcec %t", ours, theirs)
		}
		signature[rapid.IntRange(0, 63).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if ours, theirs := bitcoin.VerifySchnorrBoth(digest, key, signature); ours || theirs {
			t.Fatalf("a bent signature: ours %t, btcec %t", ours, theirs)
		}
	})
}

// Attacks 050 and 067: the type is what the packet says, spelled in the one way that BIP341 knows.
func TestAttack050And067TaprootSignaturesHaveOneSpelling(t *testing.T) {
	private, _ := btcec.PrivKeyFromBytes([]byte{9})
	key, digest := [32]byte(schnorr.SerializePubKey(private.PubKey())), [32]byte{1}
	parsed, err := schnorr.Sign(private, digest[:])
	must(t, err)
	good := parsed.Serialize()
	must(t, bitcoin.CheckTaproot(digest, key, 0, good, false))
	must(t, bitcoin.CheckTaproot(digest, key, 1, append(bytes.Clone(good), 1), false))
	for name, c := range map[string]struct {
		sighash   byte
		signature []byte
	}{
		"DEFAULT spelled out": {0, append(bytes.Clone(good), 0)},
		"ALL under DEFAULT":   {0, append(bytes.Clone(good), 1)},
		"DEFAULT under ALL":   {1, good},
		"NONE under ALL":      {1, append(bytes.Clone(good), 2)},
	} {
		if err := bitcoin.CheckTaproot(digest, key, c.sighash, c.signature, false); !bytes.Contains([]byte(err.Error()), []byte("signature-encoding")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantRefusal(t, bitcoin.CheckTaproot([32]byte{2}, key, 0, good, false), "signature-invalid")
	wantRefusal(t, bitcoin.CheckTaproot(digest, key, 0, good, true), "verifiers-differ")
}

// Attack 032: an internal key that is none leads nowhere.
func TestAttack032InternalKeysLeadToOneOutputKey(t *testing.T) {
	for name, internal := range map[string][]byte{"off the curve": unhex(t, "EEFDEA4CDB677750A420FEE807EACF21EB9898AE79B9768766E4FAA04A2D4A34"),
		"beyond the field": bytes.Repeat([]byte{0xff}, 32)} {
		if _, ok := bitcoin.TaprootTweaked(internal, nil); ok {
			t.Errorf("%s: a key", name)
		}
	}
}

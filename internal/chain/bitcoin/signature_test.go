package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// Project Wycheproof: 463 signatures under Bitcoin's low-S rule, most of them made to trip verifiers.
func TestWycheproofSignatures(t *testing.T) {
	file, err := os.ReadFile("../../../../shared/vectors/ecdsa/wycheproof_secp256k1_bitcoin.json")
	if os.IsNotExist(err) {
		t.Log("shared vectors are not here; the tests below hold the rules one by one")
		return
	}
	must(t, err)
	var vectors struct {
		TestGroups []struct {
			PublicKey struct{ Uncompressed string }
			Tests     []struct {
				TcID                      int
				Comment, Msg, Sig, Result string
			}
		}
	}
	must(t, json.Unmarshal(file, &vectors))
	valid, invalid, agreed := 0, 0, 0
	for _, group := range vectors.TestGroups {
		point := unhex(t, group.PublicKey.Uncompressed)
		key := [33]byte(append([]byte{2 + point[64]&1}, point[1:33]...))
		for _, test := range group.Tests {
			digest, der := sha256.Sum256(unhex(t, test.Msg)), unhex(t, test.Sig)
			err := bitcoin.CheckSignature(digest, key, append(bytes.Clone(der), 1))
			if (err == nil) != (test.Result == "valid") {
				t.Errorf("case %d, %s: %v, want %s", test.TcID, test.Comment, err, test.Result)
			}
			if slices.Contains(refusals(err), "verifiers-differ") {
				t.Errorf("case %d: the verifiers differ", test.TcID)
			}
			if err == nil {
				valid++
			} else {
				invalid++
			}
			if sig, err := ecdsa.ParseDERSignature(der); err == nil { // the curve equation alone, high S included
				r, s := sig.R(), sig.S()
				rb, sb := r.Bytes(), s.Bytes()
				pub, err := btcec.ParsePubKey(key[:])
				must(t, err)
				if bitcoin.VerifyOwn(digest, key, bigOf(rb[:]), bigOf(sb[:])) != sig.Verify(digest[:], pub) {
					t.Errorf("case %d: btcec and our verifier differ on the equation", test.TcID)
				}
				agreed++
			}
		}
	}
	if valid != 162 || invalid != 301 || agreed != 181 {
		t.Errorf("%d valid, %d invalid, %d compared", valid, invalid, agreed)
	}
}

// Our verifier and btcec accept and refuse the same, whatever key, digest, nonce and damage.
func TestAttack068TwoVerifiersAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")
		digest := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		private, _ := btcec.PrivKeyFromBytes(append([]byte{1}, secret[1:]...))
		key := [33]byte(private.PubKey().SerializeCompressed())
		sig := append(ecdsa.Sign(private, digest[:]).Serialize(), 1)
		if err := bitcoin.CheckSignature(digest, key, sig); err != nil {
			t.Fatalf("a good signature: %v", err)
		}
		other := digest
		other[rapid.IntRange(0, 31).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if err := bitcoin.CheckSignature(other, key, sig); !slices.Contains(refusals(err), "signature-invalid") {
			t.Fatalf("another digest: %v", err)
		}
	})
}

func TestSecondVerifierAtTheEdges(t *testing.T) {
	n := bitcoin.CurveOrder()
	private, _ := btcec.PrivKeyFromBytes([]byte{7})
	key := [33]byte(private.PubKey().SerializeCompressed())
	var digest [32]byte
	digest[31] = 9
	parsed, err := ecdsa.ParseDERSignature(ecdsa.Sign(private, digest[:]).Serialize())
	must(t, err)
	rs, ss := parsed.R(), parsed.S()
	rb, sb := rs.Bytes(), ss.Bytes()
	r, s := bigOf(rb[:]), bigOf(sb[:])
	sum := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	if !bitcoin.VerifyOwn(digest, key, r, s) || !bitcoin.VerifyOwn(digest, key, r, sum(n, new(big.Int).Neg(s))) {
		t.Error("a good signature and its twin")
	}
	zero := new(big.Int)
	for name, bad := range map[string][2]*big.Int{
		"r zero": {zero, s}, "s zero": {r, zero}, "r plus n": {sum(r, n), s}, "s plus n": {r, sum(s, n)}, "r is n": {n, s}, "s is n": {r, n}, "negative r": {new(big.Int).Neg(r), s},
	} {
		if bitcoin.VerifyOwn(digest, key, bad[0], bad[1]) {
			t.Error(name)
		}
	}
	off := key
	for off[32]++; ; off[32]++ { // an x that is on no point
		if _, err := btcec.ParsePubKey(off[:]); err != nil {
			break
		}
	}
	if bitcoin.VerifyOwn(digest, off, r, s) || bitcoin.VerifyOwn(digest, [33]byte{4}, r, s) || bitcoin.VerifyOwn(digest, [33]byte(bytes.Repeat([]byte{0xff}, 33)), r, s) {
		t.Error("a key that is none")
	}
}

// The native P2WSH example of BIP143 would need OP_CODESEPARATOR; its P2WPKH example has the same preimage layout.
func TestDigestOfBIP143(t *testing.T) {
	unsigned := unhex(t, "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000")
	got, err := bitcoin.OwnDigest(unsigned, 1, unhex(t, "76a9141d0f172a0ecb48aee1be1f2687d2963ae33f71a188ac"), 600_000_000)
	must(t, err)
	if want := "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"; hex.EncodeToString(got[:]) != want {
		t.Errorf("digest %x, want %s", got, want)
	}
}

// highS writes the same signature with the other S, in DER.
func highS(t *testing.T, der []byte) []byte {
	t.Helper()
	parsed, err := ecdsa.ParseDERSignature(der)
	must(t, err)
	s := parsed.S()
	s.Negate()
	r := parsed.R()
	rb, sb := r.Bytes(), s.Bytes()
	high := append([]byte{0x30, 0, 2, 33, 0}, rb[:]...)
	if rb[0] < 0x80 {
		high = append([]byte{0x30, 0, 2, 32}, rb[:]...)
	}
	high = append(append(high, 2, 33, 0), sb[:]...)
	high[1] = byte(len(high) - 2)
	return high
}

// refusesAnswer shows an answer to both verifiers, and to our own alone.
func (w world) refusesAnswer(t *testing.T, p *bitcoin.Packet, name string, sigs []bitcoin.Signature, code string) {
	t.Helper()
	if err := bitcoin.VerifySignatures(p, w.scope(), sigs); !slices.Contains(refusals(err), code) {
		t.Errorf("%s: want %s, got %v", name, code, err)
	}
	found, err := bitcoin.Establish(p, w.scope())
	must(t, err)
	if code == "signature-invalid@input 0" { // our verifier alone speaks, against a store that let the signature go
		code = "verifiers-differ@input 0"
	}
	if err := bitcoin.VerifyCountersigned(found, sigs); !slices.Contains(refusals(err), code) {
		t.Errorf("%s, by our verifier alone: want %s, got %v", name, code, err)
	}
}

func TestAttack066And067EncodingsAreStrict(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	good := w.answers(t, p)[0]
	der := good[0].Signature[:len(good[0].Signature)-1]
	with := func(tail byte, der []byte) []byte { return append(bytes.Clone(der), tail) }
	parsed, err := ecdsa.ParseDERSignature(der)
	must(t, err)
	r, s := parsed.R(), parsed.S()
	rb, sb := r.Bytes(), s.Bytes()
	padded := append([]byte{0x30, der[1] + 1, 2, der[3] + 1, 0}, der[4:]...)
	negative := bytes.Clone(der)
	negative[5+int(der[3])+1] |= 0x80
	for name, c := range map[string]struct {
		signature []byte
		code      string
	}{
		"high S":              {with(1, highS(t, der)), "signature-high-s@input 0"},
		"empty":               {nil, "sighash-not-all@input 0"},
		"only a sighash byte": {[]byte{1}, "signature-encoding@input 0"},
		"NONE":                {with(2, der), "sighash-not-all@input 0"},
		"no sighash byte":     {with(1, der[:len(der)-1]), "signature-encoding@input 0"},
		"a byte after S":      {with(1, with(0, der)), "signature-encoding@input 0"},
		"raw r and s":         {with(1, append(rb[:], sb[:]...)), "signature-encoding@input 0"},
		"negative S":          {with(1, negative), "signature-encoding@input 0"},
		"padded R":            {with(1, padded), "signature-encoding@input 0"},
		"of another input":    {good[1].Signature, "signature-invalid@input 0"},
	} {
		sigs := slices.Clone(good)
		sigs[0].Signature = c.signature
		w.refusesAnswer(t, p, name, sigs, c.code)
	}
}

func TestAttack066And067AnswersAreWhole(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answers := w.answers(t, p)
	good := answers[0]
	with := func(change func(sigs []bitcoin.Signature)) []bitcoin.Signature {
		sigs := slices.Clone(good)
		change(sigs)
		return sigs
	}
	stranger := newCosigner(t, "stranger", spend.BitcoinRegtest, true)
	for name, c := range map[string]struct {
		sigs []bitcoin.Signature
		code string
	}{
		"one missing":             {good[:1], "signature-count"},
		"one twice":               {[]bitcoin.Signature{good[0], good[0]}, "signature-input@input 0"},
		"for no input":            {with(func(s []bitcoin.Signature) { s[1].Input = 1 << 31 }), "signature-input"},
		"by two keys":             {[]bitcoin.Signature{good[0], answers[1][1]}, "signature-mixed-keys@input 1"},
		"by a stranger":           {with(func(s []bitcoin.Signature) { copy(s[0].PubKey[:], stranger.fixed.PubKey().SerializeCompressed()) }), "signature-foreign-key@input 0"},
		"by our key of elsewhere": {with(func(s []bitcoin.Signature) { s[0].PubKey = good[1].PubKey }), "signature-foreign-key@input 0"},
	} {
		w.refusesAnswer(t, p, name, c.sigs, c.code)
	}
	must(t, bitcoin.VerifySignatures(p, w.scope(), good))
	must(t, bitcoin.VerifySignatures(p, w.scope(), []bitcoin.Signature{good[1], good[0]}))
	found, err := bitcoin.Establish(p, w.scope())
	must(t, err)
	must(t, bitcoin.VerifyCountersigned(found, good))
	tasks, err := found.Tasks(0)
	must(t, err)
	if len(tasks) != 2 || tasks[0].Digest == tasks[1].Digest {
		t.Errorf("tasks %+v", tasks)
	}
}

func TestAttack065OneNonceForTwoDigests(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	answerWith := func(position int, nonces ...int64) []bitcoin.Signature {
		tasks, err := bitcoin.Tasks(p, w.scope(), position)
		must(t, err)
		var out []bitcoin.Signature
		for i, task := range tasks {
			key := w.signers[position].private(t, task.Branch, task.Index)
			out = append(out, bitcoin.Signature{Input: uint32(i), PubKey: task.PubKey, Signature: signWith(key, task.Digest, nonces[i])})
		}
		return out
	}
	must(t, bitcoin.VerifySignatures(p, w.scope(), answerWith(1, 1000, 1001)))
	wantRefusal(t, bitcoin.VerifySignatures(p, w.scope(), answerWith(1, 1000, 1000)), "nonce-reused")
	_, err := bitcoin.Finalise(p, w.scope(), [][]bitcoin.Signature{answerWith(0, 1000, 1001), answerWith(1, 1002, 1000)})
	wantRefusal(t, err, "nonce-reused")
	one, err := bitcoin.Nonces(p, w.scope(), answerWith(1, 1000, 1001))
	must(t, err)
	if len(one) != 2 || bitcoin.NonceReuse(append(one, one...)) != nil {
		t.Error("the same signature twice is no reuse")
	}
	one[1].R = one[0].R
	wantRefusal(t, bitcoin.NonceReuse(one), "nonce-reused")
}

// Attack 119: a library's digest may diverge; ours and txscript's are compared on every input, whatever the numbers.
func TestAttack119DigestsByTwoPaths(t *testing.T) {
	w := newWorld(t)
	d := mustDerive(t, w.cold, wallet.Receive, 0)
	rapid.Check(t, func(rt *rapid.T) {
		r := w.request(t)
		r.Coins = nil
		for i := range rapid.IntRange(1, 6).Draw(rt, "coins") {
			r.Coins = append(r.Coins, coinAt(rapid.Int64Range(100_000, 1e12).Draw(rt, "value")*8+int64(i), wallet.Receive, 0, d.ScriptPubKey))
		}
		r.Amount, r.All, r.Height = 0, true, rapid.Uint32Range(0, 499_999_999).Draw(rt, "height")
		p, plan, err := bitcoin.Build(r)
		if err != nil {
			rt.Fatal(err)
		}
		tasks, err := bitcoin.Tasks(p, w.scope(), 1)
		if err != nil || len(tasks) != len(plan.Inputs) {
			rt.Fatalf("%d tasks: %v", len(tasks), err)
		}
	})
	p := w.packet(t)
	if _, err := bitcoin.Tasks(p, w.scope(), 3); !slices.Contains(refusals(err), "key-foreign") {
		t.Errorf("a position that is not there: %v", err)
	}
	bare, _ := p.Strip()
	stripped, err := bitcoin.Read(bare)
	must(t, err)
	if tasks, err := bitcoin.Tasks(stripped, w.scope(), 0); err == nil || tasks != nil {
		t.Error("tasks for an unproven packet")
	}
}

// What a Proven answers is what the packet's own functions answer, and nobody else can make one.
func TestProvenAnswersAsThePacketDoes(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	found, err := bitcoin.Establish(p, w.scope())
	must(t, err)
	effects, err := bitcoin.Prove(p, w.scope())
	must(t, err)
	if !reflect.DeepEqual(effects, found.Effects()) {
		t.Error("effects differ")
	}
	answers := w.answers(t, p)
	nonces, err := bitcoin.Nonces(p, w.scope(), answers[0])
	must(t, err)
	again, err := found.Nonces(answers[0])
	must(t, err)
	final, err := bitcoin.Finalise(p, w.scope(), answers)
	must(t, err)
	same, err := found.Finalise(answers)
	must(t, err)
	if !slices.Equal(nonces, again) || !reflect.DeepEqual(final, same) {
		t.Error("nonces or final transactions differ")
	}
	for name, ask := range map[string]func(f *bitcoin.Proven){
		"effects":    func(f *bitcoin.Proven) { f.Effects() },
		"tasks":      func(f *bitcoin.Proven) { _, _ = f.Tasks(0) },
		"signatures": func(f *bitcoin.Proven) { _ = f.VerifySignatures(nil) },
		"sign":       func(f *bitcoin.Proven) { _, _ = f.Sign(0, nil) },
		"nonces":     func(f *bitcoin.Proven) { _, _ = f.Nonces(nil) },
		"finalise":   func(f *bitcoin.Proven) { _, _ = f.Finalise(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of a packet that nobody proved", name)
				}
			}()
			ask(new(bitcoin.Proven))
		}()
	}
}

// Sign gives what a key gives for each task, in the order of the inputs, and nothing when one signature is missing or
// wrong; the refusal is of the lowest such input, whichever processor came to it first.
func TestAttack068SignGivesAllOrNothing(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.Coins, r.Amount, r.All = nil, 0, true
	for i := range uint32(20) {
		r.Coins = append(r.Coins, coin(t, w.cold, 1_000_000+int64(i), wallet.Receive, i))
	}
	p, _, err := bitcoin.Build(r)
	must(t, err)
	found, err := bitcoin.Establish(p, w.scope())
	must(t, err)
	tasks, err := found.Tasks(2)
	must(t, err)
	for _, task := range tasks {
		key, err := btcec.ParsePubKey(task.PubKey[:])
		must(t, err)
		if y := key.SerializeUncompressed()[33:]; !bytes.Equal(y, task.Y[:]) {
			t.Errorf("input %d: y %x, want %x", task.Input, task.Y, y)
		}
	}
	want := w.signers[2].sign(t, tasks)
	signer := func(broken map[int]error) func([]bitcoin.Task) ([][]byte, error) {
		return func(tasks []bitcoin.Task) (ders [][]byte, err error) {
			for _, task := range tasks {
				der := bytes.Clone(want[task.Input].Signature[:len(want[task.Input].Signature)-1])
				if err, is := broken[task.Input]; is && err != nil {
					return ders, err
				} else if is {
					der = bytes.Clone(want[0].Signature[:len(want[0].Signature)-1])
				}
				ders = append(ders, der)
			}
			return ders, nil
		}
	}
	got, err := found.Sign(2, signer(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v", err)
	}
	gone := errors.New("the token is gone")
	got, err = found.Sign(2, signer(map[int]error{17: gone, 5: gone, 11: gone}))
	if !errors.Is(err, gone) || !strings.HasPrefix(err.Error(), "input 5: ") || got != nil {
		t.Errorf("a signer that fails: %v", err)
	}
	got, err = found.Sign(2, signer(map[int]error{9: nil, 14: nil}))
	if wantRefusal(t, err, "verifiers-differ@input 9"); got != nil {
		t.Error("a wrong signature leaves")
	}
	for _, n := range []int{0, 1, 21} {
		if got, err = found.Sign(2, func([]bitcoin.Task) ([][]byte, error) { return make([][]byte, n), nil }); err == nil || got != nil {
			t.Errorf("%d signatures whatever is asked for: %v", n, err)
		}
	}
	if got, err = found.Sign(3, signer(nil)); got != nil {
		t.Error("a key that is not there signs")
	}
	wantRefusal(t, err, "key-foreign")
}

// The comparisons of two paths must be able to fail.
func TestAttack068And119DivergenceStops(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	wantRefusal(t, bitcoin.ProveDivergent(p, w.scope()), "digest-differs@input 0")
	private, _ := btcec.PrivKeyFromBytes([]byte{7})
	digest := sha256.Sum256(nil)
	sig := append(ecdsa.Sign(private, digest[:]).Serialize(), 1)
	wantRefusal(t, bitcoin.CheckWithBrokenCurve(digest, [33]byte(private.PubKey().SerializeCompressed()), sig), "verifiers-differ")
}

// Sizes of a spend with m signatures of full length; no relayable one reaches the relay limit of 16,000 sigops.
func TestAttack125WeightLimitImpliesTheSigopLimit(t *testing.T) {
	const sigopsMax, p2pkhWeight = 16_000, 4 * 34
	for n := 1; n <= bitcoin.KeysMost; n++ {
		for m := 1; m <= n; m++ {
			byInputs := bitcoin.WeightMax / bitcoin.InputWeight(m, n) * int64(n)
			byOutputs := int64(bitcoin.WeightMax / p2pkhWeight * 4)
			if max(byInputs, byOutputs) > sigopsMax {
				t.Errorf("%d of %d: %d sigops by inputs, %d by outputs", m, n, byInputs, byOutputs)
			}
		}
	}
}

package signing_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/sys/unix"
)

// What signing costs (docs/performance.md). Each case signs a sweep of a 3-of-5 wallet the whole way: seal and approvals
// verified, everything proven, judged, reserved on the disk, signed, verified twice, answered. Beside it the bare work:
// what nobody can leave out, in loops over the same numbers. 700 inputs are about as many as relay takes in one
// transaction, so 2,000 coins go in three bundles. scripts/bench runs this and prints the table.
func BenchmarkSign(b *testing.B) {
	tr := newTreasury(b, 3, 5)
	keys := childKeys(b, "COLD-A")
	before, err := os.ReadFile(tr.ledgerPath())
	must(b, err)
	for _, sizes := range [][]int{{1}, {50}, {500}, {700}, {667, 667, 666}} {
		var loads []*load
		total := 0
		for _, n := range sizes {
			loads = append(loads, tr.load(b, keys, total, n))
			total += n
		}
		b.Run(fmt.Sprint(total), func(b *testing.B) { measure(b, tr, before, loads) })
		export(b, total, loads)
	}
}

// Unlocking costs what guessing a passphrase shall cost.
func BenchmarkUnlock(b *testing.B) {
	store, err := keystore.Open(b.TempDir(), nil)
	must(b, err)
	_, _, err = store.Create(keystore.Creation{Name: "a", Network: spend.BitcoinMainnet, Passphrase: keystore.NewSecret([]byte(passphrase)),
		Rand: noise("a", 0)}, keystore.Entropy{Kernel: noise("a", 1), Device: noise("a", 2)})
	must(b, err)
	for b.Loop() {
		key, err := store.Unlock("a", keystore.NewSecret([]byte(passphrase)))
		must(b, err)
		must(b, key.Close())
	}
}

// load is one bundle, and the numbers that the bare work is about.
type load struct {
	bundle []byte
	psbt   []byte
	tasks  []bitcoin.Task
	keys   []*btcec.PrivateKey // of the tasks
	proofs [][]byte            // previous transactions
	coins  []bitcoin.Coin
	script func(int) []byte // witness script of an input
	tx     *wire.MsgTx
}

func (tr *treasury) load(b *testing.B, keys func(uint32) *btcec.PrivateKey, from, n int) *load {
	p, plan := tr.sweep(b, tr.hot, tr.coins(b, from, n))
	l := &load{bundle: tr.bundle(b, tr.hot, p), psbt: p.Bytes(), tx: p.Unsigned(), coins: plan.Inputs}
	var err error
	l.tasks, err = bitcoin.Tasks(p, bitcoin.Scope{From: tr.cold, To: tr.hot, ToIndex: 7, ToKnown: true, IndexMax: 1 << 20}, 0)
	must(b, err)
	_, l.proofs = p.Strip()
	for _, task := range l.tasks {
		l.keys = append(l.keys, keys(task.Index))
	}
	scripts := make([][]byte, n)
	for i, c := range l.coins {
		d, err := tr.cold.Derive(c.Branch, c.Index)
		must(b, err)
		scripts[i] = d.WitnessScript
	}
	l.script = func(i int) []byte { return scripts[i] }
	return l
}

// bare is the work that signing cannot do without, once for each input: the hash of the previous transaction, the digest
// with everything shared between inputs computed once, an RFC 6979 signature with a low r, and as many verifications as
// are asked for, all by btcec.
func (l *load) bare(b *testing.B, verifications int) {
	fetcher := txscript.NewMultiPrevOutFetcher(nil)
	for _, c := range l.coins {
		fetcher.AddPrevOut(c.Outpoint, wire.NewTxOut(c.Value, nil))
	}
	shared := txscript.NewTxSigHashes(l.tx, fetcher)
	for i, task := range l.tasks {
		first := sha256.Sum256(l.proofs[i])
		_ = sha256.Sum256(first[:])
		digest, err := txscript.CalcWitnessSigHash(l.script(i), shared, txscript.SigHashAll, l.tx, i, l.coins[i].Value)
		must(b, err)
		der := signLowR(l.keys[i], digest)
		for range verifications {
			public, err := btcec.ParsePubKey(task.PubKey[:])
			must(b, err)
			sig, err := ecdsa.ParseDERSignature(der)
			must(b, err)
			if !sig.Verify(task.Digest[:], public) {
				b.Fatal("the bare signature is not of the task's digest and key")
			}
		}
	}
}

// signLowR is RFC 6979 until r fits 32 bytes, as the key store signs, without a thought for anything but speed.
func signLowR(key *btcec.PrivateKey, digest []byte) []byte {
	secret, extra := key.Serialize(), []byte(nil)
	for counter := uint32(1); ; counter++ {
		k := btcec.NonceRFC6979(secret, digest, extra, nil, 0)
		var point btcec.JacobianPoint
		btcec.ScalarBaseMultNonConst(k, &point)
		point.ToAffine()
		if x := point.X.Bytes(); x[0] < 0x80 {
			var r, z, s btcec.ModNScalar
			r.SetBytes(x)
			z.SetByteSlice(digest)
			s.Mul2(&key.Key, &r).Add(&z).Mul(k.InverseNonConst())
			if s.IsOverHalfOrder() {
				s.Negate()
			}
			return ecdsa.NewSignature(&r, &s).Serialize()
		}
		extra = append(binary.LittleEndian.AppendUint32(nil, counter), make([]byte, 28)...)
	}
}

// fixed is the part of a signing that is the same for every bundle: the pinned files read, with the seal of each, the proof
// of possession of each wallet's keys, and two entries of the ledger on the disk.
func (tr *treasury) fixed(b *testing.B, ledger *home.Ledger) {
	_, err := signing.Load(tr.home, ledger, "COLD-A-0", tr.key.Receipt().PublicKey())
	must(b, err)
	for range 2 {
		must(b, ledger.Append(noon, home.Entry{Event: home.Withheld, Key: "COLD-A-0"}))
	}
}

// cost is time on the wall and on the processor. The second does not count waiting for the disk, nor for the other
// programs of a shared machine.
type cost struct{ wall, cpu time.Duration }

func costOf(act func()) cost {
	var before, after unix.Rusage
	runtime.GC()
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	start := time.Now()
	act()
	wall := time.Since(start)
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	spent := func(r unix.Rusage) time.Duration { return time.Duration(r.Utime.Nano() + r.Stime.Nano()) }
	return cost{wall, spent(after) - spent(before)}
}

// measure alternates between the whole and the bare work, so that both see the same machine, and reports medians.
func measure(b *testing.B, tr *treasury, before []byte, loads []*load) {
	var signs, fixed, bares, bareOnce []cost
	for range b.N {
		b.StopTimer()
		tr.forget(b, before)
		ledger := tr.ledger(b)
		b.StartTimer()
		signs = append(signs, costOf(func() {
			for _, l := range loads {
				_, err := tr.sign(ledger, l.bundle, confirmed)
				must(b, err)
			}
		}))
		b.StopTimer()
		fixed = append(fixed, costOf(func() {
			for range loads {
				tr.fixed(b, ledger)
			}
		}))
		must(b, ledger.Close())
		for verifications, into := range map[int]*[]cost{2: &bares, 1: &bareOnce} {
			*into = append(*into, costOf(func() {
				for _, l := range loads {
					l.bare(b, verifications)
				}
			}))
		}
		b.StartTimer()
	}
	b.StopTimer()
	inputs, size, most := 0, 0, 0.0
	for _, l := range loads {
		inputs, size = inputs+len(l.tasks), size+len(l.bundle)
		most = max(most, tr.peak(b, before, l)/float64(len(l.bundle)))
	}
	cpu, wall := func(c cost) time.Duration { return c.cpu }, func(c cost) time.Duration { return c.wall }
	report := func(d time.Duration, unit string) { b.ReportMetric(float64(d.Nanoseconds()), unit) }
	report(median(signs, cpu), "sign-cpu-ns")
	report(median(signs, wall), "sign-wall-ns")
	report(median(fixed, cpu), "fixed-cpu-ns")
	report(median(fixed, wall), "fixed-wall-ns")
	report(median(bares, cpu), "bare-cpu-ns")
	report(median(bares, wall), "bare-wall-ns")
	report(median(bareOnce, cpu), "bare1-cpu-ns")
	report(median(bareOnce, wall), "bare1-wall-ns")
	b.ReportMetric(float64(inputs), "inputs")
	b.ReportMetric(float64(len(loads)), "bundles")
	b.ReportMetric(float64(size), "bundle-bytes")
	b.ReportMetric(most, "peak/bundle")
}

func median(costs []cost, of func(cost) time.Duration) time.Duration {
	times := make([]time.Duration, len(costs))
	for i, c := range costs {
		times[i] = of(c)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// peak is the most memory that one signing act holds on to at any moment, the bundle itself included: the live heap as
// the collector finds it, looked at as often as it can be. What the collector has yet to sweep is not in it.
func (tr *treasury) peak(b *testing.B, before []byte, l *load) float64 {
	tr.forget(b, before)
	ledger := tr.ledger(b)
	defer ledger.Close()
	runtime.GC()
	start, done, most := live(), make(chan struct{}), make(chan uint64)
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	go func() {
		highest := uint64(0)
		for {
			select {
			case <-done:
				most <- highest
				return
			default:
				runtime.GC()
				highest = max(highest, live())
			}
		}
	}()
	_, err := tr.sign(ledger, l.bundle, func(review.Request) error { runtime.GC(); return nil })
	must(b, err)
	close(done)
	return float64(<-most) - float64(start) + float64(len(l.bundle))
}

func live() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// childKeys derives the first key of a wallet from its words, as the key store does when it is unlocked.
func childKeys(b *testing.B, name string) func(index uint32) *btcec.PrivateKey {
	store, err := keystore.Open(b.TempDir(), nil)
	must(b, err)
	_, words, err := store.Create(keystore.Creation{Name: "again", Network: spend.BitcoinRegtest, Passphrase: keystore.NewSecret([]byte(passphrase)),
		Params: keystore.TestParams(), Rand: noise("again", 0)}, keystore.Entropy{Kernel: noise(name, 0), Device: noise(name, 1000)})
	must(b, err)
	seed, err := pbkdf2.Key(sha512.New, strings.Join(words.Words(), " "), []byte("mnemonic"), 2048, 64)
	must(b, err)
	node, err := hdkeychain.NewMaster(seed, &chaincfg.RegressionNetParams)
	must(b, err)
	const h = hdkeychain.HardenedKeyStart
	for _, step := range []uint32{h + 48, h + 1, h, h + 2, uint32(wallet.Receive)} {
		node, err = node.Derive(step)
		must(b, err)
	}
	return func(index uint32) *btcec.PrivateKey {
		child, err := node.Derive(index)
		must(b, err)
		key, err := child.ECPrivKey()
		must(b, err)
		return key
	}
}

// exported is a load for other programs: the same packet and the same keys.
type exported struct {
	PSBT       string   `json:"psbt"`       // hexadecimal
	Keys       []string `json:"keys"`       // private key of each input
	PublicKeys []string `json:"publicKeys"` // of the same
}

// export writes the packets of a case into the folder that COLDSIGN_BENCH_EXPORT names, for scripts/bench.
func export(b *testing.B, inputs int, loads []*load) {
	dir := os.Getenv("COLDSIGN_BENCH_EXPORT")
	if dir == "" {
		return
	}
	var all []exported
	for _, l := range loads {
		e := exported{PSBT: hex.EncodeToString(l.psbt)}
		for i, key := range l.keys {
			e.Keys = append(e.Keys, hex.EncodeToString(key.Serialize()))
			e.PublicKeys = append(e.PublicKeys, hex.EncodeToString(l.tasks[i].PubKey[:]))
		}
		all = append(all, e)
	}
	out, err := json.Marshal(all)
	must(b, err)
	must(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", inputs)), out, 0o600))
}

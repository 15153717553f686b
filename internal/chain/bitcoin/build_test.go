package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcutil/v2/txsort"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/wallet"
	"pgregory.net/rapid"
)

// pool makes coins of the given values.
func (w world) pool(t testing.TB, values ...int64) []bitcoin.Coin {
	script := mustDerive(t, w.cold, wallet.Receive, 0).ScriptPubKey
	var out []bitcoin.Coin
	for i, v := range values {
		c := coinAt(v, wallet.Receive, 0, script)
		for range i { // coins of one value still need parents of their own
			tx := openTx(t, c.PrevTx)
			tx.LockTime++
			c.PrevTx, c.Outpoint.Hash = serialise(t, tx), tx.TxHash()
		}
		out = append(out, c)
	}
	return out
}

// Whatever coins there are: money is conserved, the fee pays at least the rate and not much more, change is worth having.
func TestBuildConservesMoney(t *testing.T) {
	w := newWorld(t)
	coins := w.pool(t, 20_000, 50_000, 90_000, 90_000, 200_000, 1_000_000, 1_000_000, 5_000_000, 30_000_000)
	rapid.Check(t, func(rt *rapid.T) {
		r := w.request(t)
		r.Coins = rapid.Permutation(coins).Draw(rt, "coins")[:rapid.IntRange(1, len(coins)).Draw(rt, "count")]
		r.Amount = rapid.Int64Range(330, 40_000_000).Draw(rt, "amount")
		r.FeeRate = rapid.SampledFrom([]int64{1_000, 2_500, 10_000, 40_000, 200_000}).Draw(rt, "rate")
		r.Rand = noise(rapid.Byte().Draw(rt, "seed"))
		p, plan, err := bitcoin.Build(r)
		if err != nil {
			if !slices.Contains(refusals(err), "funds-insufficient") {
				rt.Fatal(err)
			}
			total := int64(0)
			for _, c := range r.Coins {
				total += max(0, c.Value-r.FeeRate*105/1000)
			}
			if total > r.Amount+r.FeeRate*200/1000 {
				rt.Fatalf("coins of %d do not pay %d", total, r.Amount)
			}
			return
		}
		in := int64(0)
		for i, c := range plan.Inputs {
			in += c.Value
			if p.Unsigned().TxIn[i].PreviousOutPoint != c.Outpoint {
				rt.Fatal("the plan names other coins")
			}
		}
		least := (plan.VirtualBytes*r.FeeRate + 999) / 1000
		bare, proofs := p.Strip()
		if in != r.Amount+plan.Change+plan.Fee || plan.Fee < least || plan.PayloadBytes != len(bare) || plan.ProofBytes != len(slices.Concat(proofs...)) {
			rt.Fatalf("plan %+v, least fee %d", plan, least)
		}
		if plan.Change > 0 && (plan.Fee != least || plan.Change < 1045) || plan.Change == 0 && plan.Fee-least > r.FeeRate*43/1000+1+1045+330 {
			rt.Fatalf("plan %+v, least fee %d", plan, least)
		}
		if !txsort.IsSorted(p.Unsigned()) {
			rt.Fatal("not sorted as BIP69 says")
		}
	})
}

func TestSelectionPrefersAnExactMatch(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.FeeRate, r.Amount = 20_000, 10_000_000
	// Two inputs and one output of 2-of-3 take 263 vB: 5,260 satoshi at 20 per vB.
	r.Coins = w.pool(t, 3_000_000, 4_002_670, 6_002_670, 50_000_000, 7_500_000, 90_000)
	_, plan, err := bitcoin.Build(r)
	must(t, err)
	if len(plan.Inputs) != 2 || plan.Change != 0 || plan.Fee < 5_260 || plan.Fee > 5_340 {
		t.Errorf("plan %+v", plan)
	}
}

func TestSelectionLeavesOutCoinsThatCostMoreThanTheyBring(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.FeeRate, r.Amount = 100_000, 1_000_000
	r.Coins = w.pool(t, 2_000_000, 10_000, 9_000, 10_449)
	_, plan, err := bitcoin.Build(r)
	must(t, err)
	if len(plan.Inputs) != 1 {
		t.Errorf("plan %+v", plan)
	}
	r.Coins = w.pool(t, 10_000, 9_000, 10_449)
	r.Amount = 1_000
	_, _, err = bitcoin.Build(r)
	wantRefusal(t, err, "funds-insufficient")
}

// Hundreds of coins of hundreds of values must end, exact match or not.
func TestSelectionIsBounded(t *testing.T) {
	w := newWorld(t)
	var values []int64
	for i := range int64(300) {
		values = append(values, 1_000_000+i*i*7919%1_000_003)
	}
	r := w.request(t)
	r.Coins, r.Amount = nil, 150_000_000
	script := mustDerive(t, w.cold, wallet.Receive, 0).ScriptPubKey
	for _, v := range values {
		r.Coins = append(r.Coins, coinAt(v, wallet.Receive, 0, script))
	}
	_, plan, err := bitcoin.Build(r)
	must(t, err)
	if len(plan.Inputs) < 75 {
		t.Errorf("%d inputs", len(plan.Inputs))
	}
}

func TestConsolidationPaysOurselves(t *testing.T) {
	w := newWorld(t)
	r := w.request(t)
	r.To, r.ToIndex, r.Amount, r.All = w.cold, 20, 0, true
	p, plan, err := bitcoin.Build(r)
	must(t, err)
	effects, err := bitcoin.Prove(p, bitcoin.Scope{From: w.cold, To: w.cold, ToIndex: 20, ToKnown: true, IndexMax: 1000})
	must(t, err)
	f := effects.Facts()
	if len(f.Outputs) != 1 || f.Outputs[0].Role != chain.Destination || f.Outputs[0].Wallet != w.cold.ID() || plan.Change != 0 {
		t.Errorf("facts %+v", f)
	}
	sats, _ := f.Outputs[0].Amount.Int64()
	if sats != 70_000_000-plan.Fee {
		t.Errorf("%d arrive, fee %d", sats, plan.Fee)
	}
}

func TestAttack117ForgedCoinsAreNotBuilt(t *testing.T) {
	w := newWorld(t)
	good := w.request(t)
	for name, c := range map[string]struct {
		edit func(r *bitcoin.Request)
		code string
	}{
		"another value":               {func(r *bitcoin.Request) { r.Coins[0].Value-- }, "input-foreign"},
		"another index":               {func(r *bitcoin.Request) { r.Coins[0].Index++ }, "input-foreign"},
		"another output":              {func(r *bitcoin.Request) { r.Coins[0].Outpoint.Index = 0 }, "input-foreign"},
		"an output that is not there": {func(r *bitcoin.Request) { r.Coins[0].Outpoint.Index = 2 }, "previous-tx-mismatch"},
		"another transaction":         {func(r *bitcoin.Request) { r.Coins[0].PrevTx = r.Coins[1].PrevTx }, "previous-tx-mismatch"},
		"half a transaction":          {func(r *bitcoin.Request) { r.Coins[0].PrevTx = r.Coins[0].PrevTx[:50] }, "psbt-truncated"},
		"a coin of nothing":           {func(r *bitcoin.Request) { r.Coins[0].Value = 0 }, "amount-range"},
		"a coin of all there is":      {func(r *bitcoin.Request) { r.Coins[0].Value = 1<<63 - 1 }, "amount-range"},
		"a coin twice":                {func(r *bitcoin.Request) { r.Coins[0] = r.Coins[1] }, "input-duplicate"},
		"no fee":                      {func(r *bitcoin.Request) { r.FeeRate = 0 }, "fee-rate-range"},
		"satoshi per byte squared":    {func(r *bitcoin.Request) { r.FeeRate = 5_000_000 }, "fee-rate-range"},
		"no amount":                   {func(r *bitcoin.Request) { r.Amount = 0 }, "amount-range"},
		"a negative amount":           {func(r *bitcoin.Request) { r.Amount = -1 }, "amount-range"},
		"a negative sweep":            {func(r *bitcoin.Request) { r.Amount, r.All = -1, true }, "amount-range"},
		"more than all":               {func(r *bitcoin.Request) { r.Amount, r.All = 70_000_000, true }, "funds-insufficient"},
		"two coins where one may go":  {func(r *bitcoin.Request) { r.InputsMax = 1 }, "inputs-above-cap"},
		"more than there is":          {func(r *bitcoin.Request) { r.Amount = 70_000_000 }, "funds-insufficient"},
		"dust":                        {func(r *bitcoin.Request) { r.Amount = 329 }, "output-dust"},
		"a clock as height":           {func(r *bitcoin.Request) { r.Height = 1_700_000_000 }, "locktime-time"},
	} {
		r := good
		r.Coins, r.Rand = slices.Clone(good.Coins), noise(1)
		r.Amount = 69_000_000 // both coins are needed
		c.edit(&r)
		if _, _, err := bitcoin.Build(r); !slices.Contains(refusals(err), c.code) {
			t.Errorf("%s: want %s, got %v", name, c.code, err)
		}
	}
	twice := good
	twice.Amount, twice.Coins = 1_000_000, append(slices.Clone(good.Coins), good.Coins[0])
	if _, _, err := bitcoin.Build(twice); !slices.Contains(refusals(err), "input-duplicate") {
		t.Errorf("a coin offered twice and not needed: %v", err)
	}
	broken := errors.New("no entropy")
	good.Rand = failing{broken}
	if _, _, err := bitcoin.Build(good); !errors.Is(err, broken) {
		t.Errorf("without randomness: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Attack 129: the same request and the same randomness give the same bytes: no map decides an order.
func TestAttack129BuildIsDeterministic(t *testing.T) {
	w := newWorld(t)
	var first []byte
	for range 20 {
		r := w.request(t)
		r.Coins = w.pool(t, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000, 60_000_000)
		p, _, err := bitcoin.Build(r)
		must(t, err)
		bare, proofs := p.Strip()
		all := slices.Concat(p.Bytes(), bare, slices.Concat(proofs...))
		if first == nil {
			first = all
		}
		if !bytes.Equal(all, first) {
			t.Fatal("the same request gave other bytes")
		}
	}
}

// The same seeds give the same bytes on every machine, 32 bits wide or 64.
func TestAttack129GoldenBytes(t *testing.T) {
	w := newWorld(t)
	p := w.packet(t)
	final, err := bitcoin.Finalise(p, w.scope(), w.answers(t, p))
	must(t, err)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"packet":      {p.Bytes(), "44ea9e389534dc665d3183ff70be6b5d01d447d267fa412934d0127eadec8229"},
		"transaction": {final.Raw, "6d6c9c2767900ef39cb72faa43f4a4188a32e63ebec9970a7cc9ccd1b9cb367b"},
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256(c.data)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A packet keeps its own copy of what it was read from.
func TestAttack129PacketsDoNotAlias(t *testing.T) {
	raw := newWorld(t).packet(t).Bytes()
	p, err := bitcoin.Read(raw)
	must(t, err)
	id, bare := p.TxID(), p.Base64()
	stripped, proofs := p.Strip()
	clear(raw)
	clear(stripped)
	clear(proofs[0])
	clear(p.Bytes())
	if p.TxID() != id || p.Base64() != bare {
		t.Error("a slice outside changed the packet")
	}
}

func benchmarkPacket(b *testing.B) (world, *bitcoin.Packet) {
	w := newWorld(b)
	r := w.request(b)
	r.Amount, r.All, r.Coins = 0, true, nil
	for i := range uint32(900) {
		r.Coins = append(r.Coins, coin(b, w.cold, 1_000_000, wallet.Receive, i))
	}
	p, _, err := bitcoin.Build(r)
	must(b, err)
	return w, p
}

func BenchmarkRead900Inputs(b *testing.B) {
	_, p := benchmarkPacket(b)
	raw := p.Bytes()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		_, err := bitcoin.Read(raw)
		must(b, err)
	}
}

func BenchmarkProve900Inputs(b *testing.B) {
	w, p := benchmarkPacket(b)
	for b.Loop() {
		_, err := bitcoin.Prove(p, w.scope())
		must(b, err)
	}
}

func BenchmarkFinalise900Inputs(b *testing.B) {
	w, p := benchmarkPacket(b)
	answers := w.answers(b, p)[:2]
	for b.Loop() {
		_, err := bitcoin.Finalise(p, w.scope(), answers)
		must(b, err)
	}
}

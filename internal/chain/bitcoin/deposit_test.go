package bitcoin_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/money"
)

// depositClaim is good evidence that index 7 of the wallet was paid half a bitcoin, with two confirmations.
func depositClaim() bitcoin.DepositClaim {
	b := enginetest.Evidence(enginetest.Wallet(), 7, 50_000_000, 2)
	return bitcoin.DepositClaim{Raw: b.Raw, Output: b.Output, Index: b.Index, Height: b.Height, Place: b.Place, Branch: b.Branch, Headers: b.Headers}
}

func TestADepositIsProvenByItsBlock(t *testing.T) {
	c := depositClaim()
	d, err := bitcoin.ProveDeposit(enginetest.Wallet(), c)
	if err != nil {
		t.Fatal(err)
	}
	f := d.Facts()
	w, err := enginetest.Wallet().Derive(0, 7)
	if err != nil {
		t.Fatal(err)
	}
	if f.Amount != money.Sats(50_000_000) || f.Index != 7 || f.Address != w.Address || f.Confirmations != 2 || f.Wallet != enginetest.Wallet().ID() ||
		f.Block != chainhash.DoubleHashH(c.Headers[0]).String() {
		t.Errorf("%+v", f)
	}
}

// Each claim below lies about one thing, and is refused for that thing.
func TestALieAboutADepositIsRefused(t *testing.T) {
	flip := func(raw []byte, at int) []byte {
		out := bytes.Clone(raw)
		out[at] ^= 1
		return out
	}
	remine := func(c *bitcoin.DepositClaim, root chainhash.Hash) {
		c.Headers = [][]byte{enginetest.Mine(chainhash.Hash{}, root)}
	}
	for name, lie := range map[string]struct {
		code string
		tell func(*bitcoin.DepositClaim)
	}{
		"another index":          {"deposit-script", func(c *bitcoin.DepositClaim) { c.Index = 8 }},
		"another output":         {"deposit-output", func(c *bitcoin.DepositClaim) { c.Output = 1 }},
		"another amount":         {"deposit-merkle", func(c *bitcoin.DepositClaim) { c.Raw = flip(c.Raw, 4+1+41+1) }},
		"cut":                    {"psbt-truncated", func(c *bitcoin.DepositClaim) { c.Raw = c.Raw[:len(c.Raw)-1] }},
		"another place":          {"deposit-merkle", func(c *bitcoin.DepositClaim) { c.Place = 0 }},
		"a place outside":        {"deposit-merkle", func(c *bitcoin.DepositClaim) { c.Place = 2 }},
		"another branch":         {"deposit-merkle", func(c *bitcoin.DepositClaim) { c.Branch = [][]byte{flip(c.Branch[0], 3)} }},
		"a short step":           {"deposit-merkle", func(c *bitcoin.DepositClaim) { c.Branch = [][]byte{c.Branch[0][:31]} }},
		"a branch too deep":      {"deposit-merkle", func(c *bitcoin.DepositClaim) { c.Branch = slices.Repeat(c.Branch, 23) }},
		"no header":              {"deposit-headers", func(c *bitcoin.DepositClaim) { c.Headers = nil }},
		"headers out of order":   {"deposit-merkle", func(c *bitcoin.DepositClaim) { slices.Reverse(c.Headers) }},
		"a header twice":         {"deposit-headers", func(c *bitcoin.DepositClaim) { c.Headers[1] = c.Headers[0] }},
		"a short header":         {"deposit-headers", func(c *bitcoin.DepositClaim) { c.Headers[1] = c.Headers[1][:79] }},
		"a target above limits":  {"deposit-work", func(c *bitcoin.DepositClaim) { c.Headers = [][]byte{withBits(c.Headers[0], 0x217fffff)} }},
		"a target that is none":  {"deposit-work", func(c *bitcoin.DepositClaim) { c.Headers = [][]byte{withBits(c.Headers[0], 0x20ffffff)} }},
		"work that was not done": {"deposit-work", func(c *bitcoin.DepositClaim) { c.Headers = [][]byte{withBits(c.Headers[0], 0x1d00ffff)} }},
		"a repetition": {"deposit-merkle", func(c *bitcoin.DepositClaim) {
			id := txid(t, c.Raw)
			c.Branch = [][]byte{id[:]}
			remine(c, chainhash.DoubleHashH(append(id[:], id[:]...)))
		}},
		"a coinbase": {"deposit-coinbase", func(c *bitcoin.DepositClaim) {
			c.Raw = rewrite(t, c.Raw, func(tx *wire.MsgTx) { tx.TxIn[0].PreviousOutPoint = *wire.NewOutPoint(&chainhash.Hash{}, 1<<32-1) })
		}},
		"no amount": {"deposit-amount", func(c *bitcoin.DepositClaim) {
			c.Raw = rewrite(t, c.Raw, func(tx *wire.MsgTx) { tx.TxOut[0].Value = 0 })
		}},
	} {
		c := depositClaim()
		lie.tell(&c)
		if _, err := bitcoin.ProveDeposit(enginetest.Wallet(), c); !slices.Contains(refusals(err), lie.code) {
			t.Errorf("%s: %v, want %s", name, err, lie.code)
		}
	}
}

func withBits(header []byte, bits uint32) []byte {
	out := bytes.Clone(header)
	out[72], out[73], out[74], out[75] = byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24)
	return out
}

func rewrite(t *testing.T, raw []byte, change func(*wire.MsgTx)) []byte {
	t.Helper()
	var tx wire.MsgTx
	must(t, tx.Deserialize(bytes.NewReader(raw)))
	change(&tx)
	var out bytes.Buffer
	must(t, tx.Serialize(&out))
	return out.Bytes()
}

func txid(t *testing.T, raw []byte) chainhash.Hash {
	t.Helper()
	var tx wire.MsgTx
	must(t, tx.Deserialize(bytes.NewReader(raw)))
	return tx.TxHash()
}

// CVE-2017-12842: 64 bytes that are two hashes in a row may also be read as a transaction.
func TestA64ByteTransactionIsNotBelieved(t *testing.T) {
	w, err := enginetest.Wallet().Derive(0, 7)
	must(t, err)
	// No script of a wallet is short enough for 64 bytes, so such a claim fails for its script already; the rule of its own
	// stands for the day on which a shorter script does.
	if least := 4 + 1 + 41 + 1 + 8 + 1 + len(w.ScriptPubKey) + 4; least <= 64 {
		t.Errorf("a transaction to a wallet can have %d bytes", least)
	}
}

func FuzzProveDeposit(f *testing.F) {
	c := depositClaim()
	w := enginetest.Wallet()
	f.Add(c.Raw, c.Branch[0], c.Headers[0], c.Headers[1], c.Place, c.Index)
	f.Fuzz(func(t *testing.T, raw, step, first, second []byte, place, index uint32) {
		d, err := bitcoin.ProveDeposit(w, bitcoin.DepositClaim{Raw: raw, Place: place, Index: index, Branch: [][]byte{step}, Headers: [][]byte{first, second}})
		if err == nil && !bytes.Equal(raw, c.Raw) {
			t.Fatalf("another transaction was believed: %+v", d.Facts())
		}
	})
}

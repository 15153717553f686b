package node_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/node/nodetest"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/store"
)

// openTo is a P2WSH that everybody can spend, so that these tests need no key: its witness script is OP_TRUE and one
// number that makes each of them different.
func openTo(t *testing.T, number int64) (to string, script, witness []byte) {
	t.Helper()
	witness, err := txscript.NewScriptBuilder().AddInt64(number).AddOp(txscript.OP_DROP).AddOp(txscript.OP_TRUE).Script()
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(witness)
	a, err := address.NewAddressWitnessScriptHash(digest[:], &chaincfg.RegressionNetParams)
	if err != nil {
		t.Fatal(err)
	}
	script, err = txscript.PayToAddrScript(a)
	if err != nil {
		t.Fatal(err)
	}
	return a.EncodeAddress(), script, witness
}

// btcd is a real node, a connection to it, a store, and a follower from the one to the other.
type btcd struct {
	*node.Bitcoin
	t        *testing.T
	node     *nodetest.Node
	store    *store.Store
	follower node.Follower
	wallet   spend.WalletID
}

func startBTCD(t *testing.T) *btcd {
	t.Helper()
	ctx := context.Background()
	n, err := nodetest.Start(ctx, nodetest.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	conn, err := node.Connect(ctx, node.Config{URL: n.URL, CredentialsFile: n.CredentialsFile, Network: spend.BitcoinRegtest, FeeFloor: 1000, FeeCap: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Key: make([]byte, 32), Network: spend.BitcoinRegtest, Confirmations: 1, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &btcd{Bitcoin: conn, t: t, node: n, store: s, follower: node.Follower{Chain: conn, Sink: s}, wallet: sha256.Sum256([]byte("wallet"))}
	var scripts []store.Script
	for index := range 4 {
		_, script, _ := openTo(t, int64(index))
		scripts = append(scripts, store.Script{Index: uint32(index), ScriptPubKey: script})
	}
	if err := s.AddWallet(ctx, store.Wallet{ID: b.wallet, Name: "cold", Tier: spend.Cold, File: []byte("file")}, scripts); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *btcd) mine(count int, number int64) []chainhash.Hash {
	b.t.Helper()
	to, _, _ := openTo(b.t, number)
	hashes, err := b.node.Mine(context.Background(), count, to)
	if err != nil {
		b.t.Fatal(err)
	}
	return hashes
}

func (b *btcd) sync() node.Progress {
	b.t.Helper()
	p, err := b.follower.Sync(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	height, hash, err := b.Tip(context.Background())
	if err != nil || !p.Behind && (p.Height != height || p.Hash != hash) {
		b.t.Fatalf("the follower stands at %d %s, the node at %d %s, %v", p.Height, p.Hash, height, hash, err)
	}
	return p
}

func TestFollowsARealNodeThroughAReorg(t *testing.T) {
	b := startBTCD(t)
	ctx := context.Background()
	b.mine(105, 0)
	if p := b.sync(); p.Applied != 106 || p.Height != 105 {
		t.Fatalf("%+v", p)
	}
	coins, err := b.store.Spendable(ctx, b.wallet, 1)
	if err != nil || len(coins) != 6 { // blocks 1 to 6 are mature at 105
		t.Fatalf("%d coins, %v", len(coins), err)
	}
	u, found, err := b.Unspent(ctx, coins[0].Outpoint)
	if err != nil || !found || u.Value != coins[0].Value || u.Confirmations != int64(105-coins[0].Height+1) {
		t.Errorf("the node says %+v %v of %+v, %v", u, found, coins[0], err)
	}
	before, err := b.store.StateHash(ctx)
	if err != nil {
		t.Fatal(err)
	}
	old := b.mine(3, 1)
	b.sync()
	if err := b.node.InvalidateBlock(ctx, old[0]); err != nil {
		t.Fatal(err)
	}
	if p := b.sync(); !p.Behind || p.RolledBack != 0 { // nothing takes the blocks' place yet
		t.Errorf("%+v", p)
	}
	if err := b.store.Rollback(ctx, 105); err != nil {
		t.Fatal(err)
	}
	if after, err := b.store.StateHash(ctx); err != nil || after != before {
		t.Errorf("three real blocks leave a trace, %v", err)
	}
	if err := b.node.ReconsiderBlock(ctx, old[0]); err != nil {
		t.Fatal(err)
	}
	b.sync()
	if err := b.node.InvalidateBlock(ctx, old[1]); err != nil {
		t.Fatal(err)
	}
	b.mine(3, 2)
	if p := b.sync(); p.RolledBack != 2 || p.Applied != 3 || p.Height != 109 {
		t.Errorf("%+v", p)
	}
	all, err := b.store.Coins(ctx, b.wallet)
	count := map[uint32]int{}
	for _, c := range all {
		count[c.Index]++
	}
	if err != nil || count[0] != 105 || count[1] != 1 || count[2] != 3 {
		t.Errorf("coins by index %v, %v", count, err)
	}
}

func TestBroadcastsToARealNodeOnce(t *testing.T) {
	b := startBTCD(t)
	ctx := context.Background()
	b.mine(100, 0)
	b.sync()
	coins, err := b.store.Spendable(ctx, b.wallet, 1)
	if err != nil || len(coins) != 1 {
		t.Fatalf("%d coins, %v", len(coins), err)
	}
	_, to, toWitness := openTo(t, 3)
	_, _, witness := openTo(t, 0)
	pay := func(from wire.OutPoint, witness []byte, amount int64) (*wire.MsgTx, []byte) {
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: from, Sequence: wire.MaxTxInSequenceNum - 2, Witness: wire.TxWitness{witness}})
		tx.AddTxOut(&wire.TxOut{Value: amount, PkScript: to})
		return tx, rawTransaction(t, tx)
	}
	first, raw := pay(coins[0].Outpoint, witness, coins[0].Value-2000)
	if err := b.TestAccept(ctx, raw); err != nil {
		t.Fatal(err)
	}
	for range 3 { // new, then in the mempool
		if txid, err := b.Broadcast(ctx, raw); err != nil || txid != first.TxHash() {
			t.Fatal(err)
		}
	}
	if n, err := b.store.Confirmations(ctx, first.TxHash()); err != nil || n != 0 {
		t.Errorf("a transaction in the mempool has %d confirmations, %v", n, err)
	}
	if err := b.TestAccept(ctx, raw); err != nil {
		t.Errorf("known to the node: %v", err)
	}
	b.mine(1, 1)
	b.sync()
	if n, err := b.store.Confirmations(ctx, first.TxHash()); err != nil || n != 1 {
		t.Errorf("%d confirmations, %v", n, err)
	}
	if _, err := b.Broadcast(ctx, raw); err != nil { // in the chain
		t.Error(err)
	}
	second, rawSecond := pay(wire.OutPoint{Hash: first.TxHash()}, toWitness, coins[0].Value-4000)
	if _, err := b.Broadcast(ctx, rawSecond); err != nil {
		t.Fatal(err)
	}
	b.mine(1, 1)
	b.sync()
	if _, err := b.Broadcast(ctx, raw); err != nil { // in the chain, with every output spent
		t.Error(err)
	}
	twice, rawTwice := pay(coins[0].Outpoint, witness, coins[0].Value-9000)
	_, err = b.Broadcast(ctx, rawTwice)
	refused(t, err, "node-rejects")
	refused(t, b.TestAccept(ctx, rawTwice), "node-rejects")
	if _, found, err := b.Unspent(ctx, coins[0].Outpoint); found || err != nil {
		t.Errorf("a spent coin is unspent, %v", err)
	}
	if n, err := b.store.Confirmations(ctx, second.TxHash()); err != nil || n != 1 {
		t.Errorf("%d confirmations of %s, not %s, %v", n, second.TxHash(), twice.TxHash(), err)
	}
	if rate, err := b.FeeRate(ctx, 2); err != nil || rate < 1000 || rate > 100_000 {
		t.Errorf("fee rate %d, %v", rate, err)
	}
}

func rawTransaction(t *testing.T, tx *wire.MsgTx) []byte {
	t.Helper()
	b := &wire.MsgBlock{Transactions: []*wire.MsgTx{tx}}
	return serialized(t, b)[81:] // behind the header and the count
}

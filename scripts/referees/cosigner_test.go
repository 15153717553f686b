//go:build referees

package referees_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/node/nodetest"
	"github.com/coldsign/coldsign/internal/wallet"
)

// electrumWords are the backup words of Electrum's key, a vector of BIP39: whoever pays to it gives his coins to everybody.
const electrumWords = "legal winner thank year wave sausage worth useful legal winner thank yellow"

// electrumAccount is the key that Electrum derives from words.
type electrumAccount struct{ Key, Fingerprint string }

// Two keyholders with coldsign and one with Electrum share a wallet. Electrum signs with its own command, coldsign at
// its own screen, we combine, and a real node takes and mines it.
func TestElectrumSignsColdsignSignsAndTheNodeMines(t *testing.T) {
	t.Parallel()
	d, cosigner := newDesk(t), hire(t, electrum)
	a, c := d.newKey("a"), d.newKey("c")
	cold := d.shareWith(cosigner, a, c)
	hot := hotWallet(t)
	d.trust(cold, hot, "a", "c")

	node, coins := fund(t, cold)
	const sats = 60_00000000
	scope := bitcoin.Scope{From: cold, To: hot, ToIndex: hotIndex, ToKnown: true, IndexMax: 1000}
	p, _, err := bitcoin.Build(bitcoin.Request{From: cold, To: hot, ToIndex: hotIndex, Amount: sats, ChangeIndex: 3, FeeRate: 5_000, Height: 102,
		Coins: coins, Rand: rand.NewChaCha8([32]byte{2})})
	must(t, err)

	if inputs := len(p.Unsigned().TxIn); inputs != 2 {
		t.Fatalf("%d inputs; both coins should be spent", inputs)
	}

	theirs, err := bitcoin.Read([]byte(electrumCommand(t, cosigner, p.Base64())))
	must(t, err)
	ours := d.sign("a", d.seal(p, scope, sats), cold)
	final, err := bitcoin.Finalise(theirs, scope, [][]bitcoin.Signature{ours})
	must(t, err)
	if final.TxID != p.TxID() {
		t.Errorf("txid %s became %s", p.TxID(), final.TxID)
	}

	// The other way round: Electrum takes coldsign's signatures, adds its own, and holds the same transaction.
	signed, err := p.WithSignatures(ours)
	must(t, err)
	if raw := electrumCommand(t, cosigner, text(signed)); raw != hex.EncodeToString(final.Raw) {
		t.Errorf("Electrum finalises to\n%s\nand we to\n%x", raw, final.Raw)
	}
	mined(t, node, final)
}

// shareWith has coldsign import the wallet that a, Electrum and c have in common, and Electrum make its own file of it.
func (d *desk) shareWith(cosigner *referee, a, c wallet.KeyRecord) wallet.Wallet {
	d.t.Helper()
	var account electrumAccount
	words := map[string]any{"words": electrumWords, "path": accountPath}
	cosigner.give("account", words, &account)
	expression := func(fingerprint, key string) string { return "[" + fingerprint + "/48h/1h/0h/2h]" + key + "/<0;1>/*" }
	body := "wsh(sortedmulti(2," + strings.Join([]string{expression(hex.EncodeToString(a.Fingerprint[:]), a.Key),
		expression(account.Fingerprint, account.Key), expression(hex.EncodeToString(c.Fingerprint[:]), c.Key)}, ",") + "))"
	var sum struct{ Checksum string }
	hire(d.t, bitcoinerlab).give("checksum", map[string]any{"body": body}, &sum)
	d.must("a", "wallet", "import", d.write("cold.descriptor", []byte(body+"#"+sum.Checksum)), "--name", "COLD-E", "--record", d.path("c.key.json"),
		"--out", d.path("cold.json"))
	cold, err := wallet.Parse(d.read("cold.json"), wallet.AcceptUnproven())
	must(d.t, err)
	if unproven := cold.Unproven(); len(unproven) != 1 || unproven[0] != 1 {
		d.t.Fatalf("keys without proof: %v; only Electrum's gave none", unproven)
	}
	keys := public(cold)
	keys[1] = words
	cosigner.give("wallet", map[string]any{"file": filepath.Join(cosigner.dir, "wallet"), "threshold": 2, "keys": keys}, &struct{}{})
	return cold
}

// electrumCommand runs Electrum as a person types it and returns what it prints: a packet, or a finished transaction.
func electrumCommand(t testing.TB, cosigner *referee, packet string) string {
	t.Helper()
	cmd := exec.Command("electrum", "--regtest", "--offline", "-D", cosigner.dir, "-w", filepath.Join(cosigner.dir, "wallet"), "signtransaction", packet)
	cmd.Env = cleanEnv(cosigner.dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("electrum signtransaction: %v; if it is not installed, %s\n%s", err, install, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// fund runs a node and mines two rewards to the wallet's first addresses, and enough blocks over them to spend them.
func fund(t testing.TB, w wallet.Wallet) (*nodetest.Node, []bitcoin.Coin) {
	t.Helper()
	ctx := context.Background()
	node, err := nodetest.Start(ctx, nodetest.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, node.Close()) })
	var coins []bitcoin.Coin
	for index := range uint32(2) {
		derived, err := w.Derive(wallet.Receive, index)
		must(t, err)
		hashes, err := node.Mine(ctx, 1, derived.Address)
		must(t, err)
		var encoded string
		must(t, node.Call(ctx, "getblock", &encoded, hashes[0].String(), 0))
		raw, err := hex.DecodeString(encoded)
		must(t, err)
		var block wire.MsgBlock
		must(t, block.Deserialize(bytes.NewReader(raw)))
		reward := block.Transactions[0]
		coins = append(coins, bitcoin.Coin{Outpoint: wire.OutPoint{Hash: reward.TxHash()}, Value: reward.TxOut[0].Value, Index: index,
			PrevTx: serialise(t, reward)})
	}
	derived, err := w.Derive(wallet.Receive, 2)
	must(t, err)
	_, err = node.Mine(ctx, 100, derived.Address)
	must(t, err)
	return node, coins
}

// mined gives the transaction to the node and sees it confirmed.
func mined(t testing.TB, node *nodetest.Node, final bitcoin.Final) {
	t.Helper()
	ctx := context.Background()
	var txid string
	must(t, node.Call(ctx, "sendrawtransaction", &txid, hex.EncodeToString(final.Raw)))
	_, err := node.Mine(ctx, 1, mineTo)
	must(t, err)
	var found struct{ Confirmations int }
	must(t, node.Call(ctx, "getrawtransaction", &found, final.TxID, 1))
	if txid != final.TxID || found.Confirmations != 1 {
		t.Errorf("the node has %s with %d confirmations", txid, found.Confirmations)
	}
}

// mineTo is a P2WPKH of twenty bytes 0x01.
const mineTo = "bcrt1qqyqszqgpqyqszqgpqyqszqgpqyqszqgpvxat9t"

// Backup words are no private format: Electrum restores a coldsign key from the paper, and coldsign restores a key from
// the words that Electrum uses, to the same account.
func TestBackupWordsRestoreBothWays(t *testing.T) {
	t.Parallel()
	d, other := newDesk(t), hire(t, electrum)
	record := d.newKey("a")
	var got electrumAccount
	other.give("account", map[string]any{"words": strings.TrimSpace(string(d.read("a.words"))), "path": accountPath}, &got)
	if want := (electrumAccount{record.Key, hex.EncodeToString(record.Fingerprint[:])}); got != want {
		t.Errorf("Electrum restores %+v from the words of %+v", got, want)
	}
	other.give("account", map[string]any{"words": electrumWords, "path": accountPath}, &got)
	d.must("b", "init", "--network", network.Name())
	d.write("b.words", []byte(electrumWords+"\n"))
	d.must("b", "key", "import", "b", "--words-fd", "4", "--passphrase-fd", "3")
	restored, err := wallet.ParseKeyRecord([]byte(d.must("b", "key", "export", "b", "--out", "-")))
	must(t, err)
	if want := (electrumAccount{restored.Key, hex.EncodeToString(restored.Fingerprint[:])}); got != want {
		t.Errorf("coldsign restores %+v from the words of %+v", want, got)
	}
}

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// inspected is what `inspect --json` says of a plain PSBT.
type inspected struct {
	Wallet   string
	Fee      string
	SignedBy int `json:"signatures_present"`
	Outputs  []struct {
		Role, Wallet, Address string
		Index                 uint32
	}
	Digests []struct {
		Input                 int
		Rule, Sighash, Digest string
	}
}

func (d *desk) inspected(args ...string) (v inspected) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.must(append(append([]string{"inspect"}, args...), "--json")...)), &v); err != nil {
		d.t.Fatal(err)
	}
	return v
}

// What a keyholder compares with a second device is what the key would sign.
func TestInspectPrintsTheDigestOfEachInput(t *testing.T) {
	d := newDesk(t)
	path := d.write("payment.psbt", d.packet().Bytes())
	tasks, err := bitcoin.Tasks(d.packet(), bitcoin.Scope{From: d.wallet, IndexMax: 1000}, 0)
	if err != nil {
		t.Fatal(err)
	}
	v, text := d.inspected(path, "--home", d.path("a")), d.must("inspect", path, "--home", d.path("a"))
	for i, task := range tasks {
		want := hex.EncodeToString(task.Digest[:])
		if got := v.Digests[i]; got.Digest != want || got.Input != i || got.Rule != "BIP143" || got.Sighash != "ALL" {
			t.Errorf("input %d: %+v, want %s", i, got, want)
		}
		if !strings.Contains(text, "digest ALL  "+want+"\n") {
			t.Errorf("input %d: no digest %s in\n%s", i, want, text)
		}
	}
}

func TestInspectSaysWhichPinnedWalletAnOutputBelongsTo(t *testing.T) {
	s := newStage(t)
	p, err := s.payment(order{serial: 1, amount: money.Sats(150_000_000), coins: []uint32{0, 1}, approvals: []string{"alice", "bob"}, age: time.Minute,
		lifetime: time.Hour, network: spend.BitcoinRegtest})
	if err != nil {
		t.Fatal(err)
	}
	path := s.write("payment.psbt", p.Bytes())
	whose := map[string]string{}
	for _, o := range s.inspected(path, "--home", s.path("a")).Outputs {
		whose[o.Role] = fmt.Sprintf("%s %d", o.Wallet, o.Index)
	}
	if len(whose) != 2 || whose["destination"] != "HOT-1 0" || whose["change"] != "COLD-A 0" {
		t.Errorf("outputs %v", whose)
	}
	if out := s.must("inspect", path, "--home", s.path("a")); !strings.Contains(out, "  HOT-1 index 0\n") || strings.Contains(out, "external") {
		t.Errorf("no destination in\n%s", out)
	}
}

// taproot is a payment of 0.5 BTC out of a wallet with one taproot key, and the wallet's descriptor.
func (d *desk) taproot() (packet *psbt.Packet, descriptor wallet.Descriptor) {
	d.t.Helper()
	check := func(err error) {
		d.t.Helper()
		if err != nil {
			d.t.Fatal(err)
		}
	}
	params, err := wallet.Params(spend.BitcoinRegtest)
	check(err)
	master, err := hdkeychain.NewMaster(bytes.Repeat([]byte{5}, 32), params)
	check(err)
	public, err := master.Neuter()
	check(err)
	descriptor, err = wallet.ParseUnchecked("tr(" + public.String() + "/<0;1>/*)")
	check(err)
	coin, err := descriptor.Derive(spend.BitcoinRegtest, 0, 3)
	check(err)
	hot, err := d.wallet.Derive(wallet.Receive, 12)
	check(err)
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: *wire.NewOutPoint(&chainhash.Hash{9}, 1), Sequence: 0xfffffffd})
	tx.AddTxOut(wire.NewTxOut(49_990_000, hot.ScriptPubKey))
	packet, err = psbt.NewFromUnsignedTx(tx)
	check(err)
	packet.Inputs[0].WitnessUtxo = wire.NewTxOut(50_000_000, coin.ScriptPubKey)
	packet.Inputs[0].TaprootBip32Derivation = []*psbt.TaprootBip32Derivation{{XOnlyPubKey: bytes.Repeat([]byte{1}, 32), Bip32Path: []uint32{0, 3}}}
	return packet, descriptor
}

// Attack 027: of a taproot wallet that is not pinned, the amounts and the digest can be read, and nothing be signed.
func TestAttack027ATaprootPaymentIsReadAndNeverSigned(t *testing.T) {
	d := newDesk(t)
	packet, descriptor := d.taproot()
	var raw bytes.Buffer
	if err := packet.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	path, text := d.write("taproot.psbt", raw.Bytes()), d.write("wallet.txt", []byte(descriptor.String()+"\n"))
	v := d.inspected(path, "--descriptor", text, "--home", d.path("a"))
	fetcher := txscript.NewCannedPrevOutputFetcher(packet.Inputs[0].WitnessUtxo.PkScript, 50_000_000)
	want, err := txscript.CalcTaprootSignatureHash(txscript.NewTxSigHashes(packet.UnsignedTx, fetcher), txscript.SigHashDefault, packet.UnsignedTx, 0, fetcher)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintln(v.Wallet, v.Fee, v.SignedBy, v.Digests, v.Outputs[0].Role, v.Outputs[0].Wallet, v.Outputs[0].Index); got !=
		fmt.Sprintf("tr 0.00010000 0 [{0 BIP341 DEFAULT %x}] destination COLD-A 12\n", want) {
		t.Errorf("inspect says %s", got)
	}
	if code := d.refused("field-foreign", "inspect", path, "--home", d.path("a")); code != console.Refused {
		t.Errorf("without the descriptor: exit %d", code)
	}
	d.refused("wallet-script", "wallet", "import", text, "--home", d.path("a"), "--name", "SINGLE", "--out", d.path("single.json"))
	d.refused("not-a-bundle", "sign", path, "--home", d.path("a"), "--out", d.path("answer"))
	other := d.write("other.txt", []byte(d.wallet.Descriptor()))
	d.refused("input-foreign", "inspect", path, "--descriptor", other, "--home", d.path("a"))
	d.refused("descriptor-checksum", "inspect", path, "--descriptor", d.write("bare.txt", []byte("tr(x)")), "--home", d.path("a"))
}

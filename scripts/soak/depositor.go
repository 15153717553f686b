package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/node/nodetest"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

// depositEvery is how often a customer's payment is mined, depositSats how much it is, maturity how deep a reward lies
// before it can be spent.
const (
	depositEvery = 5 * time.Second
	depositSats  = 10_000_000
	maturity     = 100
)

// depositor pays to a customer's deposit address on a real node in regtest, out of rewards that anybody may spend.
type depositor struct {
	node    *nodetest.Node
	to      []byte // the script of the deposit address
	rewards []wire.OutPoint
	value   int64 // of a reward
	paid    []string
	stop    context.CancelFunc
	done    chan error
	ended   bool
	failed  error
}

// anybody is a script that needs no key, and the address that pays to it.
func anybody() (script []byte, payable string) {
	sum := sha256.Sum256([]byte{0x51})
	script = append([]byte{0x00, 0x20}, sum[:]...)
	to, err := address.NewAddressWitnessScriptHash(sum[:], &chaincfg.RegressionNetParams)
	if err != nil {
		panic(err) // the script is ours
	}
	return script, to.EncodeAddress()
}

// startNode runs a node whose chain has rewards to spend.
func startNode(ctx context.Context, dir string) (*depositor, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	node, err := nodetest.Start(ctx, nodetest.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	d := &depositor{node: node, done: make(chan error, 1)}
	return d, d.mine(ctx, maturity+50)
}

// mine mines blocks and keeps their rewards.
func (d *depositor) mine(ctx context.Context, count int) error {
	script, to := anybody()
	hashes, err := d.node.Mine(ctx, count, to)
	for _, hash := range hashes {
		var text string
		if err := d.node.Call(ctx, "getblock", &text, hash.String(), 0); err != nil {
			return err
		}
		raw, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		var block wire.MsgBlock
		if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
			return err
		}
		reward := block.Transactions[0]
		for output, out := range reward.TxOut {
			if bytes.Equal(out.PkScript, script) {
				d.rewards = append(d.rewards, wire.OutPoint{Hash: reward.TxHash(), Index: uint32(output)})
				d.value = out.Value
			}
		}
	}
	return err
}

// begin asks for the payer's deposit address and pays to it again and again.
func (d *depositor) begin(ctx context.Context, p *payer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.gateway+"/sapi/v1/capital/deposit/address?"+p.key.Signed("coin=BTC"), nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-MBX-APIKEY", p.key.Key)
	request.Header.Set("X-Forwarded-For", "198.18.250.1")
	reply, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	var got struct{ Address, Msg string }
	if err := json.NewDecoder(reply.Body).Decode(&got); err != nil || got.Address == "" {
		return fmt.Errorf("no deposit address: %d %s %w", reply.StatusCode, got.Msg, err)
	}
	if d.to, err = bitcoin.AddressScript(spend.BitcoinRegtest, got.Address); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.Background())
	d.stop = stop
	go func() {
		for running.Err() == nil {
			if err := d.pay(context.Background()); err != nil {
				d.done <- err
				return
			}
			select {
			case <-running.Done():
			case <-time.After(depositEvery):
			}
		}
		d.done <- nil
	}()
	return nil
}

// pay sends the oldest reward to the customer, less a fee, and mines it.
func (d *depositor) pay(ctx context.Context) error {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: d.rewards[0], Sequence: wire.MaxTxInSequenceNum, Witness: wire.TxWitness{{0x51}}})
	tx.AddTxOut(wire.NewTxOut(depositSats, d.to))
	script, _ := anybody()
	tx.AddTxOut(wire.NewTxOut(d.value-depositSats-10_000, script))
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		return err
	}
	var id string
	if err := d.node.Call(ctx, "sendrawtransaction", &id, hex.EncodeToString(raw.Bytes()), true); err != nil {
		return err
	}
	if _, err := chainhash.NewHashFromStr(id); err != nil {
		return err
	}
	d.rewards, d.paid = d.rewards[1:], append(d.paid, id+":0")
	return d.mine(ctx, 1)
}

// end stops paying.
func (d *depositor) end() error {
	if d.ended || d.stop == nil {
		return d.failed
	}
	d.ended = true
	d.stop()
	d.failed = <-d.done
	return d.failed
}

// judge waits until every payment is credited, and finds each once: as many credits as payments, under numbers of their own.
func (d *depositor) judge(ctx context.Context, w *drive.Whole) error {
	if len(d.paid) == 0 {
		return errors.New("nothing was paid to a deposit address")
	}
	numbers := map[uint64]bool{}
	for _, output := range d.paid {
		for {
			one, err := w.Operator.Client.Deposit(ctx, output)
			if err == nil && one.State == admin.DepositCredited {
				if one.Amount.Value != "0.10000000" || numbers[one.Number] || one.Number > uint64(len(d.paid)) {
					return fmt.Errorf("deposit %s is credited as number %d with %s, of %d payments of 0.1", output, one.Number, one.Amount.Value, len(d.paid))
				}
				numbers[one.Number] = true
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("deposit %s is not credited: %s %w", output, one.Waiting, err)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
}

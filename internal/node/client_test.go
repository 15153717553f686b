package node_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/node"
	"github.com/coldsign/coldsign/internal/spend"
)

const secret = "pass-word-that-nobody-may-see"

// fake answers calls by method: a string is the raw JSON of a result, an error the node's no, a func gets the writer.
type fake map[string]any

func (f fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var call struct {
		ID     uint64
		Method string
		Params []any
	}
	if user, password, _ := r.BasicAuth(); user != "alice" || password != secret {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch answer := f[call.Method].(type) {
	case string:
		fmt.Fprintf(w, `{"result":%s,"error":null,"id":%d}`, answer, call.ID)
	case error:
		w.WriteHeader(http.StatusInternalServerError) // as Bitcoin Core does
		fmt.Fprintf(w, `{"result":null,"error":%s,"id":%d}`, answer, call.ID)
	case func(http.ResponseWriter):
		answer(w)
	default:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":%d}`, call.ID)
	}
}

func quoted(hash chainhash.Hash) string { return `"` + hash.String() + `"` }

func credentialsFile(t *testing.T, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// connect starts a fake node that is on regtest and answers as given.
func connect(t *testing.T, answers fake) *node.Bitcoin {
	t.Helper()
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	if answers["getblockhash"] == nil {
		answers["getblockhash"] = quoted(*chaincfg.RegressionNetParams.GenesisHash)
	}
	b, err := node.Connect(context.Background(), node.Config{URL: server.URL, CredentialsFile: credentialsFile(t, "alice:"+secret+"\n"),
		Network: spend.BitcoinRegtest, FeeFloor: 1000, FeeCap: 200_000, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestAttack053AnotherNetworksNodeIsRefused(t *testing.T) {
	server := httptest.NewServer(fake{"getblockhash": quoted(*chaincfg.MainNetParams.GenesisHash)})
	defer server.Close()
	_, err := node.Connect(context.Background(), node.Config{URL: server.URL, CredentialsFile: credentialsFile(t, "alice:"+secret),
		Network: spend.BitcoinRegtest, FeeFloor: 1, FeeCap: 2})
	refused(t, err, "node-other-network")
}

func TestFeesAreClampedAndNeverFloats(t *testing.T) {
	missing := errors.New(`{"code":-32601,"message":"Method not found"}`)
	for name, test := range map[string]struct {
		answers fake
		want    int64
	}{
		"bitcoind":                   {fake{"estimatesmartfee": `{"feerate":0.00012345,"blocks":2}`}, 12_345},
		"bitcoind without estimate":  {fake{"estimatesmartfee": `{"errors":["Insufficient data or no feerate found"],"blocks":2}`}, 1000},
		"btcd":                       {fake{"estimatesmartfee": missing, "estimatefee": `3.31e-05`}, 3310},
		"btcd rounds up":             {fake{"estimatesmartfee": missing, "estimatefee": `0.0000331000001`}, 3311},
		"btcd on an idle chain":      {fake{"estimatesmartfee": missing, "estimatefee": `0`}, 1000},
		"btcd that knows nothing":    {fake{"estimatesmartfee": missing, "estimatefee": errors.New(`{"code":-1,"message":"not enough blocks"}`)}, 1000},
		"an old node's minus one":    {fake{"estimatesmartfee": missing, "estimatefee": `-1`}, 1000},
		"a node that wants too much": {fake{"estimatesmartfee": `{"feerate":1.5}`}, 200_000},
	} {
		got, err := connect(t, test.answers).FeeRate(context.Background(), 2)
		if err != nil || got != test.want {
			t.Errorf("%s: %d, want %d, %v", name, got, test.want, err)
		}
	}
	for _, bad := range []string{`1e999999999`, `1e-999999999`, `1e99`, `0.` + strings.Repeat("1", 60)} {
		_, err := connect(t, fake{"estimatesmartfee": `{"feerate":` + bad + `}`}).FeeRate(context.Background(), 2)
		refused(t, err, "node-answer-malformed")
	}
}

func someTransaction(t *testing.T) (*wire.MsgTx, []byte) {
	t.Helper()
	tx := minedBlock(1).Transactions[1]
	var raw strings.Builder
	if err := tx.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	return tx, []byte(raw.String())
}

func TestBroadcastingAgainIsASuccess(t *testing.T) {
	tx, raw := someTransaction(t)
	known := `"` + hex.EncodeToString(raw) + `"`
	for name, answers := range map[string]fake{
		"new":                           {"sendrawtransaction": quoted(tx.TxHash())},
		"btcd, in the mempool":          {"sendrawtransaction": errors.New(`{"code":-26,"message":"TX rejected: already have transaction in mempool abc"}`)},
		"btcd, in the chain":            {"sendrawtransaction": errors.New(`{"code":-27,"message":"TX rejected: transaction already exists in blockchain"}`)},
		"bitcoind, in the mempool":      {"sendrawtransaction": errors.New(`{"code":-27,"message":"txn-already-in-mempool"}`)},
		"bitcoind, in the chain":        {"sendrawtransaction": errors.New(`{"code":-25,"message":"txn-already-known"}`)},
		"in the chain and spent on":     {"sendrawtransaction": errors.New(`{"code":-25,"message":"bad-txns-inputs-missingorspent"}`), "getrawtransaction": known},
		"btcd, in the chain, an orphan": {"sendrawtransaction": errors.New(`{"code":-25,"message":"TX rejected: orphan transaction"}`), "getrawtransaction": known},
	} {
		got, err := connect(t, answers).Broadcast(context.Background(), raw)
		if err != nil || got != tx.TxHash() {
			t.Errorf("%s: %v", name, err)
		}
	}
	no := errors.New(`{"code":-26,"message":"dust"}`)
	_, err := connect(t, fake{"sendrawtransaction": no}).Broadcast(context.Background(), raw)
	refused(t, err, "node-rejects")
	other := `"` + hex.EncodeToString(serialized(t, minedBlock(0))) + `"`
	_, err = connect(t, fake{"sendrawtransaction": no, "getrawtransaction": other}).Broadcast(context.Background(), raw)
	refused(t, err, "node-rejects")
	_, err = connect(t, fake{}).Broadcast(context.Background(), raw[:20])
	refused(t, err, "transaction-malformed")
	_, err = connect(t, fake{}).Broadcast(context.Background(), make([]byte, 400_001))
	refused(t, err, "transaction-malformed")
}

func TestTestAcceptBelievesOnlyAVerdictOnThisTransaction(t *testing.T) {
	tx, raw := someTransaction(t)
	verdict := func(id, rest string) string { return `[{"txid":"` + id + `",` + rest + `}]` }
	id := tx.TxHash().String()
	if err := connect(t, fake{"testmempoolaccept": verdict(id, `"allowed":true`)}).TestAccept(context.Background(), raw); err != nil {
		t.Error(err)
	}
	for answer, code := range map[string]string{
		verdict(id, `"allowed":false,"reject-reason":"dust"`):     "node-rejects",
		verdict(strings.Repeat("0", 64), `"allowed":true`):        "node-answer-malformed",
		verdict(id, `"vsize":1`):                                  "node-rejects",
		`[]`:                                                      "node-answer-malformed",
		verdict(id, `"allowed":"yes"`):                            "node-answer-malformed",
		strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000): "",
	} {
		err := connect(t, fake{"testmempoolaccept": answer}).TestAccept(context.Background(), raw)
		if code != "" {
			refused(t, err, code)
		} else if err == nil {
			t.Error("a nest of brackets is an answer")
		}
	}
}

func TestUnspentCoinsHaveWholeAmounts(t *testing.T) {
	out := wire.OutPoint{Index: 1}
	got, found, err := connect(t, fake{"gettxout": `{"value":20999999.97690000,"confirmations":3,"scriptPubKey":{"hex":"51"}}`}).Unspent(context.Background(), out)
	if err != nil || !found || got.Value != 2_099_999_997_690_000 || got.Confirmations != 3 {
		t.Errorf("%+v %v %v", got, found, err)
	}
	for _, none := range []any{`null`, errors.New(`{"code":-5,"message":"No information available about transaction"}`)} {
		if _, found, err := connect(t, fake{"gettxout": none}).Unspent(context.Background(), out); found || err != nil {
			t.Errorf("%v: %v %v", none, found, err)
		}
	}
	_, _, err = connect(t, fake{"gettxout": `{"value":0.000000001,"scriptPubKey":{"hex":"51"}}`}).Unspent(context.Background(), out)
	refused(t, err, "node-answer-malformed")
}

func TestHostileAnswersAreRefusedAndBounded(t *testing.T) {
	ctx := context.Background()
	_, _, err := connect(t, fake{"getblockcount": `-1`}).Tip(ctx)
	refused(t, err, "node-answer-malformed")
	_, _, err = connect(t, fake{"getblockcount": func(w http.ResponseWriter) { fmt.Fprint(w, `{"result":5,"error":null,"id":999}`) }}).Tip(ctx)
	refused(t, err, "node-answer-malformed")
	endless := func(w http.ResponseWriter) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	_, _, err = connect(t, fake{"getblockcount": endless}).Tip(ctx)
	refused(t, err, "node-answer-malformed")
	for _, text := range []string{`"00"`, `"` + strings.Repeat("z", 64) + `"`, `7`} {
		answers := fake{"getblockcount": `5`}
		b := connect(t, answers)
		answers["getblockhash"] = text
		_, _, err = b.Tip(ctx)
		refused(t, err, "node-answer-malformed")
	}
	honest := minedBlock(2)
	hash := honest.BlockHash()
	honest.Transactions = append(honest.Transactions, honest.Transactions[2])
	b := connect(t, fake{"getblock": `"` + hex.EncodeToString(serialized(t, honest)) + `"`})
	_, err = b.Block(ctx, hash) // attack 117, through the whole client
	refused(t, err, "block-merkle-twin")
	_, err = connect(t, fake{"getblock": `"zz"`}).Block(ctx, hash)
	refused(t, err, "block-malformed")
}

// A page that is no JSON comes from a proxy or a node that is starting: trying again heals it, so it is no refusal.
func TestPassingTroubleIsNoRefusal(t *testing.T) {
	page := func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway); fmt.Fprint(w, "<html>") }
	redirect := func(w http.ResponseWriter) {
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(http.StatusFound)
	}
	for _, answer := range []any{page, redirect, func(http.ResponseWriter) {}, errors.New(`{"code":-28,"message":"Loading block index"}`)} {
		_, _, err := connect(t, fake{"getblockcount": answer}).Tip(context.Background())
		if refusal := (*spend.Refusal)(nil); err == nil || errors.As(err, &refusal) {
			t.Errorf("got %v", err)
		}
	}
}

// The server counts its connections: each of them is closed when its call is over, cancelled or not.
func TestCallsEndWithTheirContextAndLeaveNoConnection(t *testing.T) {
	release, asked, closed := make(chan struct{}), make(chan struct{}, 8), make(chan struct{}, 8)
	answers := fake{"getblockhash": quoted(*chaincfg.RegressionNetParams.GenesisHash),
		"getblockcount": func(http.ResponseWriter) { asked <- struct{}{}; <-release }}
	server := httptest.NewUnstartedServer(answers)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	b, err := node.Connect(context.Background(), node.Config{URL: server.URL, CredentialsFile: credentialsFile(t, "alice:"+secret),
		Network: spend.BitcoinRegtest, FeeFloor: 1, FeeCap: 2})
	if err != nil {
		t.Fatal(err)
	}
	<-closed // of Connect
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	if _, _, err := b.Tip(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	<-closed // of the cancelled call
}

func TestConnectionsStayPrivate(t *testing.T) {
	good := credentialsFile(t, "alice:"+secret)
	open := credentialsFile(t, "alice:"+secret)
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	base := node.Config{URL: "http://127.0.0.1:1", CredentialsFile: good, Network: spend.BitcoinRegtest, FeeFloor: 1, FeeCap: 2}
	for name, spoil := range map[string]func(*node.Config){
		"plain http to another machine":   func(c *node.Config) { c.URL = "http://192.0.2.1:8332" },
		"plain http to a name":            func(c *node.Config) { c.URL = "http://node.example:8332" },
		"https without a certificate":     func(c *node.Config) { c.URL = "https://127.0.0.1:8332" },
		"https with no PEM":               func(c *node.Config) { c.URL, c.CAFile = "https://127.0.0.1:8332", good },
		"another scheme":                  func(c *node.Config) { c.URL = "ftp://127.0.0.1" },
		"credentials in the url":          func(c *node.Config) { c.URL = "http://alice:" + secret + "@127.0.0.1:1" },
		"no url":                          func(c *node.Config) { c.URL = "" },
		"a file that others can read":     func(c *node.Config) { c.CredentialsFile = open },
		"a symbolic link":                 func(c *node.Config) { c.CredentialsFile = link },
		"a folder":                        func(c *node.Config) { c.CredentialsFile = t.TempDir() },
		"two lines":                       func(c *node.Config) { c.CredentialsFile = credentialsFile(t, "alice:"+secret+"\nbob:x") },
		"no password":                     func(c *node.Config) { c.CredentialsFile = credentialsFile(t, "alice:") },
		"a long file":                     func(c *node.Config) { c.CredentialsFile = credentialsFile(t, "a:"+strings.Repeat("b", 2000)) },
		"an unknown network":              func(c *node.Config) { c.Network = "ethereum:mainnet" },
		"a cap below the floor":           func(c *node.Config) { c.FeeFloor, c.FeeCap = 10, 9 },
		"a floor of zero":                 func(c *node.Config) { c.FeeFloor = 0 },
		"a node that is not there at all": func(*node.Config) {},
	} {
		config := base
		spoil(&config)
		_, err := node.Connect(context.Background(), config)
		if err == nil {
			t.Errorf("%s: connected", name)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	server := httptest.NewServer(fake{})
	defer server.Close()
	base.URL, base.CredentialsFile = server.URL, credentialsFile(t, "alice:wrong")
	_, err := node.Connect(context.Background(), base)
	if err == nil || !strings.Contains(err.Error(), "refuses the credentials") {
		t.Errorf("wrong password: %v", err)
	}
	b := connect(t, fake{})
	if text := fmt.Sprintf("%v %+v %#v", b, b, b); strings.Contains(text, secret) || strings.Contains(text, "Basic ") {
		t.Error("printing the client shows the credentials")
	}
}

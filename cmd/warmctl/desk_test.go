package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/internal/words"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// testWallet makes a 2-of-3 wallet from names.
func testWallet(name string, tier spend.Tier, keys ...string) wallet.Wallet {
	var records []wallet.KeyRecord
	for _, key := range keys {
		seed := sha256.Sum256([]byte("coldsign test " + key))
		node := must(hdkeychain.NewMaster(seed[:], must(wallet.Params(spend.BitcoinRegtest))))
		receipt := must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:])))
		r := wallet.KeyRecord{Name: key, Network: spend.BitcoinRegtest, Kind: wallet.BIP32, Device: wallet.DeviceFile,
			Fingerprint: wallet.FingerprintOf([33]byte(must(node.ECPubKey()).SerializeCompressed())), Receipt: seal.KeyLine(receipt.PublicKey())}
		const hard = hdkeychain.HardenedKeyStart
		r.Path = []uint32{hard + 48, hard + 1, hard, hard + 2}
		for _, step := range r.Path {
			node = must(node.Derive(step))
		}
		r.Key = must(node.Neuter()).String()
		digest := r.ProofDigest()
		r.Proof = ecdsa.Sign(must(node.ECPrivKey()), digest[:]).Serialize()
		records = append(records, r)
	}
	return must(wallet.New(name, tier, 2, records))
}

// daemon is what warmctl believes to be exchanged. It may lie.
type daemon struct {
	mu       sync.Mutex
	topUp    admin.TopUp
	approved [][]byte
	answers  [][]byte
	returned [][]byte
	asked    []any // of the endpoints that plan and change
	plan     admin.Plan
	bundle   []byte
	issuer   ssh.Signer
}

func (d *daemon) Status(context.Context) (admin.Status, error) {
	return admin.Status{Network: "bitcoin:regtest", Issuer: "exchanged-1", IssuerKey: seal.KeyLine(d.issuer.PublicKey()), RosterPeople: []string{"alice"}}, nil
}
func (d *daemon) Wallets(context.Context) ([]admin.Wallet, error) { return []admin.Wallet{}, nil }
func (d *daemon) Events(context.Context, uint64, string) ([]admin.Event, error) {
	return []admin.Event{{Seq: 1, What: "intent-proposed", Detail: json.RawMessage(`{"serial":7}`)}}, nil
}
func (d *daemon) TopUps(context.Context) ([]admin.TopUp, error)      { return []admin.TopUp{d.topUp}, nil }
func (d *daemon) TopUp(context.Context, string) (admin.TopUp, error) { return d.topUp, nil }
func (d *daemon) Propose(context.Context, admin.Actor, string) (admin.TopUp, error) {
	return d.topUp, nil
}
func (d *daemon) Approve(_ context.Context, _ admin.Actor, _ string, armored []byte) (admin.TopUp, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.approved = append(d.approved, armored)
	return d.topUp, nil
}
func (d *daemon) Bundle(context.Context, string) ([]byte, error) { return d.bundle, nil }
func (d *daemon) Answer(_ context.Context, _ admin.Actor, raw []byte) (admin.Answered, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers = append(d.answers, raw)
	return admin.Answered{TopUp: d.topUp, Changed: len(d.answers) == 1}, nil
}
func (d *daemon) Returned(_ context.Context, _ admin.Actor, psbt []byte) (admin.Answered, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.returned = append(d.returned, psbt)
	return admin.Answered{TopUp: d.topUp, Changed: true}, nil
}
func (d *daemon) Plan(_ context.Context, p admin.Planning) (admin.Plan, error) {
	d.asked = append(d.asked, p)
	return d.plan, nil
}
func (d *daemon) Consolidate(_ context.Context, _ admin.Actor, c admin.Consolidation) (admin.TopUp, error) {
	d.asked = append(d.asked, c)
	return d.topUp, nil
}
func (d *daemon) Pay(_ context.Context, _ admin.Actor, p admin.Paying) (admin.TopUp, error) {
	d.asked = append(d.asked, p)
	return d.topUp, nil
}
func (d *daemon) Bear(_ context.Context, _ admin.Actor, b admin.Bearing) (admin.TopUp, error) {
	d.asked = append(d.asked, b)
	return d.topUp, nil
}
func (d *daemon) Entries(context.Context, string) ([]admin.Entry, error) {
	return []admin.Entry{{Name: "otc-desk", Address: "bcrt1qtheirs"}}, nil
}
func (d *daemon) Bump(_ context.Context, _ admin.Actor, id string, b admin.Bumping) (admin.TopUp, error) {
	d.asked = append(d.asked, id, b)
	return d.topUp, nil
}
func (d *daemon) Cancel(_ context.Context, _ admin.Actor, id string, c admin.Cancelling) (admin.TopUp, error) {
	d.asked = append(d.asked, id, c.Reason, len(c.AcceptRisk))
	return d.topUp, nil
}
func (d *daemon) Enrolled(string, *x509.Certificate) bool { return true }

// rig is a home of alice with a daemon to talk to.
type rig struct {
	*daemon
	t         *testing.T
	home      string
	cold, hot wallet.Wallet
	intent    spend.Intent
	changes   *changeDesk // of the exchange
	identity  string      // alice's OpenSSH key file
	key       ssh.Signer
	begin     time.Time
	time      time.Time
}

func (r *rig) now() time.Time { return r.time }

// run runs a command line and returns its exit code and what it said.
func (r *rig) run(args ...string) (console.Code, string, string) {
	var out, errs bytes.Buffer
	c := &console.Console{Name: "warmctl", In: strings.NewReader(""), Out: &out, Err: &errs, Now: r.now}
	return execute(c, append(args, "--home", r.home)), out.String(), errs.String()
}

func (r *rig) mustRun(args ...string) string {
	r.t.Helper()
	code, out, errs := r.run(args...)
	if code != console.Done {
		r.t.Fatalf("warmctl %s: exit %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

func (r *rig) file(name string, data []byte) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// newRig serves one proposed top-up to an enrolled alice who pinned both wallets.
func newRig(t *testing.T) *rig { t.Helper(); return newRigAt(t, noon) }

// newRigAt begins at a moment; tests that start the program itself, which has a real clock, begin now.
func newRigAt(t *testing.T, begin time.Time) *rig {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, daemon: &daemon{issuer: must(ssh.NewSignerFromKey(private))}, home: filepath.Join(t.TempDir(), "home"), begin: begin, time: begin.Add(time.Hour)}
	r.cold, r.hot = testWallet("COLD-BTC-A", spend.Cold, "a", "b", "c"), testWallet("HOT-BTC-1", spend.Hot, "x", "y", "z")
	r.intent = spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: 7, Issuer: "exchanged-1", From: r.cold.ID(), To: r.hot.ID(),
		ToIndex: 4, Amount: money.Sats(250000000), Proposer: "exchanged-1", CreatedAt: begin.Unix(), ExpiresAt: begin.Add(72 * time.Hour).Unix()}
	r.propose()
	r.key = must(ssh.NewSignerFromKey(private))
	r.identity = r.file("id_ed25519", pem.EncodeToMemory(must(ssh.MarshalPrivateKey(private, "alice"))))
	return r.serve()
}

// propose puts the rig's intent at the daemon.
func (r *rig) propose() {
	raw := must(bundle.EncodeIntent(r.intent))
	hash := sha256.Sum256(raw)
	r.topUp = admin.TopUp{ID: "7", State: "proposed", Intent: raw, IntentHash: hex.EncodeToString(hash[:]), Words: words.Line(hash), From: "COLD-BTC-A", To: "HOT-BTC-1",
		ToIndex: 4, Amount: admin.AmountOf(r.intent.Amount), Proposer: "exchanged-1", Need: 2, Approvals: []admin.Approval{}, Answers: []admin.Answer{}, Waiting: "2 approvals"}
}

// serve starts the admin listener and makes the home through the commands that a person uses.
func (r *rig) serve() *rig {
	t := r.t
	t.Helper()
	authority := must(admin.NewAuthority("coldsign regtest", r.begin, rand.Reader))
	cert, key, err := authority.IssueServer([]string{"127.0.0.1"}, r.begin, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := &admin.Server{Exchange: desks{r}, Views: r.daemon, TopUps: r.daemon, Bundles: r.daemon, Plans: r.daemon, Changes: r.daemon, Staff: r.daemon, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: r.now}
	config := must(server.TLS(authority.CertPEM(), cert, key))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener, config) }()
	t.Cleanup(func() { cancel(); <-done })
	r.mustRun("init", "--name", "alice", "--server", "https://"+listener.Addr().String(), "--ca", r.file("ca.crt", authority.CertPEM()))
	request := must(os.ReadFile(filepath.Join(r.home, "tls.csr")))
	r.mustRun("enroll", "--cert", r.file("alice.crt", must(authority.IssuePerson("alice", request, r.begin, rand.Reader))))
	r.mustRun("wallet", "add", r.file("cold", r.cold.Marshal()))
	r.mustRun("wallet", "add", r.file("hot", r.hot.Marshal()))
	r.mustRun("wallet", "add", r.file("hot", r.hot.Marshal()))
	return r
}

func hexOf(b []byte) string        { return hex.EncodeToString(b) }
func itoa(n int) string            { return strconv.Itoa(n) }
func pemBytes(b *pem.Block) []byte { return pem.EncodeToMemory(b) }

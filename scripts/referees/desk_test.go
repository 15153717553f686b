//go:build referees

package referees_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console/ptytest"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

const (
	passphrase = "correct horse battery staple"
	issuerName = "exchanged-1"
)

// desk is a table with keyholders' homes and the coldsign program as it is built.
type desk struct {
	t   testing.TB
	dir string
	bin string
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	d.bin = d.path("coldsign")
	cmd := exec.Command("go", "build", "-o", d.bin, "../../cmd/coldsign")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(name string, data []byte) string {
	d.t.Helper()
	must(d.t, os.WriteFile(d.path(name), data, 0o600))
	return d.path(name)
}

func (d *desk) read(name string) []byte {
	d.t.Helper()
	raw, err := os.ReadFile(d.path(name))
	must(d.t, err)
	return raw
}

// coldsign prepares a command in a keyholder's home. Descriptor 3 has the passphrase, 4 is a file of backup words, to write or to read.
func (d *desk) coldsign(holder string, args ...string) *exec.Cmd {
	d.t.Helper()
	cmd := exec.Command(d.bin, append(args, "--home", d.path(holder))...)
	cmd.Env = cleanEnv(d.dir)
	secret, err := os.Open(d.write("passphrase", []byte(passphrase+"\n")))
	must(d.t, err)
	words, err := os.OpenFile(d.path(holder+".words"), os.O_CREATE|os.O_RDWR, 0o600)
	must(d.t, err)
	cmd.ExtraFiles = []*os.File{secret, words}
	d.t.Cleanup(func() { secret.Close(); words.Close() })
	return cmd
}

func (d *desk) must(holder string, args ...string) string {
	d.t.Helper()
	cmd := d.coldsign(holder, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("coldsign %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// newKey makes a home and a software key in it, and returns the key's public record.
func (d *desk) newKey(holder string) wallet.KeyRecord {
	d.t.Helper()
	d.must(holder, "init", "--network", network.Name())
	d.must(holder, "key", "new", holder, "--passphrase-fd", "3", "--backup-fd", "4")
	d.must(holder, "key", "export", holder, "--out", d.path(holder+".key.json"))
	record, err := wallet.ParseKeyRecord(d.read(holder + ".key.json"))
	must(d.t, err)
	return record
}

// staff is the file key of the issuer or of a person who approves, which counts on test networks.
func staff(t testing.TB, name string) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("coldsign referees staff " + name))
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	must(t, err)
	return signer
}

// trust has the keyholders pin the wallets and all that they judge by, each compared by its words.
func (d *desk) trust(cold, hot wallet.Wallet, holders ...string) {
	d.t.Helper()
	d.write("hot.json", hot.Marshal())
	issuer, err := bundle.Issuer{Name: issuerName, Network: network, Key: staff(d.t, "issuer").PublicKey()}.Marshal()
	must(d.t, err)
	d.write("issuer.json", issuer)
	var roster strings.Builder
	for _, name := range []string{"alice", "bob"} {
		fmt.Fprintf(&roster, "%s namespaces=\"coldsign-approve-v1\",valid-after=\"20200101Z\",valid-before=\"21000101Z\" %s role=approver site=zurich device=file\n",
			name, seal.KeyLine(staff(d.t, name).PublicKey()))
	}
	d.write("roster", []byte(roster.String()))
	for _, h := range holders {
		d.must(h, "wallet", "add", d.path("cold.json"), "--accept-risk", "unproven-keys", "--words", cold.Words(), "--passphrase-fd", "3")
		d.must(h, "wallet", "add", d.path("hot.json"), "--destination", "--words", hot.Words(), "--passphrase-fd", "3")
	}
	// The rewards of regtest are greater than the template's limits.
	template := d.must(holders[0], "policy", "template", "--out", "-")
	d.write("policy.yaml", []byte(strings.NewReplacer(`"20 BTC"`, `"100 BTC"`, `"25 BTC"`, `"100 BTC"`, `"50 BTC"`, `"100 BTC"`).Replace(template)+"\n"))
	for _, file := range []string{"issuer.json", "roster", "policy.yaml"} {
		var signatures []string
		for _, h := range holders {
			if kind := map[string]string{"roster": "roster", "policy.yaml": "policy"}[file]; kind != "" {
				d.must(h, kind, "sign", d.path(file), "--out", d.path(file+".sig-"+h), "--passphrase-fd", "3")
				signatures = append(signatures, "--signature", d.path(file+".sig-"+h))
			}
		}
		for _, h := range holders {
			words := d.must(h, "words", d.path(file))
			d.must(h, append([]string{"trust", "add", d.path(file), "--words", words, "--passphrase-fd", "3"}, signatures...)...)
		}
	}
}

// seal makes the bundle of a payment that two people approved.
func (d *desk) seal(p *bitcoin.Packet, s bitcoin.Scope, sats int64) string {
	d.t.Helper()
	now := time.Now()
	intent, err := bundle.EncodeIntent(spend.Intent{Network: network, Purpose: spend.TopUp, Serial: 1, Issuer: issuerName, From: s.From.ID(),
		To: s.To.ID(), ToIndex: s.ToIndex, Amount: money.Sats(sats), Proposer: issuerName, CreatedAt: now.Unix(), ExpiresAt: now.Add(time.Hour).Unix()})
	must(d.t, err)
	body := bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Issuer: issuerName, SealedAt: now.Unix()}
	body.Payload, body.Proofs = p.Strip()
	for _, name := range []string{"alice", "bob"} {
		armored, err := seal.Sign(staff(d.t, name), seal.Approve, intent, rand.Reader)
		must(d.t, err)
		body.Approvals = append(body.Approvals, armored)
	}
	raw, err := bundle.Seal(body, staff(d.t, "issuer"), rand.Reader)
	must(d.t, err)
	return d.write("request.bundle", raw)
}

// sign is a person at coldsign's screen, who reads every output and retypes amount and address.
func (d *desk) sign(holder, request string, w wallet.Wallet) []bitcoin.Signature {
	d.t.Helper()
	var facts struct {
		Outputs []struct{ Amount, Address, Role string }
	}
	must(d.t, json.Unmarshal([]byte(d.must(holder, "inspect", request, "--json")), &facts))
	confirmation := ""
	for _, o := range facts.Outputs {
		if o.Role == "destination" {
			confirmation = o.Amount + " " + o.Address[len(o.Address)-6:]
		}
	}
	person := ptytest.Drive(d.t, d.coldsign(holder, "sign", request, "--out", d.path("answer"), "--passphrase-fd", "3"), 100, 32)
	person.SeeScreen("SEND")
	for _, press := range []struct{ key, then string }{{"o", "outputs 2/2 seen"}, {"m", "Everything was shown"}, {"s", "Retype the amount"}} {
		person.Type(press.key)
		person.SeeScreen(press.then)
	}
	person.Type(confirmation + "\r")
	person.Exits(0)
	answer, err := bundle.OpenAnswer(d.read("answer"), func(_ spend.WalletID, position int) (ssh.PublicKey, bool) {
		key, err := seal.ParseKey(w.Keys()[position].Receipt)
		return key, err == nil
	})
	must(d.t, err)
	var out []bitcoin.Signature
	for _, s := range answer.Signatures {
		out = append(out, bitcoin.Signature{Input: s.Input, PubKey: s.PubKey, Signature: s.Signature})
	}
	return out
}

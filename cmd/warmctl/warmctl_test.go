package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
	"github.com/coldsign/coldsign/internal/wallet"
)

func TestApprovalSignsTheExactIntentBytes(t *testing.T) {
	r := newRig(t)
	_, _, errs := r.run("topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5")
	if len(r.approved) != 1 {
		t.Fatalf("the daemon got %d approvals\n%s", len(r.approved), errs)
	}
	key, _, err := seal.Verify(r.approved[0], r.topUp.Intent, seal.Approve)
	if err != nil || !seal.Same(key, r.key.PublicKey()) {
		t.Errorf("approval: %v", err)
	}
	address := must(r.hot.Derive(wallet.Receive, 4)).Address
	for _, want := range []string{"2.500 000 00 BTC", "COLD-BTC-A, cold wallet", "HOT-BTC-1, hot wallet", "receive index 4", groups(address), r.topUp.Words} {
		if !strings.Contains(errs, want) {
			t.Errorf("the screen lacks %q:\n%s", want, errs)
		}
	}
}

func TestConsentMustNameTheAmount(t *testing.T) {
	r := newRig(t)
	for _, amount := range []string{"2.4", "25", "2.50000001", "yes", "-2.5"} {
		if code, _, _ := r.run("topup", "approve", "7", "--identity", r.identity, "--yes-amount", amount); code != console.Declined {
			t.Errorf("--yes-amount %s: exit %d", amount, code)
		}
	}
	if code, _, _ := r.run("topup", "approve", "7", "--identity", r.identity); code != console.Usage {
		t.Errorf("without a terminal and without consent: exit %d", code)
	}
	if len(r.approved) != 0 {
		t.Error("something was approved")
	}
}

// Attack 040: what the daemon says beside the intent bytes is never shown.
func TestAttack040NamesAndAddressAreDerivedHere(t *testing.T) {
	r := newRig(t)
	r.topUp.To, r.topUp.From, r.topUp.Proposer, r.topUp.ToIndex = "ATTACKER", "ATTACKER", "ATTACKER", 99
	r.topUp.Amount.Value, r.topUp.Words, r.topUp.IntentHash = "0.00000001", "ATTACKER", "ATTACKER"
	out := r.mustRun("topup", "show", "7", "--json")
	if strings.Contains(out, "ATTACKER") {
		t.Errorf("the daemon's words are shown: %s", out)
	}
	var view struct {
		Schema, To, Address string
		ToIndex             uint32 `json:"to_index"`
		Amount              struct{ Value, Asset string }
	}
	if err := json.Unmarshal([]byte(out), &view); err != nil {
		t.Fatal(err)
	}
	if view.Schema != "coldsign.topup/v1" || view.To != "HOT-BTC-1" || view.Address != must(r.hot.Derive(wallet.Receive, 4)).Address || view.ToIndex != 4 || view.Amount.Value != "2.50000000" {
		t.Errorf("shown: %+v", view)
	}
	if list := r.mustRun("topup", "list"); strings.Contains(list, "ATTACKER") {
		t.Errorf("the daemon's words are listed: %s", list)
	}
}

func TestApprovalIsRefusedBeforeAnybodyIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *rig)
		want   console.Code
		code   string
	}{
		"a destination that is not pinned here": {func(r *rig) { r.intent.To[0] ^= 1; r.propose() }, console.Refused, "wallet-unpinned"},
		"a source that is not pinned here":      {func(r *rig) { r.intent.From[0] ^= 1; r.propose() }, console.Refused, "wallet-unpinned"},
		"her own proposal":                      {func(r *rig) { r.intent.Proposer = "alice"; r.propose() }, console.Refused, "approver-is-proposer"},
		"an expired intent":                     {func(r *rig) { r.time = noon.Add(73 * time.Hour) }, console.NotAuthentic, "intent-expired"},
		"another network than its wallets'":     {func(r *rig) { r.intent.Network = spend.BitcoinTestnet; r.propose() }, console.Refused, "network-mismatch"},
		"another top-up under this number":      {func(r *rig) { r.intent.Serial = 8; r.propose() }, console.NotAuthentic, "topup-mismatch"},
		"bytes that are no intent":              {func(r *rig) { r.topUp.Intent = []byte("no intent") }, console.NotAuthentic, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c.change(r)
			code, _, errs := r.run("topup", "approve", "7", "--identity", r.identity, "--yes-amount", "2.5", "--json")
			if code != c.want || !strings.Contains(errs, c.code) || len(r.approved) != 0 {
				t.Errorf("exit %d, %d approvals\n%s", code, len(r.approved), errs)
			}
		})
	}
}

// An approval made with OpenSSH alone over the exported bytes is taken, and one over other bytes is not.
func TestSignatureMadeElsewhere(t *testing.T) {
	r := newRig(t)
	intent := filepath.Join(t.TempDir(), "intent.bin")
	r.mustRun("topup", "show", "7", "--out", intent)
	if raw := must(os.ReadFile(intent)); !bytes.Equal(raw, r.topUp.Intent) {
		t.Fatal("the exported bytes are others")
	}
	sign := exec.Command("ssh-keygen", "-q", "-Y", "sign", "-f", r.identity, "-n", "coldsign-approve-v1", intent)
	if text, err := sign.CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, text)
	}
	r.mustRun("topup", "approve", "7", "--signature", intent+".sig", "--yes-amount", "2.5")
	if len(r.approved) != 1 {
		t.Fatalf("%d approvals", len(r.approved))
	}
	other := r.file("other.sig", must(seal.Sign(r.key, seal.Approve, []byte("other bytes"), rand.Reader)))
	if code, _, _ := r.run("topup", "approve", "7", "--signature", other, "--yes-amount", "2.5"); code != console.NotAuthentic {
		t.Errorf("a signature over other bytes: exit %d", code)
	}
	if len(r.approved) != 1 {
		t.Error("it was handed on")
	}
}

func TestLockedIdentityAsksForItsPassphrase(t *testing.T) {
	r := newRig(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block := must(ssh.MarshalPrivateKeyWithPassphrase(private, "alice", []byte("correct horse")))
	locked := r.file("locked", pemBytes(block))
	give := func(text string) (console.Code, string) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		_, _ = write.WriteString(text + "\n")
		write.Close()
		code, _, errs := r.run("topup", "approve", "7", "--identity", locked, "--yes-amount", "2.5", "--passphrase-fd", itoa(int(read.Fd())))
		return code, errs
	}
	if code, errs := give("wrong horse"); code != console.KeyUnavailable || strings.Contains(errs, "horse") {
		t.Errorf("wrong passphrase: exit %d\n%s", code, errs)
	}
	if code, errs := give("correct horse"); code != console.Done {
		t.Errorf("right passphrase: exit %d\n%s", code, errs)
	}
}

// sealBundle puts a bundle for the rig's intent at the daemon.
func (r *rig) sealBundle(intent []byte) {
	payload := bytes.Repeat([]byte("psbt\xff and more "), 200)
	r.bundle = must(bundle.Seal(bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Payload: payload, Proofs: [][]byte{}, Approvals: [][]byte{},
		Issuer: "exchanged-1", SealedAt: r.time.Unix()}, r.issuer, rand.Reader))
	id := bundle.ID(intent, payload)
	r.topUp.State, r.topUp.Bundle = "sealed", hexOf(id[:])
}

func TestBundleLeavesAsFileAndAsPictures(t *testing.T) {
	r := newRig(t)
	if code, _, _ := r.run("bundle", "show", "7", "--out", filepath.Join(t.TempDir(), "x")); code != console.Waiting {
		t.Errorf("before it is sealed: exit %d", code)
	}
	r.sealBundle(r.topUp.Intent)
	dir := t.TempDir()
	r.mustRun("bundle", "export", "7", "--out", filepath.Join(dir, "b"))
	if raw := must(os.ReadFile(filepath.Join(dir, "b"))); !bytes.Equal(raw, r.bundle) {
		t.Error("the file holds other bytes")
	}
	r.mustRun("bundle", "show", "7", "--png", filepath.Join(dir, "frames"), "--html", filepath.Join(dir, "page.html"), "--json")
	joiner := transport.NewJoiner()
	for _, entry := range must(os.ReadDir(filepath.Join(dir, "frames"))) {
		text := must(transport.ReadPicture(must(os.ReadFile(filepath.Join(dir, "frames", entry.Name())))))
		must(joiner.Add(text))
	}
	if _, raw, err := joiner.Payload(); err != nil || !bytes.Equal(raw, r.bundle) {
		t.Errorf("the pictures hold other bytes, %v", err)
	}
	if code, _, _ := r.run("bundle", "export", "7", "--out", filepath.Join(dir, "b")); code == console.Done {
		t.Error("a file was overwritten")
	}
}

func TestBundleOfAnotherTopUpIsNotShown(t *testing.T) {
	r := newRig(t)
	other := r.intent
	other.Amount = money.Sats(1)
	r.sealBundle(must(bundle.EncodeIntent(other)))
	if code, _, errs := r.run("bundle", "export", "7", "--out", filepath.Join(t.TempDir(), "b")); code != console.NotAuthentic || !strings.Contains(errs, "bundle-other-intent") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	r.bundle[len(r.bundle)/2] ^= 1
	if code, _, _ := r.run("bundle", "export", "7", "--out", filepath.Join(t.TempDir(), "b")); code != console.NotAuthentic {
		t.Errorf("a broken seal: exit %d", code)
	}
}

func TestAnswerComesBackFromPictures(t *testing.T) {
	r := newRig(t)
	raw := must(bundle.SealAnswer(bundle.Answer{Wallet: r.cold.ID(), Position: 1, Counter: 1, Refusal: "limit-exceeded"}, r.key, rand.Reader))
	dir := t.TempDir()
	for i, symbol := range must(transport.Symbols(transport.CBOR, raw, transport.Options{VersionMax: 5})) {
		if err := os.WriteFile(filepath.Join(dir, itoa(100+i)+".png"), must(symbol.PNG(4)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.mustRun("bundle", "import", "--images", dir)
	r.mustRun("bundle", "import", r.file("answer", raw), "--json")
	if len(r.answers) != 2 || !bytes.Equal(r.answers[0], raw) || !bytes.Equal(r.answers[1], raw) {
		t.Errorf("the daemon got %d answers", len(r.answers))
	}
	first := must(os.ReadDir(dir))[0].Name()
	if err := os.Remove(filepath.Join(dir, first)); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := r.run("bundle", "import", "--images", dir); code != console.NotAuthentic || !strings.Contains(errs, "frames-missing") {
		t.Errorf("with a frame missing: exit %d\n%s", code, errs)
	}
	if code, _, _ := r.run("bundle", "import", r.file("junk", []byte("junk"))); code != console.NotAuthentic {
		t.Errorf("junk: exit %d", code)
	}
}

func TestHomeIsNeverOverwrittenAndBelongsToOnePerson(t *testing.T) {
	r := newRig(t)
	ca := filepath.Join(r.home, "ca.crt")
	if code, _, _ := r.run("init", "--name", "bob", "--server", "https://127.0.0.1:1", "--ca", ca); code != console.Failed {
		t.Errorf("a second init: exit %d", code)
	}
	if code, _, _ := r.run("enroll", "--cert", ca); code == console.Done {
		t.Error("somebody else's certificate was taken")
	}
	impostor := testWallet("HOT-BTC-1", "hot", "m1", "m2", "m3")
	if code, _, errs := r.run("wallet", "add", r.file("impostor", impostor.Marshal())); code != console.Refused || !strings.Contains(errs, "wallet-conflict") {
		t.Errorf("a second wallet of the same name: exit %d\n%s", code, errs)
	}
}

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/wallet"
)

// mixed registers a wallet of keys a and b, which answer with receipts, and key c as another product knows it; it holds
// three coins, and a consolidation of them is sealed.
func (r *rig) mixed() (serial uint64) {
	r.t.Helper()
	r.signers[2] = newCosigner("foreign")
	label := wallet.Label{Name: "MIXED-1", Tier: spend.Warm, Network: spend.BitcoinRegtest}
	mixed := must(wallet.FromDescriptor(walletOf("MIXED-1", spend.Warm, r.signers).Descriptor(), label, wallet.AcceptUnproven(),
		wallet.KnownKeys(r.signers[0].record, r.signers[1].record)))
	r.more = append(r.more, mixed)
	file := r.file("mixed", mixed.Marshal())
	if code, _, errs := r.command("wallet", "add", file); code != console.Refused || !strings.Contains(errs, "--accept-risk unproven-keys") {
		r.t.Fatalf("a wallet with an unproven key: exit %d\n%s", code, errs)
	}
	if code, _, _ := r.command("wallet", "add", file, "--accept-risk", "everything"); code != console.Usage {
		r.t.Fatalf("a risk that has no name: exit %d", code)
	}
	r.mustCommand("wallet", "add", file, "--accept-risk", "unproven-keys")
	if out := r.mustCommand("wallet", "list"); !strings.Contains(out, "2 of 3, 1 unproven") {
		r.t.Errorf("listed as\n%s", out)
	}
	r.tick(context.Background())
	r.deposit(mixed, 0, 3e6, 4e6, 5e6)
	return r.consolidate("MIXED-1", "").Intent.Serial
}

// psbt is the plain PSBT of a bundle as another wallet gives it back, signed by keys.
func (r *rig) psbt(serial uint64, positions ...int) []byte {
	r.t.Helper()
	_, packet, scope := r.opened(serial)
	plain := must(bitcoin.Read(must(packet.Plain())))
	var all []bitcoin.Signature
	for _, position := range positions {
		all = append(all, r.signaturesOf(packet, scope, position)...)
	}
	return must(plain.WithSignatures(all))
}

func (r *rig) handIn(psbt []byte) (bool, error) {
	_, fresh, err := r.treasury.Returned(context.Background(), treasury.Person{Name: "bob"}, psbt)
	return fresh, err
}

// A cosigner in another wallet answers with a plain PSBT: its signatures count, without receipt, and the daemon brings
// the transaction to the chain with one receipt and one bare answer.
func TestAPlainPSBTAnswersForAForeignKey(t *testing.T) {
	r := newRig(t)
	serial := r.mixed()
	back := r.psbt(serial, 2)
	for again := range 3 {
		fresh, err := r.handIn(back)
		if err != nil || fresh != (again == 0) {
			t.Fatalf("time %d: fresh %v, %v", again, fresh, err)
		}
		r.restart()
	}
	v := r.look(serial)
	if len(v.Answers) != 1 || v.Answers[0].Position != 2 || !v.Answers[0].Bare || v.Answers[0].Refusal != "" {
		t.Fatalf("answers %+v", v.Answers)
	}
	if shown := topUpOf(v).Answers[0]; shown.Receipt || !shown.Signed || shown.Key != "key-3" {
		t.Errorf("shown as %+v", shown)
	}
	r.signBy(serial, 0)
	r.chain.mine()
	r.tick(context.Background())
	if v := r.look(serial); v.Intent.State != treasury.Confirmed {
		t.Errorf("%s: %s", v.Intent.State, v.Waiting)
	}
	if fresh, err := r.handIn(back); err != nil || fresh {
		t.Errorf("again, at the end: fresh %v, %v", fresh, err)
	}
	held, err := r.treasury.Holdings(context.Background())
	if err != nil || held[2].Name != "MIXED-1" || held[2].Unproven != 1 {
		t.Errorf("holdings %+v, %v", held, err)
	}
}

// In base64, beside signatures that are here with their receipt, and as a packet of version 2's older sibling: what
// counts is the transaction and the signatures.
func TestAPlainPSBTMayCarryMoreThanOneKey(t *testing.T) {
	r := newRig(t)
	serial := r.mixed()
	answer := r.answerTo(serial, 0)
	if _, err := r.give(r.sealed(answer)); err != nil {
		t.Fatal(err)
	}
	text := must(bitcoin.Read(r.psbt(serial, 0, 2))).Base64() // deterministic nonces: key a's are the same again
	if fresh, err := r.handIn([]byte(text)); err != nil || !fresh {
		t.Errorf("fresh %v, %v", fresh, err)
	}
	if v := r.look(serial); v.Intent.State != treasury.Broadcast {
		t.Errorf("%s: %s", v.Intent.State, v.Waiting)
	}
}

// Attack 071 at the daemon's door, and a key that has a receipt key but comes without a receipt.
func TestAttack071PlainPSBTsThatAreRefused(t *testing.T) {
	r := newRig(t)
	serial := r.mixed()
	good := r.psbt(serial, 2)
	other := func() []byte { // a PSBT of ours that was never sealed
		_, packet, scope := r.opened(serial)
		raised, _, err := bitcoin.Bump(packet, scope, 5_000)
		if err != nil {
			t.Fatal(err)
		}
		return must(raised.WithSignatures(r.signaturesOf(raised, scope, 2)))
	}
	for name, c := range map[string]struct {
		raw  []byte
		code string
	}{
		"without signatures":      {r.psbt(serial), "returned-unsigned"},
		"by a key with receipts":  {r.psbt(serial, 1), "receipt-missing"},
		"of another transaction":  {other(), "bundle-unknown"},
		"with a byte behind it":   {append(bytes.Clone(good), 0), "psbt-trailing"},
		"something else entirely": {[]byte("not a PSBT"), "psbt-magic"},
	} {
		fresh, err := r.handIn(c.raw)
		if fresh {
			t.Errorf("%s was taken", name)
		}
		wantCode(t, err, c.code)
	}
	if v := r.look(serial); len(v.Answers) != 0 {
		t.Errorf("answers %+v", v.Answers)
	}
	r.set(r.clock().Add(80 * 3600e9))
	_, err := r.handIn(good)
	wantCode(t, err, "intent-expired")
}

// Attack 065: a foreign device that repeats a nonce gives its key away like any other.
func TestAttack065AForeignDeviceReusesANonce(t *testing.T) {
	r := newRig(t)
	serial := r.mixed()
	_, packet, scope := r.opened(serial)
	var bad []bitcoin.Signature
	for _, task := range must(bitcoin.Tasks(packet, scope, 2)) {
		key := r.signers[2].private(task.Branch, task.Index)
		bad = append(bad, bitcoin.Signature{Input: uint32(task.Input), PubKey: task.PubKey, Signature: signWith(key, task.Digest, 5)})
	}
	_, err := r.handIn(must(packet.WithSignatures(bad)))
	wantCode(t, err, "nonce-reused")
	_, err = r.treasury.Consolidate(context.Background(), carol, "COLD-BTC-A", money.Amount{})
	wantCode(t, err, "halted")
}

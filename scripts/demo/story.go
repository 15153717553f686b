package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coldsign/coldsign/hsm/hsmtest"
)

// topUp is what warmctl --json says of a top-up, as far as the story needs it.
type topUp struct {
	ID            string `json:"id"`
	State         string `json:"state"`
	Words         string `json:"words"`
	BundleWords   string `json:"bundle_words"`
	TxID          string `json:"txid"`
	Proposer      string `json:"proposer"`
	Confirmations int    `json:"confirmations"`
	Waiting       string `json:"waiting"`
	Amount        struct {
		Value string `json:"value"`
	} `json:"amount"`
	Approvals []struct {
		Person string `json:"person"`
	} `json:"approvals"`
	Answers []struct {
		Key    string `json:"key"`
		Signed bool   `json:"signed"`
	} `json:"answers"`
}

// play is the whole main job, from the empty hot wallet to the confirmed transaction.
func (s *story) play(ctx context.Context) error {
	if err := s.provision(ctx); err != nil {
		return err
	}
	t, err := s.proposed(ctx)
	if err != nil {
		return err
	}
	for _, act := range []func(context.Context, string) error{s.approve, s.carry, s.tamper, s.sign, s.bring, s.confirm} {
		if err := act(ctx, t.ID); err != nil {
			return err
		}
	}
	return nil
}

// list returns all top-ups as Bob sees them.
func (s *story) list() ([]topUp, error) {
	var all struct {
		TopUps []topUp `json:"topups"`
	}
	err := s.mustJSON(s.warmctl("bob", "topup", "list"), &all)
	return all.TopUps, err
}

// await looks again and again until a top-up is as wanted; the daemon works by itself, and this is how anybody sees it.
func (s *story) await(ctx context.Context, what string, ready func(topUp) bool) (topUp, error) {
	ctx, stop := context.WithTimeout(ctx, stepPatience)
	defer stop()
	for {
		all, err := s.list()
		if err != nil {
			return topUp{}, err
		}
		for _, t := range all {
			if ready(t) {
				return t, nil
			}
		}
		select {
		case <-ctx.Done():
			return topUp{}, fmt.Errorf("no top-up is %s after %s: %+v", what, stepPatience, all)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *story) proposed(ctx context.Context) (topUp, error) {
	t, err := s.await(ctx, "proposed", func(t topUp) bool { return t.State == "proposed" })
	if err != nil {
		return t, err
	}
	s.tell("The daemon sees the hot wallet below its floor and proposes top-up %s: %s BTC, up to the target of %s.", t.ID, t.Amount.Value, hotTarget)
	s.detail("The destination is the next address of the pinned hot wallet. Nobody types an address anywhere.")
	return t, nil
}

// approval is one person's approve command.
func (s *story) approval(person, id, amount string) call {
	c := s.warmctl(person, "topup", "approve", id, "--yes-amount", amount, "--out", s.path("carried", "approval-"+person+"-"+id+".sig"))
	if person == "alice" {
		c.args = append(c.args, "--key", "alice-1", "--pin-fd", "3")
		c.secret = hsmtest.UserPIN
		return c
	}
	c.args = append(c.args, "--identity", s.path("staff", person+".ed25519"))
	return c
}

func (s *story) approve(ctx context.Context, id string) error {
	t, err := s.await(ctx, "there", func(t topUp) bool { return t.ID == id })
	if err != nil {
		return err
	}
	if _, err := s.must(s.approval("alice", id, t.Amount.Value)); err != nil {
		return err
	}
	if r, err := s.run(s.warmctl("bob", "bundle", "export", id, "--out", s.path("carried", "early.bundle"))); err != nil || r.code == 0 {
		return fmt.Errorf("a bundle after one approval: exit %d, %v", r.code, err)
	}
	s.tell("Alice approves with the key in her token. One approval is not enough: there is no bundle yet.")
	if _, err := s.must(s.approval("bob", id, t.Amount.Value)); err != nil {
		return err
	}
	t, err = s.await(ctx, "sealed", func(t topUp) bool { return t.ID == id && t.State == "sealed" })
	if err != nil {
		return err
	}
	s.tell("Bob approves with his OpenSSH key. The daemon builds the PSBT with every previous transaction and seals the bundle.")
	s.detail("words of the bundle, the same on every screen: %s", t.BundleWords)
	return s.checkWithOpenSSH(id)
}

// carry brings the bundle out of the online world: as pictures of QR frames, and as a file for a stick.
func (s *story) carry(_ context.Context, id string) error {
	if _, err := s.must(s.warmctl("bob", "bundle", "show", id, "--png", s.path("pictures", "request"))); err != nil {
		return err
	}
	if _, err := s.must(s.warmctl("bob", "bundle", "export", id, "--out", s.bundleFile(id))); err != nil {
		return err
	}
	frames, err := filepath.Glob(s.path("pictures", "request", "*.png"))
	if err != nil || len(frames) == 0 {
		return fmt.Errorf("no pictures were written: %w", err)
	}
	s.tell("warmctl shows the bundle as %d animated QR frames (pictures in %s) and as a file for a USB stick.", len(frames), s.path("pictures", "request"))
	return nil
}

func (s *story) bundleFile(id string) string { return s.path("carried", "topup-"+id+".bundle") }

// tamper plays a thief who owns the daemon, sealing key included, and tries what money was lost by before.
func (s *story) tamper(_ context.Context, id string) error {
	raw, err := os.ReadFile(s.bundleFile(id))
	if err != nil {
		return err
	}
	t, err := s.newThief(raw, time.Now())
	if err != nil {
		return err
	}
	attempts, err := t.attempts()
	if err != nil {
		return err
	}
	s.tell("Now a thief who owns the daemon and its sealing key tries keyholder A:")
	for i, a := range attempts {
		if err := s.attempt(i, a); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) attempt(i int, a attempt) error {
	path := s.path("tampered", fmt.Sprintf("%d-%s.bundle", i+1, a.name))
	if err := os.WriteFile(path, a.sealed, 0o600); err != nil {
		return err
	}
	out := s.path("tampered", a.name+".answer")
	r, err := s.run(s.unlocked(holders[0], "sign", path, "--out", out, "--json"))
	if err != nil {
		return err
	}
	var report struct {
		Refusals []struct{ Code, Where, Expected, Found string }
	}
	if err := json.Unmarshal([]byte(r.errs), &report); err != nil {
		return fmt.Errorf("%s: %w in %s", a.name, err, r.errs)
	}
	if _, err := os.Stat(out); err == nil || r.code != a.exit {
		return fmt.Errorf("%s: exit %d, expected %d, answer written: %v\n%s", a.name, r.code, a.exit, err == nil, r.errs)
	}
	for _, refusal := range report.Refusals {
		if refusal.Code == a.code {
			s.detail("- %s", a.story)
			s.detail("  refused, exit %d: %s at %s, expected %.60s, found %.60s", r.code, refusal.Code, refusal.Where, refusal.Expected, refusal.Found)
			return nil
		}
	}
	return fmt.Errorf("%s was not refused with %s: %s", a.name, a.code, r.errs)
}

// answers are the files that keyholders give back.
func (s *story) answerFile(h holder, id string) string {
	return s.path("carried", "topup-"+id+"-"+h.key+".answer")
}

// sign has keyholders A and B scan the pictures, read the screen, and sign.
func (s *story) sign(_ context.Context, id string) error {
	for _, h := range holders[:2] {
		if err := s.signOne(h, id); err != nil {
			return fmt.Errorf("keyholder %s: %w", h.key, err)
		}
	}
	return nil
}

func (s *story) signOne(h holder, id string) error {
	request := s.path("carried", "topup-"+id+"-at-"+h.key+".bundle")
	if _, err := s.must(s.coldsign(h, "scan", "--images", s.path("pictures", "request"), "--out", request)); err != nil {
		return err
	}
	if err := s.review(h, request, s.answerFile(h, id)); err != nil {
		return err
	}
	pictures := s.path("pictures", "answer-"+h.key)
	if _, err := s.must(s.coldsign(h, "show", s.answerFile(h, id), "--png", pictures)); err != nil {
		return err
	}
	kind := "RFC 6979 from an encrypted seed"
	if h.token {
		kind = "inside the PKCS#11 token"
	}
	s.tell("Keyholder %s scanned the frames, read the screen, retyped amount and address, and signed (%s).", strings.ToUpper(h.key), kind)
	return nil
}

// review is a person at coldsign's screen: pages through every output, and retypes what the screen asks for.
func (s *story) review(h holder, request, answer string) error {
	var facts struct {
		Outputs []struct{ Amount, Address, Role string }
	}
	if err := s.mustJSON(s.coldsign(h, "inspect", request, "--key", h.key), &facts); err != nil {
		return err
	}
	confirmation := ""
	for _, o := range facts.Outputs {
		if o.Role == "destination" {
			confirmation = o.Amount + " " + o.Address[len(o.Address)-6:]
		}
	}
	session, done, err := s.terminal(s.unlocked(h, "sign", request, "--out", answer))
	if err != nil {
		return err
	}
	defer done()
	if err := session.ExpectScreen("SEND", stepPatience); err != nil {
		return err
	}
	fmt.Fprintf(s.transcript, "%s\n\n", session.Screen())
	for _, press := range []struct{ key, then string }{{"o", "outputs 2/2 seen"}, {"m", "Everything was shown"}, {"s", "Retype the amount"}} {
		if err := session.Send(press.key); err != nil {
			return err
		}
		if err := session.ExpectScreen(press.then, stepPatience); err != nil {
			return err
		}
	}
	if err := session.Send(confirmation + "\r"); err != nil {
		return err
	}
	if code, err := session.Wait(stepPatience); err != nil || code != 0 {
		return fmt.Errorf("sign ended with %d, %w\n%s", code, err, session.Text())
	}
	return nil
}

// bring takes the answers back: first a tampered one, which the daemon refuses, then both, in the other order, and again.
func (s *story) bring(_ context.Context, id string) error {
	a, b := holders[0], holders[1]
	raw, err := os.ReadFile(s.answerFile(a, id))
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	bad := s.path("tampered", "answer")
	if err := os.WriteFile(bad, raw, 0o600); err != nil {
		return err
	}
	r, err := s.run(s.warmctl("bob", "bundle", "import", bad))
	if err != nil || r.code != 5 {
		return fmt.Errorf("a tampered answer: exit %d, %v\n%s", r.code, err, r.errs)
	}
	s.tell("An answer with one changed bit is refused by the daemon, exit 5: %.90s", firstLine(r.errs))
	if _, err := s.must(s.warmctl("bob", "bundle", "import", "--images", s.path("pictures", "answer-"+b.key))); err != nil {
		return err
	}
	if _, err := s.must(s.warmctl("bob", "bundle", "import", "--images", s.path("pictures", "answer-"+a.key))); err != nil {
		return err
	}
	for range 2 {
		if _, err := s.must(s.warmctl("bob", "bundle", "import", s.answerFile(a, id))); err != nil {
			return err
		}
	}
	s.tell("The daemon takes B's and A's answers from pictures, checks each signature, and combines them. The same answer again changes nothing.")
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// confirm waits for the broadcast, has the chain confirm it, and checks that the money arrived, once.
func (s *story) confirm(ctx context.Context, id string) error {
	t, err := s.await(ctx, "broadcast", func(t topUp) bool { return t.ID == id && (t.State == "broadcast" || t.State == "confirmed") })
	if err != nil {
		return err
	}
	s.tell("The scripts ran, the transaction is valid, and it was broadcast: %s", t.TxID)
	if err := s.miner.mine(ctx, 1); err != nil {
		return err
	}
	if _, err = s.await(ctx, "confirmed", func(t topUp) bool { return t.ID == id && t.State == "confirmed" }); err != nil {
		return err
	}
	confirmations, err := s.confirmations(ctx, t.TxID)
	if err != nil || confirmations < 1 {
		return fmt.Errorf("transaction %s has %d confirmations at the node: %w", t.TxID, confirmations, err)
	}
	s.tell("The node confirms transaction %s.", t.TxID)
	return s.balances()
}

// confirmations asks the node, not the daemon.
func (s *story) confirmations(ctx context.Context, txid string) (int, error) {
	var tx struct{ Confirmations int }
	err := s.node.Call(ctx, "getrawtransaction", &tx, txid, 1)
	return tx.Confirmations, err
}

func (s *story) balances() error {
	var status struct {
		Tiers []struct {
			Wallet  string `json:"wallet"`
			Balance struct {
				Value string `json:"value"`
			} `json:"balance"`
			Below bool `json:"below"`
		} `json:"tiers"`
	}
	if err := s.mustJSON(s.warmctl("bob", "status"), &status); err != nil {
		return err
	}
	for _, tier := range status.Tiers {
		if tier.Below {
			return fmt.Errorf("wallet %s is still below its floor with %s BTC", tier.Wallet, tier.Balance.Value)
		}
		s.detail("%s holds %s BTC", tier.Wallet, tier.Balance.Value)
	}
	return nil
}

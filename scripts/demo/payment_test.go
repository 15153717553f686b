package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// lender is somebody outside, at an address of the regtest network that BIP173 lists with its test vectors.
const lender = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

// allowPayments lets every wallet with a rule pay the address book.
func allowPayments(policy string) string {
	return strings.ReplaceAll(policy, "to_book: false", "to_book: true ")
}

// writeBook has A and B sign an address book of one entry, every keyholder pin it, and the daemon get its copy.
func (s *story) writeBook() error {
	book := s.path("records", "book.yaml")
	text := "coldsign: address-book/v1\nserial: 1\nnetwork: bitcoin:regtest\nentries:\n  - name: lender\n    address: \"" + lender + "\"\n    confirmed: false\n"
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		return err
	}
	flags, err := s.vouched("book", book)
	if err != nil {
		return err
	}
	if err := s.trusted(book, flags); err != nil {
		return err
	}
	set := func(flags ...string) call {
		return call{program: "exchanged", args: append([]string{"book", "set", book, "--data", s.path(daemonData)}, flags...)}
	}
	if r, err := s.run(set(flags[:2]...)); err != nil || r.code != 3 || !strings.Contains(r.errs, "book-quorum") {
		return fmt.Errorf("a book by one keyholder: exit %d, %v\n%s", r.code, err, r.errs)
	}
	_, err = s.must(set(flags...))
	return err
}

// press is a key of a keyholder, and what the screen says after it.
type press struct{ key, then string }

// reviewed is a keyholder who reads a screen under its headline, presses keys, and types what is asked for last.
func (s *story) reviewed(sign call, headline string, presses []press, typed string) (screen string, err error) {
	session, done, err := s.terminal(sign)
	if err != nil {
		return "", err
	}
	defer done()
	if err := session.ExpectScreen(headline, stepPatience); err != nil {
		return "", err
	}
	screen = session.Screen()
	for _, p := range presses {
		if err := session.Send(p.key); err != nil {
			return screen, err
		}
		if err := session.ExpectScreen(p.then, stepPatience); err != nil {
			return screen, err
		}
	}
	if err := session.Send(typed + "\r"); err != nil {
		return screen, err
	}
	if code, err := session.Wait(stepPatience); err != nil || code != 0 {
		return screen, fmt.Errorf("sign ended with %d, %w\n%s", code, err, session.Text())
	}
	return screen, nil
}

// payReview is a keyholder who reads that the money leaves our wallets, and retypes amount and address.
func (s *story) payReview(h holder, request, answer, typed string) (screen string, err error) {
	return s.reviewed(s.unlocked(h, "sign", request, "--out", answer), "OUTSIDE OUR WALLETS",
		[]press{{"o", "outputs 2/2 seen"}, {"m", "Everything was shown"}, {"s", "Retype the amount"}}, typed)
}

// arrived asks the node what a transaction pays to an address, in satoshi.
func (s *story) arrived(ctx context.Context, txid, to string) (int64, error) {
	var tx struct {
		Confirmations int
		Vout          []struct {
			Value        float64
			ScriptPubKey struct {
				Address   string
				Addresses []string
			}
		}
	}
	if err := s.node.Call(ctx, "getrawtransaction", &tx, txid, 1); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, out := range tx.Vout {
		for _, a := range append(out.ScriptPubKey.Addresses, out.ScriptPubKey.Address) {
			if a == to {
				sum += out.Value
				break
			}
		}
	}
	if tx.Confirmations < 1 {
		return 0, fmt.Errorf("transaction %s is in no block", txid)
	}
	return int64(sum*btc + 0.5), nil
}

// A payment to an entry of the address book that the keyholders signed, from the proposal to the chain of a real node.
func TestAnEntryOfTheBookIsPaid(t *testing.T) {
	s, _ := stage(t)
	s.edit = allowPayments
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.provision(ctx))
	_, err := s.proposed(ctx) // the daemon knows the coins: it proposes a top-up with them
	must(err)
	pay := func(args ...string) call {
		return s.warmctl("carol", append([]string{"payment", "propose", "--wallet", coldName}, args...)...)
	}
	refused := func(code string, c call) {
		t.Helper()
		if r, err := s.run(c); err != nil || r.code != 3 || !strings.Contains(r.errs, "refused: "+code) {
			t.Errorf("%s: exit %d, %v\n%s", c, r.code, err, r.errs)
		}
	}
	refused("book-missing", pay("--entry", "lender", "--amount", "1.5"))
	must(s.writeBook())
	entries, err := s.must(s.warmctl("carol", "payment", "entries", "--wallet", coldName))
	if err != nil || !strings.Contains(entries, lender) {
		t.Errorf("entries: %v\n%s", err, entries)
	}
	refused("book-entry-unknown", pay("--entry", "thief", "--amount", "1.5"))
	refused("output-dust", pay("--entry", "lender", "--amount", "0.00000293"))

	var proposed struct {
		topUp
		Kind, Entry, To string
	}
	must(s.mustJSON(pay("--entry", "lender", "--amount", "1.5"), &proposed))
	id := proposed.ID
	if proposed.Kind != "payment" || proposed.Entry != "lender" || proposed.To != "lender" || proposed.Amount.Value != "1.50000000" {
		t.Fatalf("proposed %+v", proposed)
	}
	for _, person := range []string{"alice", "bob"} {
		_, err := s.must(s.approval(person, id, "1.5"))
		must(err)
	}
	_, err = s.await(ctx, "sealed", func(u topUp) bool { return u.ID == id && u.State == "sealed" })
	must(err)
	_, err = s.must(s.warmctl("bob", "bundle", "export", id, "--out", s.bundleFile(id)))
	must(err)
	for _, h := range holders[:2] {
		screen, err := s.payReview(h, s.bundleFile(id), s.answerFile(h, id), "1.5 "+lender[len(lender)-6:])
		must(err)
		flat := strings.Join(strings.Fields(screen), "")
		for _, want := range []string{"->lender", lender, "anentryofthebookthatthekeyholderssigned"} {
			if !strings.Contains(flat, want) {
				t.Errorf("the screen of %s lacks %q:\n%s", h.key, want, screen)
			}
		}
		_, err = s.must(s.warmctl("bob", "bundle", "import", s.answerFile(h, id)))
		must(err)
	}
	sent, err := s.await(ctx, "sent", func(u topUp) bool { return u.ID == id && u.State == "broadcast" })
	must(err)
	must(s.miner.mine(ctx, 1))
	_, err = s.await(ctx, "confirmed", func(u topUp) bool { return u.ID == id && u.State == "confirmed" })
	must(err)
	if sats, err := s.arrived(ctx, sent.TxID, lender); err != nil || sats != 150_000_000 {
		t.Errorf("%d satoshi arrived, %v", sats, err)
	}
}

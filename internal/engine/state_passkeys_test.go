package engine_test

import (
	"bytes"
	"testing"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
)

func command(kind exchange.Kind, account exchange.Account, body any) exchange.Command {
	return exchange.Command{ID: exchange.RandomID(), Kind: kind, Account: account, Body: enginetest.Body(body)}
}

// Controls 31 and 85: the engine itself judges what a passkey approved, whoever brings it, and a replay of the same frames
// gives the same state. Only after two people agreed is an account without its passkeys.
func TestControl031And085TheEngineJudgesPasskeysAtEveryReplay(t *testing.T) {
	o := engine.StateOptions{Rules: accounts.DefaultRules().DefaultPasskeys(enginetest.PasskeyHost, enginetest.PasskeyOrigin)}
	var frames []engine.Frame
	w := &enginetest.World{State: engine.NewState(o), People: enginetest.NewPeople(), Now: enginetest.Start, Seen: func(f engine.Frame) {
		f.Commands = bytes.Clone(f.Commands)
		frames = append(frames, f)
	}}
	w.Change(exchange.ChangeIntent{Roster: w.People.Roster()})
	w.Change(exchange.ChangeIntent{Asset: bitcoin(1_000_000)})
	alice := w.Customer("alice")
	key := exchange.KeyBody{Key: string(bytes.Repeat([]byte("k"), 64)), Scopes: exchange.ScopeWithdraw, Kind: "ed25519", Secret: bytes.Repeat([]byte{1}, 32), Allowed: []string{"192.0.2.0/24"}}
	derived, err := enginetest.Wallet().Derive(0, 99)
	if err != nil {
		t.Fatal(err)
	}
	address := exchange.AddressBody{Asset: btc, Address: derived.Address}
	denied(t, w, command(exchange.KeyAdd, alice, key), exchange.EvidenceRefused)
	denied(t, w, command(exchange.AddressAdd, alice, address), exchange.EvidenceRefused)

	hash := accounts.EnrolmentHash(alice, "CODE")
	w.Must(command(exchange.PasskeyOffer, alice, exchange.EnrolBody{Hash: hash[:]}))
	p := enginetest.NewPasskey()
	body := p.Body(alice, w.Now)
	denied(t, w, command(exchange.PasskeyEnrol, alice, body), exchange.EvidenceRefused)
	body.Enrol = "code"
	w.Must(command(exchange.PasskeyEnrol, alice, body))
	approve := func(i exchange.CustomerIntent) exchange.Command {
		w.Now++
		i.Account, i.Created = alice, w.Now
		return command(exchange.Approve, alice, p.Approve(i))
	}
	w.Must(approve(exchange.CustomerIntent{Key: &key}))
	once := approve(exchange.CustomerIntent{Address: &address})
	w.Must(once)
	once.ID = exchange.RandomID()
	denied(t, w, once, exchange.EvidenceRefused)
	denied(t, w, approve(exchange.CustomerIntent{Address: &exchange.AddressBody{Asset: btc, Address: "nonsense"}}), exchange.Malformed)
	denied(t, w, approve(exchange.CustomerIntent{Address: &exchange.AddressBody{Asset: 9, Address: derived.Address}}), exchange.UnknownAsset)
	look := p.Approve(exchange.CustomerIntent{Account: alice, Created: w.Now + 1, Look: true})
	a, _ := w.State.Answer(exchange.Question{Security: &exchange.SecurityQuestion{Account: alice, Approval: &look}})
	if len(a.Passkeys) != 1 || len(a.Keys) != 1 || a.Keys[0].Secret != nil || len(a.Book) != 1 || !a.Security.Required {
		t.Errorf("%+v", a)
	}
	if a, _ := w.State.Answer(exchange.Question{Security: &exchange.SecurityQuestion{Account: alice}}); a.Passkeys != nil || a.Keys != nil || a.Book != nil || a.Security.RP != enginetest.PasskeyHost {
		t.Errorf("to a stranger: %+v", a)
	}
	w.Change(exchange.ChangeIntent{Reset: &exchange.FactorReset{Account: alice}})
	denied(t, w, approve(exchange.CustomerIntent{Key: &key}), exchange.EvidenceRefused)

	replayed := engine.NewState(o)
	var results engine.Results
	for _, f := range frames {
		if err := replayed.Apply(f, &results); err != nil {
			t.Fatal(err)
		}
	}
	var one, two bytes.Buffer
	if err := w.State.Snapshot(&one); err != nil {
		t.Fatal(err)
	}
	if err := replayed.Snapshot(&two); err != nil || !bytes.Equal(one.Bytes(), two.Bytes()) || replayed.Hash() != w.State.Hash() {
		t.Errorf("a replay gave another state: %v", err)
	}
	back, err := engine.RestoreState(bytes.NewReader(one.Bytes()), o)
	if err != nil || back.Hash() != w.State.Hash() {
		t.Errorf("from the snapshot: %v", err)
	}
}

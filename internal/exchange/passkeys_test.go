package exchange_test

import (
	"reflect"
	"testing"

	"github.com/coldsign/coldsign/internal/exchange"
	"pgregory.net/rapid"
)

func octets(t *rapid.T, label string) []byte {
	if b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, label); len(b) > 0 {
		return b
	}
	return nil
}

func drawIntent(t *rapid.T) exchange.CustomerIntent {
	i := exchange.CustomerIntent{Account: exchange.Account(rapid.Uint64().Draw(t, "account")), Created: exchange.Millis(rapid.Int64().Draw(t, "created")),
		Nonce: octets(t, "nonce")}
	switch rapid.IntRange(0, 4).Draw(t, "action") {
	case 0:
		i.Key = &exchange.KeyBody{Key: rapid.String().Draw(t, "key"), Scopes: exchange.ScopeWithdraw, Secret: octets(t, "secret")}
	case 1:
		i.Address = &exchange.AddressBody{Asset: 1, Address: rapid.String().Draw(t, "address")}
	case 2:
		i.Passkey = &exchange.PasskeyBody{Label: rapid.String().Draw(t, "label"), Client: octets(t, "client"), Attestation: octets(t, "attestation")}
	case 3:
		i.Remove = octets(t, "remove")
	default:
		i.Look = true
	}
	return i
}

func TestWhatPasskeysApproveComesBackAsItWent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		intent := drawIntent(t)
		raw, err := exchange.EncodeBody(intent)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exchange.DecodeBody[exchange.CustomerIntent](raw); err != nil || !reflect.DeepEqual(got, intent) {
			t.Fatalf("%v\n%+v\n%+v", err, got, intent)
		}
		body := exchange.ApprovalBody{Intent: raw, Credential: octets(t, "credential"), Client: octets(t, "c"), Authenticator: octets(t, "a"), Signature: octets(t, "s")}
		again, err := exchange.EncodeBody(body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exchange.DecodeBody[exchange.ApprovalBody](again); err != nil || !reflect.DeepEqual(got, body) {
			t.Fatalf("%v\n%+v\n%+v", err, got, body)
		}
	})
}

// Journals hold the numbers of kinds and records: one that moved would make another history of them.
func TestNumbersInJournalsDoNotMove(t *testing.T) {
	for name, pair := range map[string][2]int{"Tick": {int(exchange.Tick), 1}, "Place": {int(exchange.Place), 2}, "Deposit": {int(exchange.Deposit), 7},
		"AccountOpen": {int(exchange.AccountOpen), 12}, "KeyAdd": {int(exchange.KeyAdd), 13}, "Change": {int(exchange.Change), 18},
		"PasskeyOffer": {int(exchange.PasskeyOffer), 19}, "PasskeyEnrol": {int(exchange.PasskeyEnrol), 20}, "Approve": {int(exchange.Approve), 21},
		"TicketRecord": {int(exchange.TicketRecord), 10}, "PasskeyRecord": {int(exchange.PasskeyRecord), 11}} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %d, was %d", name, pair[0], pair[1])
		}
	}
}

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// asks sends an object to the page's API.
func (b *bourse) asks(path string, body map[string]any) (status int, answer map[string]any) {
	b.t.Helper()
	response := must(http.Post(b.public+"/security/"+path, "application/json", strings.NewReader(string(must(json.Marshal(body))))))
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, answer
}

func bytesOf(text any) []byte { return must(base64.RawURLEncoding.DecodeString(text.(string))) }

func textOf(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// approves asks for something and has a passkey approve it.
func (b *bourse) approves(p *enginetest.Passkey, wish map[string]any) (int, map[string]any) {
	b.t.Helper()
	wish["account"] = 1
	status, prepared := b.asks("intent", wish)
	if status != http.StatusOK {
		b.t.Fatal(prepared)
	}
	client, data, signature := p.Assert([32]byte(bytesOf(prepared["challenge"])))
	status, answer := b.asks("approve", map[string]any{"account": 1, "intent": prepared["intent"], "credential": textOf(p.Credential), "client": textOf(client),
		"authenticator": textOf(data), "signature": textOf(signature)})
	for name, value := range prepared {
		answer[name] = value
	}
	return status, answer
}

func (b *bourse) enrols(p *enginetest.Passkey, enrol, code string) (int, map[string]any) {
	b.t.Helper()
	_, begun := b.asks("begin", map[string]any{"account": 1})
	client, attestation := p.Register([32]byte(bytesOf(begun["challenge"])))
	return b.asks("enrol", map[string]any{"account": 1, "label": "phone", "created": begun["created"], "nonce": begun["nonce"], "client": textOf(client),
		"attestation": textOf(attestation), "enrol": enrol, "code": code})
}

// Controls 31 and 85: whoever has the operator's terminal can offer an enrolment and reset, but make neither a withdrawal
// key nor an address; the customer's passkey can, over a restart, until two people take it away.
func TestControl031And085TheOperatorsTerminalMakesNoWithdrawalKey(t *testing.T) {
	b := &bourse{rig: &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), chain: &chain{}, time: time.Now(), people: map[string]ssh.Signer{}}, chainOf: newChainOf()}
	b.mustCommand("init", "--network", "regtest", "--listen", "127.0.0.1:0", "--exchange", "--cool-down", "0s", "--site", "https://"+enginetest.PasskeyHost)
	b.configure(`listen: "127.0.0.1:8080"`, `listen: "127.0.0.1:0"`)
	b.configure(`internal: "127.0.0.1:9080"`, `internal: "127.0.0.1:0"`)
	b.configure("poll: 1s", "poll: 50ms")
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "operator", "alice", "bob")
	t.Cleanup(b.end)
	b.begin()
	b.market()
	one := b.customer("one")
	to := must(walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f")).Derive(wallet.Receive, 9)).Address
	for _, args := range [][]string{{"key", "add", "1", "--scope", "withdraw", "--from", "127.0.0.1", "--code", one.code(0)}, {"address", "add", "1", "BTC", to, "--code", one.code(0)}} {
		if code, _, errs := b.command(append([]string{"account"}, args...)...); code != console.Refused || !strings.Contains(errs, "passkey, on the gateway's page /security") {
			t.Errorf("%q: %d %s", args, code, errs)
		}
	}
	enrolment := func() string {
		var offered admin.Enrolment
		if err := json.Unmarshal([]byte(b.mustCommand("account", "enrol", "1", "--json")), &offered); err != nil {
			t.Fatal(err)
		}
		return offered.Code
	}
	thief, p := enginetest.NewPasskey(), enginetest.NewPasskey()
	if status, answer := b.enrols(thief, enrolment(), "000000"); status == http.StatusOK {
		t.Errorf("the operator's code alone registered a passkey: %v", answer)
	}
	if status, answer := b.enrols(p, enrolment(), one.code(0)); status != http.StatusOK {
		t.Fatal(answer)
	}
	status, made := b.approves(p, map[string]any{"key": map[string]any{"scopes": []string{"read", "withdraw"}, "allowed": []string{"127.0.0.1"}, "label": "", "public": ""}})
	if status != http.StatusOK {
		t.Fatal(made)
	}
	b.end()
	b.begin()
	if status, answer := b.approves(p, map[string]any{"address": map[string]any{"coin": "BTC", "address": to, "label": ""}}); status != http.StatusOK {
		t.Fatalf("after a restart: %v", answer)
	}
	b.mustChange("account", "adjust", "house", "1", "BTC")
	b.mustChange("account", "adjust", "1", "1", "BTC")
	payer := one
	payer.key, payer.secret = made["key"].(string), made["secret"].(string)
	var paid struct{ ID string }
	if status := payer.call(http.MethodPost, "/sapi/v1/capital/withdraw/apply", "coin=BTC&address="+to+"&amount=0.5", &paid); status != http.StatusOK || paid.ID == "" {
		t.Errorf("a withdrawal: %d %+v", status, paid)
	}
	if code, _, errs := b.command("account", "enrol", "1"); code != console.Refused || !strings.Contains(errs, "has a passkey") {
		t.Errorf("another enrolment: %d %s", code, errs)
	}
	if status, answer := b.approves(thief, map[string]any{"remove": textOf(p.Credential)}); status == http.StatusOK {
		t.Error(answer)
	}
	if code, _, errs := b.command("account", "reset", "99"); code == console.Done {
		t.Errorf("a reset of no account was proposed: %s", errs)
	}
	b.mustChange("account", "reset", "1", "--note", "lost")
	if status, answer := b.approves(p, map[string]any{"address": map[string]any{"coin": "BTC", "address": to, "label": ""}}); status == http.StatusOK || !strings.Contains(fmt.Sprint(answer["msg"]), "not one of this account") {
		t.Errorf("the lost passkey: %v", answer)
	}
	enrolment()
}

func TestWhatAnExchangeBeginsWith(t *testing.T) {
	for name, c := range map[string]struct {
		o       beginning
		network spend.Network
		rules   string // host, origins, required
	}{
		"regtest":            {beginning{0, "", "passkey"}, spend.BitcoinRegtest, "localhost http://localhost:8080 true"},
		"a site":             {beginning{time.Hour, "https://Exchange.example/", "passkey"}, spend.BitcoinMainnet, "exchange.example https://exchange.example true"},
		"either":             {beginning{time.Hour, "https://exchange.example", "either"}, spend.BitcoinMainnet, "exchange.example https://exchange.example false"},
		"codes":              {beginning{time.Hour, "", "code"}, spend.BitcoinMainnet, "  false"},
		"codes with a site":  {beginning{time.Hour, "https://exchange.example", "code"}, spend.BitcoinMainnet, ""},
		"mainnet at home":    {beginning{time.Hour, "http://localhost:8080", "passkey"}, spend.BitcoinMainnet, ""},
		"mainnet without":    {beginning{time.Hour, "", "passkey"}, spend.BitcoinMainnet, ""},
		"no TLS":             {beginning{time.Hour, "http://exchange.example", "passkey"}, spend.BitcoinMainnet, ""},
		"a short cool-down":  {beginning{time.Minute, "https://exchange.example", "passkey"}, spend.BitcoinMainnet, ""},
		"another factor":     {beginning{time.Hour, "https://exchange.example", "sms"}, spend.BitcoinMainnet, ""},
		"a cool-down before": {beginning{-1, "", "passkey"}, spend.BitcoinRegtest, ""},
	} {
		rules, err := c.o.rules(c.network)
		got := fmt.Sprint(rules.PasskeyRP, " ", rules.PasskeyOrigins, " ", rules.PasskeyRequired)
		if (err == nil) != (c.rules != "") || err == nil && got != c.rules {
			t.Errorf("%s: %q %v", name, got, err)
			continue
		}
		if err != nil {
			continue
		}
		raw := must(json.Marshal(rulesFileOf(rules)))
		var f rulesFile
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(err)
		}
		if again, ok := f.rules(); !ok || again != rules {
			t.Errorf("%s: %s is read as %+v", name, raw, again)
		}
	}
	var f rulesFile
	if err := json.Unmarshal([]byte(`{"address_delay_ms":5,"key_delay_ms":6}`), &f); err != nil {
		t.Fatal(err)
	}
	if rules, ok := f.rules(); !ok || rules.PasskeyRP != "" || rules.PasskeyRequired || rules.AddressDelay != 5 {
		t.Errorf("an exchange of before: %+v", rules)
	}
}

//go:build browser

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// site makes an exchange whose page is at http://localhost:PORT, where browsers allow passkeys without TLS.
func newSite(t *testing.T) (b *bourse, address string) {
	t.Helper()
	free := must(net.Listen("tcp", "127.0.0.1:0"))
	port := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	address = fmt.Sprintf("http://localhost:%d", port)
	b = &bourse{rig: &rig{t: t, dir: filepath.Join(t.TempDir(), "data"), chain: &chain{}, time: time.Now(), people: map[string]ssh.Signer{}}, chainOf: newChainOf()}
	b.mustCommand("init", "--network", "regtest", "--listen", "127.0.0.1:0", "--exchange", "--cool-down", "0s", "--site", address)
	b.configure(`listen: "127.0.0.1:8080"`, fmt.Sprintf(`listen: "127.0.0.1:%d"`, port))
	b.configure(`internal: "127.0.0.1:9080"`, `internal: "127.0.0.1:0"`)
	b.configure("poll: 1s", "poll: 50ms")
	b.setRosterFor("coldsign-approve-v1,coldsign-change-v1", "operator", "alice", "bob")
	t.Cleanup(b.end)
	b.begin()
	b.market()
	return b, address
}

// Controls 31 and 85, in a real browser with an authenticator: a customer registers a passkey with the operator's code,
// makes a withdrawal key and allows an address; what the device does not confirm is not made, and neither is what a
// script in the page has signed without the device recognising its user.
func TestControl031And085InABrowser(t *testing.T) {
	b, address := newSite(t)
	one := b.customer("one")
	if code, _, errs := b.command("account", "key", "add", "1", "--scope", "withdraw", "--from", "127.0.0.1", "--code", one.code(0)); code == 0 || !strings.Contains(errs, "passkey") {
		t.Errorf("the operator made a withdrawal key: %s", errs)
	}
	var offered admin.Enrolment
	if err := json.Unmarshal([]byte(b.mustCommand("account", "enrol", "1", "--json")), &offered); err != nil {
		t.Fatal(err)
	}
	if offered.Page != address+"/security" {
		t.Errorf("the page is at %s, told %s", address, offered.Page)
	}
	c := newChromium(t)
	c.size(390, 844, true)
	c.authenticator("internal")
	c.open(offered.Page)
	c.picture("phone-1-start")
	registers(t, c, offered.Code, one)
	name, secret := makesKey(t, c)
	restrictions := one.as(name, secret, "/sapi/v1/account/apiRestrictions")
	if !strings.Contains(restrictions, `"enableWithdrawals":true`) {
		t.Errorf("the key that was made: %s", restrictions)
	}
	to := must(walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f")).Derive(wallet.Receive, 9)).Address
	allowsAddress(t, c, to)
	refusesWithoutItsUser(t, c, must(walletOf("DEPOSITS-1", spend.Hot, cosigners("d", "e", "f")).Derive(wallet.Receive, 10)).Address)
	hasWhatWasApproved(t, c, name, to)
	replacesTheDevice(t, c)
	if code, _, errs := b.command("account", "enrol", "1"); code == 0 || !strings.Contains(errs, "has a passkey") {
		t.Errorf("a second enrolment by the operator: %s", errs)
	}
	loadsNothingElse(t, c, address)
}

// registers registers the first passkey, at first with a wrong code.
func registers(t *testing.T, c *chromium, code string, one customer) {
	t.Helper()
	c.fill("account", "1")
	c.fill("enrol-code", "0000-0000-0000-0000-0000")
	c.fill("enrol-totp", one.code(0))
	c.fill("enrol-label", "My phone")
	c.press("enrol")
	c.until("the refusal", `document.getElementById('notice').innerText.includes('enrolment code is wrong')`)
	c.picture("phone-2-refused")
	c.fill("enrol-code", strings.ToLower(strings.ReplaceAll(code, "-", " ")))
	c.press("enrol")
	c.until("the passkey", `document.getElementById('result-title').innerText === 'Passkey registered'`)
	c.picture("phone-3-registered")
	c.press("done")
}

// makesKey makes a key that may withdraw, and returns it as the page shows it.
func makesKey(t *testing.T, c *chromium) (name, secret string) {
	t.Helper()
	c.fill("key-allowed", "127.0.0.1\n198.51.100.0/24")
	c.fill("key-label", "Payout bot")
	c.picture("phone-4-key")
	c.press("key")
	c.until("the review", `!document.getElementById('review').hidden`)
	for _, read := range []string{"Make an API key", "read, withdraw", "127.0.0.1/32, 198.51.100.0/24", "Payout bot"} {
		if !strings.Contains(c.text("review"), read) {
			t.Errorf("the customer does not read %q in\n%s", read, c.text("review"))
		}
	}
	c.picture("phone-5-review")
	c.run(`window.fetchOnce = window.fetch; window.fetch = async (...all) => { // this answer is lost on its way
		const answer = await window.fetchOnce(...all);
		if (!String(all[0]).endsWith('approve')) return answer;
		window.fetch = window.fetchOnce;
		throw new TypeError('lost');
	}; undefined`)
	c.press("approve")
	c.until("the warning", `document.getElementById('notice').innerText.includes('not certain')`)
	c.until("the key", `document.getElementById('result-title').innerText === 'Perhaps done'`)
	c.picture("phone-6-key-made")
	shown := strings.Split(c.run(`[...document.querySelectorAll('#result-lines dd')].map((e) => e.innerText).join(' ')`), " ")
	if len(shown) != 2 || len(shown[0]) != 64 || len(shown[1]) != 64 {
		t.Fatalf("shown %q", shown)
	}
	c.press("done")
	if left := c.run(`document.body.textContent.includes(` + quoted(shown[1]) + `)`); left != "false" {
		t.Error("the secret is still in the page")
	}
	return shown[0], shown[1]
}

// allowsAddress allows an address, on a wide screen.
func allowsAddress(t *testing.T, c *chromium, to string) {
	t.Helper()
	c.size(1280, 900, false)
	c.fill("address-text", to)
	c.fill("address-label", "My cold wallet")
	c.press("address")
	c.until("the review", `!document.getElementById('review').hidden`)
	var fours []string
	for at := 0; at < len(to); at += 4 {
		fours = append(fours, to[at:min(at+4, len(to))])
	}
	if read := c.text("review"); !strings.Contains(read, strings.Join(fours, " ")) || !strings.Contains(read, "BTC, bitcoin:regtest") {
		t.Errorf("the customer reads\n%s", read)
	}
	c.picture("desk-1-review")
	c.press("approve")
	c.until("the address", `document.getElementById('result-title').innerText === 'Address allowed'`)
	c.picture("desk-2-allowed")
	c.press("done")
}

// refusesWithoutItsUser has the device not recognise its user: the page says so, and a script that asks for a signature
// without verification gets one, which the engine refuses.
func refusesWithoutItsUser(t *testing.T, c *chromium, to string) {
	t.Helper()
	c.recognises(false)
	c.fill("address-text", to)
	c.press("address")
	c.until("the review", `!document.getElementById('review').hidden`)
	c.press("approve")
	c.until("the refusal", `document.getElementById('notice').innerText.includes('did not confirm that it is you')`)
	c.picture("desk-3-not-confirmed")
	c.press("cancel")
	got := c.run(`(async () => {
		const post = (path, body) => fetch('/security/' + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
		const prepared = await (await post('intent', { account: 1, address: { coin: 'BTC', address: ` + quoted(to) + `, label: '' } })).json();
		const said = await navigator.credentials.get({ publicKey: { challenge: toBytes(prepared.challenge), rpId: prepared.rp, userVerification: 'discouraged' } });
		const answer = await post('approve', { account: 1, intent: prepared.intent, credential: toText(said.rawId), client: toText(said.response.clientDataJSON),
			authenticator: toText(said.response.authenticatorData), signature: toText(said.response.signature) });
		return answer.status + ' ' + (await answer.json()).msg;
	})()`)
	if !strings.HasPrefix(got, "400 ") || !strings.Contains(got, "did not verify its user") {
		t.Errorf("a signature without verification: %s", got)
	}
	c.recognises(true)
}

// hasWhatWasApproved looks at the account: what was approved is there and nothing else.
func hasWhatWasApproved(t *testing.T, c *chromium, name, to string) {
	t.Helper()
	c.press("look")
	c.until("the account", `!document.getElementById('have').hidden`)
	c.run(`document.getElementById('have').closest('details').setAttribute('open', '')`)
	if list := c.text("have-addresses"); !strings.Contains(list, to) || strings.Count(list, "bcrt1") != 1 {
		t.Errorf("the addresses:\n%s", list)
	}
	if list := c.text("have-keys"); !strings.Contains(list, name) || !strings.Contains(list, "Payout bot; read, withdraw; used from 127.0.0.1/32, 198.51.100.0/24; usable") {
		t.Errorf("the keys:\n%s", list)
	}
	if list := c.text("have-passkeys"); !strings.Contains(list, "My phone") {
		t.Errorf("the passkeys:\n%s", list)
	}
	c.picture("desk-4-account")
	c.size(390, 844, true)
	c.picture("phone-7-account")
}

// replacesTheDevice registers a second device, and with it removes the first.
func replacesTheDevice(t *testing.T, c *chromium) {
	t.Helper()
	c.fill("another-label", "New phone")
	c.press("another")
	c.until("the refusal", `document.getElementById('notice').innerText.includes('has a passkey of this account already')`)
	old := c.device
	c.touches(old, false) // it lies in a drawer
	c.authenticator("usb")
	c.press("another")
	c.until("the review", `!document.getElementById('review').hidden`)
	c.touches(old, true) // which approves the new one
	c.touches(c.device, false)
	c.press("approve")
	c.until("the passkey", `document.getElementById('result-title').innerText === 'Passkey registered'`)
	c.press("done")
	c.touches(old, false)
	c.touches(c.device, true)
	c.press("look")
	c.until("both passkeys", `document.querySelectorAll('#have-passkeys button').length === 2`)
	c.run(`document.querySelector('#have-passkeys li button').click()`)
	c.until("the review", `!document.getElementById('review').hidden`)
	if read := c.text("review"); !strings.Contains(read, "My phone, registered") {
		t.Errorf("the customer reads\n%s", read)
	}
	c.picture("phone-8-remove")
	c.press("approve")
	c.until("the removal", `document.getElementById('result-title').innerText === 'Passkey removed'`)
	c.press("done")
	c.touches(old, true)
	c.touches(c.device, false)
	c.press("look")
	c.until("the refusal", `document.getElementById('notice').innerText.includes('not one of this account')`)
	c.touches(c.device, true)
}

// loadsNothingElse reads what the browser told: no error, nothing against the page's policy, no request to elsewhere.
func loadsNothingElse(t *testing.T, c *chromium, address string) {
	t.Helper()
	for _, e := range c.events("Runtime.exceptionThrown") {
		t.Errorf("an exception: %s", e)
	}
	for _, e := range c.events("Log.entryAdded") {
		if strings.Contains(e, "Content Security Policy") || strings.Contains(e, `"source":"security"`) {
			t.Errorf("against the policy: %s", e)
		}
	}
	for _, e := range c.events("Network.requestWillBeSent") {
		var sent struct{ Request struct{ URL string } }
		if err := json.Unmarshal([]byte(e), &sent); err != nil || !strings.HasPrefix(sent.Request.URL, address+"/") && sent.Request.URL != "about:blank" {
			t.Errorf("asked elsewhere: %s", sent.Request.URL)
		}
	}
}

// as makes a signed request with another key.
func (c customer) as(key, secret, path string) string {
	c.b.t.Helper()
	query := fmt.Sprintf("timestamp=%d", time.Now().UnixMilli())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(query))
	request := must(http.NewRequest(http.MethodGet, c.b.public+path+"?"+query+"&signature="+hex.EncodeToString(mac.Sum(nil)), nil))
	request.Header.Set("X-MBX-APIKEY", key)
	response := must(http.DefaultClient.Do(request))
	defer response.Body.Close()
	return string(must(io.ReadAll(response.Body)))
}

package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// secured is a rig whose exchange has passkeys, with one account that may register its first.
func secured(t *testing.T, change ...func(*Options)) (*rig, exchange.Account) {
	r := newRig(t, change...)
	sealer, err := accounts.NewSealer(make([]byte, accounts.SealerKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	r.world = enginetest.Open(engine.StateOptions{Opener: sealer, Rules: accounts.DefaultRules().DefaultPasskeys(enginetest.PasskeyHost, enginetest.PasskeyOrigin)})
	var id exchange.Account
	r.inWorld(func(w *enginetest.World) {
		id = w.Customer("alice")
		hash := accounts.EnrolmentHash(id, "CODE")
		w.Must(exchange.Command{ID: exchange.RandomID(), Kind: exchange.PasskeyOffer, Account: id, Body: enginetest.Body(exchange.EnrolBody{Hash: hash[:]})})
	})
	return r, id
}

type fields map[string]any

func text64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func (r *rig) post(path string, body fields) answer {
	r.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	q := httptest.NewRequest("POST", "/security/"+path, strings.NewReader(string(raw)))
	q.RemoteAddr = "192.0.2.7:999"
	q.Header.Set("Content-Type", "application/json")
	return r.send(q)
}

func octetsOf(t *testing.T, a answer, name string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(a.field(name))
	if err != nil || len(raw) == 0 {
		t.Fatalf("%s: %v: %s", name, err, a.body)
	}
	return raw
}

// registers makes a passkey as the page does.
func (r *rig) registers(p *enginetest.Passkey, id exchange.Account) fields {
	r.t.Helper()
	begun := r.post("begin", fields{"account": id})
	client, attestation := p.Register([32]byte(octetsOf(r.t, begun, "challenge")))
	return fields{"label": "phone", "created": json.Number(begun.field("created")), "nonce": begun.field("nonce"), "client": text64(client), "attestation": text64(attestation)}
}

func (r *rig) enrols(p *enginetest.Passkey, id exchange.Account) answer {
	r.t.Helper()
	body := r.registers(p, id)
	body["account"], body["enrol"], body["code"] = id, "code", ""
	return r.post("enrol", body)
}

// approves has a passkey sign what the gateway wrote down.
func (r *rig) approves(p *enginetest.Passkey, id exchange.Account, prepared answer) fields {
	r.t.Helper()
	client, data, signature := p.Assert([32]byte(octetsOf(r.t, prepared, "challenge")))
	return fields{"account": id, "intent": prepared.field("intent"), "credential": text64(p.Credential), "client": text64(client), "authenticator": text64(data), "signature": text64(signature)}
}

// Controls 31 and 85: what a customer does at the page, from the enrolment code to the key and the address.
func TestControl031And085AtThePage(t *testing.T) {
	r, id := secured(t)
	p := enginetest.NewPasskey()
	if a := r.enrols(p, id); a.status != 200 {
		t.Fatal(a.body)
	}
	key := fields{"scopes": []string{"read", "withdraw"}, "allowed": []string{" 198.51.100.0/24", "2001:db8::1"}, "label": "Zürich", "public": ""}
	prepared := r.post("intent", fields{"account": id, "key": key})
	for _, shown := range []string{"read, withdraw", "198.51.100.0/24, 2001:db8::1/128", "Zürich"} {
		if !strings.Contains(prepared.body, shown) {
			t.Errorf("the customer does not read %q: %s", shown, prepared.body)
		}
	}
	if a := r.post("approve", r.approves(p, id, prepared)); a.status != 200 {
		t.Fatal(a.body)
	}
	info, known := r.world.State.Answer(exchange.Question{Key: &exchange.KeyQuestion{Key: prepared.field("key")}})
	if !known || info.Key == nil || string(info.Key.Secret) != prepared.field("secret") || info.Key.Scopes != exchange.ScopeRead|exchange.ScopeWithdraw {
		t.Errorf("the key that was made: %+v", info)
	}
	derived, err := enginetest.Wallet().Derive(0, 5)
	if err != nil {
		t.Fatal(err)
	}
	r.pass(time.Second)
	prepared = r.post("intent", fields{"account": id, "address": fields{"coin": "BTC", "address": "\n" + derived.Address, "label": "cold"}})
	if !strings.Contains(prepared.body, inFours(derived.Address)) {
		t.Error(prepared.body)
	}
	approved := r.approves(p, id, prepared)
	if a := r.post("approve", approved); a.status != 200 {
		t.Fatal(a.body)
	}
	if a := r.post("approve", approved); a.status != 400 || !strings.Contains(a.body, "carried out already") {
		t.Errorf("the same request again: %s", a.body)
	}
	other := enginetest.NewEdPasskey()
	r.pass(time.Second)
	if a := r.post("approve", r.approves(p, id, r.post("intent", fields{"account": id, "passkey": r.registers(other, id)}))); a.status != 200 {
		t.Fatal(a.body)
	}
	r.pass(time.Second)
	if a := r.post("approve", r.approves(other, id, r.post("intent", fields{"account": id, "remove": text64(p.Credential)}))); a.status != 200 {
		t.Fatal(a.body)
	}
	r.pass(time.Second)
	look := r.approves(other, id, r.post("intent", fields{"account": id, "look": true}))
	seen := r.post("look", look)
	if strings.Count(seen.field("passkeys"), `"id"`) != 1 || !strings.Contains(seen.field("addresses"), derived.Address) || !strings.Contains(seen.field("keys"), "read, withdraw") || strings.Contains(seen.body, "ecret") {
		t.Error(seen.body)
	}
	if a := r.post("approve", r.approves(p, id, r.post("intent", fields{"account": id, "look": true}))); a.status == 200 {
		t.Error("the removed passkey still approves")
	}
}

// Control 85: the gateway carries and does not judge: what a thief sends there is refused by the engine, and costs him.
func TestControl085AThiefAtThePageGetsNothing(t *testing.T) {
	count := &toll{}
	r, id := secured(t, func(o *Options) { o.Limits = count })
	p := enginetest.NewPasskey()
	if a := r.enrols(p, id); a.status != 200 {
		t.Fatal(a.body)
	}
	wanted := fields{"account": id, "key": fields{"scopes": []string{"withdraw"}, "allowed": []string{"203.0.113.66"}, "label": "", "public": ""}}
	as := func(spoil func(*enginetest.Passkey), change func(fields)) func() answer {
		return func() answer {
			mine := *p
			spoil(&mine)
			body := r.approves(&mine, id, r.post("intent", wanted))
			change(body)
			return r.post("approve", body)
		}
	}
	self, same := func(*enginetest.Passkey) {}, func(fields) {}
	journalled := len(r.commands)
	for name, try := range map[string]func() answer{
		"an own passkey":       as(self, func(b fields) { b["credential"] = text64(enginetest.NewPasskey().Credential) }),
		"nobody verified":      as(func(p *enginetest.Passkey) { p.Flags = 1 }, same),
		"another page":         as(func(p *enginetest.Passkey) { p.Origin = "https://exchange.example.evil" }, same),
		"a bent intent":        as(self, func(b fields) { b["intent"] = b["intent"].(string)[:40] + "AAAA" + b["intent"].(string)[44:] }),
		"no signature":         as(self, func(b fields) { b["signature"] = "" }),
		"another account's":    as(self, func(b fields) { b["account"] = id + 1 }),
		"the enrolment's code": func() answer { return r.enrols(enginetest.NewPasskey(), id) }, // once was enough
	} {
		r.pass(time.Second)
		before := len(count.asked)
		if a := try(); a.status != 400 || !strings.Contains(a.body, "It was refused") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if paid := count.asked[before:]; !slices.ContainsFunc(paid, func(q limits.Request) bool { return q.Failure == limits.BadSignature && q.Account == 0 }) {
			t.Errorf("%s cost %+v", name, paid)
		}
	}
	if len(r.commands) != journalled {
		t.Errorf("%d requests of a thief were journalled", len(r.commands)-journalled)
	}
	if got, _ := r.world.State.Answer(exchange.Question{Security: &exchange.SecurityQuestion{Account: id}}); got.Keys != nil || got.Passkeys != nil {
		t.Errorf("%+v", got)
	}
}

// What the page asks is read strictly, and no page of another site can ask it.
func TestThePageOfAnotherSiteAsksNothing(t *testing.T) {
	r, id := secured(t)
	good := `{"account":` + numberOf(id) + `}`
	for name, c := range map[string]struct {
		kind, site, target, body string
	}{
		"a form":           {"application/x-www-form-urlencoded", "", "/security/begin", good},
		"plain text":       {"text/plain", "", "/security/begin", good},
		"another site":     {"application/json", "cross-site", "/security/begin", good},
		"a sister site":    {"application/json", "same-site", "/security/begin", good},
		"a query":          {"application/json", "", "/security/begin?account=1", good},
		"an unknown name":  {"application/json", "", "/security/begin", `{"account":1,"x":1}`},
		"a name twice":     {"application/json", "", "/security/begin", `{"account":1,"account":2}`},
		"in another case":  {"application/json", "", "/security/begin", `{"account":1,"Account":2}`},
		"two objects":      {"application/json", "", "/security/begin", good + good},
		"deep":             {"application/json", "", "/security/begin", strings.Repeat(`{"account":`, 9) + "1" + strings.Repeat("}", 9)},
		"long":             {"application/json", "", "/security/begin", good + strings.Repeat(" ", objectMax)},
		"nothing wanted":   {"application/json", "", "/security/intent", good},
		"bytes with a gap": {"application/json", "", "/security/intent", `{"account":1,"remove":"AB=="}`},
	} {
		q := httptest.NewRequest("POST", c.target, strings.NewReader(c.body))
		q.Header.Set("Content-Type", c.kind)
		if c.site != "" {
			q.Header.Set("Sec-Fetch-Site", c.site)
		}
		if a := r.send(q); a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for name, key := range map[string]fields{"no scope": {"scopes": []string{}, "allowed": []string{"192.0.2.1"}}, "another scope": {"scopes": []string{"admin"}},
		"withdraw from anywhere": {"scopes": []string{"withdraw"}}, "the whole world": {"scopes": []string{"withdraw"}, "allowed": []string{"0.0.0.0/0"}},
		"no key": {"scopes": []string{"read"}, "public": "AAAA"}} {
		if a := r.post("intent", fields{"account": id, "key": key}); a.status != 400 {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if a := newRig(t).post("begin", fields{"account": 1}); a.status != 400 || !strings.Contains(a.body, "no passkeys") {
		t.Errorf("an exchange without them: %s", a.body)
	}
}

// The page is three files of our own. It runs no script but its own file, and nobody can put it into a frame.
func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	r, _ := secured(t)
	for path, kind := range map[string]string{"/security": "text/html", "/security/page.js": "text/javascript", "/security/page.css": "text/css"} {
		w := httptest.NewRecorder()
		r.server.Public().ServeHTTP(w, r.request("GET", path, nil))
		h := w.Result().Header
		if w.Code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), kind) || h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		policy := h.Get("Content-Security-Policy")
		for _, rule := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, rule) {
				t.Errorf("%s: the policy lacks %s", path, rule)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: %s", path, policy)
		}
		body := w.Body.String()
		for _, bad := range []string{"http:", "https:", "//cdn", " onclick=", " onload=", "style=", "innerHTML", "eval(", "document.write", "localStorage", "cookie"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
		if path == "/security" && (strings.Count(body, "<script") != 1 || strings.Count(body, "<option>") != 1 || strings.Contains(body, "<!--")) {
			t.Error(body)
		}
	}
}

func TestPublicKeysAreReadAsPeopleHaveThem(t *testing.T) {
	raw := "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=" // of RFC 8410
	pem := "-----BEGIN PUBLIC KEY-----\n" + raw + "\n-----END PUBLIC KEY-----\n"
	want := "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
	for _, text := range []string{pem, want, " " + want + "\n"} {
		if got, err := readPublic(text); err != nil || base64.StdEncoding.EncodeToString(got) != want {
			t.Errorf("%q: %x %v", text, got, err)
		}
	}
	for _, text := range []string{"", "AAAA", raw, pem + "x", strings.Repeat("A", 2000), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := readPublic(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzSecurityObject(f *testing.F) {
	f.Add([]byte(`{"account":1,"key":{"scopes":["read"],"allowed":[],"label":"","public":""}}`))
	f.Add([]byte(`{"account":1,"remove":"AAAA"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &call{body: raw}
		var w wish
		var a approval
		if c.object(&w) == nil && !json.Valid(raw) || c.object(&a) == nil && !json.Valid(raw) {
			t.Fatalf("%q is taken and is no JSON", raw)
		}
	})
}

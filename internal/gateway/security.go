package gateway

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// The page where customers use their passkeys, and what it asks. The gateway is a messenger here: it writes down what the
// customer wants (an intent), the customer's hardware signs exactly these bytes, and the engine verifies. A gateway that
// lies can refuse to serve and show something else than it asks to have signed; it cannot sign.
//
// Requests are JSON objects of content type application/json, which no page of another site can send: nothing here
// answers for other origins. Bytes are base64url without padding.
const (
	objectMax  = 64 << 10 // bytes of a request: an attestation has at most 16 KiB
	nonceBytes = 16
)

func securityRoutes() []route {
	asks := func(path string, handle func(*Server, *call) *problem) route {
		return route{method: post, path: path, auth: authEngine, class: limits.Sensitive, weight: 1, object: true, handle: handle}
	}
	rows := []route{
		asks("/security/begin", (*Server).beginPasskey),
		asks("/security/enrol", (*Server).enrolPasskey),
		asks("/security/intent", (*Server).newIntent),
		asks("/security/approve", (*Server).approveIntent),
		asks("/security/look", (*Server).lookAtAccount),
	}
	for _, p := range pages() {
		rows = append(rows, route{method: get, path: p.path, class: limits.General, weight: 1, page: p, handle: (*Server).servePage})
	}
	return rows
}

// octets are bytes in a request or an answer.
type octets []byte

// UnmarshalText reads base64url without padding, in its one spelling.
func (o *octets) UnmarshalText(text []byte) (err error) {
	if at := bytes.IndexAny(text, "\r\n"); at >= 0 { // the decoder passes over them
		return base64.CorruptInputError(at)
	}
	*o, err = base64.RawURLEncoding.Strict().DecodeString(string(text))
	return err
}

// MarshalText writes it.
func (o octets) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(o)), nil
}

// readObject takes a request's body as it is; what it says is its handler's to read.
func (c *call) readObject(r *http.Request) *problem {
	if r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/json" {
		return malformed("This takes one JSON object, of content type application/json.")
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return malformed("Pages of other sites do not ask this.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, objectMax+1))
	if err != nil || len(body) > objectMax {
		return malformed("The object ends early or is too long.")
	}
	c.body = body
	return nil
}

// object reads the request strictly: no name that is unknown or comes twice, nothing behind it.
func (c *call) object(v any) *problem {
	d := json.NewDecoder(bytes.NewReader(c.body))
	if err := namesOnce(d, 0); err != nil {
		return malformed("The request is no JSON object with each name once.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("Something follows the object.")
	}
	d = json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed("The request is not of this form.")
	}
	return nil
}

// namesOnce walks a value. The decoder takes names in any case, so this compares them so.
func namesOnce(d *json.Decoder, depth int) error {
	token, err := d.Token()
	opening, is := token.(json.Delim)
	if err != nil || !is || depth > 4 {
		if err == nil && depth > 4 {
			err = errors.New("too deep")
		}
		return err
	}
	var names []string
	for d.More() {
		if opening == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if name = strings.ToLower(name); slices.Contains(names, name) || len(names) > 32 {
				return errors.New("a name twice")
			}
			names = append(names, name)
		}
		if err := namesOnce(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// reply writes an answer of the page.
func (c *call) reply(v any) *problem {
	raw, err := json.Marshal(v)
	if err != nil {
		return unknownError()
	}
	c.w.b = append(c.w.b, raw...)
	return nil
}

func randomOctets(n int) octets {
	out := make(octets, n)
	rand.Read(out) // it never fails: crypto/rand ends the program instead
	return out
}

// rules asks the engine for the rules of passkeys.
func (s *Server) rules(c *call) (*exchange.SecurityInfo, *problem) {
	answer, p := s.ask(c, exchange.Question{Security: &exchange.SecurityQuestion{}})
	if p != nil {
		return nil, p
	}
	if answer.Security == nil || answer.Security.RP == "" {
		return nil, refuse(-1130, "This exchange has no passkeys.")
	}
	return answer.Security, nil
}

// named is an account in a request.
type named struct {
	Account exchange.Account `json:"account"`
}

// beginPasskey says with what a browser makes a new passkey.
func (s *Server) beginPasskey(c *call) *problem {
	var q named
	if p := c.object(&q); p != nil {
		return p
	}
	rules, p := s.rules(c)
	if p != nil {
		return p
	}
	nonce := randomOctets(nonceBytes)
	challenge := accounts.RegistrationChallenge(q.Account, c.now, nonce)
	return c.reply(struct {
		RP        string          `json:"rp"`
		Created   exchange.Millis `json:"created"`
		Nonce     octets          `json:"nonce"`
		Challenge octets          `json:"challenge"`
	}{rules.RP, c.now, nonce, challenge[:]})
}

// registration is a new passkey in a request.
type registration struct {
	Label       string          `json:"label"`
	Created     exchange.Millis `json:"created"`
	Nonce       octets          `json:"nonce"`
	Client      octets          `json:"client"`
	Attestation octets          `json:"attestation"`
}

func (r *registration) body() exchange.PasskeyBody {
	return exchange.PasskeyBody{Label: r.Label, Created: r.Created, Nonce: r.Nonce, Client: r.Client, Attestation: r.Attestation}
}

// enrolPasskey registers an account's first passkey.
func (s *Server) enrolPasskey(c *call) *problem {
	var q struct {
		named
		registration
		Enrol string `json:"enrol"`
		Code  string `json:"code"`
	}
	if p := c.object(&q); p != nil {
		return p
	}
	body := q.body()
	body.Enrol, body.Code = q.Enrol, q.Code
	hash := accounts.EnrolmentHash(q.Account, q.Enrol)
	if p := s.send(c, exchange.PasskeyEnrol, exchange.SecurityQuestion{Account: q.Account, Enrol: hash[:]}, body); p != nil {
		return p
	}
	return c.reply(struct {
		Done string `json:"done"`
	}{"passkey"})
}

// send sends what a customer wants to the engine, once the engine said that it would count: what strangers send is not
// journalled. A refusal costs the address that sent it as a wrong signature does.
func (s *Server) send(c *call, kind exchange.Kind, q exchange.SecurityQuestion, body any) *problem {
	if _, p := s.check(c, q); p != nil {
		return p
	}
	raw, err := exchange.EncodeBody(body)
	if err != nil {
		return unknownError()
	}
	sum := sha256.Sum256(raw) // the same request at two gateways is the same command
	c.command[0] = exchange.Command{ID: exchange.ID(sum[:16]), Kind: kind, Account: q.Account, Body: raw}
	if err := s.o.Engine.Do(c.ctx, c.command[:], c.outcome[:]); err != nil {
		s.say(slog.LevelWarn, "the engine did not answer", "request", s.requestName(c.request), "error", err)
		return timedOut()
	}
	return s.refusedPasskey(c, q.Account, c.outcome[0].Code, c.outcome[0].Reason)
}

// check asks the engine whether an approval would count, or an enrolment is open.
func (s *Server) check(c *call, q exchange.SecurityQuestion) (exchange.Answer, *problem) {
	answer, err := s.o.Engine.Ask(c.ctx, exchange.Question{Security: &q})
	if err != nil || answer.Security == nil {
		return answer, notReady()
	}
	return answer, s.refusedPasskey(c, q.Account, answer.Code, answer.Security.Refused)
}

// refusedPasskey words a refusal, tells the operator of it and makes it cost.
func (s *Server) refusedPasskey(c *call, account exchange.Account, code exchange.Code, reason string) *problem {
	switch code {
	case exchange.EvidenceRefused, exchange.SecondFactorWrong, exchange.Malformed, exchange.NotAllowed, exchange.UnknownAccount:
		if limit := s.take(c, limits.Request{Class: c.route.class, Weight: 1, Failure: limits.BadSignature}); limit != nil {
			return limit
		}
		s.say(slog.LevelWarn, "a passkey's request was refused", "request", s.requestName(c.request), "account", uint64(account), "addr", c.addr.String(), "code", uint16(code))
	}
	return s.securityWords(code, reason)
}

// securityWords words a refusal for the person at the page.
func (s *Server) securityWords(code exchange.Code, reason string) *problem {
	text := map[exchange.Code]string{
		exchange.EvidenceRefused: reason, exchange.NotAllowed: "that is not allowed: the account is frozen, or this exchange has no passkeys",
		exchange.Malformed: "something in it has a value that it cannot have", exchange.UnknownAccount: "there is no such account",
		exchange.AlreadyExists: "there is already one like it", exchange.OverLimit: "the account has as many as it may have",
		exchange.SecondFactorWrong: "the one-time code is wrong, old, or was used before", exchange.UnknownAsset: "that asset cannot be withdrawn"}[code]
	if text == "" {
		return s.verdicts.refusal(code, reason)
	}
	if code == exchange.Malformed && reason != "" {
		text = reason
	}
	return refuse(-1130, "It was refused: "+text+".")
}

// approval is an intent and a passkey's assertion over it.
type approval struct {
	named
	Intent        octets `json:"intent"`
	Credential    octets `json:"credential"`
	Client        octets `json:"client"`
	Authenticator octets `json:"authenticator"`
	Signature     octets `json:"signature"`
}

func (a *approval) body() exchange.ApprovalBody {
	return exchange.ApprovalBody{Intent: a.Intent, Credential: a.Credential, Client: a.Client, Authenticator: a.Authenticator, Signature: a.Signature}
}

// approveIntent brings an approved intent to the engine.
func (s *Server) approveIntent(c *call) *problem {
	var q approval
	if p := c.object(&q); p != nil {
		return p
	}
	body := q.body()
	if p := s.send(c, exchange.Approve, exchange.SecurityQuestion{Account: q.Account, Approval: &body}, body); p != nil {
		return p
	}
	return c.reply(struct {
		Done string          `json:"done"`
		At   exchange.Millis `json:"at"`
	}{"approved", c.outcome[0].At})
}

// lookAtAccount tells a passkey's holder what the account has.
func (s *Server) lookAtAccount(c *call) *problem {
	var q approval
	if p := c.object(&q); p != nil {
		return p
	}
	body := q.body()
	answer, p := s.check(c, exchange.SecurityQuestion{Account: q.Account, Approval: &body})
	if p != nil {
		return p
	}
	type passkey struct {
		ID     octets          `json:"id"`
		Label  string          `json:"label"`
		Added  exchange.Millis `json:"added"`
		Synced bool            `json:"synced"`
	}
	type item struct {
		Name   string          `json:"name"`
		Label  string          `json:"label"`
		Words  string          `json:"words"`
		Usable exchange.Millis `json:"usable"`
	}
	out := struct {
		Passkeys  []passkey `json:"passkeys"`
		Keys      []item    `json:"keys"`
		Addresses []item    `json:"addresses"`
	}{[]passkey{}, []item{}, []item{}}
	for _, p := range answer.Passkeys {
		out.Passkeys = append(out.Passkeys, passkey{p.Credential, p.Label, p.Added, p.Synced})
	}
	for _, k := range answer.Keys {
		out.Keys = append(out.Keys, item{k.Key, k.Label, scopeWords(k.Scopes) + "; used from " + cmp.Or(strings.Join(k.Allowed, ", "), "anywhere"), k.Usable})
	}
	for _, a := range answer.Book {
		out.Addresses = append(out.Addresses, item{a.Address, a.Label, c.cat.asset[a.Asset].Symbol, a.Usable})
	}
	return c.reply(out)
}

// scopeWords says what a key may do.
func scopeWords(scopes exchange.Scope) string {
	var out []string
	for _, one := range []struct {
		scope exchange.Scope
		word  string
	}{{exchange.ScopeRead, "read"}, {exchange.ScopeTrade, "trade"}, {exchange.ScopeWithdraw, "withdraw"}} {
		if scopes&one.scope != 0 {
			out = append(out, one.word)
		}
	}
	return strings.Join(out, ", ")
}

// inFours puts a text into groups of four characters, as people compare them.
func inFours(text string) string {
	var out strings.Builder
	for i := range len(text) {
		if i > 0 && i%4 == 0 {
			out.WriteByte(' ')
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

func numberOf(a exchange.Account) string { return strconv.FormatUint(uint64(a), 10) }

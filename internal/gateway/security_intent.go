package gateway

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
)

// wish is what a customer wants to approve. Exactly one of its members is there.
type wish struct {
	named
	Key     *keyWish      `json:"key"`
	Address *addressWish  `json:"address"`
	Passkey *registration `json:"passkey"`
	Remove  octets        `json:"remove"`
	Look    bool          `json:"look"`
}

type keyWish struct {
	Scopes  []string `json:"scopes"` // read, trade, withdraw
	Allowed []string `json:"allowed"`
	Label   string   `json:"label"`
	Public  string   `json:"public"` // of ed25519, in base64; empty: an hmac key, whose secret is drawn here
}

type addressWish struct {
	Coin    string `json:"coin"`
	Address string `json:"address"`
	Label   string `json:"label"`
}

// line is one thing that the customer reads before approving.
type line struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// prepared is an intent, ready to be approved.
type prepared struct {
	RP        string `json:"rp"`
	Intent    octets `json:"intent"`
	Challenge octets `json:"challenge"`
	Title     string `json:"title"`
	Lines     []line `json:"lines"`
	Key       string `json:"key,omitempty"`
	Secret    string `json:"secret,omitempty"` // counts when the intent is approved, and not before
}

// newIntent writes down what the customer wants, for the passkey to sign.
func (s *Server) newIntent(c *call) *problem {
	var q wish
	if p := c.object(&q); p != nil {
		return p
	}
	rules, p := s.rules(c)
	if p != nil {
		return p
	}
	intent := exchange.CustomerIntent{Account: q.Account, Created: c.now, Nonce: randomOctets(nonceBytes)}
	out := prepared{RP: rules.RP, Lines: []line{{"Account", numberOf(q.Account)}}}
	switch {
	case q.Key != nil:
		p = s.wantKey(c, &q, &intent, &out)
	case q.Address != nil:
		p = c.wantAddress(&q, &intent, &out)
	case q.Passkey != nil:
		body := q.Passkey.body()
		intent.Passkey, out.Title = &body, "Register another passkey"
		out.say("Name", q.Passkey.Label)
	case len(q.Remove) > 0:
		intent.Remove, out.Title = q.Remove, "Remove a passkey"
	case q.Look:
		intent.Look, out.Title = true, "Show what the account has"
	default:
		p = malformed("Nothing was asked for.")
	}
	if p != nil {
		return p
	}
	raw, err := exchange.EncodeBody(intent)
	if err != nil {
		return unknownError()
	}
	challenge := accounts.ApprovalChallenge(q.Account, raw)
	out.Intent, out.Challenge = raw, challenge[:]
	return c.reply(out)
}

func (p *prepared) say(name, text string) {
	if text != "" {
		p.Lines = append(p.Lines, line{name, text})
	}
}

// wantKey writes down a new API key. The secret of an hmac key is drawn here, sealed by the engine's segment, and told
// once: in this answer.
func (s *Server) wantKey(c *call, q *wish, intent *exchange.CustomerIntent, out *prepared) *problem {
	body := &exchange.KeyBody{Kind: accounts.HMAC, Label: q.Key.Label}
	for _, name := range q.Key.Scopes {
		scope := map[string]exchange.Scope{"read": exchange.ScopeRead, "trade": exchange.ScopeTrade, "withdraw": exchange.ScopeWithdraw}[name]
		if scope == 0 {
			return malformed("A key may read, trade and withdraw.")
		}
		body.Scopes |= scope
	}
	for _, text := range q.Key.Allowed {
		block, ok := accounts.ParseBlock(strings.TrimSpace(text))
		if !ok {
			return malformed("An entry of the list of addresses is none, or allows too many.")
		}
		body.Allowed = append(body.Allowed, block.String())
	}
	switch {
	case body.Scopes == 0:
		return malformed("The key may do nothing: choose what it is for.")
	case body.Scopes&exchange.ScopeWithdraw != 0 && len(body.Allowed) == 0:
		return malformed("A key that withdraws needs the addresses that it is used from.")
	}
	var err error
	if body.Key, err = accounts.NewSecret(rand.Reader); err != nil {
		return unknownError()
	}
	out.Key, out.Title = body.Key, "Make an API key"
	secret := "drawn by the exchange, shown once"
	if q.Key.Public == "" {
		if out.Secret, err = accounts.NewSecret(rand.Reader); err != nil {
			return unknownError()
		}
		answer, p := s.ask(c, exchange.Question{Seal: &exchange.SealQuestion{Account: q.Account, Name: body.Key, Secret: []byte(out.Secret)}})
		if p != nil {
			return p
		}
		body.Secret = answer.Sealed
	} else {
		if body.Secret, err = readPublic(q.Key.Public); err != nil {
			return malformed("The public key is not one of Ed25519: 32 bytes in base64, or PEM.")
		}
		body.Kind, secret = accounts.Ed25519, "yours; its public half is "+q.Key.Public
	}
	intent.Key = body
	out.say("It may", scopeWords(body.Scopes))
	out.say("Used from", cmp.Or(strings.Join(body.Allowed, ", "), "anywhere"))
	out.say("Name", body.Label)
	out.say("Secret", secret)
	return nil
}

// wantAddress writes down a new address of the withdrawal book.
func (c *call) wantAddress(q *wish, intent *exchange.CustomerIntent, out *prepared) *problem {
	asset, known := c.cat.coin[q.Address.Coin]
	address := strings.Join(strings.Fields(q.Address.Address), "")
	if _, _, moves := networkName(asset); !known || !moves {
		return malformed("That asset cannot be withdrawn here.")
	}
	if address == "" || len(address) > 128 {
		return malformed("The address is missing or too long.")
	}
	intent.Address, out.Title = &exchange.AddressBody{Asset: asset.ID, Address: address, Label: q.Address.Label}, "Allow withdrawals to an address"
	out.say("Asset", asset.Symbol+", "+asset.Network)
	out.say("Address", inFours(address))
	out.say("Name", q.Address.Label)
	return nil
}

// readPublic reads the public half of an Ed25519 key as people have it: 32 bytes in base64, or a PEM block of PKIX.
func readPublic(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if len(text) > 1024 {
		return nil, errors.New("too long for a public key")
	}
	if block, rest := pem.Decode([]byte(text)); block != nil && len(bytes.TrimSpace(rest)) == 0 {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		public, is := parsed.(ed25519.PublicKey)
		if err != nil || !is {
			return nil, errors.New("no Ed25519 key in the PEM block")
		}
		return public, nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("not 32 bytes in base64")
	}
	return raw, nil
}

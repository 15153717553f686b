package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/limits"
)

// A challenge is what a person's browser solves and a script does not: Cloudflare Turnstile or hCaptcha. The page gets a
// token from the provider, sends it along in challengeHeader, and the gateway asks the provider whether it counts, by the
// `siteverify` request that both speak:
//
//	POST URL  secret=...&response=TOKEN&remoteip=ADDRESS
//	200       {"success": true, "challenge_ts": "2026-11-21T08:00:00Z", "hostname": "...", "action": "...", "error-codes": []}
//
// It is asked for only where the scorer found something (room limits), and only of requests that nobody signed or that
// are signed wrongly, where secrets are guessed and keys are named: bots that sign are welcome and cannot solve one.
// Whatever goes wrong here refuses the request: the provider out of reach, another host's token, one that was used. What
// may never happen: a token that counts twice, or an answer that depends on the provider being kind.
const challengeHeader = "X-Coldsign-Challenge"

const (
	challengeTokenMax  = 2048 // characters; the providers' own limit
	challengeAnswerMax = 16 << 10
	challengeAge       = 5 * time.Minute // the providers' own limit too
	challengeAhead     = 30 * time.Second
	challengesAtOnce   = 32
	challengesUsed     = 1 << 16 // tokens that counted and are remembered; when there are more, none counts
)

// ChallengeOptions say which provider's tokens count.
type ChallengeOptions struct {
	URL      string // of siteverify; https
	Secret   string
	Hostname string        // that the token was made for
	Action   string        // the same, where the provider tells it; empty: none is asked for
	Timeout  time.Duration // zero: 3 s
	TLS      *tls.Config   // nil: the machine's authorities
}

// Challenge asks a provider whether tokens count. Its methods may be called from several goroutines.
type Challenge struct {
	o      ChallengeOptions
	client *http.Client
	room   chan struct{}

	mu     sync.Mutex
	used   [2]map[[16]byte]struct{} // of this turn and of the one before
	turned time.Time
}

// String keeps the secret out of logs.
func (*Challenge) String() string { return "[challenge]" }

// Format does so for every verb.
func (c *Challenge) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// NewChallenge makes one.
func NewChallenge(o ChallengeOptions) (*Challenge, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil:
		return nil, errors.New("a challenge needs the https address of siteverify")
	case o.Secret == "" || o.Hostname == "":
		return nil, errors.New("a challenge needs a secret and the hostname that tokens are made for")
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	secure := o.TLS
	if secure == nil {
		secure = &tls.Config{}
	}
	secure = secure.Clone()
	secure.MinVersion = tls.VersionTLS12
	return &Challenge{o: o, room: make(chan struct{}, challengesAtOnce), used: [2]map[[16]byte]struct{}{{}, {}},
		client: &http.Client{Timeout: o.Timeout, Transport: &http.Transport{Proxy: nil, TLSClientConfig: secure, MaxConnsPerHost: challengesAtOnce, MaxResponseHeaderBytes: 16 << 10},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Verify returns nil when a token counts, for the first time.
func (c *Challenge) Verify(ctx context.Context, token string, from netip.Addr, now time.Time) error {
	if token == "" || len(token) > challengeTokenMax || !printable(token) {
		return errors.New("no token")
	}
	sum := sha256.Sum256([]byte(token))
	id := [16]byte(sum[:])
	if err := c.use(id, now); err != nil {
		return err
	}
	err := c.counts(ctx, token, from, now)
	if err != nil {
		c.forget(id)
	}
	return err
}

// counts asks the provider and judges what it says.
func (c *Challenge) counts(ctx context.Context, token string, from netip.Addr, now time.Time) error {
	select {
	case c.room <- struct{}{}:
		defer func() { <-c.room }()
	default:
		return errors.New("too many tokens are being verified")
	}
	raw, err := c.ask(ctx, token, from)
	if err != nil {
		return err
	}
	verdict, err := readSiteVerify(raw)
	if err != nil {
		return err
	}
	return c.judge(verdict, now)
}

// use notes a token before the provider is asked, so that of two requests at the same time one counts. What did not
// count is forgotten again: nobody fills this memory with tokens that nobody solved. A token is older than it may be by
// the time that two turns have passed.
func (c *Challenge) use(id [16]byte, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.turned) > 2*challengeAge {
		c.used, c.turned = [2]map[[16]byte]struct{}{{}, c.used[0]}, now
	}
	for _, turn := range c.used {
		if _, again := turn[id]; again {
			return errors.New("the token was used")
		}
	}
	if len(c.used[0]) >= challengesUsed {
		return errors.New("too many tokens were used lately")
	}
	c.used[0][id] = struct{}{}
	return nil
}

func (c *Challenge) forget(id [16]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.used[0], id)
	delete(c.used[1], id)
}

// ask makes the one request. Only 200 is an answer, only of a size that the protocol's answers have.
func (c *Challenge) ask(ctx context.Context, token string, from netip.Addr) ([]byte, error) {
	form := url.Values{"secret": {c.o.Secret}, "response": {token}, "remoteip": {from.String()}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("siteverify cannot be asked")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("siteverify: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("siteverify answers %d", answer.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, challengeAnswerMax+1))
	if err != nil {
		return nil, fmt.Errorf("siteverify: %w", err)
	}
	if len(raw) > challengeAnswerMax {
		return nil, fmt.Errorf("siteverify answers more than %d bytes", challengeAnswerMax)
	}
	return raw, nil
}

// siteVerify is what counts of a provider's answer.
type siteVerify struct {
	success  bool
	at       time.Time
	hostname string
	action   string
}

// readSiteVerify reads an answer: an object, each member once. Members that the protocol may get later are passed over.
func readSiteVerify(raw []byte) (v siteVerify, err error) {
	members, err := object(raw)
	if err != nil || !bytes.Equal(bytes.TrimSpace(members["success"]), []byte("true")) && !bytes.Equal(bytes.TrimSpace(members["success"]), []byte("false")) {
		return v, errors.New("siteverify answers what it does not say it would")
	}
	v.success = bytes.Equal(bytes.TrimSpace(members["success"]), []byte("true"))
	if !v.success {
		return v, nil
	}
	var at string
	for name, to := range map[string]*string{"challenge_ts": &at, "hostname": &v.hostname, "action": &v.action} {
		if value, there := members[name]; there && json.Unmarshal(value, to) != nil {
			return siteVerify{}, fmt.Errorf("siteverify answers a %s that is no text", name)
		}
	}
	if v.at, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return siteVerify{}, errors.New("siteverify answers without a time")
	}
	return v, nil
}

func (c *Challenge) judge(v siteVerify, now time.Time) error {
	switch {
	case !v.success:
		return errors.New("the provider refuses the token")
	case v.hostname != c.o.Hostname:
		return errors.New("the token was made for another host")
	case c.o.Action != "" && v.action != c.o.Action:
		return errors.New("the token was made for another action")
	case now.Sub(v.at) > challengeAge:
		return errors.New("the token is too old")
	case v.at.Sub(now) > challengeAhead:
		return errors.New("the token is from the future")
	}
	return nil
}

// challenged asks for a token where the scorer found something and the request is one that a challenge protects: nobody
// signed it, and whoever may ask it learns about keys. Where no provider is configured nothing is asked for.
func (s *Server) challenged(c *call, failure limits.Failure) *problem {
	if s.o.Challenge == nil || c.ruling.Conduct == limits.Quiet {
		return nil
	}
	if c.route.auth != authKey && failure != limits.BadKey && failure != limits.BadSignature {
		return nil
	}
	err := s.o.Challenge.Verify(c.ctx, c.token, c.addr, c.at)
	if err == nil {
		return nil
	}
	s.say(slog.LevelInfo, "a challenge was not met", "request", s.requestName(c.request), "addr", c.addr.String(), "why", err)
	return &problem{status: http.StatusForbidden, code: -1099, msg: "Not found, unauthenticated, or unauthorized. Solve the challenge and send its token in the header " + challengeHeader + "."}
}

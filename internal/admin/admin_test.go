package admin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// desk is the daemon behind the wire: it remembers who asked for what.
type desk struct {
	mu    sync.Mutex
	asked []Actor
	fail  error
}

func (d *desk) note(by Actor) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, by)
	return d.fail
}

func (d *desk) Status(context.Context) (Status, error) {
	return Status{Network: "bitcoin:regtest"}, d.fail
}
func (d *desk) Wallets(context.Context) ([]Wallet, error) {
	return []Wallet{{Name: "HOT-BTC-1", Balance: AmountOf(money.Sats(1))}}, d.fail
}
func (d *desk) Events(_ context.Context, after uint64, topUp string) ([]Event, error) {
	return []Event{{Seq: after + 1, TopUp: topUp, Detail: []byte(`{}`)}}, d.fail
}
func (d *desk) TopUps(context.Context) ([]TopUp, error) { return nil, d.fail }
func (d *desk) TopUp(_ context.Context, id string) (TopUp, error) {
	return TopUp{ID: id}, d.fail
}
func (d *desk) Propose(_ context.Context, by Actor, wallet string) (TopUp, error) {
	return TopUp{To: wallet, Proposer: by.Person}, d.note(by)
}
func (d *desk) Approve(_ context.Context, by Actor, id string, armored []byte) (TopUp, error) {
	return TopUp{ID: id, Waiting: string(armored)}, d.note(by)
}
func (d *desk) Bundle(_ context.Context, id string) ([]byte, error) {
	return []byte("bundle " + id), d.fail
}
func (d *desk) Answer(_ context.Context, by Actor, raw []byte) (Answered, error) {
	return Answered{Changed: true, TopUp: TopUp{Waiting: string(raw)}}, d.note(by)
}

func (d *desk) Returned(_ context.Context, by Actor, raw []byte) (Answered, error) {
	return Answered{Changed: true, TopUp: TopUp{Waiting: string(raw)}}, d.note(by)
}
func (d *desk) Plan(_ context.Context, p Planning) (Plan, error) {
	return Plan{Inputs: len(p.Wallet), FeeRate: RateOf(12_500)}, d.fail
}
func (d *desk) Consolidate(_ context.Context, by Actor, c Consolidation) (TopUp, error) {
	return TopUp{From: c.Wallet, To: c.Wallet, Waiting: c.Below}, d.note(by)
}
func (d *desk) Pay(_ context.Context, by Actor, p Paying) (TopUp, error) {
	return TopUp{From: p.Wallet, Entry: p.Entry, Waiting: p.Amount}, d.note(by)
}
func (d *desk) Bear(_ context.Context, by Actor, b Bearing) (TopUp, error) {
	return TopUp{ID: b.Of, Waiting: b.FeeRate + " at " + b.Output}, d.note(by)
}
func (d *desk) Entries(_ context.Context, wallet string) ([]Entry, error) {
	return []Entry{{wallet, "bcrt1q"}}, d.fail
}
func (d *desk) Bump(_ context.Context, by Actor, id string, b Bumping) (TopUp, error) {
	return TopUp{ID: id, Waiting: b.FeeRate}, d.note(by)
}
func (d *desk) Cancel(_ context.Context, by Actor, id string, c Cancelling) (TopUp, error) {
	return TopUp{ID: id, Waiting: c.Reason + strings.Join(c.AcceptRisk, ",")}, d.note(by)
}

// staff is a list of enrolled certificates by their identity.
type staff struct {
	mu   sync.Mutex
	list map[string]string
}

func (s *staff) Enrolled(name string, c *x509.Certificate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list[name] == CertificateID(c)
}

func (s *staff) set(name string, certPEM []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := ParseCertificate(certPEM)
	if err != nil {
		panic(err)
	}
	s.list[name] = CertificateID(c)
}

func (s *staff) revoke(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, name)
}

// house is a running server with its authority, and a clock that a test may move.
type house struct {
	t         *testing.T
	desk      *desk
	staff     *staff
	authority Authority
	address   string
	mu        sync.Mutex
	now       time.Time
}

func (h *house) clock() time.Time  { h.mu.Lock(); defer h.mu.Unlock(); return h.now }
func (h *house) set(now time.Time) { h.mu.Lock(); defer h.mu.Unlock(); h.now = now }

func newHouse(t *testing.T) *house {
	t.Helper()
	authority, err := NewAuthority("coldsign regtest", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, desk: &desk{}, staff: &staff{list: map[string]string{}}, authority: authority, now: noon}
	cert, key, err := authority.IssueServer([]string{"127.0.0.1"}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Views: h.desk, TopUps: h.desk, Bundles: h.desk, Plans: h.desk, Changes: h.desk, Staff: h.staff, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: h.clock}
	config, err := server.TLS(authority.CertPEM(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener, config) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server ended with %v", err)
		}
	})
	return h
}

// person enrols somebody and returns their credentials.
func (h *house) person(name string, authority Authority, now time.Time) Credentials {
	h.t.Helper()
	key, request, err := NewPersonKey(name, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	cert, err := authority.IssuePerson(name, request, now, rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	return Credentials{Server: "https://" + h.address, Authority: h.authority.CertPEM(), Cert: cert, Key: key}
}

func (h *house) enrolled(name string) Credentials {
	c := h.person(name, h.authority, noon)
	h.staff.set(name, c.Cert)
	return c
}

func (h *house) client(c Credentials) *Client {
	h.t.Helper()
	client, err := NewClient(c, h.clock)
	if err != nil {
		h.t.Fatal(err)
	}
	return client
}

// alsoAnswers asks the endpoints that plan and change.
func (h *house) alsoAnswers(c *Client) {
	t, ctx := h.t, context.Background()
	t.Helper()
	if a, err := c.Returned(ctx, []byte("psbt")); err != nil || a.TopUp.Waiting != "psbt" || a.Schema != SchemaAnswered {
		t.Errorf("returned: %+v, %v", a, err)
	}
	if p, err := c.Plan(ctx, Planning{Kind: KindTopUp, Wallet: "HOT"}); err != nil || p.Inputs != 3 || p.FeeRate != (Amount{"12.500", "sat/vB"}) || p.Schema != SchemaPlan {
		t.Errorf("plan: %+v, %v", p, err)
	}
	var problem *Problem
	if _, err := c.Plan(ctx, Planning{Kind: "theft"}); !errors.As(err, &problem) || problem.Kind != Misused {
		t.Errorf("a plan of another kind: %v", err)
	}
	if u, err := c.Consolidate(ctx, Consolidation{"COLD", "0.1"}); err != nil || u.To != "COLD" || u.Waiting != "0.1" || u.Schema != SchemaTopUp {
		t.Errorf("consolidate: %+v, %v", u, err)
	}
	if u, err := c.Pay(ctx, Paying{"COLD", "otc-desk", "1.5"}); err != nil || u.From != "COLD" || u.Entry != "otc-desk" || u.Waiting != "1.5" || u.Schema != SchemaTopUp {
		t.Errorf("pay: %+v, %v", u, err)
	}
	if u, err := c.Bear(ctx, Bearing{Of: "7", Output: "1", FeeRate: "25"}); err != nil || u.ID != "7" || u.Waiting != "25 at 1" || u.Schema != SchemaTopUp {
		t.Errorf("bear: %+v, %v", u, err)
	}
	if list, err := c.Entries(ctx, "COLD & CO"); err != nil || len(list.Entries) != 1 || list.Entries[0].Name != "COLD & CO" || list.Schema != SchemaEntries {
		t.Errorf("entries: %+v, %v", list, err)
	}
	for _, kind := range []string{KindPayment, KindChild} { // nothing is said of them
		if _, err := c.Plan(ctx, Planning{Kind: kind}); !errors.As(err, &problem) || problem.Kind != Misused {
			t.Errorf("a plan of a %s of nothing: %v", kind, err)
		}
	}
	if _, err := c.Plan(ctx, Planning{Kind: KindChild, Child: &Bearing{}}); err != nil {
		t.Error(err)
	}
	if u, err := c.Bump(ctx, "7", Bumping{"12.5"}); err != nil || u.ID != "7" || u.Waiting != "12.5" {
		t.Errorf("bump: %+v, %v", u, err)
	}
	if u, err := c.Cancel(ctx, "7", Cancelling{"typo ", []string{GivenSignatures}}); err != nil || u.ID != "7" || u.Waiting != "typo given-signatures" {
		t.Errorf("cancel: %+v, %v", u, err)
	}
}

func TestFeeRatesAreExact(t *testing.T) {
	for text, want := range map[string]int64{"1": 1000, "12.5": 12_500, "0.001": 1, "300.125": 300_125, "0": 0, "": 0, "-1": 0, "1e3": 0, "1.0001": 0, "1,5": 0,
		"99999999999999999999": 0} {
		got, err := ParseRate(text)
		if got != want && want != 0 || (err == nil) != (want != 0) {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	if a := RateOf(300_125); a != (Amount{"300.125", "sat/vB"}) {
		t.Errorf("written %+v", a)
	}
}

func TestEveryEndpointAnswersAnEnrolledPerson(t *testing.T) {
	h := newHouse(t)
	c, ctx := h.client(h.enrolled("alice")), context.Background()
	if s, err := c.Status(ctx); err != nil || s.Schema != SchemaStatus || s.Person != "alice" {
		t.Errorf("status: %+v, %v", s, err)
	}
	if w, err := c.Wallets(ctx); err != nil || w.Schema != SchemaWallets || w.Wallets[0].Balance != (Amount{"0.00000001", "BTC"}) {
		t.Errorf("wallets: %+v, %v", w, err)
	}
	if l, err := c.TopUps(ctx); err != nil || l.Schema != SchemaTopUps {
		t.Errorf("topups: %+v, %v", l, err)
	}
	if u, err := c.TopUp(ctx, "7"); err != nil || u.ID != "7" || u.Schema != SchemaTopUp {
		t.Errorf("topup: %+v, %v", u, err)
	}
	if u, err := c.Propose(ctx, Proposal{"HOT-BTC-1"}); err != nil || u.Proposer != "alice" || u.To != "HOT-BTC-1" {
		t.Errorf("propose: %+v, %v", u, err)
	}
	if u, err := c.Approve(ctx, "7", []byte("armour")); err != nil || u.Waiting != "armour" {
		t.Errorf("approve: %+v, %v", u, err)
	}
	if b, err := c.Bundle(ctx, "7"); err != nil || string(b) != "bundle 7" {
		t.Errorf("bundle: %q, %v", b, err)
	}
	if a, err := c.Answer(ctx, []byte("answer")); err != nil || a.TopUp.Waiting != "answer" || !a.Changed {
		t.Errorf("answer: %+v, %v", a, err)
	}
	if e, err := c.Events(ctx, 41, "7"); err != nil || e.Events[0].Seq != 42 || e.Events[0].TopUp != "7" {
		t.Errorf("events: %+v, %v", e, err)
	}
	h.alsoAnswers(c)
	for _, by := range h.desk.asked {
		if by.Person != "alice" || by.Address != "127.0.0.1" || len(by.Certificate) != 64 {
			t.Errorf("the daemon was told %+v", by)
		}
	}
}

func TestConnectionNeedsAnEnrolledCertificate(t *testing.T) {
	h := newHouse(t)
	good := h.enrolled("alice")
	stranger, err := NewAuthority("coldsign regtest", noon, rand.Reader) // the same name, another key
	if err != nil {
		t.Fatal(err)
	}
	foreign := h.person("alice", stranger, noon)
	expired := h.person("bob", h.authority, noon.Add(-2*personLife))
	h.staff.set("bob", expired.Cert)
	second := h.person("alice", h.authority, noon) // genuine, but not the one that was enrolled
	unknown := h.person("mallory", h.authority, noon)
	cert, key, err := h.authority.IssueServer([]string{"127.0.0.1"}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serverCert := Credentials{Server: good.Server, Authority: good.Authority, Cert: cert, Key: key}
	for name, c := range map[string]Credentials{
		"another authority": foreign, "an expired certificate": expired, "a certificate that was replaced": second,
		"somebody never enrolled": unknown, "a server's certificate": serverCert,
	} {
		if _, err := h.client(c).Propose(context.Background(), Proposal{}); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(h.desk.asked) != 0 {
		t.Errorf("the daemon served %v", h.desk.asked)
	}
}

func TestConnectionNeedsACertificateAndTLS13(t *testing.T) {
	h := newHouse(t)
	good := h.enrolled("alice")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(good.Authority)
	pair, err := tls.X509KeyPair(good.Cert, good.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{
		"no certificate": {RootCAs: pool, Time: h.clock},
		"TLS 1.2":        {RootCAs: pool, Time: h.clock, Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12},
	} {
		conn, err := tls.Dial("tcp", h.address, config)
		if err == nil {
			// With TLS 1.3 a client learns from its first read that the server turned it away.
			_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Errorf("%s: was served", name)
		}
	}
}

func TestClientRefusesADaemonOfAnotherAuthority(t *testing.T) {
	h := newHouse(t)
	c := h.enrolled("alice")
	stranger, err := NewAuthority("coldsign regtest", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.Authority = stranger.CertPEM()
	if _, err := h.client(c).Status(context.Background()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("status: %v", err)
	}
}

// A connection that is kept open is no way around revocation or the end of the certificate.
func TestKeptConnectionEndsWithRevocationAndExpiry(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.client(h.enrolled("alice")), h.client(h.enrolled("bob"))
	for _, c := range []*Client{alice, bob} {
		if _, err := c.Status(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	h.staff.revoke("alice")
	var p *Problem
	if _, err := alice.Status(context.Background()); !errors.As(err, &p) || p.Code != "not-enrolled" {
		t.Errorf("after revocation: %v", err)
	}
	h.set(noon.Add(personLife + time.Hour))
	if _, err := bob.Status(context.Background()); !errors.As(err, &p) || p.Code != "not-enrolled" {
		t.Errorf("after the certificate's end: %v", err)
	}
}

func TestRefusalsCrossTheWireWhole(t *testing.T) {
	h := newHouse(t)
	c := h.client(h.enrolled("alice"))
	first := spend.Distrust("approval-forged", "approval 1", "a valid signature", "another", "sign again")
	h.desk.fail = errors.Join(first, spend.Refuse("proposer-approves", "approval 2", "another person", "alice", ""))
	_, err := c.Approve(context.Background(), "1", nil)
	var p *Problem
	var r *spend.Refusal
	if !errors.As(err, &p) || p.Kind != NotAuthentic || len(p.Reasons) != 2 {
		t.Fatalf("problem %+v", p)
	}
	if !errors.As(err, &r) || *r != *first {
		t.Errorf("refusal came back as %+v", r)
	}
}

func TestInternalErrorsStayInside(t *testing.T) {
	h := newHouse(t)
	h.desk.fail = errors.New("open /var/lib/coldsign/db: permission denied")
	_, err := h.client(h.enrolled("alice")).Status(context.Background())
	var p *Problem
	if !errors.As(err, &p) || p.Kind != Broken || strings.Contains(p.Sentence, "/var") {
		t.Errorf("problem %+v", p)
	}
}

func TestListenerIsNeverPublic(t *testing.T) {
	for address, good := range map[string]bool{
		"127.0.0.1:7443": true, "[::1]:0": true, "10.1.2.3:7443": true, "192.168.0.9:1": true, "[fd00::1]:5": true,
		"0.0.0.0:7443": false, "[::]:7443": false, "8.8.8.8:443": false, "localhost:7443": false, ":7443": false, "": false, "100.64.0.1:1": false,
	} {
		if err := CheckListen(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestRequestsAreStrict(t *testing.T) {
	for text, good := range map[string]bool{
		`{"wallet":"A"}`: true, `{}`: true, ` {"wallet":"A"} `: true,
		`{"wallet":"A","wallet":"B"}`: false, `{"wallet":"A","Wallet":"B"}`: false, `{"walet":"A"}`: false, `{"wallet":"A"}{}`: false,
		`{"wallet":"A"} x`: false, `{"wallet":1}`: false, ``: false, `[]`: false, `{"wallet":"A"`: false,
		strings.Repeat(`{"wallet":`, 100): false,
	} {
		var p Proposal
		if err := decodeStrict([]byte(text), &p); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEnrolmentTakesOnlyTheKeyFromARequest(t *testing.T) {
	authority, err := NewAuthority("coldsign regtest", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	greedy := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "alice"}, DNSNames: []string{"exchanged"}}
	der, err := x509.CreateCertificateRequest(rand.Reader, greedy, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.IssuePerson("alice", encodePEM("CERTIFICATE REQUEST", der), noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCertificate(cert)
	if err != nil || c.IsCA || len(c.DNSNames) != 0 || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("certificate %+v, %v", c, err)
	}
	if _, err := authority.IssuePerson("bob", encodePEM("CERTIFICATE REQUEST", der), noon, rand.Reader); err == nil {
		t.Error("a request for alice gave a certificate for bob")
	}
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err = x509.CreateCertificateRequest(rand.Reader, greedy, weak)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authority.IssuePerson("alice", encodePEM("CERTIFICATE REQUEST", der), noon, rand.Reader); err == nil {
		t.Error("a P-224 key was certified")
	}
	for _, name := range []string{"", "Alice", "a b", "../x", "a..b", strings.Repeat("a", 33)} {
		if CheckPerson(name) == nil {
			t.Errorf("%q is a person", name)
		}
	}
}

func TestAuthoritySurvivesItsFiles(t *testing.T) {
	a, err := NewAuthority("coldsign regtest", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAuthority(a.CertPEM(), key); err != nil {
		t.Error(err)
	}
	other, err := NewAuthority("coldsign regtest", noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAuthority(other.CertPEM(), key); err == nil {
		t.Error("another authority's certificate went with this key")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"wallet":"A"}`))
	f.Add([]byte(`{"wallet":{"a":[1,2,{"b":null}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p Proposal
		_ = decodeStrict(raw, &p)
	})
}

package admin

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Views answers what can be looked at.
type Views interface {
	Status(ctx context.Context) (Status, error)
	Wallets(ctx context.Context) ([]Wallet, error)
	Events(ctx context.Context, after uint64, topUp string) ([]Event, error)
	Entries(ctx context.Context, wallet string) ([]Entry, error)
}

// TopUpDesk keeps the intents.
type TopUpDesk interface {
	TopUps(ctx context.Context) ([]TopUp, error)
	TopUp(ctx context.Context, id string) (TopUp, error)
	Propose(ctx context.Context, by Actor, wallet string) (TopUp, error)
	Approve(ctx context.Context, by Actor, id string, armored []byte) (TopUp, error)
}

// BundleDesk hands bundles out and takes answers in.
type BundleDesk interface {
	Bundle(ctx context.Context, id string) ([]byte, error)
	Answer(ctx context.Context, by Actor, raw []byte) (Answered, error)
	Returned(ctx context.Context, by Actor, psbt []byte) (Answered, error)
}

// PlanDesk says what things would take, and proposes those that no tier asks for.
type PlanDesk interface {
	Plan(ctx context.Context, p Planning) (Plan, error)
	Consolidate(ctx context.Context, by Actor, c Consolidation) (TopUp, error)
	Pay(ctx context.Context, by Actor, p Paying) (TopUp, error)
	Bear(ctx context.Context, by Actor, b Bearing) (TopUp, error)
}

// ChangeDesk changes what is under way.
type ChangeDesk interface {
	Bump(ctx context.Context, by Actor, id string, b Bumping) (TopUp, error)
	Cancel(ctx context.Context, by Actor, id string, c Cancelling) (TopUp, error)
}

// Staff knows which certificates were enrolled and not revoked.
type Staff interface {
	Enrolled(name string, certificate *x509.Certificate) bool
}

// Server is the listening end.
type Server struct {
	Views   Views
	TopUps  TopUpDesk
	Bundles BundleDesk
	Plans   PlanDesk
	Changes ChangeDesk
	Staff   Staff
	Log     *slog.Logger
	Now     func() time.Time

	// Of a daemon that is an exchange; all nil otherwise.
	Exchange  ExchangeDesk
	Customers CustomerDesk
	Engine    EngineDesk
	Funds     FundsDesk
}

// CheckListen refuses an address that is not a literal loopback or private IP with a port: the staff API has no
// business on the internet, and a host name could come to mean another address tomorrow.
func CheckListen(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("admin listen address %q is not IP:PORT", address)
	}
	if ip := parsed.Addr(); !ip.IsLoopback() && !ip.IsPrivate() {
		return fmt.Errorf("admin listen address %s is neither loopback nor private", ip)
	}
	return nil
}

// TLS returns the server's side of the handshake.
func (s *Server) TLS(authority, certPEM, privatePEM []byte) (*tls.Config, error) {
	root, err := ParseCertificate(authority)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, privatePEM)
	if err != nil {
		return nil, errors.New("certificate and key of the server do not belong together")
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		SessionTicketsDisabled: true, // each connection shows its certificate again, so that revoking works at once
		Time:                   s.Now,
		VerifyConnection:       func(state tls.ConnectionState) error { return s.admit(&state) },
	}, nil
}

// admit checks the peer at the handshake and again at each request: a kept connection outlives neither a revocation
// nor the certificate's own end.
func (s *Server) admit(state *tls.ConnectionState) error {
	if state == nil || len(state.PeerCertificates) == 0 || len(state.VerifiedChains) == 0 {
		return errors.New("no client certificate")
	}
	leaf := state.PeerCertificates[0]
	name := leaf.Subject.CommonName
	if err := CheckPerson(name); err != nil {
		return err
	}
	if now := s.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return fmt.Errorf("certificate of %s is valid from %s to %s", name, leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if !s.Staff.Enrolled(name, leaf) {
		return fmt.Errorf("certificate of %s is not enrolled", name)
	}
	return nil
}

// Serve answers requests on a listener until ctx ends, then lets requests under way finish for a few seconds.
func (s *Server) Serve(ctx context.Context, listener net.Listener, config *tls.Config) error {
	server := &http.Server{
		Handler: s.Handler(), TLSConfig: config, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	}()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin listener: %w", err)
	}
	return <-stopped
}

// route is what one endpoint does: it reads its request and returns the object to reply with, or octets.
type route func(r *http.Request, by Actor) (any, error)

type octets []byte

// Handler returns the routes. Each passes the same door, so that none can forget it.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, act := range map[string]route{
		"GET /v1/status":                 s.status,
		"GET /v1/wallets":                s.wallets,
		"GET /v1/topups":                 s.topUps,
		"POST /v1/topups":                s.propose,
		"GET /v1/topups/{id}":            s.topUp,
		"POST /v1/topups/{id}/approvals": s.approve,
		"GET /v1/topups/{id}/bundle":     s.bundle,
		"POST /v1/answers":               s.answer,
		"POST /v1/psbts":                 s.returned,
		"POST /v1/plans":                 s.plan,
		"POST /v1/consolidations":        s.consolidate,
		"POST /v1/payments":              s.pay,
		"POST /v1/children":              s.bear,
		"GET /v1/entries":                s.entries,
		"POST /v1/topups/{id}/bump":      s.bump,
		"POST /v1/topups/{id}/cancel":    s.cancel,
		"GET /v1/events":                 s.events,
	} {
		mux.Handle(pattern, s.door(pattern, act))
	}
	for pattern, act := range s.exchangeRoutes() {
		mux.Handle(pattern, s.door(pattern, act))
	}
	return mux
}

func (s *Server) door(pattern string, act route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.admit(r.TLS); err != nil {
			s.Log.Warn("admin request turned away", "route", pattern, "from", r.RemoteAddr, "reason", err.Error())
			problem := NewProblem(Refused, "not-enrolled", "this certificate is not enrolled here",
				"ask an operator for: exchanged staff enroll NAME --csr FILE --out FILE")
			reply(w, problem.httpStatus(), problem)
			return
		}
		if byBrowser(r) {
			s.Log.Warn("admin request turned away", "route", pattern, "from", r.RemoteAddr, "reason", "a page of the web sent it")
			problem := NewProblem(Refused, "not-for-browsers", "pages of the web do not speak with the staff API", "use warmctl, or exchanged")
			reply(w, problem.httpStatus(), problem)
			return
		}
		leaf := r.TLS.PeerCertificates[0]
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		by := Actor{leaf.Subject.CommonName, host, CertificateID(leaf)}
		value, err := act(r, by)
		if err != nil {
			problem := ProblemOf(err)
			s.Log.Info("admin request refused", "route", pattern, "person", by.Person, "from", by.Address, "code", problem.Code, "error", err.Error())
			reply(w, problem.httpStatus(), problem)
			return
		}
		s.Log.Debug("admin request", "route", pattern, "person", by.Person, "from", by.Address)
		reply(w, http.StatusOK, value)
	})
}

// byBrowser reports whether a browser sent the request. Somebody who put his certificate into one would let every page
// that he opens act as him: a browser shows it unasked.
func byBrowser(r *http.Request) bool {
	for _, name := range []string{"Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Cookie"} {
		if len(r.Header.Values(name)) > 0 {
			return true
		}
	}
	return false
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Cache-Control", "no-store")
	if raw, ok := value.(octets); ok {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.WriteHeader(status)
		_, _ = w.Write(raw) // a caller that went away asks again
		return
	}
	raw, err := json.Marshal(value)
	if err != nil {
		panic("admin: a reply that JSON cannot hold: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n'))
}

// body reads at most max bytes of a request and refuses one byte more.
func body(r *http.Request, max int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, max+1))
	if err != nil {
		return nil, NewProblem(Misused, "body-unreadable", "the request ended early")
	}
	if int64(len(raw)) > max {
		return nil, NewProblem(Misused, "body-too-large", fmt.Sprintf("the request has more than %d bytes", max))
	}
	return raw, nil
}

func object(r *http.Request, v any) error {
	raw, err := body(r, requestMax)
	if err != nil {
		return err
	}
	if err := decodeStrict(raw, v); err != nil {
		return NewProblem(Misused, "body-malformed", err.Error())
	}
	return nil
}

func (s *Server) status(r *http.Request, by Actor) (any, error) {
	status, err := s.Views.Status(r.Context())
	status.Schema, status.Person = SchemaStatus, by.Person
	return status, err
}

func (s *Server) wallets(r *http.Request, _ Actor) (any, error) {
	list, err := s.Views.Wallets(r.Context())
	return Wallets{SchemaWallets, list}, err
}

func (s *Server) topUps(r *http.Request, _ Actor) (any, error) {
	list, err := s.TopUps.TopUps(r.Context())
	return TopUps{SchemaTopUps, list}, err
}

func (s *Server) topUp(r *http.Request, _ Actor) (any, error) {
	return withSchema(s.TopUps.TopUp(r.Context(), r.PathValue("id")))
}

func (s *Server) propose(r *http.Request, by Actor) (any, error) {
	var p Proposal
	if err := object(r, &p); err != nil {
		return nil, err
	}
	return withSchema(s.TopUps.Propose(r.Context(), by, p.Wallet))
}

func (s *Server) approve(r *http.Request, by Actor) (any, error) {
	var a Approving
	if err := object(r, &a); err != nil {
		return nil, err
	}
	return withSchema(s.TopUps.Approve(r.Context(), by, r.PathValue("id"), []byte(a.Signature)))
}

func withSchema(t TopUp, err error) (any, error) {
	t.Schema = SchemaTopUp
	return t, err
}

func (s *Server) bundle(r *http.Request, _ Actor) (any, error) {
	raw, err := s.Bundles.Bundle(r.Context(), r.PathValue("id"))
	return octets(raw), err
}

func (s *Server) answer(r *http.Request, by Actor) (any, error) {
	raw, err := body(r, answerMax)
	if err != nil {
		return nil, err
	}
	answered, err := s.Bundles.Answer(r.Context(), by, raw)
	answered.Schema = SchemaAnswered
	return answered, err
}

func (s *Server) events(r *http.Request, _ Actor) (any, error) {
	query := r.URL.Query()
	after, err := strconv.ParseUint(cmp.Or(query.Get("after"), "0"), 10, 63)
	if err != nil {
		return nil, NewProblem(Misused, "after-malformed", "after is not a sequence number")
	}
	list, err := s.Views.Events(r.Context(), after, query.Get("topup"))
	return Events{SchemaEvents, list}, err
}

package bus

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// reach is what each segment may do, written out by hand: it must not follow from the table it checks.
var reach = map[Segment]map[string]string{ // subject: p(ublish), s(ubscribe)
	Gateway: {"cmd.order.1": "p", "cmd.withdraw": "p", "cmd.account": "p", "qry.public": "p", "qry.gateway": "p", "lim.take": "p", "evt.frame.1": "s",
		"evt.unban.gateway": "s", "epoch.engine": "p", "_INBOX.gateway.x": "s"},
	Engine: {"cmd.order.1": "s", "cmd.withdraw": "s", "cmd.account": "s", "cmd.deposit": "s", "cmd.settle": "s", "cmd.admin": "s", "qry.public": "s",
		"qry.gateway": "s", "qry.wallet": "s", "qry.admin": "s", "ops.engine": "s", "evt.frame.1": "p", "evt.wallet": "p", "evt.unban.gateway": "p",
		"evt.unban.limits": "p", "qry.limits": "s", "epoch.engine": "s", "_INBOX.engine.x": "s"},
	Wallet: {"cmd.deposit": "p", "cmd.settle": "p", "qry.public": "p", "qry.wallet": "p", "evt.wallet": "s", "epoch.engine": "p", "_INBOX.wallet.x": "s"},
	Admin:  {"cmd.admin": "p", "qry.public": "p", "qry.admin": "p", "ops.engine": "p", "_INBOX.admin.x": "s"},
	Limits: {"lim.take": "s", "qry.limits": "p", "evt.unban.limits": "s", "epoch.engine": "p", "_INBOX.limits.x": "s"},
}

// everySubject is every subject that anybody has, and those that nobody has.
func everySubject() []string {
	out := []string{">", "_INBOX.>", "cmd.>", "evt.>", "*.order.1", "$SYS.REQ.SERVER.PING", "$JS.API.STREAM.LIST", "cmd.order", "cmd.order.1.2", "other", "_INBOX.x"}
	seen := map[string]bool{}
	for _, subjects := range reach {
		for subject := range subjects {
			if !seen[subject] {
				seen[subject] = true
				out = append(out, subject)
			}
		}
	}
	return out
}

// Every segment tries every subject with its own key and a bare NATS client, past all checks of ours.
func TestControl007TheServerLetsEachSegmentReachItsOwnSubjectsAlone(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	for _, segment := range Segments() {
		c := w.creds[segment]
		denied := make(chan error, 64)
		nc, err := nats.Connect("", nats.InProcessServer(s.server), nats.Nkey(c.user, c.sign), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		// try reports whether the server let something pass. The last of two violations tells that both were handled.
		try := func(act func() error) bool {
			if err := errors.Join(act(), nc.Publish("sentinel.never.allowed", nil), nc.Flush()); err != nil {
				t.Fatal(err)
			}
			passed := true
			for err := range denied {
				if strings.Contains(err.Error(), "sentinel") {
					return passed
				}
				passed = false
			}
			return false
		}
		for _, subject := range everySubject() {
			may := reach[segment][subject]
			if !strings.ContainsAny(subject, "*>") {
				if got := try(func() error { return nc.Publish(subject, []byte("x")) }); got != strings.Contains(may, "p") {
					t.Errorf("%s publishes on %s: %v", segment, subject, got)
				}
			}
			if got := try(func() error { _, err := nc.SubscribeSync(subject); return err }); got != strings.Contains(may, "s") {
				t.Errorf("%s subscribes to %s: %v", segment, subject, got)
			}
		}
	}
}

func TestDenialsAreErrorsOfTheRequestThatCausedThem(t *testing.T) {
	w := newWorld(t)
	gateway := w.dial(t, Gateway, Options{Server: w.server(t, "")})
	if _, err := gateway.Request(context.Background(), "cmd.deposit", nil); !errors.Is(err, ErrDenied) {
		t.Fatalf("here: %v", err)
	}
	if err := gateway.Serve("cmd.order.1", 1, nil); !errors.Is(err, ErrDenied) {
		t.Fatalf("here: %v", err)
	}
	// Past our own check, the server's refusal comes later and from elsewhere; it must still end the request.
	done := make(chan error, 1)
	waiting := &call{number: gateway.number(), subject: "cmd.deposit", until: time.Now().Add(time.Minute), done: func(_ []byte, err error) { done <- err }}
	if err := errors.Join(gateway.register(waiting), gateway.nc.PublishRequest("cmd.deposit", gateway.inboxFor(waiting.number), []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "cmd.deposit") {
		t.Fatalf("from the server: %v", err)
	}
	if err := gateway.listen("evt.wallet", func(*nats.Msg) {}); !errors.Is(err, ErrDenied) {
		t.Fatalf("subscription: %v", err)
	}
	if err := gateway.listen("_INBOX.engine.>", func(*nats.Msg) {}); !errors.Is(err, ErrDenied) {
		t.Fatalf("another's inbox: %v", err)
	}
	if got := gateway.Stats().Denied; got == 0 {
		t.Errorf("%d denials counted", got)
	}
}

func TestAWrongKeyIsACredentialsError(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	for _, listen := range []string{"", "127.0.0.1:0"} {
		s := w.server(t, listen)
		o := Options{Credentials: other.creds[Gateway], Server: s}
		if listen != "" {
			o.Server, o.URLs = nil, []string{s.URL()}
		}
		if _, err := Dial(context.Background(), o); !errors.Is(err, ErrCredentials) {
			t.Errorf("listen %q: %v", listen, err)
		}
	}
}

// certified makes a server's or a client's key and certificate.
func certified(t *testing.T, parent *x509.Certificate, signer crypto.Signer) (tls.Certificate, *x509.Certificate, crypto.Signer) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true}
	if parent == nil {
		parent, signer, template.IsCA, template.KeyUsage = template, key, true, x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, leaf, key
}

func TestControl132ServersElsewhereNeedTLS13WithCertificatesOnBothEnds(t *testing.T) {
	w := newWorld(t)
	for _, url := range []string{"nats://10.0.0.1:4222", "nats://bus.internal:4222"} {
		if _, err := Dial(context.Background(), Options{Credentials: w.creds[Gateway], URLs: []string{url}}); err == nil || !strings.Contains(err.Error(), "TLS") {
			t.Errorf("%s: %v", url, err)
		}
	}
	_, root, rootKey := certified(t, nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	pair, _, _ := certified(t, root, rootKey)
	client, _, _ := certified(t, root, rootKey)
	start := func(max uint16) *Server {
		options := serverOptions(w.users)
		options.Host, options.Port = "127.0.0.1", server.RANDOM_PORT
		options.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: max}
		options.TLSTimeout = 2
		s, err := startServer(options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	good, old := start(0), start(tls.VersionTLS12)
	config := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}}
	engine, gateway := w.dial(t, Engine, Options{URLs: []string{good.URL()}, TLS: config}), w.dial(t, Gateway, Options{URLs: []string{good.URL()}, TLS: config})
	serve(t, engine, "cmd.order.1", (&log{}).handle)
	ask(t, gateway, "cmd.order.1", "x")
	for name, o := range map[string]Options{"TLS 1.2": {URLs: []string{old.URL()}, TLS: config}, "no certificate": {URLs: []string{good.URL()}, TLS: &tls.Config{RootCAs: pool}},
		"another root": {URLs: []string{good.URL()}, TLS: &tls.Config{Certificates: []tls.Certificate{client}}}, "no TLS": {URLs: []string{good.URL()}}} {
		o.Credentials = w.creds[Wallet]
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		if c, err := Dial(ctx, o); err == nil {
			c.Close()
			t.Errorf("%s: connected", name)
		}
		cancel()
	}
}

func TestRequestsAreAnsweredByTheirSegment(t *testing.T) {
	w := newWorld(t)
	for _, listen := range []string{"", "127.0.0.1:0"} {
		s := w.server(t, listen)
		o := Options{Server: s}
		if listen != "" {
			o = Options{URLs: []string{s.URL()}}
		}
		engine, gateway := w.dial(t, Engine, o), w.dial(t, Gateway, o)
		serve(t, engine, "cmd.order.1", func(_ context.Context, from Segment, payload []byte) ([]byte, error) {
			switch string(payload) {
			case "fail":
				return nil, errors.New("no such thing")
			case "busy":
				return nil, fmt.Errorf("%w: full", ErrBusy)
			}
			return []byte(from.String() + " " + string(payload)), nil
		})
		if got := ask(t, gateway, "cmd.order.1", "hi"); got != "gateway hi" {
			t.Error(got)
		}
		var remote *Remote
		if _, err := gateway.Request(context.Background(), "cmd.order.1", []byte("fail")); !errors.As(err, &remote) || remote.Text != "no such thing" {
			t.Error(err)
		}
		if _, err := gateway.Request(context.Background(), "cmd.order.1", []byte("busy")); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		if _, err := gateway.Request(context.Background(), "cmd.order.1", make([]byte, MessageMax+1)); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
		if got := ask(t, gateway, "cmd.order.1", strings.Repeat("x", MessageMax-8)); len(got) != MessageMax {
			t.Errorf("%d bytes", len(got))
		}
		if _, err := gateway.Request(context.Background(), "cmd.order.2", nil); !errors.Is(err, ErrDown) {
			t.Errorf("nobody serves it: %v", err)
		}
	}
}

func TestARequestWithoutReplyIsUnknown(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	engine, gateway := w.dial(t, Engine, Options{Server: s}), w.dial(t, Gateway, Options{Server: s})
	taken := &log{hold: make(chan struct{})}
	serve(t, engine, "cmd.order.1", taken.handle)
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		if _, err := gateway.Request(ctx, "cmd.order.1", []byte("slow")); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v", err)
		}
		cancel()
	}
	close(taken.hold)
	if gateway.Stats().Pending != 0 {
		t.Errorf("%+v", gateway.Stats())
	}
}

func TestTooManyAtOnceAreRefusedNotQueued(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	engine, gateway := w.dial(t, Engine, Options{Server: s}), w.dial(t, Gateway, Options{Server: s})
	taken := &log{hold: make(chan struct{})}
	if err := engine.Serve("cmd.order.1", 2, taken.handle); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 5)
	for range 5 {
		gateway.Send(context.Background(), "cmd.order.1", []byte("x"), func(_ []byte, err error) { results <- err })
	}
	for range 3 {
		if err := <-results; !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
	}
	close(taken.hold)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestAnEngineThatWasStartedAgainIsGreetedAgain(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	gateway := w.dial(t, Gateway, Options{Server: s})
	first := w.dial(t, Engine, Options{Server: s})
	serve(t, first, "cmd.order.1", (&log{}).handle)
	ask(t, gateway, "cmd.order.1", "1")
	first.Close()
	second, taken := w.dial(t, Engine, Options{Server: s}), &log{}
	serve(t, second, "cmd.order.1", taken.handle)
	if got := ask(t, gateway, "cmd.order.1", "2"); got != "did: 2" || second.Stats().Strange != 1 {
		t.Errorf("%q %+v", got, second.Stats())
	}
}

// Requests that an engine took and died with kept all places of the gateways' messages for five seconds, and the engine
// that was there already heard nothing.
func TestRequestsEndWhenTheEngineThatTookThemWasReplaced(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	gateway, first := w.dial(t, Gateway, Options{Server: s}), w.dial(t, Engine, Options{Server: s})
	taken := make(chan struct{})
	serve(t, first, "cmd.order.1", func(ctx context.Context, _ Segment, _ []byte) ([]byte, error) {
		close(taken)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	stream, err := first.Publisher("evt.frame.1")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(heardEvents, 64)
	if err := gateway.Subscribe("evt.frame.1", heard); err != nil {
		t.Fatal(err)
	}
	<-heard
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	ended := make(chan error, 1)
	gateway.Send(ctx, "cmd.order.1", []byte("1"), func(_ []byte, err error) { ended <- err })
	<-taken
	if err := stream.Publish([]byte("before")); err != nil || <-heard != "before" {
		t.Fatal(err)
	}
	first.nc.Close() // as kill -9 does

	second, places := w.dial(t, Engine, Options{Server: s}), &log{}
	serve(t, second, "cmd.order.1", places.handle)
	if stream, err = second.Publisher("evt.frame.1"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(30 * time.Second); ; {
		if err := stream.Publish([]byte("after")); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("%v", err)
			}
			if got := ask(t, gateway, "cmd.order.1", "2"); got != "did: 2" {
				t.Errorf("%q", got)
			}
			return
		case <-heard:
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal("the request still waits for the engine that is gone")
		}
	}
}

func TestSessionsOfManyAskersMakeRoom(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, "")
	engine := w.dial(t, Engine, Options{Server: s})
	serve(t, engine, "cmd.order.1", (&log{}).handle)
	first := w.dial(t, Gateway, Options{Server: s})
	ask(t, first, "cmd.order.1", "x")
	for range sessionsMax + 10 { // greetings whose owner never speaks
		if _, err := first.greet(context.Background(), "cmd.order.1"); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, first, "cmd.order.1", "y")
	if got := engine.Stats().Strange; got != 0 {
		t.Errorf("a session in use was forgotten for ones that nobody used: %d", got)
	}
}

func TestCredentialsComeBackAsTheyWentAndPrintNothing(t *testing.T) {
	for _, c := range newWorld(t).creds {
		raw := c.Marshal()
		back, err := ParseCredentials(raw)
		if err != nil || string(back.Marshal()) != string(raw) || back.User() != c.User() {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
			text := fmt.Sprintf(verb, c)
			for _, line := range strings.Split(string(raw), "\n") {
				if fields := strings.Fields(line); len(fields) > 1 && len(fields[len(fields)-1]) == 64 && strings.Contains(text, fields[len(fields)-1]) {
					t.Errorf("%s prints a key", verb)
				}
			}
		}
		for name, bad := range map[string]string{"short": string(raw[:len(raw)-2]), "twice": string(raw) + string(raw), "spaces": strings.Replace(string(raw), " ", "  ", 1), "empty": ""} {
			if _, err := ParseCredentials([]byte(bad)); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
}

func TestTheServerConfigurationNamesEverySegmentAndItsSubjects(t *testing.T) {
	w := newWorld(t)
	text := ServerConfig(w.users)
	for _, s := range Segments() {
		if !strings.Contains(text, w.users[s]) || !strings.Contains(text, `"_INBOX.`+s.String()+`.>"`) {
			t.Errorf("%s is missing in\n%s", s, text)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add((&header{kind: request, from: Gateway, to: Engine, seq: 1, until: 2}).append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, rest, err := readHeader(raw)
		if err == nil && string(append(h.append(nil), rest...)) != string(raw) {
			t.Fatalf("%x", raw)
		}
	})
}

func FuzzCredentials(f *testing.F) {
	f.Add([]byte(credentialsTitle + "\nsegment gateway\nnkey " + strings.Repeat("01", 32) + "\nkey engine " + strings.Repeat("02", 32) + "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := ParseCredentials(raw); err == nil && string(c.Marshal()) != string(raw) {
			t.Fatal("read in another way than it is written")
		}
	})
}

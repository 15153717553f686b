package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// One address has only so many connections, and all of them only so many; who leaves makes room, once.
func TestControl018ConnectionsAreBounded(t *testing.T) {
	c := newCapped(must(net.Listen("tcp", "127.0.0.1:0")), connectionsAddress+40, nil)
	defer c.Close()
	accepted := make(chan net.Conn, connectionsAddress+64)
	go func() {
		for {
			conn, err := c.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	dial := func(from string) net.Conn {
		return must((&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", c.Addr().String()))
	}
	refused := func(conn net.Conn) bool { // the other end is closed without a byte
		n, err := conn.Read(make([]byte, 1))
		return n == 0 && err != nil && err != io.EOF || err == io.EOF
	}
	var first net.Conn
	for range connectionsAddress {
		defer dial("127.0.0.1").Close()
		first = <-accepted
	}
	if !refused(dial("127.0.0.1")) {
		t.Error("one more of the same address is served")
	}
	for range 40 {
		defer dial("127.0.0.2").Close()
		<-accepted
	}
	if !refused(dial("127.0.0.3")) {
		t.Error("one more than there is room for is served")
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	_ = first.Close() // told twice
	defer dial("127.0.0.3").Close()
	<-accepted
	if c.total != connectionsAddress+40 || c.counts[netip.MustParsePrefix("127.0.0.1/32")] != connectionsAddress-1 {
		t.Errorf("%d, of one address %v", c.total, c.counts)
	}
	behind := newCapped(nil, 10_000, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for range 2 * connectionsAddress {
		if !behind.enter(behind.network(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 1})) {
			t.Fatal("a proxy is refused")
		}
	}
	for text, want := range map[string]string{"[2001:db8::1]:5": "2001:db8::/64", "[::ffff:192.0.2.1]:5": "192.0.2.1/32", "[fe80::1%eth0]:5": "fe80::/64"} {
		at := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text))
		if got := behind.network(at); got.String() != want {
			t.Errorf("%s is %s", text, got)
		}
	}
}

// Control 18: whatever a client does slowly has an end: to send the head, the body, to read the answer, to say nothing.
func TestControl018NothingThatAClientDoesSlowlyLastsForEver(t *testing.T) {
	s := newServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for name, d := range map[string]time.Duration{"head": s.ReadHeaderTimeout, "body": s.ReadTimeout, "answer": s.WriteTimeout, "silence": s.IdleTimeout} {
		if d <= 0 || d > 2*time.Minute {
			t.Errorf("%s: %v", name, d)
		}
	}
	config := gatewayConfig{Listen: "127.0.0.1:1", Internal: "127.0.0.1:2", Connections: 1, Limits: "own", Challenge: challengeConfig{}, Timeout: s.WriteTimeout - s.ReadTimeout}
	if config.check() == nil {
		t.Error("an answer may take longer than its client is waited for")
	}
}

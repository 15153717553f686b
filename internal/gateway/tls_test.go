package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate is a self-signed one that is also its own authority.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"exchange.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

// shake tries a handshake over a pipe and returns what both sides say.
func shake(server, client *tls.Config) (state tls.ConnectionState, errServer, errClient error) {
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	if errClient = c.Handshake(); errClient == nil {
		_, errClient = c.Read(make([]byte, 1))
	}
	state = c.ConnectionState()
	b.Close()
	return state, <-done, errClient
}

func TestControl132OldTLSIsRefused(t *testing.T) {
	cert, pool := certificate(t)
	public, internal := PublicTLS(cert), InternalTLS(pool, cert)
	client := func(low, high uint16, suites ...uint16) *tls.Config {
		return &tls.Config{RootCAs: pool, ServerName: "exchange.test", MinVersion: low, MaxVersion: high, CipherSuites: suites}
	}
	with := func(c *tls.Config) *tls.Config { c.Certificates = []tls.Certificate{cert}; return c }
	for _, c := range []struct {
		name           string
		server, client *tls.Config
		passes         bool
	}{
		{"public 1.0", public, client(tls.VersionTLS10, tls.VersionTLS10), false},
		{"public 1.1", public, client(tls.VersionTLS10, tls.VersionTLS11), false},
		{"public 1.2", public, client(tls.VersionTLS12, tls.VersionTLS12), true},
		{"public 1.3", public, client(tls.VersionTLS13, tls.VersionTLS13), true},
		{"public 1.2, CBC-SHA1", public, client(tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA), false},
		{"public 1.2, 3DES", public, client(tls.VersionTLS12, tls.VersionTLS12, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA), false},
		{"public 1.2, RC4", public, client(tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA), false},
		{"internal 1.2", internal, with(client(tls.VersionTLS12, tls.VersionTLS12)), false},
		{"internal without a certificate", internal, client(tls.VersionTLS13, tls.VersionTLS13), false},
		{"internal", internal, with(client(tls.VersionTLS13, tls.VersionTLS13)), true},
	} {
		state, errServer, errClient := shake(c.server, c.client)
		if passed := errServer == nil && errClient == nil; passed != c.passes {
			t.Errorf("%s: %v, %v (version %x)", c.name, errServer, errClient, state.Version)
		}
	}
}

// GODEBUG can bring TLS 1.0 back; nothing in the module asks for it.
func TestControl132NothingBringsOldTLSBack(t *testing.T) {
	module, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(module), "tls10server") || strings.Contains(string(module), "tls3des") || strings.Contains(string(module), "tlsrsakex") {
		t.Error("go.mod asks for old TLS")
	}
}

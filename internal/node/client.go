package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	answerBytesMax      = 9 << 20 // a block of 4,000,000 bytes in hexadecimal, and its envelope
	credentialsBytesMax = 1 << 10
	certificateBytesMax = 64 << 10
	callTimeoutDefault  = 30 * time.Second
)

// credentials are the ready Authorization header. The pointer and the Format method keep it out of every print.
type credentials struct {
	_      [0]func()
	header *string
}

func (credentials) Format(f fmt.State, _ rune) { io.WriteString(f, "[credentials]") }

// client makes one JSON-RPC call per HTTP request. It keeps no connection open (btcd closes each of them anyway), so it
// owns no goroutine between calls.
type client struct {
	http        *http.Client
	url         string
	credentials credentials
	timeout     time.Duration
	serial      atomic.Uint64
}

// rpcError is the node's own word for why it did not do what was asked.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("node answers %d: %.300q", e.Code, e.Message) }

// Codes that btcd and Bitcoin Core share.
const (
	rpcMethodMissing  = -32601
	rpcNoSuchTx       = -5
	rpcAlreadyInChain = -27
)

func newClient(c Config) (*client, error) {
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 64 << 10}
	if err := secureTransport(c, transport); err != nil {
		return nil, err
	}
	secret, err := readCredentials(c.CredentialsFile)
	if err != nil {
		return nil, err
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = callTimeoutDefault
	}
	// A redirect would carry the credentials to a place that the configuration does not name.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{http: &http.Client{Transport: transport, CheckRedirect: stay}, url: c.URL, credentials: secret, timeout: timeout}, nil
}

// secureTransport allows plain HTTP to this machine's own addresses alone, and TLS only to certificates that the
// configuration names: a certificate store of the system would let any authority speak for the node.
func secureTransport(c Config, transport *http.Transport) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return errors.New("node url is not a url like http://127.0.0.1:18334")
	}
	if u.User != nil {
		return errors.New("node url holds credentials; they belong into the credentials file")
	}
	switch u.Scheme {
	case "http":
		if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
			return fmt.Errorf("node %s is not a loopback address, and plain http may not leave this machine", u.Hostname())
		}
		return nil
	case "https":
		pem, err := readSmall(c.CAFile, certificateBytesMax, false)
		if err != nil {
			return fmt.Errorf("node certificate: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no PEM certificate", c.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		return nil
	}
	return fmt.Errorf("node url has scheme %q; http and https are known", u.Scheme)
}

func readCredentials(path string) (credentials, error) {
	raw, err := readSmall(path, credentialsBytesMax, true)
	if err != nil {
		return credentials{}, fmt.Errorf("node credentials: %w", err)
	}
	line := strings.TrimRight(string(raw), "\r\n")
	user, password, found := strings.Cut(line, ":")
	if !found || user == "" || password == "" || strings.ContainsAny(line, "\r\n") {
		return credentials{}, fmt.Errorf("node credentials: %s is not one line user:password", path)
	}
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte(line))
	return credentials{header: &header}, nil
}

// readSmall reads a regular file that is no symbolic link; a private one must be closed to everybody but its owner.
func readSmall(path string, bytesMax int64, private bool) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case private && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o; others than its owner can reach it", path, info.Mode().Perm())
	case info.Size() > bytesMax:
		return nil, fmt.Errorf("%s has %d bytes, at most %d", path, info.Size(), bytesMax)
	}
	return io.ReadAll(io.LimitReader(f, bytesMax))
}

// call makes one call and decodes its result into out, which may be nil. A *rpcError is the node's no; every other
// error means that nobody knows whether the node did it.
func (c *client) call(ctx context.Context, method string, out any, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if params == nil {
		params = []any{} // null params are refused by some nodes
	}
	id := c.serial.Add(1)
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": id, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("node %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("node %s: %w", method, err)
	}
	req.Header.Set("Authorization", *c.credentials.header)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("node %s: %w", method, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return fmt.Errorf("node %s: the node refuses the credentials (http %d)", method, resp.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax+1))
	if err != nil {
		return fmt.Errorf("node %s: %w", method, err)
	}
	if err := readAnswer(answer, id, out); err != nil {
		return fmt.Errorf("node %s (http %d): %w", method, resp.StatusCode, err)
	}
	return nil
}

// readAnswer decodes an answer's envelope: {"result":...,"error":null,"id":n}. It is the parser of bytes that a hostile
// node may choose.
func readAnswer(answer []byte, id uint64, out any) error {
	if len(answer) > answerBytesMax {
		return badAnswer("more than %d bytes", answerBytesMax)
	}
	var envelope struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
		ID     *uint64         `json:"id"`
	}
	if err := json.Unmarshal(answer, &envelope); err != nil {
		// Not a refusal: a proxy's or a starting node's error page is answered by trying again.
		return fmt.Errorf("answer of %d bytes is not json-rpc", len(answer))
	}
	if envelope.Error != nil {
		return envelope.Error
	}
	if envelope.ID == nil || *envelope.ID != id {
		return badAnswer("an answer to another request")
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(envelope.Result, out); err != nil {
		return badAnswer("a result of another shape: %.100s", err)
	}
	return nil
}

func badAnswer(format string, args ...any) *spend.Refusal {
	return unreadable("node-answer-malformed", "node", "the answer that the call has", fmt.Sprintf(format, args...))
}

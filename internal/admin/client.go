package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ErrUnreachable is wrapped by every failure to reach the daemon, a refused handshake included.
var ErrUnreachable = errors.New("the daemon was not reached")

// Client is warmctl's end.
type Client struct {
	base string
	http *http.Client
}

// Credentials are what a staff member's home holds.
type Credentials struct {
	Server    string // https://IP:PORT
	Authority []byte // PEM of the daemon's root, pinned at `warmctl init`
	Cert, Key []byte // PEM of the person
}

// NewClient pins the daemon's authority: no certificate of the system's list is believed.
func NewClient(c Credentials, now func() time.Time) (*Client, error) {
	base, err := CheckServer(c.Server)
	if err != nil {
		return nil, err
	}
	root, err := ParseCertificate(c.Authority)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, errors.New("certificate and key of this home do not belong together")
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	transport := &http.Transport{
		Proxy:       nil, // a proxy from the environment has no place between staff and daemon
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{pair}, Time: now,
		},
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 60 * time.Second, DisableCompression: true,
	}
	refuse := func(*http.Request, []*http.Request) error { return errors.New("the daemon never redirects") }
	return &Client{base, &http.Client{Transport: transport, Timeout: 2 * time.Minute, CheckRedirect: refuse}}, nil
}

// CheckServer accepts https://HOST:PORT and nothing else.
func CheckServer(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("server %q is not like https://127.0.0.1:7443", server)
	}
	return "https://" + u.Host, nil
}

// Status asks how the daemon is.
func (c *Client) Status(ctx context.Context) (out Status, err error) {
	return out, c.get(ctx, "/v1/status", &out)
}

// Wallets lists the daemon's wallets.
func (c *Client) Wallets(ctx context.Context) (out Wallets, err error) {
	return out, c.get(ctx, "/v1/wallets", &out)
}

// TopUps lists all top-ups, newest first.
func (c *Client) TopUps(ctx context.Context) (out TopUps, err error) {
	return out, c.get(ctx, "/v1/topups", &out)
}

// TopUp gets one.
func (c *Client) TopUp(ctx context.Context, id string) (out TopUp, err error) {
	return out, c.get(ctx, "/v1/topups/"+url.PathEscape(id), &out)
}

// Propose asks for a top-up.
func (c *Client) Propose(ctx context.Context, p Proposal) (out TopUp, err error) {
	return out, c.post(ctx, "/v1/topups", p, &out)
}

// Approve hands in one armored signature.
func (c *Client) Approve(ctx context.Context, id string, armored []byte) (out TopUp, err error) {
	return out, c.post(ctx, "/v1/topups/"+url.PathEscape(id)+"/approvals", Approving{string(armored)}, &out)
}

// Bundle gets the sealed bytes.
func (c *Client) Bundle(ctx context.Context, id string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/v1/topups/"+url.PathEscape(id)+"/bundle", nil, bundleMax)
}

// Answer hands in one sealed answer.
func (c *Client) Answer(ctx context.Context, raw []byte) (out Answered, err error) {
	if len(raw) > answerMax {
		return out, fmt.Errorf("answer has %d bytes, at most %d", len(raw), answerMax)
	}
	reply, err := c.do(ctx, http.MethodPost, "/v1/answers", raw, documentMax)
	if err != nil {
		return out, err
	}
	return out, readReply(reply, &out)
}

// Events lists what happened after a sequence number, of one top-up or of all.
func (c *Client) Events(ctx context.Context, after uint64, topUp string) (out Events, err error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}}
	if topUp != "" {
		query.Set("topup", topUp)
	}
	return out, c.get(ctx, "/v1/events?"+query.Encode(), &out)
}

func (c *Client) get(ctx context.Context, path string, out any) error {
	reply, err := c.do(ctx, http.MethodGet, path, nil, documentMax)
	if err != nil {
		return err
	}
	return readReply(reply, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	reply, err := c.do(ctx, http.MethodPost, path, raw, documentMax)
	if err != nil {
		return err
	}
	return readReply(reply, out)
}

// readReply is strict about repeated keys and lenient about unknown ones: a newer daemon may add fields.
func readReply(raw []byte, out any) error {
	if err := checkKeys(json.NewDecoder(bytes.NewReader(raw)), 0); err != nil {
		return fmt.Errorf("reply of the daemon: %w", err)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("reply of the daemon: %w", err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, send []byte, max int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(send))
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, max+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if int64(len(raw)) > max {
		return nil, fmt.Errorf("reply of the daemon has more than %d bytes", max)
	}
	if response.StatusCode == http.StatusOK {
		return raw, nil
	}
	problem := &Problem{}
	if err := readReply(raw, problem); err != nil || problem.Schema != SchemaError || problem.Sentence == "" {
		return nil, fmt.Errorf("the daemon replied %s", response.Status)
	}
	return nil, problem
}

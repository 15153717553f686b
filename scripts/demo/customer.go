package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/exchange"
)

// customer is somebody with an account and an API key. Of an Ed25519 key the exchange has only the public half.
type customer struct {
	name    string
	account uint64
	totp    string // secret of the one-time codes
	key     string
	secret  string
	private ed25519.PrivateKey // nil: the key is one of HMAC
}

// keyFile is what the bots' programs read.
func (c customer) keyFile() ([]byte, error) {
	secret := c.secret
	if c.private != nil {
		der, err := x509.MarshalPKCS8PrivateKey(c.private)
		if err != nil {
			return nil, err
		}
		secret = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	raw, err := json.MarshalIndent(map[string]string{"key": c.key, "secret": secret}, "", "  ")
	return append(raw, '\n'), err
}

// code is a one-time code of the customer's, some steps from now: each counts once.
func (c customer) code(steps int64) (string, error) {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(c.totp)
	return accounts.OneTimeCode(secret, exchange.Millis(time.Now().UnixMilli()+steps*30_000)), err
}

// signature is over the query as it is on the wire.
func (c customer) signature(query string) string {
	if c.private != nil {
		return url.QueryEscape(base64.StdEncoding.EncodeToString(ed25519.Sign(c.private, []byte(query))))
	}
	mac := hmac.New(sha256.New, []byte(c.secret))
	mac.Write([]byte(query))
	return hex.EncodeToString(mac.Sum(nil))
}

// errDown says that nobody answered: the request may be made again.
var errDown = errors.New("the gateway does not answer")

// call makes a signed request, with Go's own client.
func (b *bourse) call(c customer, method, path, query string, into any) error {
	if query != "" {
		query += "&"
	}
	query += "timestamp=" + strconv.FormatInt(time.Now().UnixMilli(), 10)
	request, err := http.NewRequest(method, "http://"+b.public+path+"?"+query+"&signature="+c.signature(query), nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-MBX-APIKEY", c.key)
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errDown, err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	fmt.Fprintf(b.transcript, "%s: %s %s?%s\n%d %s\n\n", c.name, method, path, query, response.StatusCode, raw)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errDown, err)
	case response.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", errDown, raw)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, raw)
	}
	return json.Unmarshal(raw, into)
}

// newCustomer opens an account, and makes its key: public is the public half of an Ed25519 key, or empty.
func (b *bourse) newCustomer(name string, edwards bool) (c customer, err error) {
	var opened struct {
		ID   uint64
		TOTP string `json:"totp_secret"`
	}
	if err := b.mustJSON(b.exchanged("account", "create", name), &opened); err != nil {
		return c, err
	}
	c = customer{name: name, account: opened.ID, totp: opened.TOTP}
	args := []string{"--scope", "read,trade"}
	if edwards {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return c, err
		}
		c.private = private
		args = append(args, "--kind", "ed25519", "--public", base64.StdEncoding.EncodeToString(public))
	}
	return c, b.newKey(&c, args...)
}

// newKey makes an API key of a customer's account.
func (b *bourse) newKey(c *customer, args ...string) error {
	var made struct{ Key, Secret string }
	err := b.mustJSON(b.exchanged(append([]string{"account", "key", "add", strconv.FormatUint(c.account, 10)}, args...)...), &made)
	c.key, c.secret = made.Key, made.Secret
	return err
}

// free is what a customer has of an asset and may use.
func (b *bourse) free(c customer, asset string) (string, error) {
	var account struct {
		Balances []struct{ Asset, Free string }
	}
	if err := b.call(c, http.MethodGet, "/api/v3/account", "", &account); err != nil {
		return "", err
	}
	for _, one := range account.Balances {
		if one.Asset == asset {
			return strings.TrimRight(strings.TrimRight(one.Free, "0"), "."), nil
		}
	}
	return "0", nil
}

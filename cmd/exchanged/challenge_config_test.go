package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A challenge that could not work, or whose secret others can read, is refused at the start and not when it is needed.
func TestControl024AChallengeIsConfiguredWholeOrNotAtAll(t *testing.T) {
	whole := challengeConfig{URL: "https://challenges.cloudflare.com/turnstile/v0/siteverify", Secret: "turnstile.key", Hostname: "exchange.example", Timeout: time.Second}
	if err := whole.check(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*challengeConfig){func(c *challengeConfig) { c.URL = "http://challenges.cloudflare.com/" }, func(c *challengeConfig) { c.URL = "" },
		func(c *challengeConfig) { c.Secret = "" }, func(c *challengeConfig) { c.Hostname = "" }, func(c *challengeConfig) { c.Timeout = time.Minute }} {
		c := whole
		if change(&c); c.check() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	at := folder(t.TempDir())
	if c, err := (challengeConfig{}).open(at); c != nil || err != nil {
		t.Errorf("%v %v", c, err)
	}
	if _, err := whole.open(at); err == nil {
		t.Error("no secret")
	}
	path := filepath.Join(string(at), whole.Secret)
	for mode, works := range map[os.FileMode]bool{0o644: false, 0o600: true} {
		_ = os.Remove(path)
		if err := os.WriteFile(path, []byte("secret\n"), mode); err != nil {
			t.Fatal(err)
		}
		if c, err := whole.open(at); (c != nil && err == nil) != works {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

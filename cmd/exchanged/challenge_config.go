package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/coldsign/coldsign/internal/gateway"
)

// challengeConfig says whose tokens prove that somebody is a person.
type challengeConfig struct {
	URL      string        `yaml:"url"`      // of siteverify; empty: nobody is asked
	Secret   string        `yaml:"secret"`   // file with one line
	Hostname string        `yaml:"hostname"` // that tokens are made for
	Action   string        `yaml:"action"`   // the same; empty: the provider has none
	Timeout  time.Duration `yaml:"timeout"`
}

func (c challengeConfig) check() error {
	if c.URL == "" {
		if c.Secret != "" || c.Hostname != "" || c.Action != "" {
			return errors.New("exchange.gateway.challenge has no url, so nobody would be asked")
		}
		return nil
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil:
		return errors.New("exchange.gateway.challenge.url is not like https://challenges.cloudflare.com/turnstile/v0/siteverify")
	case c.Secret == "" || c.Hostname == "":
		return errors.New("exchange.gateway.challenge needs secret, a file, and the hostname that tokens are made for")
	case c.Timeout < 100*time.Millisecond || c.Timeout > 10*time.Second:
		return fmt.Errorf("exchange.gateway.challenge.timeout is %s, from 100ms to 10s", c.Timeout)
	}
	return nil
}

// open reads the secret. nil: none is configured.
func (c challengeConfig) open(at folder) (*gateway.Challenge, error) {
	if c.URL == "" {
		return nil, nil
	}
	secret, err := at.secretLine(c.Secret)
	if err != nil {
		return nil, err
	}
	return gateway.NewChallenge(gateway.ChallengeOptions{URL: c.URL, Secret: secret, Hostname: c.Hostname, Action: c.Action, Timeout: c.Timeout})
}

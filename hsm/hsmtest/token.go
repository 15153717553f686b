package hsmtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldsign/coldsign/hsm"
)

// The PINs of every token made here.
const (
	UserPIN  = "864213"
	OwnerPIN = "97531864" // of the security officer
)

const confVariable = "SOFTHSM2_CONF"

var errNoModule = errors.New("SoftHSM is not installed; run: make setup")

// Token says how to reach a token that was made here.
type Token struct {
	Module string // path of the SoftHSM module
	Conf   string // path of softhsm2.conf
	Label  string
}

// Config opens the token in a process that has Env.
func (t Token) Config() hsm.Config { return hsm.Config{Module: t.Module, TokenLabel: t.Label} }

// Env is the environment entry that a process needs to see the token.
func (t Token) Env() string { return confVariable + "=" + t.Conf }

// PIN returns the user PIN as fresh bytes.
func (t Token) PIN() []byte { return []byte(UserPIN) }

// New makes tokens for one test and sets the environment of this process for its length. The first is returned; the
// others are reached with WithLabel.
func New(t testing.TB, labels ...string) Token {
	t.Helper()
	dir := t.TempDir()
	tokens, err := Provision(dir, labels...)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(confVariable, tokens[0].Conf)
	return tokens[0]
}

// WithLabel returns the token of another label in the same directory.
func (t Token) WithLabel(label string) Token { t.Label = label; return t }

// Provision writes dir/softhsm2.conf and makes a token per label. The environment of this process is set while the
// module runs and restored afterwards; children need Env.
func Provision(dir string, labels ...string) ([]Token, error) {
	module, err := hsm.FindModule(os.Getenv("SOFTHSM2_MODULE"))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errNoModule, err)
	}
	if len(labels) == 0 {
		return nil, errors.New("no label for a token")
	}
	store, err := filepath.Abs(filepath.Join(dir, "tokens"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(store, 0o700); err != nil {
		return nil, err
	}
	conf := filepath.Join(filepath.Dir(store), "softhsm2.conf")
	if _, err := os.Lstat(conf); err == nil {
		return nil, fmt.Errorf("%s exists; tokens are made once", conf)
	}
	text := "directories.tokendir = " + store + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	before, had := os.LookupEnv(confVariable)
	if err := os.Setenv(confVariable, conf); err != nil {
		return nil, err
	}
	defer func() {
		if had {
			_ = os.Setenv(confVariable, before)
		} else {
			_ = os.Unsetenv(confVariable)
		}
	}()
	if err := initialise(module, labels); err != nil {
		return nil, err
	}
	var tokens []Token
	for _, label := range labels {
		tokens = append(tokens, Token{Module: module, Conf: conf, Label: label})
	}
	return tokens, nil
}

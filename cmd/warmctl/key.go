package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/seal"
)

// approvalKey is keys/NAME.json: where an approval key lives. The public key is pinned, because public objects of a
// token can be replaced by anybody who can open a session.
type approvalKey struct {
	Format string `json:"coldsign"` // approval-key/v1
	Name   string `json:"name"`
	Module string `json:"module"` // as given; empty means SoftHSM in its usual places
	Token  string `json:"token"`
	Label  string `json:"label"` // of the key in the token
	Public string `json:"key"`   // authorized_keys form
	Roster string `json:"roster_line"`
}

const (
	keyFormat = "approval-key/v1"
	keyYears  = 2
)

type keyNewOptions struct {
	name, token, module, site string
	pinFD                     int
}

func newKeyCmd(a *app) *cobra.Command {
	var o keyNewOptions
	create := &cobra.Command{
		Use:   "new NAME",
		Short: "Make an approval key (P-256) inside a PKCS#11 token and print its roster line",
		Long: "The key is made inside the token and can never leave it. Give the printed line to whoever keeps the roster: a key that\n" +
			"is not on the roster approves nothing.",
		Example: "  warmctl key new alice-1 --token treasury --site zurich\n  warmctl key new alice-1 --token treasury --pin-fd 3 3<pin",
		Args:    command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.name = args[0]
			return runKeyNew(a, o)
		},
	}
	create.Flags().StringVar(&o.token, "token", "", "label of the token")
	create.Flags().StringVar(&o.module, "module", "", "absolute path of the PKCS#11 module; SoftHSM in its usual places when not given")
	create.Flags().StringVar(&o.site, "site", "office", "where the person works, for the roster line")
	create.Flags().IntVar(&o.pinFD, "pin-fd", -1, "file descriptor to read the PIN from, instead of the terminal")
	list := &cobra.Command{
		Use: "list", Short: "List this home's approval keys", Example: "  warmctl key list --json", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runKeyList(a) },
	}
	return command.Group("key", "Approval keys of this person", create, list)
}

func runKeyNew(a *app, o keyNewOptions) error {
	id, err := a.home.identity()
	if err != nil {
		return err
	}
	if err := admin.CheckPerson(o.name); err != nil || o.token == "" {
		return console.Fail(console.Usage, errors.Join(err, needed(o.token, "--token")), "warmctl key new NAME --token LABEL")
	}
	path := a.home.path("keys", o.name+".json")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return console.Fail(console.Failed, fmt.Errorf("key %s exists; nothing was changed", o.name), "warmctl key list")
	}
	token, err := a.openToken(o.module, o.token, o.pinFD)
	if err != nil {
		return err
	}
	defer token.Close()
	key := approvalKey{Format: keyFormat, Name: o.name, Module: o.module, Token: o.token, Label: "approve-" + strings.NewReplacer(".", "-", "_", "-").Replace(o.name)}
	made, err := token.GenerateP256(key.Label)
	if err != nil {
		return tokenFailure(err)
	}
	public, err := ssh.NewPublicKey(made.Public())
	if err != nil {
		return err
	}
	key.Public = seal.KeyLine(public)
	key.Roster = rosterLine(a, id.Name, key.Public, o.site, approvals.DevicePKCS11)
	if _, err := approvals.ParseRoster([]byte(key.Roster + "\n")); err != nil {
		return fmt.Errorf("roster line: %w", err)
	}
	raw, err := json.MarshalIndent(key, "", "  ")
	if err != nil {
		return err
	}
	if err := console.WriteNew(path, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.approval-key/v1", key.view(public))
	}
	a.Say("key %s made in token %s, %s", key.Name, key.Token, seal.Fingerprint(public))
	a.Hint("give this line to whoever keeps the roster; for changes of an exchange, with namespaces=\"" + string(seal.Approve+","+seal.Change) + "\"")
	_, err = fmt.Fprintln(a.Out, key.Roster)
	return err
}

func needed(value, flag string) error {
	if value == "" {
		return fmt.Errorf("%s is needed", flag)
	}
	return nil
}

// rosterLine is the line that makes a key count, valid from today for two years.
func rosterLine(a *app, person, public, site, device string) string {
	from := a.Now().UTC()
	return fmt.Sprintf(`%s namespaces="%s",valid-after="%s",valid-before="%s" %s role=%s site=%s device=%s`, person, seal.Approve,
		from.Format("20060102Z"), from.AddDate(keyYears, 0, 0).Format("20060102Z"), public, approvals.RoleApprover, site, device)
}

func (k approvalKey) view(public ssh.PublicKey) map[string]any {
	return map[string]any{"name": k.Name, "token": k.Token, "module": k.Module, "label": k.Label, "key": k.Public,
		"fingerprint": seal.Fingerprint(public), "roster_line": k.Roster}
}

func (h home) approvalKey(name string) (approvalKey, ssh.PublicKey, error) {
	if err := admin.CheckPerson(name); err != nil {
		return approvalKey{}, nil, console.Fail(console.Usage, fmt.Errorf("key %q is not a key name", name))
	}
	raw, err := console.ReadFile(h.path("keys", name+".json"), fileMax)
	if errors.Is(err, fs.ErrNotExist) {
		return approvalKey{}, nil, console.Fail(console.KeyUnavailable, fmt.Errorf("this home has no key %s", name), "warmctl key list", "warmctl key new "+name+" --token LABEL")
	}
	if err != nil {
		return approvalKey{}, nil, err
	}
	var key approvalKey
	if err := json.Unmarshal(raw, &key); err != nil || key.Format != keyFormat {
		return approvalKey{}, nil, fmt.Errorf("%s is not readable", h.path("keys", name+".json"))
	}
	public, err := seal.ParseKey(key.Public)
	return key, public, err
}

func runKeyList(a *app) error {
	if _, err := a.home.identity(); err != nil {
		return err
	}
	entries, err := os.ReadDir(a.home.path("keys"))
	if err != nil {
		return err
	}
	list, rows := []any{}, [][]string{}
	for _, entry := range entries {
		name, isKey := strings.CutSuffix(entry.Name(), ".json")
		if !isKey {
			continue
		}
		key, public, err := a.home.approvalKey(name)
		if err != nil {
			return err
		}
		list, rows = append(list, key.view(public)), append(rows, []string{key.Name, key.Token, key.Label, seal.Fingerprint(public)})
	}
	if a.json {
		return a.JSON("coldsign.approval-keys/v1", map[string]any{"keys": list})
	}
	return console.Table(a.Out, []string{"NAME", "TOKEN", "LABEL", "FINGERPRINT"}, rows)
}

// openToken starts the module and logs in with a PIN from the terminal or a file descriptor.
func (a *app) openToken(module, label string, pinFD int) (*hsm.Token, error) {
	path, err := hsm.FindModule(module)
	if err != nil {
		return nil, tokenFailure(err)
	}
	token, err := hsm.Open(hsm.Config{Module: path, TokenLabel: label})
	if err != nil {
		return nil, tokenFailure(err)
	}
	pin, err := a.Secret("PIN of token "+label, pinFD)
	if err != nil {
		return nil, errors.Join(err, token.Close())
	}
	defer pin.Wipe()
	if err := token.Login(context.Background(), pin.Bytes()); err != nil {
		return nil, errors.Join(tokenFailure(err), token.Close())
	}
	return token, nil
}

// tokenFailure gives every trouble with a key device the exit code for it.
func tokenFailure(err error) error {
	if err == nil {
		return nil
	}
	var hints []string
	switch {
	case errors.Is(err, hsm.ErrNotBuilt):
		hints = append(hints, "use a warmctl that was built with cgo, or approve with --identity or --signature")
	case errors.Is(err, hsm.ErrModuleMissing):
		hints = append(hints, "name it with --module /path/to/module.so")
	}
	return console.Fail(console.KeyUnavailable, err, hints...)
}

// tokenSigner finds a key of this home in its token and compares it with what was pinned.
func (a *app) tokenSigner(name string, pinFD int) (ssh.Signer, func() error, error) {
	key, public, err := a.home.approvalKey(name)
	if err != nil {
		return nil, nil, err
	}
	token, err := a.openToken(key.Module, key.Token, pinFD)
	if err != nil {
		return nil, nil, err
	}
	found, err := token.P256Signer(key.Label)
	if err != nil {
		return nil, nil, errors.Join(tokenFailure(err), token.Close())
	}
	signer, err := ssh.NewSignerFromSigner(found)
	if err == nil && !seal.Same(signer.PublicKey(), public) {
		err = tokenFailure(fmt.Errorf("%w: key %s", hsm.ErrKeyMismatch, name))
	}
	if err != nil {
		return nil, nil, errors.Join(err, token.Close())
	}
	return signer, token.Close, nil
}

// fileSigner reads an OpenSSH key file. Such keys count on test networks only; the roster says so, and every signer
// checks it again.
func (a *app) fileSigner(path string, passphraseFD int) (ssh.Signer, error) {
	raw, err := console.ReadFile(path, fileMax)
	if err != nil {
		return nil, console.Fail(console.KeyUnavailable, err)
	}
	defer clear(raw)
	signer, err := ssh.ParsePrivateKey(raw)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		passphrase, errAsk := a.Secret("passphrase of "+path, passphraseFD)
		if errAsk != nil {
			return nil, errAsk
		}
		defer passphrase.Wipe()
		signer, err = ssh.ParsePrivateKeyWithPassphrase(raw, passphrase.Bytes())
	}
	if err != nil {
		return nil, console.Fail(console.KeyUnavailable, fmt.Errorf("%s: not an OpenSSH private key, or the passphrase is wrong", path))
	}
	return signer, nil
}

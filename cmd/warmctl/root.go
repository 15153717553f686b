package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
)

// version is what --version prints; a release build sets it with -ldflags "-X main.version=...".
var version = "development"

// app is what every command shares: the console and the two flags that all commands have.
type app struct {
	*console.Console
	home home
	json bool
}

// execute runs one command line and returns its exit code. Errors become exit codes here and nowhere else.
func execute(c *console.Console, args []string) console.Code {
	a := &app{Console: c}
	return command.Execute(c, newRootCmd(a), args, &a.json, explained)
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "warmctl",
		Short: "Propose and approve top-ups, carry bundles to signers and answers back",
		Long: "warmctl is for treasury staff at a terminal. It speaks to exchanged over mutual TLS, shows what an intent says from its\n" +
			"own pinned wallets, signs approvals with a hardware key, and shows bundles as QR series.",
		Example: "  warmctl status\n  warmctl topup list\n  warmctl topup approve 7 --key alice\n  warmctl bundle show 7\n  warmctl bundle import --images photos",
		Version: version,
	}
	root.PersistentFlags().StringVar((*string)(&a.home), "home", defaultHome(), "folder with this person's certificate, pinned wallets and keys")
	root.PersistentFlags().Lookup("home").DefValue = "$WARMCTL_HOME, or ~/.warmctl" // help is the same on every machine
	root.PersistentFlags().BoolVar(&a.json, "json", false, "one JSON object on standard output, errors as JSON on standard error")
	return command.Root(root, newInitCmd(a), newEnrollCmd(a), newWalletCmd(a), newKeyCmd(a), newStatusCmd(a), newTopUpCmd(a), newConsolidationCmd(a),
		newPaymentCmd(a), newChildCmd(a), newChangeCmd(a),
		newBundleCmd(a), newEventsCmd(a))
}

// defaultHome is the only place where the environment says anything to warmctl.
func defaultHome() string {
	if dir := os.Getenv("WARMCTL_HOME"); dir != "" {
		return dir
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return ".warmctl"
	}
	return filepath.Join(user, ".warmctl")
}

// explained gives what the daemon said its exit code and its hints.
func explained(err error) error {
	var problem *admin.Problem
	switch {
	case errors.As(err, &problem):
		code := map[admin.Kind]console.Code{admin.Misused: console.Usage, admin.Refused: console.Refused,
			admin.NotAuthentic: console.NotAuthentic, admin.Waiting: console.Waiting}[problem.Kind]
		if code == console.Done {
			code = console.Failed
		}
		return console.Fail(code, err, problem.Hints...)
	case errors.Is(err, admin.ErrUnreachable):
		return console.Fail(console.Failed, err, "is it running? ask an operator for: exchanged status",
			"is your certificate enrolled and not revoked? ask an operator for: exchanged staff list")
	}
	return err
}

// without drops keys of a wire object: the console writes the schema itself.
func without(v any, keys ...string) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("warmctl: " + err.Error())
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		panic("warmctl: " + err.Error())
	}
	for _, key := range append(keys, "schema") {
		delete(out, key)
	}
	return out
}

// give writes data to a new file, or to standard output for "-".
func (a *app) give(out string, data []byte) error {
	if out == "-" {
		_, err := a.Out.Write(data)
		return err
	}
	if err := console.WriteNew(out, data, 0o600); err != nil {
		return err
	}
	a.Say("wrote %s, %d bytes", out, len(data))
	return nil
}

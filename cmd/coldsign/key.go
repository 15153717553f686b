package main

import (
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

func newKeyCmd(a *app) *cobra.Command {
	return command.Group("key", "Make, import, list and export keys", newKeyNewCmd(a), newKeyImportCmd(a), newKeyListCmd(a), newKeyExportCmd(a))
}

// keyView is a key as --json shows it.
type keyView struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`
	Fingerprint string `json:"fingerprint"`
	Origin      string `json:"origin"`
	Key         string `json:"key"`
	Network     string `json:"network"`
	Token       string `json:"token,omitempty"`
	PoolKeys    int    `json:"pool_keys,omitempty"`
}

func viewKey(info keystore.Info) keyView {
	v := keyView{info.Name, string(info.Kind), fmt.Sprintf("%x", info.Record.Fingerprint), info.Record.Origin(),
		info.Record.Key, string(info.Record.Network), info.Token.Label, 0}
	if keys, err := info.Record.PoolKeys(); err == nil {
		v.PoolKeys = len(keys)
	}
	return v
}

func newKeyListCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys of this home", Args: command.Arguments(0, 0),
		Example: "  coldsign key list --home /media/keys/alice",
		RunE: func(*cobra.Command, []string) error {
			infos, err := a.keyInfos()
			if err != nil {
				return err
			}
			views := make([]keyView, len(infos))
			for i, info := range infos {
				views[i] = viewKey(info)
			}
			if a.json {
				return a.JSON("coldsign.key-list/v1", map[string]any{"keys": views})
			}
			rows := [][]string{{"NAME", "KIND", "FINGERPRINT", "ORIGIN", "TOKEN"}}
			for _, v := range views {
				rows = append(rows, []string{v.Name, v.Kind, v.Fingerprint, v.Origin, v.Token})
			}
			return a.table(rows)
		},
	}
}

func (a *app) keyInfos() ([]keystore.Info, error) {
	h, err := a.open()
	if err != nil {
		return nil, err
	}
	store, err := a.keys(h)
	if err != nil {
		return nil, err
	}
	return store.List()
}

func newKeyExportCmd(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "export NAME", Short: "Write the public record of a key: origin, key, proof of possession", Args: command.Arguments(1, 1),
		Long: "Writes the public record of a key: where it comes from, the key, and the proof that somebody holds it. It has no secret;\n" +
			"who sees it can see the wallet's balance, so do not publish it.",
		Example: "  coldsign key export a --out a.key.json",
		RunE: func(_ *cobra.Command, args []string) error {
			h, err := a.open()
			if err != nil {
				return err
			}
			store, err := a.keys(h)
			if err != nil {
				return err
			}
			info, err := store.Info(args[0])
			if err != nil {
				return keyError(err)
			}
			return a.handOver(out, info.Record.Marshal())
		},
	}
	cmd.Flags().StringVar(&out, "out", "-", "file to write; - is standard output")
	return cmd
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
	a.Say("wrote %s", out)
	return nil
}

// handOver is give for commands whose only data is a file. With --json the object says what was written; where the file
// goes to standard output, it is the data.
func (a *app) handOver(out string, data []byte) error {
	if err := a.give(out, data); err != nil || !a.json || out == "-" {
		return err
	}
	return a.JSON("coldsign.written/v1", map[string]any{"out": out, "bytes": len(data)})
}

// columns lays words out for copying by hand, four a line, numbered.
func columns(words []string) string {
	var b strings.Builder
	for i, word := range words {
		fmt.Fprintf(&b, "  %2d %-10s", i+1, word)
		if i%4 == 3 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Package command is what the three programs' command trees have in common: how arguments are counted, what a wrong verb
// is told, where help on exit codes comes from, and the one place where an error becomes an exit code.
//
// What may never happen here: a rule about money, or a flag that only one program has.
package command

import (
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

// Execute runs one command line, reports its error, and returns the exit code. explain may give an error its code and
// hints; asJSON is read after the flags were parsed.
func Execute(c *console.Console, root *cobra.Command, args []string, asJSON *bool, explain func(error) error) console.Code {
	root.SetArgs(args)
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	err := root.Execute()
	if explain != nil {
		err = explain(err)
	}
	c.Report(err, *asJSON)
	return console.CodeOf(err)
}

// Root finishes the tree of a program: errors and usage are printed by Execute, a wrong flag is wrong usage, and the
// exit codes have a help page.
func Root(root *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Args, root.RunE = cobra.ArbitraryArgs, noSuchVerb
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return console.Fail(console.Usage, err, cmd.CommandPath()+" --help")
	})
	root.AddCommand(append(verbs, exitCodes())...)
	hideNoDescriptor(root)
	return root
}

// hideNoDescriptor keeps "(default -1)" out of the help: the number says that no descriptor is read, which is no default
// that anybody could name.
func hideNoDescriptor(cmd *cobra.Command) {
	for _, name := range []string{"passphrase-fd", "pin-fd", "words-fd", "backup-fd"} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.DefValue == "-1" {
			flag.DefValue = "0" // the one number that help leaves out
		}
	}
	for _, verb := range cmd.Commands() {
		hideNoDescriptor(verb)
	}
}

// Group is a noun that only holds verbs.
func Group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, RunE: noSuchVerb}
	cmd.AddCommand(verbs...)
	return cmd
}

// noSuchVerb shows the help of a command that only holds others, and calls anything else a mistake.
func noSuchVerb(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return console.Fail(console.Usage, fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]), cmd.CommandPath()+" --help")
	}
	return cmd.Help()
}

// Arguments checks the number of arguments and answers a mistake with the command's own usage line.
func Arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return console.Fail(console.Usage, fmt.Errorf("%s takes: %s", cmd.CommandPath(), cmd.Use), cmd.CommandPath()+" --help")
	}
}

func exitCodes() *cobra.Command {
	var text strings.Builder
	for _, code := range console.Codes() {
		fmt.Fprintf(&text, "  %-4d %s\n", int(code), code)
	}
	return &cobra.Command{Use: "exit-codes", Short: "What each exit code means", Long: "Exit codes of coldsign, warmctl and exchanged:\n\n" + text.String()}
}

package command_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

func run(args ...string) (code console.Code, out, errs string) {
	var stdout, stderr bytes.Buffer
	c := &console.Console{Name: "program", Out: &stdout, Err: &stderr, NoStyle: true}
	asJSON := false
	verb := &cobra.Command{Use: "verb FILE", Args: command.Arguments(1, 1), RunE: func(*cobra.Command, []string) error { return errors.New("it broke") }}
	verb.Flags().Int("pin-fd", -1, "read the PIN from this file descriptor")
	root := &cobra.Command{Use: "program", Short: "a program"}
	root.PersistentFlags().BoolVar(&asJSON, "json", false, "")
	command.Root(root, command.Group("noun", "a noun", verb))
	code = command.Execute(c, root, args, &asJSON, nil)
	return code, stdout.String(), stderr.String()
}

func TestMistakesAreWrongUsageAndSayWhereHelpIs(t *testing.T) {
	for _, args := range [][]string{{"noun", "verb"}, {"noun", "verb", "a", "b"}, {"noun", "other"}, {"other"}, {"noun", "verb", "a", "--colour"}} {
		code, out, errs := run(args...)
		if code != console.Usage || out != "" || !strings.Contains(errs, "--help") {
			t.Errorf("%v: exit %d, out %q, err %q", args, code, out, errs)
		}
	}
}

func TestAnErrorIsReportedOnceInTheFormThatWasAskedFor(t *testing.T) {
	if code, _, errs := run("noun", "verb", "a"); code != console.Failed || errs != "program: it broke\n" {
		t.Errorf("exit %d, %q", code, errs)
	}
	if _, _, errs := run("noun", "verb", "a", "--json"); !strings.HasPrefix(errs, `{"schema":"coldsign.error/v1","code":1`) {
		t.Errorf("json: %q", errs)
	}
}

func TestHelpNamesNoDescriptorThatIsNone(t *testing.T) {
	if _, out, _ := run("noun", "verb", "--help"); !strings.Contains(out, "this file descriptor\n") || strings.Contains(out, "-1") {
		t.Errorf("help:\n%s", out)
	}
}

func TestHelpListsEveryExitCode(t *testing.T) {
	_, out, _ := run("exit-codes", "--help")
	for _, code := range console.Codes() {
		if !strings.Contains(out, code.String()) {
			t.Errorf("no %q in\n%s", code, out)
		}
	}
	if code, out, _ := run("noun"); code != console.Done || !strings.Contains(out, "verb") {
		t.Errorf("a noun alone shows no help: exit %d, %q", code, out)
	}
}

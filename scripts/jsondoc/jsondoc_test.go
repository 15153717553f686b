package jsondoc_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/scripts/jsondoc"
	"github.com/spf13/cobra"
)

const page = "# JSON\n\n## x\n\n### x.list/v1\n\nA list.\n\n```json\n{\"schema\":\"x.list/v1\",\"n\":1,\"at\":\"2026-01-02T03:04:05Z\",\"rows\":[{\"a\":\"t\"},{\"b\":true,\"any\":{}}]}\n```\n" +
	"\n## Every program\n\n### x.error/v1\n\n```json\n{\"schema\":\"x.error/v1\",\"code\":1}\n```\n"

func read(t *testing.T, text string) (jsondoc.Document, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "json.md")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return jsondoc.Read(path)
}

func TestOnlyWhatIsDocumentedPasses(t *testing.T) {
	d, err := read(t, page)
	if err != nil || !slices.Equal(d.Schemas("x"), []string{"x.list/v1"}) {
		t.Fatalf("%v, %v", d, err)
	}
	const good = `{"schema":"x.list/v1","n":7,"at":"2027-01-02T03:04:05Z","rows":[{"b":false,"any":{"z":[1]}},{"a":""}]}`
	for printed, wrong := range map[string]string{
		good:                               "",
		`{"schema":"x.error/v1","code":3}`: "",
		strings.Replace(good, `"n":7`, `"n":7.5`, 1):           "whole number",
		strings.Replace(good, `"n":7`, `"n":"7"`, 1):           "whole number",
		strings.Replace(good, `"n":7,`, ``, 1):                 `lacks "n"`,
		strings.Replace(good, `"n":7`, `"n":7,"m":1`, 1):       "not documented",
		strings.Replace(good, `05Z"`, `05+01:00"`, 1):          "time in UTC",
		strings.Replace(good, `{"a":""}`, `{"a":"","c":1}`, 1): "no element of the example",
		strings.Replace(good, `"b":false`, `"b":null`, 1):      "true or false",
		strings.Replace(good, `{"z":[1]}`, `[]`, 1):            "an object",
		`{"schema":"x.other/v1"}`:                              "does not have",
		good + good:                                            "more than one",
		`words`:                                                "no JSON object",
	} {
		_, err := d.Check("x", []byte(printed))
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s\ngives %v, want %q", printed, err, wrong)
		}
	}
}

func TestCommandThatNobodyAskedIsNamed(t *testing.T) {
	run := func(*cobra.Command, []string) {}
	root, key := &cobra.Command{Use: "x"}, &cobra.Command{Use: "key", Run: run}
	key.AddCommand(&cobra.Command{Use: "list", Run: run}, &cobra.Command{Use: "new NAME", Run: run})
	root.AddCommand(key, &cobra.Command{Use: "words FILE", Run: run}, &cobra.Command{Use: "topic"})
	if got := jsondoc.Unasked(root, []string{"x key list --json"}, "x words"); !slices.Equal(got, []string{"x key new"}) {
		t.Errorf("unasked: %q", got)
	}
}

func TestPageWithABrokenExampleIsNotRead(t *testing.T) {
	for _, text := range []string{strings.Replace(page, "x.list/v1\",\"n", "x.lost/v1\",\"n", 1), strings.Replace(page, `"n":1,`, `"n":1`, 1)} {
		if d, err := read(t, text); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
}

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// tall is a screen of more lines than any terminal here has.
type tall struct{}

func (tall) Screen(cols, rows int) []string {
	return strings.Split(strings.Repeat("line\n", rows+4), "\n")
}
func (tall) Key(string)       {}
func (tall) Confirming() bool { return false }
func (tall) Done() bool       { return false }

// inFolder returns an act that runs in an empty folder, so that names in a refusal are the same in every run.
func inFolder(act func() error) func(*testing.T) error {
	return func(t *testing.T) error { t.Chdir(t.TempDir()); return act() }
}

func TestRefusalsOfConsole(t *testing.T) {
	bare := &console.Console{Name: "coldsign", Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Now: time.Now}
	page.Check(t, pageOf("internal/console"), "coldsign", page.Examples{
		"file-exists": inFolder(func() error {
			if err := console.WriteNew("answer.bundle", []byte("first"), 0o600); err != nil {
				return err
			}
			return console.WriteNew("answer.bundle", []byte("second"), 0o600)
		}),
		"file-not-regular": inFolder(func() error {
			if err := os.Symlink("/dev/zero", "request.bundle"); err != nil {
				return err
			}
			_, err := console.ReadFile("request.bundle", 1<<20)
			return err
		}),
		"file-too-large": inFolder(func() error {
			if err := os.WriteFile("policy.yaml", make([]byte, 70_000), 0o600); err != nil {
				return err
			}
			_, err := console.ReadFile("policy.yaml", 64<<10)
			return err
		}),
		"frames-missing": inFolder(func() error {
			if err := os.Mkdir("photos", 0o700); err != nil {
				return err
			}
			_, err := bare.ReadFrames("photos")
			return err
		}),
		"screen-overflow": func(t *testing.T) error {
			c := *bare
			c.TTY = page.Terminal(t, 40, 12)
			return c.Run(tall{})
		},
		"terminal-missing": func(*testing.T) error { return bare.Confirm("Type the amount:", 3, func(string) bool { return true }) },
	}, *update)
}

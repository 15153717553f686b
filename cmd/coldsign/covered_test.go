package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

// A command that no story types is one whose wording nobody has read.
func TestEveryCommandHasAStory(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	var stories strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		stories.Write(text)
	}
	typed := stories.String()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			walk(below)
		}
		if cmd.HasSubCommands() {
			return
		}
		if !strings.Contains(typed, " "+cmd.CommandPath()+" ") && !strings.Contains(typed, " "+cmd.CommandPath()+"\n") {
			t.Errorf("no story in testdata types %q", cmd.CommandPath())
		}
	}
	walk(newRootCmd(&app{Console: &console.Console{}}))
}

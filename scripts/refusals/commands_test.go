package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A hint that names a command names one that exists, in the source and on the pages. docs/cli.md is written from the
// command trees.
func TestRefusalsNameCommandsThatExist(t *testing.T) {
	reference, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, found := range regexp.MustCompile(`(?m)^### ((?:coldsign|warmctl|exchanged) .*)$`).FindAllStringSubmatch(string(reference), -1) {
		commands = append(commands, found[1])
	}
	if len(commands) < 30 {
		t.Fatalf("only %d commands in docs/cli.md: its headings have changed", len(commands))
	}
	source, err := load(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	texts := follow(source).hints()
	if len(texts) < 200 {
		t.Fatalf("only %d hints in the source: the scanner has lost them", len(texts))
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "refusals", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(raw)
	}
	for place, text := range texts {
		for _, named := range commandsIn(text) {
			known := slices.ContainsFunc(commands, func(c string) bool { return named == c || strings.HasPrefix(named, c+" ") })
			if !known {
				t.Errorf("%s names the command %q, which does not exist", place, named)
			}
		}
	}
}

// prose are the words that follow a program's name in a sentence, where no command is meant.
var prose = []string{"and", "as", "asks", "believes", "could", "draws", "is", "its", "keeps", "made", "may", "must", "never", "nor", "of", "or", "read",
	"sealed", "that", "this", "writes", "wrote"}

// commandsIn finds what is written like a command: the name of a program and lower-case words. A name in front of a
// colon says who speaks, as in an example.
func commandsIn(text string) []string {
	var out []string
	for _, found := range regexp.MustCompile(`\b(coldsign|warmctl|exchanged)((?: [a-z][a-z-]*)+)`).FindAllStringSubmatch(text, -1) {
		words := strings.Fields(found[2])
		if !slices.Contains(prose, words[0]) {
			out = append(out, found[0])
		}
	}
	return out
}

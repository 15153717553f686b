package main

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed intro.md
var intro string

// The help topic with the exit codes, and where their table stands in intro.md.
const (
	exitCodesTopic = "exit-codes"
	exitCodesMark  = "<!-- exit codes -->\n"
)

// reference is docs/cli.md.
func reference(pages map[string][]page) ([]byte, error) {
	var b strings.Builder
	table, err := exitCodes(pages)
	if err != nil {
		return nil, err
	}
	b.WriteString(strings.Replace(intro, exitCodesMark, table, 1))
	for _, program := range programs {
		list := pages[program]
		root := list[0]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", program, root.about)
		code(&b, root.examples...)
		b.WriteString("\nEvery command of this program has these flags:\n")
		flagTable(&b, root.own())
		fmt.Fprintf(&b, "\n| command | |\n|---|---|\n")
		for _, p := range list[1:] {
			if !p.group() {
				fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", p.title(), anchor(p.title()), cell(p.short))
			}
		}
		for _, p := range list[1:] {
			if !p.group() {
				command(&b, p)
			}
		}
	}
	return []byte(b.String()), nil
}

// exitCodes is the table that the programs print, which must be one and the same.
func exitCodes(pages map[string][]page) (string, error) {
	var about []string
	for _, program := range programs {
		for _, p := range pages[program] {
			if p.topic() {
				about = append(about, p.about)
			}
		}
	}
	if len(about) != len(programs) || about[0] != about[1] || about[0] != about[2] {
		return "", fmt.Errorf("the programs print %d tables of exit codes that are not the same", len(about))
	}
	var b strings.Builder
	b.WriteString("| code | meaning |\n|---|---|\n")
	for _, line := range strings.Split(about[0], "\n")[1:] {
		if number, meaning, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			fmt.Fprintf(&b, "| %s | %s |\n", number, strings.TrimSpace(meaning))
		}
	}
	return b.String(), nil
}

// command is the section of one command.
func command(b *strings.Builder, p page) {
	fmt.Fprintf(b, "\n### %s\n\n", p.title())
	b.WriteString(p.short + ".\n")
	if p.topic() {
		return
	}
	if p.about != p.short {
		b.WriteString("\n" + paragraphs(p.about))
	}
	code(b, p.usage)
	if len(p.examples) > 0 {
		b.WriteString("\nFor example:\n")
		code(b, p.examples...)
	}
	if flags := p.own(); len(flags) > 0 {
		flagTable(b, flags)
	}
}

func code(b *strings.Builder, lines ...string) {
	fmt.Fprintf(b, "\n```\n%s\n```\n", strings.Join(lines, "\n"))
}

func flagTable(b *strings.Builder, flags []flagHelp) {
	b.WriteString("\n| flag | meaning |\n|---|---|\n")
	for _, f := range flags {
		fmt.Fprintf(b, "| `%s` | %s |\n", f.name, cell(f.about))
	}
}

// paragraphs sets indented lines as code, because help shows commands that way.
func paragraphs(about string) string {
	var b strings.Builder
	inCode := false
	for _, line := range strings.Split(about, "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != inCode && line != "" {
			b.WriteString("```\n")
			inCode = indented
		}
		b.WriteString(line + "\n")
	}
	if inCode {
		b.WriteString("```\n")
	}
	return b.String()
}

// cell is text in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// anchor is what GitHub makes of a heading.
func anchor(title string) string { return strings.ReplaceAll(title, " ", "-") }

package main

import (
	"fmt"
	"strings"
)

// manual is the manual page of one program, with a subsection for each command.
func manual(pages []page) []byte {
	root := pages[0]
	name := root.path[0]
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"Coldsign\" \"Coldsign manual\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(name), name, troff(purpose(root)))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n.I command\n[\\fIarguments\\fR] [\\fIflags\\fR]\n.SH DESCRIPTION\n%s", name, troffText(root.about))
	b.WriteString(".SH OPTIONS\n")
	troffFlags(&b, root.own())
	b.WriteString(".SH COMMANDS\n")
	for _, p := range pages[1:] {
		if p.group() || p.topic() {
			continue
		}
		fmt.Fprintf(&b, ".SS %s\n%s", troff(strings.TrimSuffix(p.usage, " [flags]")), troffText(p.about))
		troffFlags(&b, p.own())
		if len(p.examples) > 0 {
			b.WriteString(".PP\n.nf\n")
			for _, line := range p.examples {
				fmt.Fprintf(&b, "    %s\n", troff(line))
			}
			b.WriteString(".fi\n")
		}
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, p := range pages {
		if !p.topic() {
			continue
		}
		for _, line := range strings.Split(p.about, "\n")[1:] {
			if number, meaning, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				fmt.Fprintf(&b, ".TP\n%s\n%s\n", number, troff(strings.TrimSpace(meaning)))
			}
		}
	}
	var others []string
	for _, program := range programs {
		if program != name {
			others = append(others, ".BR "+program+" (1)")
		}
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(others, "\n"))
	return []byte(b.String())
}

// purpose is the first sentence of a program's help, without the program's name.
func purpose(root page) string {
	sentence, _, _ := strings.Cut(strings.ReplaceAll(root.about, "\n", " "), ". ")
	return strings.TrimSuffix(strings.TrimPrefix(sentence, root.path[0]+" "), ".")
}

func troffFlags(b *strings.Builder, flags []flagHelp) {
	for _, f := range flags {
		name, value, _ := strings.Cut(f.name, " ")
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR", troff(name))
		if value != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", troff(value))
		}
		fmt.Fprintf(b, "\n%s\n", troff(f.about))
	}
}

// troffText sets paragraphs; indented lines stay as they are.
func troffText(about string) string {
	var b strings.Builder
	for _, line := range strings.Split(about, "\n") {
		switch {
		case line == "":
			b.WriteString(".PP\n")
		case strings.HasPrefix(line, "  "):
			fmt.Fprintf(&b, ".nf\n%s\n.fi\n", troff(line))
		default:
			b.WriteString(troff(line) + "\n")
		}
	}
	return b.String()
}

// troff escapes what troff would read as a command, and keeps dashes that people copy.
func troff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}

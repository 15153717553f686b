package main

import (
	"fmt"
	"regexp"
	"strings"
)

// page is the help of one command.
type page struct {
	path     []string
	short    string // the line about it in the help of the command above it
	about    string // what the command is for, in paragraphs
	usage    string // one line
	examples []string
	verbs    []verb // commands below it
	flags    []flagHelp
	global   []flagHelp // flags that all commands of the program have
}

// verb is a command as the help of the command above it names it.
type verb struct{ name, short string }

// flagHelp is one flag.
type flagHelp struct {
	name  string // with dashes and the kind of its value: "--key string"
	short string // "-h", or nothing
	about string
}

func (p page) title() string { return strings.Join(p.path, " ") }

// topic reports whether this is text to read and no command.
func (p page) topic() bool { return p.path[len(p.path)-1] == exitCodesTopic }

// group reports whether the command only holds others.
func (p page) group() bool { return len(p.verbs) > 0 }

var (
	flagLine = regexp.MustCompile(`^ {2,6}(-\w, )?(--[a-z][a-z0-9-]*(?: [A-Za-z0-9]+)?) {2,}(\S.*)$`)
	verbLine = regexp.MustCompile(`^  ([a-z][a-z0-9-]*) +(\S.*)$`)
)

// The headings of cobra's help.
const (
	headUsage    = "Usage:"
	headExamples = "Examples:"
	headVerbs    = "Available Commands:"
	headFlags    = "Flags:"
	headGlobal   = "Global Flags:"
	headTopics   = "Additional help topics:"
)

// parse reads the help text of a command. A line that it does not understand is an error, so that nothing gets lost.
func parse(path []string, text string) (page, error) {
	p := page{path: path}
	section := ""
	var about []string
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch line {
		case headUsage, headExamples, headVerbs, headFlags, headGlobal, headTopics:
			section = line
			continue
		}
		if section == "" {
			about = append(about, line)
			continue
		}
		if err := p.take(section, line); err != nil {
			return p, err
		}
	}
	p.about = strings.TrimSpace(strings.Join(about, "\n"))
	return p, nil
}

func (p *page) take(section, line string) error {
	if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "Use \"") {
		return nil
	}
	switch section {
	case headUsage:
		if p.usage == "" || !strings.HasSuffix(line, "[command]") {
			p.usage = strings.TrimSpace(line)
		}
		return nil
	case headExamples:
		p.examples = append(p.examples, strings.TrimPrefix(line, "  "))
		return nil
	case headVerbs:
		if m := verbLine.FindStringSubmatch(line); m != nil {
			p.verbs = append(p.verbs, verb{m[1], m[2]})
			return nil
		}
	case headTopics:
		if words := strings.Fields(line); len(words) > len(p.path)+1 {
			p.verbs = append(p.verbs, verb{words[len(p.path)], strings.Join(words[len(p.path)+1:], " ")})
			return nil
		}
	case headFlags, headGlobal:
		if m := flagLine.FindStringSubmatch(line); m != nil {
			f := flagHelp{name: m[2], short: strings.TrimSuffix(m[1], ", "), about: m[3]}
			if section == headFlags {
				p.flags = append(p.flags, f)
			} else {
				p.global = append(p.global, f)
			}
			return nil
		}
	}
	return fmt.Errorf("a line under %q that is not understood: %q", section, line)
}

// own are the flags of this command alone, without help.
func (p page) own() []flagHelp {
	var out []flagHelp
	for _, f := range p.flags {
		if f.name != "--help" && f.name != "--version" {
			out = append(out, f)
		}
	}
	return out
}

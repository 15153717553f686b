// Program gendocs writes the reference of the three programs from what the programs themselves say.
//
//	go run ./scripts/gendocs            writes docs/cli.md and docs/man/*.1
//	go run ./scripts/gendocs --out DIR  writes them below DIR
//
// It builds the programs, asks each of them for --help, follows every command that the help names, and lays the same
// text out as one Markdown page and as a manual page per program. So the reference cannot say what a program does not.
// The part in front (exit codes, conventions) is written by hand in intro.md. A test in this folder fails when docs is
// stale, and when a command has no example or a flag no meaning. What may never happen here: a page that depends on the
// machine, a sentence about a flag that the program does not print.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// programs are documented in the order in which a bundle meets them.
var programs = []string{"exchanged", "warmctl", "coldsign"}

func main() {
	out := flag.String("out", ".", "folder to write docs/ below")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	bin, err := os.MkdirTemp("", "gendocs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	pages, err := readPrograms(bin)
	if err != nil {
		return err
	}
	files, err := documents(pages)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readPrograms builds the programs into bin and reads the help of all their commands, each program's root first.
func readPrograms(bin string) (map[string][]page, error) {
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator))
	for _, program := range programs {
		build.Args = append(build.Args, "github.com/coldsign/coldsign/cmd/"+program)
	}
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the programs: %w\n%s", err, text)
	}
	pages := map[string][]page{}
	for _, program := range programs {
		list, err := walk(filepath.Join(bin, program), []string{program})
		if err != nil {
			return nil, err
		}
		pages[program] = list
	}
	return pages, nil
}

// walk reads the help of a command and of everything below it. The shells under completion are cobra's, not ours.
func walk(binary string, path []string) ([]page, error) {
	help := exec.Command(binary, append(append([]string{}, path[1:]...), "--help")...)
	text, err := help.Output()
	if err != nil {
		return nil, fmt.Errorf("%v --help: %w", path, err)
	}
	p, err := parse(path, string(text))
	if err != nil {
		return nil, fmt.Errorf("%v --help: %w", path, err)
	}
	pages := []page{p}
	for _, v := range p.verbs {
		if v.name == "help" || path[len(path)-1] == "completion" {
			continue
		}
		below, err := walk(binary, append(append([]string{}, path...), v.name))
		if err != nil {
			return nil, err
		}
		below[0].short = v.short
		pages = append(pages, below...)
	}
	return pages, nil
}

// documents lays out every file, by its path below the project.
func documents(pages map[string][]page) (map[string][]byte, error) {
	markdown, err := reference(pages)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"docs/cli.md": markdown}
	for _, program := range programs {
		files["docs/man/"+program+".1"] = manual(pages[program])
	}
	return files, nil
}

//go:build cgo && !nopkcs11

package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/coldsign/coldsign/internal/console/ptytest"
	"github.com/coldsign/coldsign/internal/wallet"
)

// blocks returns the commands of a document, one a line, of every block that begins with "```sh".
func blocks(t *testing.T, document string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	inside := false
	for _, line := range strings.Split(string(raw), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && line != "":
			lines = append(lines, line)
		}
	}
	return lines
}

// reader is a new user who has nothing but the document, a terminal, and the passphrase and PIN that they chose.
type reader struct {
	t     *testing.T
	dir   string
	words map[string]int // what the machines called wallets, and how often
}

// perform types one line of the document and answers what it asks. It returns everything that the terminal showed.
func (r *reader) perform(line string) string {
	r.t.Helper()
	// exec, so that the program leads the session of its terminal: TestMain takes the terminal from every other one.
	cmd := exec.Command("sh", "-c", "exec "+line)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "HOME="+r.dir)
	d := ptytest.Drive(r.t, cmd, 100, 40)
	switch {
	case strings.Contains(line, " key new ") && strings.Contains(line, " --token "):
		r.answer(d, "PIN of token", hsmtest.UserPIN)
	case strings.Contains(line, " key new "):
		r.answer(d, "new passphrase for key", deskPassphrase)
		r.answer(d, "again: ", deskPassphrase)
		r.copyWords(d)
	case strings.Contains(line, " wallet add ") && strings.Contains(line, "homes/p"):
		r.answer(d, "PIN of token", hsmtest.UserPIN)
		r.compare(d)
	case strings.Contains(line, " wallet add "):
		r.answer(d, "passphrase of key", deskPassphrase)
		r.compare(d)
	}
	if code, err := d.Wait(ptytest.Patience); err != nil || code != 0 {
		r.t.Fatalf("%s\nexit %d, %v\n%s", line, code, err, d.Text())
	}
	return d.Text()
}

func (r *reader) answer(d *ptytest.Driver, question, answer string) {
	r.t.Helper()
	d.See(question)
	d.Type(answer + "\r")
}

var (
	paperWord = regexp.MustCompile(`(?:^|\s)(\d+) ([a-z]+)`)
	asked     = regexp.MustCompile(`word (\d+) from the paper`)
	shown     = regexp.MustCompile(`words: ((?:[a-z]+ ){11}[a-z]+)`)
)

// copyWords copies the backup words to paper, and gives back the two that are asked for.
func (r *reader) copyWords(d *ptytest.Driver) {
	r.t.Helper()
	d.See("press enter when they are on paper")
	paper := map[string]string{}
	for _, found := range paperWord.FindAllStringSubmatch(d.Text(), -1) {
		paper[found[1]] = found[2]
	}
	if len(paper) != 24 {
		r.t.Fatalf("%d words on paper:\n%s", len(paper), d.Text())
	}
	d.Type("\r")
	for range 2 {
		d.See("from the paper: ")
		questions := asked.FindAllStringSubmatch(d.Text(), -1)
		d.Type(paper[questions[len(questions)-1][1]] + "\r")
	}
}

// compare reads the twelve words and types the last one.
func (r *reader) compare(d *ptytest.Driver) {
	r.t.Helper()
	d.See("Type the last one when they do: ")
	found := shown.FindStringSubmatch(d.Text())
	if found == nil {
		r.t.Fatalf("no words:\n%s", d.Text())
	}
	r.words[found[1]]++
	d.Type(found[1][strings.LastIndexByte(found[1], ' ')+1:] + "\r")
}

// A new user with docs/wallets.md alone: three records become a wallet, and the same wallet comes in from Sparrow-shaped
// and Coldcard-shaped files. Every command of the page is typed on a terminal, in its order.
func TestDocumentOnWalletsDoesWhatItSays(t *testing.T) {
	hsmtest.New(t, "treasury")
	r := &reader{t: t, dir: t.TempDir(), words: map[string]int{}}
	lines := blocks(t, "wallets.md")
	var lists, addresses []string
	for _, line := range lines {
		out := r.perform(line)
		switch {
		case strings.Contains(line, " wallet list "):
			lists = append(lists, out)
		case strings.Contains(line, " wallet address COLD-BTC-A"):
			addresses = append(addresses, strings.TrimSpace(out))
		}
	}
	if len(lines) < 25 {
		t.Errorf("the page has %d commands", len(lines))
	}
	// Four screens showed the words of the cold wallet (a, b, and c twice), one those of the other.
	if counts := slices.Sorted(maps.Values(r.words)); !slices.Equal(counts, []int{1, 4}) {
		t.Errorf("words were seen %v times", counts)
	}
	if len(addresses) != 2 || addresses[0] != addresses[1] || !strings.HasPrefix(addresses[0], "bcrt1q") {
		t.Errorf("first addresses %q", addresses)
	}
	for i, says := range []bool{false, true, false} {
		if len(lists) != 3 || strings.Contains(lists[i], "2 WITHOUT PROOF") != says {
			t.Errorf("list %d of %d:\n%s", i+1, len(lists), lists[i])
		}
	}
	composed, err := os.ReadFile(filepath.Join(r.dir, "cold.wallet.json"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := wallet.Parse(composed)
	if err != nil || r.words[w.Words()] != 4 {
		t.Errorf("the words of the composed wallet were seen %d times, %v", r.words[w.Words()], err)
	}
	for _, name := range []string{"from-sparrow.wallet.json", "from-coldcard.wallet.json"} {
		if raw, err := os.ReadFile(filepath.Join(r.dir, name)); err != nil || !bytes.Equal(raw, composed) {
			t.Errorf("%s is another wallet file, %v", name, err)
		}
	}
}

// The page names a refusal only if the program has it.
func TestDocumentOnWalletsNamesCodesThatExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "wallets.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## What is refused")
	var source strings.Builder
	for _, pattern := range []string{"*.go", "../../internal/wallet/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(raw)
		}
	}
	codes := regexp.MustCompile("`([a-z0-9]+(?:-[a-z0-9]+)+)`").FindAllStringSubmatch(table, -1)
	if len(codes) < 30 {
		t.Errorf("%d codes", len(codes))
	}
	for _, code := range codes {
		if !strings.Contains(source.String(), `"`+code[1]+`"`) {
			t.Errorf("no refusal has the code %s", code[1])
		}
	}
}

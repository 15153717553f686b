package referees

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
)

// manifest is the part of package.json that says what is installed.
type manifest struct {
	Dependencies map[string]string `json:"dependencies"`
}

// lock is the part of package-lock.json that says what exactly.
type lock struct {
	Version  int               `json:"lockfileVersion"`
	Packages map[string]locked `json:"packages"`
}

type locked struct {
	Version      string            `json:"version"`
	Resolved     string            `json:"resolved"`
	Integrity    string            `json:"integrity"`
	Link         bool              `json:"link"`
	Dependencies map[string]string `json:"dependencies"`
}

// problems lists what keeps a lock file from meaning the same bytes everywhere.
func (l lock) problems(m manifest) []string {
	var out []string
	exact := regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	for name, version := range m.Dependencies {
		if !exact.MatchString(version) {
			out = append(out, name+": "+version+" in package.json is no exact version")
		}
		if got := l.Packages["node_modules/"+name].Version; got != version {
			out = append(out, name+": package.json says "+version+", the lock says "+got)
		}
	}
	if l.Version != 3 || !maps.Equal(l.Packages[""].Dependencies, m.Dependencies) {
		out = append(out, "the lock is of another format or another package.json")
	}
	for path, p := range l.Packages {
		switch {
		case path == "":
		case p.Resolved != "" || p.Link:
			out = append(out, path+" names where it was downloaded from")
		case p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-"):
			out = append(out, path+" has no version or no SHA-512")
		}
	}
	return out
}

// hosts finds URLs that are not about money for maintainers.
func hosts(raw []byte) []string {
	var out []string
	for line := range bytes.Lines(raw) {
		text := strings.TrimSpace(string(line))
		if strings.Contains(text, "://") && !strings.HasPrefix(text, `"url": `) {
			out = append(out, text)
		}
	}
	return out
}

func readLock(t *testing.T) (raw []byte, l lock, m manifest) {
	t.Helper()
	for name, into := range map[string]any{"package.json": &m, "package-lock.json": &l} {
		text, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "package-lock.json" {
			raw = text
		}
	}
	return raw, l, m
}

// The referees are the same bytes on every machine, from whatever registry: exact versions, a SHA-512 for each package,
// and no name of a host.
func TestLockFilePinsExactVersionsAndNamesNoHost(t *testing.T) {
	raw, l, m := readLock(t)
	if len(m.Dependencies) < 7 || len(l.Packages) < 100 {
		t.Fatalf("%d referees and %d packages: the files were not understood", len(m.Dependencies), len(l.Packages))
	}
	for _, problem := range append(l.problems(m), hosts(raw)...) {
		t.Error(problem)
	}
}

// The check above must be able to fail.
func TestLooseLockFilesAreNoticed(t *testing.T) {
	for name, spoil := range map[string]func(*lock, manifest){
		"a range": func(_ *lock, m manifest) { m.Dependencies["bip32"] = "^5.0.1" },
		"another lock": func(l *lock, _ manifest) {
			l.Packages["node_modules/bip32"] = locked{Version: "5.0.0", Integrity: "sha512-x"}
		},
		"a host": func(l *lock, _ manifest) {
			l.Packages["node_modules/x"] = locked{Version: "1.0.0", Integrity: "sha512-x", Resolved: "y"}
		},
		"no hash":        func(l *lock, _ manifest) { l.Packages["node_modules/x"] = locked{Version: "1.0.0"} },
		"an old format":  func(l *lock, _ manifest) { l.Version = 1 },
		"one dependency": func(_ *lock, m manifest) { m.Dependencies["left-pad"] = "1.0.0" },
	} {
		_, l, m := readLock(t)
		spoil(&l, m)
		if len(l.problems(m)) == 0 {
			t.Errorf("%s was not noticed", name)
		}
	}
	if len(hosts([]byte("  \"resolved\": \"https://registry.example/x.tgz\",\n"))) != 1 {
		t.Error("a host was not noticed")
	}
}

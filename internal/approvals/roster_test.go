package approvals_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
)

const years = `namespaces="coldsign-approve-v1",valid-after="20250101Z",valid-before="20280101Z"`

// line is a roster line in the common shape.
func line(name string, key ssh.PublicKey, rest string) string {
	return name + " " + years + " " + seal.KeyLine(key) + " " + rest + "\n"
}

func parse(t testing.TB, text string) approvals.Roster {
	t.Helper()
	roster, err := approvals.ParseRoster([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return roster
}

func TestARosterIsPeopleWithKeys(t *testing.T) {
	text := "# treasury, Zurich and Lisbon\n\n" +
		line("alice", fileKey(t, 2).PublicKey(), "role=approver site=zurich device=pkcs11") +
		line("bob", skKey(t, 3).PublicKey(), "role=approver site=lisbon device=fido2") +
		`alice namespaces="coldsign-approve-v1,coldsign-roster-v1",valid-before="202612312359Z",valid-after="20260102030405Z" ` +
		seal.KeyLine(fileKey(t, 4).PublicKey()) + " role=keyholder site=zurich device=file\n"
	roster := parse(t, text)
	people := roster.People()
	if len(people) != 2 || people[0].Name != "alice" || len(people[0].Keys) != 2 || people[1].Name != "bob" || len(people[1].Keys) != 1 {
		t.Fatalf("%+v", people)
	}
	if roster.Version() != sha256.Sum256([]byte(text)) {
		t.Error("the version is not the SHA-256 of the file")
	}
	second := people[0].Keys[1]
	if second.Role != "keyholder" || second.Device != "file" || len(second.Namespaces) != 2 ||
		!second.After.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || !second.Before.Equal(time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)) {
		t.Errorf("%+v", second)
	}
	if !second.ValidAt(second.After) || second.ValidAt(second.Before) || second.ValidAt(second.After.Add(-1)) || !second.ValidAt(second.Before.Add(-1)) {
		t.Error("validity does not begin with valid-after and end before valid-before")
	}
	if key, ok := roster.Find(skKey(t, 3).PublicKey()); !ok || key.Person != "bob" {
		t.Errorf("found %+v", key)
	}
	if _, ok := roster.Find(fileKey(t, 9).PublicKey()); ok {
		t.Error("found a key that is not there")
	}
}

func TestARosterThatIsNotUnderstoodIsRefused(t *testing.T) {
	key, end := seal.KeyLine(fileKey(t, 2).PublicKey()), " role=approver site=zurich device=file\n"
	good := "alice " + years + " " + key + end
	parse(t, good)
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to swap: %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, text := range map[string]string{
		"empty file":            "",
		"comments only":         "# nobody\n",
		"a cut last line":       strings.TrimSuffix(good, "\n"),
		"windows lines":         strings.ReplaceAll(good, "\n", "\r\n"),
		"an escape code":        "# \x1b[2J\n" + good,
		"not ascii":             swap("zurich", "z\u00fcrich"),
		"upper-case name":       swap("alice", "Alice"),
		"a pattern for a name":  swap("alice", "*"),
		"two names":             swap("alice", "alice,bob"),
		"negated name":          swap("alice", "!alice"),
		"long name":             swap("alice", strings.Repeat("a", 33)),
		"unknown option":        swap("valid-after", "verify-required=\"yes\",valid-after"),
		"certificate authority": swap("namespaces", "cert-authority,namespaces"),
		"option in upper case":  swap("namespaces", "Namespaces"),
		"option twice":          swap("valid-after=\"20250101Z\"", "valid-after=\"20250101Z\",valid-after=\"20250101Z\""),
		"no namespaces":         swap("namespaces=\"coldsign-approve-v1\",", ""),
		"no beginning":          swap("valid-after=\"20250101Z\",", ""),
		"no end":                swap(",valid-before=\"20280101Z\"", ""),
		"any namespace":         swap("coldsign-approve-v1", "*"),
		"other namespace":       swap("coldsign-approve-v1", "git"),
		"namespace twice":       swap("coldsign-approve-v1", "coldsign-approve-v1,coldsign-approve-v1"),
		"empty namespace":       swap("coldsign-approve-v1", "coldsign-approve-v1,"),
		"trailing comma":        swap("20280101Z\"", "20280101Z\","),
		"no comma":              swap("\",valid-after", "\"valid-after"),
		"open quote":            swap("20280101Z\"", "20280101Z"),
		"no quotes":             swap("\"20280101Z\"", "20280101Z"),
		"local time":            swap("20280101Z", "20280101"),
		"no such day":           swap("20280101Z", "20280230Z"),
		"no such hour":          swap("20280101Z", "202801012500Z"),
		"year alone":            swap("20280101Z", "2028Z"),
		"never valid":           swap("20280101Z", "20250101Z"),
		"backwards":             swap("20280101Z", "20240101Z"),
		"another key type":      swap("ssh-ed25519", "ssh-rsa"),
		"a cut key":             swap(key, key[:len(key)-4]),
		"no role":               swap("role=approver ", ""),
		"unknown role":          swap("role=approver", "role=boss"),
		"role after site":       swap("role=approver site=zurich", "site=zurich role=approver"),
		"unknown device":        swap("device=file", "device=phone"),
		"file called fido2":     swap("device=file", "device=fido2"),
		"a comment at the end":  swap("device=file", "device=file alice@laptop"),
		"two spaces":            swap(" role", "  role"),
		"a tab":                 swap(" role", "\trole"),
		"a leading space":       " " + good,
		"the same line twice":   good + good,
		"a key of two people":   good + swap("alice", "mallory"),
		"a sk key that is file": line("bob", skKey(t, 3).PublicKey(), "role=approver site=zurich device=file"),
		"one secret, two forms": good + line("bob", skKey(t, 2).PublicKey(), "role=approver site=zurich device=fido2"),
		"long line":             swap("alice", strings.Repeat("a", 1100)),
		"huge":                  strings.Repeat("#\n", 40_000),
	} {
		_, err := approvals.ParseRoster([]byte(text))
		var r *spend.Refusal
		if !errors.As(err, &r) || r.Code != "roster-malformed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARosterIsBounded(t *testing.T) {
	var many strings.Builder
	for i := range 201 {
		many.WriteString(line(fmt.Sprintf("p%d", i), fileKey(t, i).PublicKey(), "role=approver site=zurich device=file"))
	}
	if _, err := approvals.ParseRoster([]byte(many.String())); err == nil {
		t.Error("201 keys accepted")
	}
}

// Anyone can check an approval with OpenSSH alone: the roster is the allowed_signers file, and ssh-keygen holds name,
// key, namespace and validity as Judge does.
func TestOpenSSHReadsTheRosterAsWeDo(t *testing.T) {
	asked := intent(t)
	roster := line("alice", fileKey(t, 2).PublicKey(), "role=approver site=zurich device=file") +
		line("bob", skKey(t, 3).PublicKey(), "role=approver site=lisbon device=fido2")
	dir := t.TempDir()
	for name, data := range map[string][]byte{"roster": []byte(roster), "alice.sig": approve(t, fileKey(t, 2), asked.raw),
		"bob.sig": approve(t, skKey(t, 3), asked.raw)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(sig, who, at string) error {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", "roster", "-I", who, "-n", string(seal.Approve), "-s", sig, "-O", "verify-time="+at)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(string(asked.raw))
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TZ=Pacific/Auckland"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	for _, c := range []struct {
		sig, who, at string
		good         bool
	}{
		{"alice.sig", "alice", "20260601Z", true},
		{"bob.sig", "bob", "20260601Z", true},
		{"alice.sig", "alice", "20250101000000Z", true},
		{"alice.sig", "bob", "20260601Z", false},
		{"alice.sig", "alice", "20241231235959Z", false},
		{"alice.sig", "alice", "20280101000001Z", false},
	} {
		if err := verify(c.sig, c.who, c.at); (err == nil) != c.good {
			t.Errorf("%s as %s at %s: %v", c.sig, c.who, c.at, err)
		}
	}
}

// Attack 120: any bytes are read without a panic, and everybody in what is accepted has a name, a key and an end.
func FuzzParseRoster(f *testing.F) {
	f.Add([]byte(line("alice", fileKey(f, 2).PublicKey(), "role=approver site=zurich device=file")))
	f.Add([]byte(line("bob", skKey(f, 3).PublicKey(), "role=keyholder site=zurich device=fido2")))
	f.Add([]byte("# comment\n\nx namespaces=\"\",valid-after=\"\" ssh-ed25519 AAAA role= site= device=\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		roster, err := approvals.ParseRoster(raw)
		if err != nil {
			var r *spend.Refusal
			if !errors.As(err, &r) {
				t.Errorf("%v is not a refusal", err)
			}
			return
		}
		for _, person := range roster.People() {
			for _, key := range person.Keys {
				if person.Name == "" || key.Person != person.Name || key.Public == nil || !key.After.Before(key.Before) {
					t.Errorf("%q gives %+v", raw, key)
				}
			}
		}
	})
}

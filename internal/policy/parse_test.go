package policy_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
)

// edit replaces the first occurrence of old, which must be there.
func edit(t testing.TB, file []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(file, []byte(old)) {
		t.Fatalf("the policy has no %q", old)
	}
	return bytes.Replace(file, []byte(old), []byte(new), 1)
}

func template() []byte { return policy.Template(spend.BitcoinRegtest, cold, warm, hot) }

// codesOf returns the code and place of every refusal that an error joins.
func codesOf(err error) []string {
	var out []string
	var refusal *spend.Refusal
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, codesOf(e)...)
		}
	} else if errors.As(err, &refusal) {
		out = append(out, refusal.Code+" "+refusal.Where)
	}
	return out
}

func TestTheTemplateIsAPolicy(t *testing.T) {
	raw := template()
	r, err := policy.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version() != sha256.Sum256(raw) || r.Network() != spend.BitcoinRegtest || r.Serial() != 1 {
		t.Errorf("version %x, network %s, serial %d", r.Version(), r.Network(), r.Serial())
	}
	rule, ok := r.Rule(cold.ID)
	want := policy.Rule{From: cold.ID, To: []spend.WalletID{warm.ID, hot.ID}, TransactionMax: money.Sats(2_000_000_000),
		FeeMax: money.Sats(500_000), FeePartsMax: 10_000, FeeRateMax: 300_000, FeeRateMin: 1000, Approvals: 2, IndexGapMax: 1000,
		LockTimeAheadMax: 6, Replaceable: true, LifetimeMax: 72 * time.Hour, ClockSkewMax: 10 * time.Minute, DustMin: money.Sats(1000), RefusalsMax: 5,
		TimelockAbove: money.Sats(1_000_000_000), Timelock: 24 * time.Hour,
		Windows: []policy.Window{{Length: time.Hour, Max: money.Sats(2_500_000_000)}, {Length: 24 * time.Hour, Max: money.Sats(5_000_000_000)}}}
	if !ok || fmt.Sprintf("%+v", rule) != fmt.Sprintf("%+v", want) {
		t.Errorf("rule\n%+v, want\n%+v", rule, want)
	}
	if _, ok := r.Rule(hot.ID); ok {
		t.Error("a hot wallet may pay somebody")
	}
}

func TestAttack091ANameCannotBecomeARule(t *testing.T) {
	evil := policy.Wallet{ID: id(1), Name: "x\nrules: []\n#", Tier: spend.Cold}
	_, err := policy.Parse(policy.Template(spend.BitcoinRegtest, evil, hot))
	if got := codesOf(err); !slices.Equal(got, []string{"policy-field-invalid wallets[0].name"}) {
		t.Errorf("%q", got)
	}
	evil.Name = "it's \"quoted\": #1"
	if _, err := policy.Parse(policy.Template(spend.BitcoinRegtest, evil, hot)); err != nil {
		t.Error(err)
	}
}

// parseTells are edits of the template, and what must be said of each.
func parseTells() []struct{ old, new, code string } {
	const syntax, missing, invalid = "policy-syntax ", "policy-field-missing ", "policy-field-invalid "
	return []struct{ old, new, code string }{
		{"serial: 1 ", "serial: 1\nserial: 2 ", syntax + "policy"}, {"serial: 1 ", "serial: 1\nlimit: none ", syntax + "policy"},
		{"approvals: 2 ", "approvals: 2\n    approvals: 3 ", syntax + "policy"}, {"approvals: 2 ", "approvals: [2] ", syntax + "policy"},
		{"approvals: 2 ", "approvals: !!int 2 ", syntax + "line 35"}, {"approvals: 2 ", "approvals: &a 2 ", syntax + "line 35"},
		{"approvals: 2 ", "approvals: |-\n      2\n    #", syntax + "line 35"}, {"rules:", "---\nrules:", syntax + "policy"},
		{"rules:", "rules: [[[[[[[[[[1]]]]]]]]]]\nrules2:", syntax + "line 20"}, {"rules:", "\trules:", "policy-not-ascii line 20"},
		{"# What", "# Wh\u0430t", "policy-not-ascii line 1"}, {"# What", "# \x1b[2J", "policy-not-ascii line 1"},
		{"# What", strings.Repeat("#", 64<<10), "policy-too-large policy"},
		{"serial: 1 ", "#", missing + "serial"}, {"approvals: 2 ", "#", missing + "rules[0].approvals"}, {"approvals: 2 ", "approvals: #", missing + "rules[0].approvals"},
		{"transaction_max: \"20 BTC\"", "#", missing + "rules[0].transaction_max"}, {"dust_min: \"0.00001 BTC\"", "dust_min: \"\"", missing + "rules[0].dust_min"},
		{"policy/v1", "policy/v2", invalid + "coldsign"}, {"bitcoin:regtest", "bitcoin:main", invalid + "network"}, {"tier: cold", "tier: frozen", invalid + "wallets[0].tier"},
		{"approvals: 2 ", "approvals: 1 ", invalid + "rules[0].approvals"}, {"approvals: 2 ", "approvals: 02 ", invalid + "rules[0].approvals"},
		{"approvals: 2 ", "approvals: 0x2 ", invalid + "rules[0].approvals"}, {"approvals: 2 ", "approvals: 2.0 ", invalid + "rules[0].approvals"},
		{"approvals: 2 ", "approvals: -2 ", invalid + "rules[0].approvals"}, {"serial: 1 ", "serial: 99999999999999999999 ", invalid + "serial"},
		{"\"20 BTC\"", "20 BTC", invalid + "rules[0].transaction_max"}, {"\"20 BTC\"", "\"20\"", invalid + "rules[0].transaction_max"},
		{"\"20 BTC\"", "\"20,0 BTC\"", invalid + "rules[0].transaction_max"}, {"\"20 BTC\"", "\"0 BTC\"", invalid + "rules[0].transaction_max"},
		{"\"20 BTC\"", "\"21000000.00000001 BTC\"", invalid + "rules[0].transaction_max"}, {"\"20 BTC\"", "\"1e3 BTC\"", invalid + "rules[0].transaction_max"},
		{"\"20 BTC\"", "\"20 ETH\"", invalid + "rules[0].transaction_max"}, {"\"20 BTC\"", "\"0.000000001 BTC\"", invalid + "rules[0].transaction_max"},
		{"\"0.005 BTC\"", "\"1.00000001 BTC\"", invalid + "rules[0].fee_max"}, {"\"1 %\"", "\"10.0001 %\"", invalid + "rules[0].fee_percent_max"},
		{"\"1 %\"", "\"0 %\"", invalid + "rules[0].fee_percent_max"}, {"\"300 sat/vB\"", "\"10000.001 sat/vB\"", invalid + "rules[0].fee_rate_max"},
		{"\"1 sat/vB\"", "\"0.099 sat/vB\"", invalid + "rules[0].fee_rate_min"}, {"\"1 sat/vB\"", "\"301 sat/vB\"", invalid + "rules[0].fee_rate_min"},
		{"replaceable: true", "replaceable: yes", invalid + "rules[0].replaceable"}, {"lifetime_max: 72h", "lifetime_max: 169h", invalid + "rules[0].lifetime_max"},
		{"lifetime_max: 72h", "lifetime_max: 3d", invalid + "rules[0].lifetime_max"}, {"lifetime_max: 72h", "lifetime_max: 0h", invalid + "rules[0].lifetime_max"},
		{"clock_skew_max: 10m", "clock_skew_max: 61m", invalid + "rules[0].clock_skew_max"}, {"within: 24h", "within: 60m", invalid + "rules[0].windows[1].within"},
		{"index_gap_max: 1000", "index_gap_max: 100001", invalid + "rules[0].index_gap_max"}, {"locktime_ahead_max: 6", "locktime_ahead_max: 1009", invalid + "rules[0].locktime_ahead_max"},
		{"\"0.00001 BTC\"", "\"0.00000329 BTC\"", invalid + "rules[0].dust_min"}, {"refusals_max: 5", "refusals_max: 0", invalid + "rules[0].refusals_max"},
		{"name: \"warm-a\"", "name: cold-a", invalid + "wallets[1].name"}, {"name: \"cold-a\"", "name: " + strings.Repeat("x", 33), invalid + "wallets[0].name"},
		{"to_book: false", "to_book: no", invalid + "rules[0].to_book"}, {"\"10 BTC\"", "\"0 BTC\"", invalid + "rules[0].timelock_above"},
		{"timelock: 24h", "timelock: 72h", invalid + "rules[0].timelock"}, {"timelock: 24h", "timelock: 0h", invalid + "rules[0].timelock"},
		{"id: \"c0", "id: \"C0", invalid + "wallets[0].id"}, {"tier: warm", "tier: cold", invalid + "rules[0].to[0]"},
	}
}

func TestParseRefusesWhatMightMeanSomethingElse(t *testing.T) {
	for _, c := range parseTells() {
		_, err := policy.Parse(edit(t, template(), c.old, c.new))
		if got := codesOf(err); !slices.Contains(got, c.code) {
			t.Errorf("%.40q -> %.40q: %q, want %q", c.old, c.new, got, c.code)
		}
	}
}

func TestParseTellsEverythingAtOnce(t *testing.T) {
	raw := edit(t, edit(t, template(), "approvals: 2", "approvals: 1"), "serial: 1 ", "serial: 0 ")
	_, err := policy.Parse(raw)
	if got := codesOf(err); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// Attack 133: no field turns a check off; each limit has a bound beyond which it is refused, and none has a default.
func TestAttack133EveryFieldIsRequired(t *testing.T) {
	lines := strings.SplitAfter(string(template()), "\n")
	for i, line := range lines {
		field, value, found := strings.Cut(line, ":")
		if field = strings.TrimLeft(field, " -"); !found || strings.HasPrefix(field, "#") || strings.TrimSpace(strings.Split(value, "#")[0]) == "" {
			continue
		}
		without := slices.Clone(lines)
		without[i] = strings.Replace(line, value, " # taken away\n", 1)
		if _, err := policy.Parse([]byte(strings.Join(without, ""))); err == nil {
			t.Errorf("line %d, %s: a policy without it was accepted", i+1, field)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(template())
	for _, c := range parseTells() {
		f.Add(edit(f, template(), c.old, c.new))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := policy.Parse(raw)
		var refusal *spend.Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("not a refusal: %v", err)
		}
		if err == nil && r.Version() != sha256.Sum256(raw) {
			t.Fatal("the version is not the file's")
		}
	})
}

// Every code that the source can give is in Codes, every code in Codes is shown by a sentence above.
func TestEveryCodeIsListedAndShown(t *testing.T) {
	shown := map[string]bool{}
	for _, c := range tells() {
		for _, code := range c.codes {
			shown[code] = true
		}
	}
	for _, c := range parseTells() {
		shown[strings.Fields(c.code)[0]] = true
	}
	for _, c := range bookTells() {
		shown[strings.Fields(c.code)[0]] = true
	}
	listed := map[string]bool{}
	for _, c := range policy.Codes() {
		if listed[c[0]] = true; !shown[c[0]] || c[1] == "" {
			t.Errorf("no test shows %s", c[0])
		}
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			for _, code := range refusalCodes(t, name) {
				if !listed[code] {
					t.Errorf("%s is not in Codes", code)
				}
			}
		}
	}
}

// refusalCodes finds the codes that a source file gives to the functions which make refusals.
func refusalCodes(t *testing.T, name string) (out []string) {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(source, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		literal, isLiteral := call.Args[0].(*ast.BasicLit)
		name, isSelector := call.Fun.(*ast.SelectorExpr)
		if isLiteral && isSelector && slices.Contains([]string{"Refuse", "Distrust", "Malformed"}, name.Sel.Name) {
			if code, err := strconv.Unquote(literal.Value); err == nil {
				out = append(out, code)
			}
		}
		return true
	})
	return out
}

package approvals_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"pgregory.net/rapid"
)

var rulesFile = []byte("coldsign: policy/v1\nserial: 7\n")

// circle is a wallet that needs some of the keyholders whose receipt keys have these numbers.
func circle(t testing.TB, name string, need int, holders ...int) approvals.Circle {
	c := approvals.Circle{Wallet: name, Need: need}
	for _, n := range holders {
		c.Holders = append(c.Holders, approvals.Holder{Name: fmt.Sprintf("holder-%d", n), Receipt: fileKey(t, n).PublicKey()})
	}
	return c
}

func vouched(t testing.TB, ns seal.Namespace, file []byte, by ...int) (out [][]byte) {
	t.Helper()
	for _, n := range by {
		armored, err := seal.Sign(fileKey(t, n), ns, file, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, armored)
	}
	return out
}

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

func TestAFileNeedsTheQuorumOfEveryWallet(t *testing.T) {
	cold, warm := circle(t, "cold", 2, 1, 2, 3), circle(t, "warm", 3, 3, 4, 5)
	twice := cold
	twice.Holders = append(slices.Clone(cold.Holders), cold.Holders[0]) // a receipt key at two places of a wallet
	edited := []byte("coldsign: policy/v1\nserial: 8\n")
	for name, c := range map[string]struct {
		signatures [][]byte
		circles    []approvals.Circle
		want       []string
	}{
		"enough":                  {vouched(t, seal.Policy, rulesFile, 1, 3), []approvals.Circle{cold}, nil},
		"all":                     {vouched(t, seal.Policy, rulesFile, 1, 2, 3), []approvals.Circle{cold}, nil},
		"nobody":                  {nil, []approvals.Circle{cold}, []string{"policy-quorum wallet cold"}},
		"one of two":              {vouched(t, seal.Policy, rulesFile, 1), []approvals.Circle{cold}, []string{"policy-quorum wallet cold"}},
		"one of them twice":       {vouched(t, seal.Policy, rulesFile, 1, 1), []approvals.Circle{cold}, []string{"policy-quorum wallet cold"}},
		"one key at two places":   {vouched(t, seal.Policy, rulesFile, 1), []approvals.Circle{twice}, []string{"policy-quorum wallet cold"}},
		"enough for one wallet":   {vouched(t, seal.Policy, rulesFile, 1, 3), []approvals.Circle{cold, warm}, []string{"policy-quorum wallet warm"}},
		"one holder of two":       {vouched(t, seal.Policy, rulesFile, 1, 3, 4, 5), []approvals.Circle{cold, warm}, nil},
		"a stranger beside":       {vouched(t, seal.Policy, rulesFile, 1, 2, 9), []approvals.Circle{cold}, []string{"voucher-unknown signature 3"}},
		"of the file before":      {vouched(t, seal.Policy, edited, 1, 2), []approvals.Circle{cold}, []string{"voucher-invalid signature 1", "voucher-invalid signature 2", "policy-quorum wallet cold"}},
		"for the roster":          {vouched(t, seal.Roster, rulesFile, 1, 2), []approvals.Circle{cold}, []string{"voucher-invalid signature 1", "voucher-invalid signature 2", "policy-quorum wallet cold"}},
		"for no wallet":           {vouched(t, seal.Policy, rulesFile, 1, 2), nil, []string{"voucher-unknown signature 1", "voucher-unknown signature 2", "policy-quorum wallets"}},
		"a circle without a need": {nil, []approvals.Circle{{Wallet: "cold", Holders: cold.Holders}}, []string{"policy-quorum wallet cold"}},
		"too many":                {slices.Repeat(vouched(t, seal.Policy, rulesFile, 1), 61), []approvals.Circle{cold}, []string{"vouchers-too-many signatures"}},
	} {
		got := codesOf(approvals.Vouch(seal.Policy, rulesFile, c.signatures, c.circles))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAQuorumNamesWhoIsMissing(t *testing.T) {
	err := approvals.Vouch(seal.Roster, rulesFile, vouched(t, seal.Roster, rulesFile, 2), []approvals.Circle{circle(t, "cold", 2, 1, 2, 3)})
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Code != "roster-quorum" || r.Found != "1; not signed by holder-1, holder-3" || !strings.Contains(r.Fix, "coldsign roster sign") {
		t.Errorf("%+v", r)
	}
}

// Whatever subset signs, in whatever order and however often: enough is when it has as many different keys as the
// wallet's threshold, and never before.
func TestAQuorumCountsDifferentKeys(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(3, 7).Draw(rt, "n")
		m := rapid.IntRange(2, n).Draw(rt, "m")
		by := rapid.SliceOfN(rapid.IntRange(1, n), 0, 10).Draw(rt, "by")
		holders, different := make([]int, n), map[int]bool{}
		for i := range holders {
			holders[i] = i + 1
		}
		for _, k := range by {
			different[k] = true
		}
		err := approvals.Vouch(seal.Book, rulesFile, vouched(t, seal.Book, rulesFile, by...), []approvals.Circle{circle(t, "cold", m, holders...)})
		stands := circle(t, "cold", m, holders...).Stands(seal.Book, rulesFile, vouched(t, seal.Book, rulesFile, append(by, 99)...))
		if (err == nil) != (len(different) >= m) || (stands == nil) != (err == nil) {
			rt.Errorf("%d of %d, signed by %v: %v, later %v", m, n, by, err, stands)
		}
	})
}

// The list of codes and the source cannot drift apart.
func TestCodesAreThoseOfTheSource(t *testing.T) {
	code := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	used := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			fn, isFunc := n.(*ast.FuncDecl)
			if isFunc && fn.Name.Name == "Codes" || strings.HasSuffix(name, "_test.go") {
				return false
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, _ := strconv.Unquote(lit.Value); code.MatchString(text) && text != "valid-after" && text != "valid-before" {
					used[text] = true
				}
			}
			return true
		})
	}
	var listed []string
	for _, c := range approvals.Codes() {
		listed = append(listed, c[0])
	}
	delete(used, "-quorum")
	if want := slices.Sorted(maps.Keys(used)); !slices.Equal(listed, want) {
		t.Errorf("listed %q\nused   %q", listed, want)
	}
}

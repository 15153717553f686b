package internal_test

import (
	"go/ast"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Control 25: whatever decodes bytes from outside is fuzzed. The list of decoders is read from the source: functions with
// a decoder's name that take bytes, text or a reader and may refuse them. Each must be reached from a fuzz target of its
// room, through functions of that room that are not constructors.

// fuzzedRooms read what customers, other processes or files bring.
var fuzzedRooms = []string{"internal/gateway", "internal/bus", "internal/limits", "internal/accounts", "internal/exchange"}

var decoderName = regexp.MustCompile(`^(Parse|Read|Decode|Restore|Unmarshal|parse|read|decode|scan|unescape|unquote|restore|object|streamNames|memberText)([A-Z0-9]|$)`)

// unfuzzed are decoders whose bytes do not come from outside, each with its reason.
var unfuzzed = map[string]string{
	"internal/gateway.readBody": "reads at most so many bytes and looks at none of them: what it read goes to scan, which is fuzzed",
	"internal/exchange.NewID":   "random bytes of this machine",
}

// room is what a package's source says: who names whom.
type room struct {
	names    map[string]map[string]bool // function (without its receiver) to everything that it names
	decoders map[string]string          // with the type whose method it is; empty: none
	fuzzers  []string
}

func roomOf(dir string, files []sourceFile) room {
	r := room{names: map[string]map[string]bool{}, decoders: map[string]string{}}
	for _, file := range files {
		if path.Dir(file.path) != dir {
			continue
		}
		test := strings.HasSuffix(file.path, "_test.go")
		for _, decl := range file.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			name := fn.Name.Name
			if r.names[name] == nil {
				r.names[name] = map[string]bool{}
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if id, is := n.(*ast.Ident); is {
					r.names[name][id.Name] = true
				}
				return true
			})
			switch {
			case test && strings.HasPrefix(name, "Fuzz"):
				r.fuzzers = append(r.fuzzers, name)
			case !test && decoderName.MatchString(name) && takesBytes(fn) && refuses(fn):
				of := typeOfMethod(fn)
				r.decoders[strings.TrimPrefix(of+"."+name, ".")] = of
			}
		}
	}
	return r
}

// typeOfMethod names the type whose method a function is. Many types have a method Read: a target that fuzzes one of them
// has to name the type as well.
func typeOfMethod(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	if star, is := of.(*ast.StarExpr); is {
		of = star.X
	}
	if id, is := of.(*ast.Ident); is {
		return id.Name
	}
	return ""
}

// takesBytes reports whether a function takes bytes, text or a reader.
func takesBytes(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(f *ast.Field) bool {
		switch t := f.Type.(type) {
		case *ast.ArrayType:
			id, is := t.Elt.(*ast.Ident)
			return is && id.Name == "byte" && t.Len == nil
		case *ast.Ident:
			return t.Name == "string"
		case *ast.SelectorExpr:
			return t.Sel.Name == "RawMessage" || t.Sel.Name == "Reader"
		}
		return false
	})
}

// refuses reports whether a function's results can say no.
func refuses(fn *ast.FuncDecl) bool {
	if fn.Type.Results == nil {
		return false
	}
	return slices.ContainsFunc(fn.Type.Results.List, func(f *ast.Field) bool {
		switch t := f.Type.(type) {
		case *ast.Ident:
			return t.Name == "error" || t.Name == "bool"
		case *ast.StarExpr:
			id, is := t.X.(*ast.Ident)
			return is && id.Name == "problem"
		}
		return false
	})
}

// reached is everything that the fuzz targets name, directly or through other functions. A constructor names everything
// there is, so the walk ends there.
func (r room) reached() map[string]bool {
	out := map[string]bool{}
	queue := slices.Clone(r.fuzzers)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		for next := range r.names[name] {
			if out[next] {
				continue
			}
			out[next] = true
			if _, ours := r.names[next]; ours && !strings.HasPrefix(strings.ToLower(next), "new") {
				queue = append(queue, next)
			}
		}
	}
	return out
}

func TestControl025EveryDecoderOfOutsideBytesIsFuzzed(t *testing.T) {
	files := sources(t)
	for _, dir := range fuzzedRooms {
		r := roomOf(dir, files)
		if len(r.decoders) == 0 || len(r.fuzzers) == 0 {
			t.Errorf("%s: %d decoders, %d fuzz targets: the search is broken", dir, len(r.decoders), len(r.fuzzers))
		}
		reached := r.reached()
		for _, name := range slices.Sorted(maps.Keys(r.decoders)) {
			of := r.decoders[name]
			if reason := unfuzzed[dir+"."+name]; reason == "" && (!reached[strings.TrimPrefix(name, of+".")] || of != "" && !reached[of]) {
				t.Errorf("%s: no fuzz target reaches %s", dir, name)
			}
		}
		t.Logf("%s: %d decoders, targets %v", dir, len(r.decoders), r.fuzzers)
	}
	blind := room{names: map[string]map[string]bool{"FuzzA": {"newRig": true, "parseA": true}, "newRig": {"parseB": true}, "parseA": {"parseC": true}}, fuzzers: []string{"FuzzA"}}
	if got := blind.reached(); !got["parseA"] || !got["parseC"] || got["parseB"] {
		t.Errorf("the walk reaches %v", got)
	}
}

// `make fuzz` finds every target there is, because it looks for them itself, and ends by itself.
func TestControl025MakeFuzzRunsEveryTargetForABoundedTime(t *testing.T) {
	script, err := os.ReadFile("../scripts/fuzz.sh")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"'^func Fuzz' cmd internal hsm", `-fuzztime="$each"`, "each=${1:-20s}", "10000000x"} {
		if !strings.Contains(string(script), want) {
			t.Errorf("scripts/fuzz.sh does not say %s", want)
		}
	}
	if !strings.Contains(string(makefile), "sh scripts/fuzz.sh $${FUZZTIME:-20s}") {
		t.Error("make fuzz has no bounded default")
	}
	for _, file := range sources(t) {
		for _, decl := range file.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Fuzz") || !strings.HasSuffix(file.path, "_test.go") {
				continue
			}
			if top, _, _ := strings.Cut(file.path, "/"); fn.Recv == nil && top != "cmd" && top != "internal" && top != "hsm" {
				t.Errorf("%s: %s is where make fuzz does not look", file.path, fn.Name.Name)
			}
			if len(fn.Type.Params.List) != 1 || len(fn.Type.Params.List[0].Names) != 1 || fn.Type.Params.List[0].Names[0].Name != "f" {
				t.Errorf("%s: %s is not spelled as scripts/fuzz.sh looks for it: func %s(f *testing.F)", file.path, fn.Name.Name, fn.Name.Name)
			}
		}
	}
}

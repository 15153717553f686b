package internal_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sqlDrivers are the packages by which SQL reaches a database. Only rooms that import one of them are read.
var sqlDrivers = []string{"database/sql", "github.com/jackc/pgx/v5", "github.com/ncruces/go-sqlite3"}

// sqlCalls are the methods that take a statement, first or behind a context.
var sqlCalls = []string{"Exec", "ExecContext", "Query", "QueryContext", "QueryRow", "QueryRowContext", "Prepare", "PrepareContext", "PrepareFlags", "Queue"}

// sqlExceptions are the statements that may be made at run time, by function and variable, each with its reason.
var sqlExceptions = map[string]string{
	"unlocked unlock": "PRAGMA hexkey takes no parameter; the key goes in as hexadecimal digits of our own making",
}

// sqlRoom is one package, as far as its own source tells: imports are not followed, and need not be, because a constant
// statement is one of the package itself.
type sqlRoom struct {
	files      []*ast.File
	set        *token.FileSet
	info       *types.Info
	statements map[string]bool // names of variables and fields that hold a prepared statement: they take values only
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not followed") }

func newSQLRoom(set *token.FileSet, files []*ast.File) *sqlRoom {
	room := &sqlRoom{files: files, set: set, statements: map[string]bool{}, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
		Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}}
	config := types.Config{Importer: noImports{}, Error: func(error) {}} // everything imported is an error, and expected
	config.Check("room", set, files, room.info)
	room.inspect(func(node ast.Node) {
		switch n := node.(type) {
		case *ast.Field:
			if isStatementType(n.Type) {
				for _, name := range n.Names {
					room.statements[name.Name] = true
				}
			}
		case *ast.AssignStmt:
			call, ok := n.Rhs[0].(*ast.CallExpr)
			if name := methodOf(call, ok); strings.HasPrefix(name, "Prepare") || strings.HasPrefix(name, "Stmt") {
				for i := range n.Lhs {
					if i == 0 || strings.HasPrefix(name, "Stmt") {
						room.statements[lastName(n.Lhs[i])] = true
					}
				}
			}
		}
	})
	return room
}

func (r *sqlRoom) inspect(visit func(ast.Node)) {
	for _, file := range r.files {
		ast.Inspect(file, func(node ast.Node) bool {
			if node != nil {
				visit(node)
			}
			return true
		})
	}
}

// isStatementType reports whether a field is a *sql.Stmt.
func isStatementType(e ast.Expr) bool {
	star, ok := e.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Stmt"
}

func methodOf(call *ast.CallExpr, ok bool) string {
	if !ok {
		return ""
	}
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
		return sel.Sel.Name
	}
	return ""
}

func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// made returns the statements that are not constants, each with its place.
func (r *sqlRoom) made() (places []string, calls int) {
	for _, file := range r.files {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			ast.Inspect(fn.Body, func(node ast.Node) bool {
				call, ok := node.(*ast.CallExpr)
				name := methodOf(call, ok)
				if !slices.Contains(sqlCalls, name) || len(call.Args) == 0 || r.statements[lastName(call.Fun.(*ast.SelectorExpr).X)] {
					return true
				}
				query := call.Args[0]
				if len(call.Args) > 1 && r.isContext(query) {
					query = call.Args[1]
				}
				calls++
				if _, excepted := sqlExceptions[fn.Name.Name+" "+lastName(query)]; !excepted && !r.constant(query, map[types.Object]bool{}) {
					places = append(places, r.set.Position(query.Pos()).String())
				}
				return true
			})
		}
	}
	return places, calls
}

func (r *sqlRoom) isContext(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "ctx"
	case *ast.SelectorExpr:
		return e.Sel.Name == "ctx"
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		return ok && (sel.Sel.Name == "Context" || lastName(sel.X) == "context")
	}
	return false
}

// constant reports whether every value that an expression can have is a constant of the source.
func (r *sqlRoom) constant(e ast.Expr, seen map[types.Object]bool) bool {
	if r.info.Types[e].Value != nil {
		return true
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.constant(e.X, seen)
	case *ast.CompositeLit: // what a loop goes through
		return !slices.ContainsFunc(e.Elts, func(element ast.Expr) bool { return !r.constant(element, seen) })
	case *ast.SliceExpr:
		return r.constant(e.X, seen)
	case *ast.CallExpr:
		return r.returnsConstants(r.objectOf(e.Fun), seen)
	case *ast.Ident:
		return r.constantVariable(r.info.ObjectOf(e), seen)
	case *ast.SelectorExpr:
		if selection := r.info.Selections[e]; selection != nil && selection.Kind() == types.FieldVal {
			return r.constantVariable(selection.Obj(), seen)
		}
	}
	return false
}

// constantVariable reports whether all that is ever put into a variable, a parameter or a field is constant.
func (r *sqlRoom) constantVariable(object types.Object, seen map[types.Object]bool) bool {
	variable, ok := object.(*types.Var)
	if !ok {
		return false
	}
	if seen[variable] {
		return true
	}
	seen[variable] = true
	good, found := true, false
	put := func(value ast.Expr) { found, good = true, good && r.constant(value, seen) }
	r.inspect(func(node ast.Node) {
		switch n := node.(type) {
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if r.objectOf(left) != object {
					continue
				}
				if len(n.Lhs) != len(n.Rhs) || n.Tok != token.ASSIGN && n.Tok != token.DEFINE {
					found, good = true, false
					continue
				}
				put(n.Rhs[i])
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND && r.objectOf(n.X) == object { // somebody else may write to it
				found, good = true, false
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if r.info.Defs[name] == object && i < len(n.Values) {
					put(n.Values[i])
				}
			}
		case *ast.RangeStmt:
			if n.Value != nil && r.objectOf(n.Value) == object {
				put(n.X)
			}
		case *ast.CompositeLit:
			r.fieldValues(n, variable, put)
		case *ast.FuncDecl:
			if i := parameterIndex(r, n, object); i >= 0 {
				found, good = true, good && r.calledWithConstants(n, i, seen)
			}
		}
	})
	return good && found
}

// returnsConstants reports whether a function of the room returns one value, and only constants.
func (r *sqlRoom) returnsConstants(function types.Object, seen map[types.Object]bool) bool {
	good, found := true, false
	r.inspect(func(node ast.Node) {
		fn, ok := node.(*ast.FuncDecl)
		if !ok || function == nil || r.info.Defs[fn.Name] != function || fn.Body == nil {
			return
		}
		ast.Inspect(fn.Body, func(node ast.Node) bool {
			if back, ok := node.(*ast.ReturnStmt); ok {
				found, good = true, good && len(back.Results) == 1 && r.constant(back.Results[0], seen)
			}
			return true
		})
	})
	return good && found
}

func (r *sqlRoom) objectOf(e ast.Expr) types.Object {
	switch e := e.(type) {
	case *ast.Ident:
		return r.info.ObjectOf(e)
	case *ast.SelectorExpr:
		if selection := r.info.Selections[e]; selection != nil {
			return selection.Obj()
		}
	}
	return nil
}

// fieldValues gives what a literal of a struct puts into a field.
func (r *sqlRoom) fieldValues(literal *ast.CompositeLit, field *types.Var, put func(ast.Expr)) {
	if !field.IsField() || r.info.Types[literal].Type == nil {
		return
	}
	of, ok := r.info.Types[literal].Type.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i := range of.NumFields() {
		if of.Field(i) != field {
			continue
		}
		for place, element := range literal.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				if lastName(pair.Key) == field.Name() {
					put(pair.Value)
				}
			} else if place == i {
				put(element)
			}
		}
	}
}

func parameterIndex(r *sqlRoom, fn *ast.FuncDecl, object types.Object) int {
	i := 0
	for _, list := range fn.Type.Params.List {
		for _, name := range list.Names {
			if r.info.Defs[name] == object {
				return i
			}
			i++
		}
	}
	return -1
}

// calledWithConstants reports whether a function is only ever called, within its own room, with constants for a
// parameter. A function that others can call, or that is handed around, cannot promise that.
func (r *sqlRoom) calledWithConstants(fn *ast.FuncDecl, parameter int, seen map[types.Object]bool) bool {
	object := r.info.Defs[fn.Name]
	if fn.Name.IsExported() && (fn.Recv == nil || ast.IsExported(receiverOf(fn))) {
		return false
	}
	uses, calls, good := 0, 0, true
	for _, used := range r.info.Uses {
		if used == object {
			uses++
		}
	}
	r.inspect(func(node ast.Node) {
		call, ok := node.(*ast.CallExpr)
		if !ok || r.objectOf(call.Fun) != object {
			return
		}
		calls++
		good = good && len(call.Args) > parameter && r.constant(call.Args[parameter], seen)
	})
	return good && calls > 0 && uses == calls
}

func receiverOf(fn *ast.FuncDecl) string {
	expr := fn.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	return lastName(expr)
}

// Control 25 and the house's own rule: SQL is made of constants alone, in every room and program.
func TestSQLIsConstant(t *testing.T) {
	rooms, set := map[string][]*ast.File{}, map[string]*token.FileSet{}
	drives := map[string]bool{}
	for _, file := range sources(t) {
		room := path.Dir(file.path)
		if strings.HasSuffix(file.path, "_test.go") || room == "internal/store/storetest" {
			continue
		}
		rooms[room], set[room] = append(rooms[room], file.syntax), file.set
		for _, spec := range file.syntax.Imports {
			target, _ := strconv.Unquote(spec.Path.Value)
			drives[room] = drives[room] || slices.ContainsFunc(sqlDrivers, func(driver string) bool { return target == driver || strings.HasPrefix(target, driver+"/") })
		}
	}
	total := 0
	for room, files := range rooms {
		if !drives[room] {
			continue
		}
		places, calls := newSQLRoom(set[room], files).made()
		total += calls
		for _, place := range places {
			t.Errorf("%s: a statement that is not a constant", place)
		}
	}
	if total < 50 {
		t.Errorf("only %d statements found: the search is broken", total)
	}
}

// The rule must be able to fail, and to let good code pass.
func TestSQLIsConstantNoticesWhatIsMade(t *testing.T) {
	const head = `package room
import ("context"; "database/sql"; "fmt")
type call struct{ query string; args []any }
type T struct{ db *sql.DB; ctx context.Context; stmt *sql.Stmt }
const one, two = "SELECT 1", "SELECT 2"
func both() []string { return []string{one, two} }
func made(a int) string { return fmt.Sprint(a) }
`
	for source, want := range map[string]int{
		`func (t T) f(ctx context.Context) { t.db.ExecContext(ctx, one+two); t.db.Exec("SELECT 3", 4); t.db.QueryRowContext(t.ctx, (two)) }`:        0,
		`func (t T) f(ctx context.Context) { t.stmt.ExecContext(ctx, fmt.Sprint(1)) }`:                                                              0,
		`func (t T) f(ctx context.Context) { for _, q := range []string{one, two} { t.db.ExecContext(ctx, q) } }`:                                   0,
		`func (t T) f(ctx context.Context, q string) { t.db.ExecContext(ctx, q) }; func (t T) g(ctx context.Context) { t.f(ctx, one) }`:             0,
		`func (t T) f(ctx context.Context) { c := call{query: one}; t.db.ExecContext(ctx, c.query) }; func g() { _ = []call{{two, nil}} }`:          0,
		`func (t T) f(ctx context.Context) { for _, q := range both()[1:] { t.db.ExecContext(ctx, q) } }`:                                           0,
		`func (t T) f(ctx context.Context, name string) { t.db.ExecContext(ctx, "SELECT "+name) }`:                                                  1,
		`func (t T) f(ctx context.Context) { t.db.ExecContext(ctx, fmt.Sprintf("SELECT %d", 1)) }`:                                                  1,
		`func (t T) f(ctx context.Context, q string) { t.db.ExecContext(ctx, q) }; func (t T) g(ctx context.Context, s string) { t.f(ctx, s+one) }`: 1,
		`func (t T) f(ctx context.Context, q string) { t.db.ExecContext(ctx, q) }`:                                                                  1,
		`func (t T) F(ctx context.Context, q string) { t.db.ExecContext(ctx, q) }; func (t T) g(ctx context.Context) { t.F(ctx, one) }`:             1,
		`func (t T) f(ctx context.Context) { q := one; q += "x"; t.db.ExecContext(ctx, q) }`:                                                        1,
		`func (t T) f(ctx context.Context, n string) { q := one; if n != "" { q = n }; t.db.ExecContext(ctx, q) }`:                                  1,
		`func (t T) f(ctx context.Context, n string) { c := call{query: n}; t.db.ExecContext(ctx, c.query) }`:                                       1,
		`func (t T) f(ctx context.Context, n string) { c := call{one, nil}; c.query = n; t.db.ExecContext(ctx, c.query) }`:                          1,
		`func (t T) f(ctx context.Context) { q := one; p := &q; *p = "x"; t.db.ExecContext(ctx, q) }`:                                               1,
		`func (t T) f(ctx context.Context) { t.db.PrepareContext(ctx, made(1)) }`:                                                                   1,
		`func (t T) f(ctx context.Context, rows []string) { for _, q := range rows { t.db.ExecContext(ctx, q) } }`:                                  1,
	} {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, "room.go", head+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if places, calls := newSQLRoom(set, []*ast.File{file}).made(); len(places) != want || want > 0 && calls == 0 {
			t.Errorf("%s: %d found, want %d", source, len(places), want)
		}
	}
}

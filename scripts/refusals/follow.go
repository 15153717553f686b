package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
)

// refusalType is the type whose field Code is what this program looks for.
const refusalType = module + "/internal/spend.Refusal"

// flow knows, for every variable, field, parameter and function result of the product, which expressions are put into
// it. With that a code is followed from the refusal back to the text it was written as, through any helper.
type flow struct {
	*tree
	rooms   map[*token.File]string
	into    map[types.Object][]ast.Expr         // what is assigned to a variable, parameter or field
	spread  map[types.Object][]ast.Expr         // the lists whose elements are assigned to a range variable
	results map[types.Object]map[int][]ast.Expr // what a function returns, per result
	codes   []ast.Expr                          // what is put into Refusal.Code
	fixes   []ast.Expr                          // what is put into Refusal.Fix
}

// follow reads every file once and notes every assignment, call and return.
func follow(t *tree) *flow {
	f := &flow{tree: t, rooms: map[*token.File]string{}, into: map[types.Object][]ast.Expr{}, spread: map[types.Object][]ast.Expr{},
		results: map[types.Object]map[int][]ast.Expr{}}
	for _, file := range t.files {
		f.rooms[t.set.File(file.syntax.Pos())] = file.room
		var functions []function
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			for len(functions) > 0 && n != nil && n.Pos() >= functions[len(functions)-1].end {
				functions = functions[:len(functions)-1]
			}
			switch n := n.(type) {
			case *ast.FuncDecl:
				functions = append(functions, function{t.info.Defs[n.Name], n.End()})
			case *ast.FuncLit:
				functions = append(functions, function{nil, n.End()})
			case *ast.ReturnStmt:
				f.returns(functions, n)
			default:
				f.note(n)
			}
			return true
		})
	}
	return f
}

// function is one function that encloses the node being read; a literal has no name and no object.
type function struct {
	object types.Object
	end    token.Pos
}

func (f *flow) returns(functions []function, n *ast.ReturnStmt) {
	object := functions[len(functions)-1].object
	if object == nil {
		return
	}
	if f.results[object] == nil {
		f.results[object] = map[int][]ast.Expr{}
	}
	for i, e := range n.Results {
		f.results[object][i] = append(f.results[object][i], e)
	}
}

// note records what one node puts where.
func (f *flow) note(n ast.Node) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if len(n.Lhs) == len(n.Rhs) {
			for i := range n.Lhs {
				f.put(f.object(n.Lhs[i]), n.Rhs[i])
			}
		}
	case *ast.ValueSpec:
		for i, value := range n.Values {
			if len(n.Values) == len(n.Names) {
				f.put(f.info.Defs[n.Names[i]], value)
			}
		}
	case *ast.RangeStmt:
		if n.Value != nil {
			object := f.object(n.Value)
			f.spread[object] = append(f.spread[object], n.X)
		}
	case *ast.CompositeLit:
		f.composite(n)
	case *ast.CallExpr:
		f.call(n)
	}
}

// composite records the fields of a struct literal, keyed or not.
func (f *flow) composite(n *ast.CompositeLit) {
	typ := f.info.Types[n].Type
	if pointer, ok := typ.Underlying().(*types.Pointer); ok { // []*T{{...}} leaves the & out
		typ = pointer.Elem()
	}
	fields, ok := typ.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, element := range n.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			f.put(f.info.Uses[pair.Key.(*ast.Ident)], pair.Value)
		} else {
			f.put(fields.Field(i), element)
		}
	}
}

// call records the arguments of a call of one of our functions, or of a function literal held by a variable.
func (f *flow) call(n *ast.CallExpr) {
	signature, ok := f.info.Types[n.Fun].Type.(*types.Signature)
	if !ok {
		return
	}
	if declared, ok := f.object(n.Fun).(*types.Func); ok {
		signature = declared.Origin().Signature()
	}
	for i, argument := range n.Args {
		if at := min(i, signature.Params().Len()-1); at >= 0 && !(signature.Variadic() && i >= signature.Params().Len()-1) {
			f.put(signature.Params().At(at), argument)
		}
	}
}

// put notes that value is put into object, and keeps apart what becomes the code and the hint of a refusal.
func (f *flow) put(object types.Object, value ast.Expr) {
	if object == nil {
		return
	}
	if field, ok := object.(*types.Var); ok && field.IsField() && f.isRefusalField(field) {
		switch field.Name() {
		case "Code":
			f.codes = append(f.codes, value)
		case "Fix":
			f.fixes = append(f.fixes, value)
		}
	}
	f.into[object] = append(f.into[object], value)
}

func (f *flow) isRefusalField(field *types.Var) bool {
	refusal := field.Pkg().Scope().Lookup("Refusal")
	if refusal == nil || refusal.Type().String() != refusalType {
		return false
	}
	for member := range refusal.Type().Underlying().(*types.Struct).Fields() {
		if member == field {
			return true
		}
	}
	return false
}

// object returns what a name, a selector or a call's function stands for.
func (f *flow) object(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if object := f.info.Defs[e]; object != nil {
			return object
		}
		return f.info.Uses[e]
	case *ast.SelectorExpr:
		return f.info.Uses[e.Sel]
	case *ast.IndexExpr: // a generic function with its type
		return f.object(e.X)
	}
	return nil
}

// text is one code as it was written, and where: the place says which room speaks.
type text struct {
	code string
	at   token.Pos
}

// texts returns every text that e can stand for, and the expressions that could not be followed.
func (f *flow) texts(e ast.Expr, seen map[types.Object]bool) (found []text, lost []ast.Expr) {
	e = ast.Unparen(e)
	if value := f.info.Types[e].Value; value != nil && value.Kind() == constant.String {
		return []text{{constant.StringVal(value), e.Pos()}}, nil
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		left, lostLeft := f.texts(e.X, seen)
		right, lostRight := f.texts(e.Y, seen)
		for _, l := range left {
			for _, r := range right {
				found = append(found, text{l.code + r.code, e.Pos()})
			}
		}
		return found, append(lostLeft, lostRight...)
	case *ast.CallExpr:
		if f.info.Types[e.Fun].IsType() && len(e.Args) == 1 {
			return f.texts(e.Args[0], seen)
		}
		if function := f.object(e.Fun); function != nil && f.results[function] != nil {
			return f.union(f.results[function][0], function, seen)
		}
	case *ast.IndexExpr:
		return f.elements(e.X, seen)
	case *ast.Ident, *ast.SelectorExpr:
		object := f.object(e)
		if lists := f.spread[object]; lists != nil {
			for _, list := range lists {
				more, lostMore := f.elements(list, seen)
				found, lost = append(found, more...), append(lost, lostMore...)
			}
			return found, lost
		}
		if object != nil && f.into[object] != nil {
			return f.union(f.into[object], object, seen)
		}
	}
	return nil, []ast.Expr{e}
}

// union follows every expression that is put into one object, once: a loop adds nothing.
func (f *flow) union(values []ast.Expr, object types.Object, seen map[types.Object]bool) (found []text, lost []ast.Expr) {
	if seen[object] {
		return nil, nil
	}
	seen[object] = true
	defer delete(seen, object)
	for _, value := range values {
		more, lostMore := f.texts(value, seen)
		found, lost = append(found, more...), append(lost, lostMore...)
	}
	return found, lost
}

// elements follows the elements of a slice, array or map literal, directly or through a variable.
func (f *flow) elements(e ast.Expr, seen map[types.Object]bool) (found []text, lost []ast.Expr) {
	literals := []ast.Expr{ast.Unparen(e)}
	if object := f.object(e); object != nil {
		literals = f.into[object]
	}
	for _, literal := range literals {
		list, ok := ast.Unparen(literal).(*ast.CompositeLit)
		if !ok {
			lost = append(lost, literal)
			continue
		}
		for _, element := range list.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				element = pair.Value
			}
			more, lostMore := f.texts(element, seen)
			found, lost = append(found, more...), append(lost, lostMore...)
		}
	}
	return found, lost
}

// hints returns every text of the source that can become a part of a hint, with its place.
func (f *flow) hints() map[string]string {
	out := map[string]string{}
	for _, fix := range f.fixes {
		found, lost := f.texts(fix, map[types.Object]bool{})
		for _, text := range found {
			out[f.place(text.at)] = text.code
		}
		for _, e := range lost { // a text with a value in it: its constant parts say enough
			ast.Inspect(e, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					out[f.place(n.Pos())] = constant.StringVal(f.info.Types[literal].Value)
				}
				return true
			})
		}
	}
	return out
}

// refusal is one code of one room and the places in the source that write it.
type refusal struct {
	Room, Code string
	Places     []string
}

// refusals returns every code in the product with its room, sorted, and the places whose code could not be followed.
func (f *flow) refusals() (found []refusal, lost []string) {
	for _, sink := range f.codes {
		texts, unknown := f.texts(sink, map[types.Object]bool{})
		for _, e := range unknown {
			lost = append(lost, f.place(e.Pos()))
		}
		for _, text := range texts {
			r := refusal{f.rooms[f.set.File(text.at)], text.code, []string{f.place(text.at)}}
			at, exists := slices.BinarySearchFunc(found, r, compare)
			if !exists {
				found = slices.Insert(found, at, r)
			} else if !slices.Contains(found[at].Places, r.Places[0]) {
				found[at].Places = append(found[at].Places, r.Places[0])
			}
		}
	}
	slices.Sort(lost)
	return found, slices.Compact(lost)
}

func compare(a, b refusal) int {
	return slices.Compare([]string{a.Room, a.Code}, []string{b.Room, b.Code})
}

// place says where a position is, with a path below the module.
func (f *flow) place(at token.Pos) string {
	file := f.set.File(at)
	name := file.Name()
	if i := slices.Index([]byte(name), '/'); i >= 0 {
		name = f.rooms[file] + name[lastSlash(name):]
	}
	return fmt.Sprintf("%s:%d", name, file.Line(at))
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return 0
}

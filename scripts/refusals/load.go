package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/coldsign/coldsign"

// tree is the product's source with its types. All packages share one info, because syntax nodes are unique.
type tree struct {
	set   *token.FileSet
	info  *types.Info
	files []sourceFile
}

type sourceFile struct {
	room   string // import path below the module, e.g. "internal/policy"
	syntax *ast.File
}

// listed is what `go list -json` says about one package, as far as it is needed here.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, CgoFiles       []string
	Module                  *struct{ Path string }
}

// load parses and type-checks the product packages below root, all of them when none is named. Packages of others come
// from compiled export data, ours from source, in the order of their dependencies, so that one function is one object
// everywhere.
func load(root string, names ...string) (*tree, error) {
	packages, err := list(root, names)
	if err != nil {
		return nil, err
	}
	exports, checked := map[string]string{}, map[string]*types.Package{}
	t := &tree{set: token.NewFileSet(), info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{},
		Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}}
	outside := importer.ForCompiler(t.set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	config := types.Config{Importer: importerFunc(func(path string) (*types.Package, error) {
		if ours := checked[path]; ours != nil {
			return ours, nil
		}
		return outside.Import(path)
	})}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		if len(p.CgoFiles) > 0 {
			return nil, fmt.Errorf("%s has cgo files, which this scanner cannot type-check", p.ImportPath)
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(t.set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			files = append(files, file)
			t.files = append(t.files, sourceFile{strings.TrimPrefix(p.ImportPath, module+"/"), file})
		}
		if checked[p.ImportPath], err = config.Check(p.ImportPath, t.set, files, t.info); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// list asks the go command for the product's packages and everything they need, dependencies first.
func list(root string, names []string) ([]listed, error) {
	if len(names) == 0 {
		names = []string{"./cmd/...", "./internal/...", "./hsm/..."}
	}
	command := exec.Command("go", append([]string{"list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,CgoFiles,Module"}, names...)...)
	command.Dir, command.Stderr = root, os.Stderr
	pipe, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	var out []listed
	for decoder := json.NewDecoder(pipe); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, command.Wait()
}

type importerFunc func(string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }

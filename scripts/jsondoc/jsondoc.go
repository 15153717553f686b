// Package jsondoc holds what the programs print for --json against docs/json.md.
//
// The page is the contract for scripts at an exchange: under a heading for each program it has a heading for each schema,
// with examples in fenced blocks. The tests of the programs run every command and ask this package whether what was
// printed looks like one of the examples: the same keys, the same kinds of values, in lists no element that the example
// does not show. An empty object in an example stands for any object. What holds everywhere is checked here too: numbers
// are whole, and a time is RFC 3339 in UTC.
//
// It is for tests. What may never happen here: an object that passes because nobody documented it.
package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Everywhere is the heading of the schemas that every program prints.
const Everywhere = "Every program"

// Document is the page: examples by program and schema.
type Document map[string]map[string][]map[string]any

// Read reads the page. A block that is no object, or that has another schema than its heading, is an error.
func Read(path string) (Document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := Document{}
	program, schema, block := "", "", []string(nil)
	for n, line := range strings.Split(string(text), "\n") {
		switch {
		case block != nil && line == "```":
			if err := d.add(program, schema, strings.Join(block, "\n")); err != nil {
				return nil, fmt.Errorf("%s, block before line %d: %w", path, n+1, err)
			}
			block = nil
		case block != nil:
			block = append(block, line)
		case line == "```json":
			block = []string{}
		case strings.HasPrefix(line, "## "):
			program, schema = strings.TrimPrefix(line, "## "), ""
		case strings.HasPrefix(line, "### "):
			schema = strings.TrimPrefix(line, "### ")
		}
	}
	return d, nil
}

func (d Document) add(program, schema, text string) error {
	object, err := decode([]byte(text))
	if err != nil {
		return err
	}
	if schema == "" || object["schema"] != schema {
		return fmt.Errorf("an example of %v under the heading %q", object["schema"], schema)
	}
	if d[program] == nil {
		d[program] = map[string][]map[string]any{}
	}
	d[program][schema] = append(d[program][schema], object)
	return nil
}

// Unasked returns the commands below root that no line of asked begins with: a new command must not print what nobody
// compared. Help topics, completions and the commands in except, which print no object, are left out.
func Unasked(root *cobra.Command, asked []string, except ...string) []string {
	var out []string
	for _, cmd := range root.Commands() {
		name := cmd.CommandPath()
		switch {
		case cmd.HasSubCommands():
			out = append(out, Unasked(cmd, asked, except...)...)
		case cmd.Runnable() && !slices.Contains(except, name) && !slices.ContainsFunc(asked, func(line string) bool { return strings.HasPrefix(line+" ", name+" ") }):
			out = append(out, name)
		}
	}
	return out
}

// decode reads exactly one object.
func decode(text []byte) (map[string]any, error) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("no JSON object: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON object")
	}
	return object, nil
}

// Schemas returns the schemas of one program, sorted.
func (d Document) Schemas(program string) []string {
	return slices.Sorted(maps.Keys(d[program]))
}

// Check compares what a program printed with the examples, and returns its schema.
func (d Document) Check(program string, printed []byte) (schema string, err error) {
	object, err := decode(printed)
	if err != nil {
		return "", fmt.Errorf("%w: %q", err, printed)
	}
	schema, _ = object["schema"].(string)
	examples := append(d[program][schema], d[Everywhere][schema]...)
	if len(examples) == 0 {
		return schema, fmt.Errorf("%s prints %q, which docs/json.md does not have under %s", program, schema, program)
	}
	var differences []error
	for _, example := range examples {
		difference := like(example, object, schema)
		if difference == nil {
			return schema, nil
		}
		differences = append(differences, difference)
	}
	return schema, fmt.Errorf("not like docs/json.md: %w\nprinted: %s", errors.Join(differences...), printed)
}

// like reports how a value differs in shape from an example; at says where.
func like(example, value any, at string) error {
	switch want := example.(type) {
	case map[string]any:
		got, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %s, the example has an object", at, kind(value))
		}
		return likeObject(want, got, at)
	case []any:
		got, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s is %s, the example has a list", at, kind(value))
		}
		return likeList(want, got, at)
	case json.Number:
		if number, ok := value.(json.Number); !ok || strings.ContainsAny(number.String(), ".eE") {
			return fmt.Errorf("%s is %s %v, the example has a whole number", at, kind(value), value)
		}
	case string:
		got, ok := value.(string)
		if !ok {
			return fmt.Errorf("%s is %s, the example has a text", at, kind(value))
		}
		if _, err := time.Parse(time.RFC3339, want); err == nil {
			if _, err := time.Parse(time.RFC3339, got); err != nil || !strings.HasSuffix(got, "Z") {
				return fmt.Errorf("%s is %q, the example has a time in UTC", at, got)
			}
		}
	default:
		if kind(example) != kind(value) {
			return fmt.Errorf("%s is %s, the example has %s", at, kind(value), kind(example))
		}
	}
	return nil
}

func likeObject(want, got map[string]any, at string) error {
	if len(want) == 0 { // any object
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[key]; !ok {
			return fmt.Errorf("%s lacks %q", at, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("%s has %q, which is not documented", at, key)
		}
		if err := like(want[key], got[key], at+"."+key); err != nil {
			return err
		}
	}
	return nil
}

// likeList wants each element to look like one of the example's.
func likeList(want, got []any, at string) error {
	for i, element := range got {
		var differences []error
		found := slices.ContainsFunc(want, func(example any) bool {
			err := like(example, element, fmt.Sprintf("%s[%d]", at, i))
			differences = append(differences, err)
			return err == nil
		})
		if !found {
			return fmt.Errorf("%s[%d] is like no element of the example: %w", at, i, errors.Join(differences...))
		}
	}
	return nil
}

func kind(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case json.Number:
		return "the number"
	case string:
		return "a text"
	case []any:
		return "a list"
	}
	return "an object"
}

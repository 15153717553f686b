package exchange

import (
	"crypto/sha256"
	"fmt"
	"io"
	"reflect"
	"testing"
)

// grammars are what each language's commands and their bodies look like. A row is never changed: an exchange may have a
// journal in it.
var grammars = map[uint32]string{
	1: "5232e202c083d03a",
}

// The journal can only refuse an older program when a change of the language has a number of its own.
func TestTheLanguageChangesWithItsNumberOnly(t *testing.T) {
	sum := sha256.New()
	for kind := range 256 {
		fmt.Fprint(sum, kind, reads(Command{Kind: Kind(kind)}))
		fmt.Fprint(sum, reads(Command{Kind: Place, Side: Side(kind)}), reads(Command{Kind: Place, Type: OrderType(kind)}),
			reads(Command{Kind: Place, Force: Force(kind)}), reads(Command{Kind: Place, SelfTrade: SelfTrade(kind)}))
	}
	for _, body := range []any{Command{}, AccountBody{}, KeyBody{}, AddressBody{}, DepositAssignBody{}, DepositBody{}, WithdrawBody{}, WithdrawResult{},
		ChangeBody{}, ChangeIntent{}, EnrolBody{}, PasskeyBody{}, CustomerIntent{}, ApprovalBody{}} {
		describe(sum, reflect.TypeOf(body), 0)
	}
	if got := fmt.Sprintf("%.8x", sum.Sum(nil)); got != grammars[Language] {
		t.Fatalf("language %d looks like %s, its row says %q: a command or a body has changed; raise Language by one, say in language.go what is new, and add the row", Language, got, grammars[Language])
	}
}

// reads reports whether a command is in the language.
func reads(c Command) bool {
	rest, err := new(Command).Read(c.Append(nil))
	return err == nil && len(rest) == 0
}

// describe writes down a type with all its fields and how they are encoded.
func describe(w io.Writer, t reflect.Type, depth int) {
	fmt.Fprintf(w, "%d %s\n", depth, t.Kind())
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(w, t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			name := string(f.Tag)
			if name == "" {
				name = f.Name // what it is called where no tag says it
			}
			fmt.Fprintf(w, "%d %s\n", depth, name)
			describe(w, f.Type, depth+1)
		}
	}
}

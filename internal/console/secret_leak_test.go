package console

import (
	"fmt"
	"strings"
	"testing"
)

// Attack 007: fmt follows a pointer for a verb that pointers do not have, and prints what it points to, even inside a
// struct that hides the Secret in an unexported field where its Format method is not called.
func TestAttack007NoVerbDigsASecretOutOfAStruct(t *testing.T) {
	line := []byte("hunter2")
	holder := struct {
		name   string
		secret Secret
	}{"k", newSecret(line)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%t", "%x", "%d", "%p", "%e"} {
		for _, value := range []any{holder, &holder, holder.secret, &holder.secret, []any{holder}} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, "hunter2") || strings.Contains(text, "104 117 110") || strings.Contains(text, "68756e74") {
				t.Errorf("%s of %T gives the secret: %s", verb, value, text)
			}
		}
	}
	if string(holder.secret.Bytes()) != "hunter2" {
		t.Error("the secret itself is lost")
	}
	holder.secret.Wipe()
	if string(line) == "hunter2" {
		t.Error("Wipe left it")
	}
}

package review

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/spend"
)

// Attack 048: whoever supplies a rate decides what an amount seems to be worth. There is no place for one: not in what
// was asked, not in what was proven, not in what is shown, and no screen names a currency.
func TestAttack048NoRateAndNoCurrency(t *testing.T) {
	worth := regexp.MustCompile(`(?i)fiat|price|worth|currency|exchange.?rate|usd|eur|chf|gbp|yen`)
	for _, of := range []reflect.Type{reflect.TypeFor[spend.Intent](), reflect.TypeFor[chain.Facts](), reflect.TypeFor[chain.Input](),
		reflect.TypeFor[chain.Output](), reflect.TypeFor[Request]()} {
		for _, field := range reflect.VisibleFields(of) {
			if worth.MatchString(field.Name) || strings.HasPrefix(field.Type.Kind().String(), "float") {
				t.Errorf("%s has a field %s %s", of, field.Name, field.Type)
			}
		}
	}
	sign := regexp.MustCompile(`(?i)[$€£¥]|\b(usd|eur|chf|gbp|jpy|fiat|worth)\b`)
	for name, req := range map[string]Request{"clean": clean(), "consolidation": consolidation(), "no change": noChange(), "refused": refusedRequest()} {
		if found := sign.FindString(Plain(req)); found != "" {
			t.Errorf("%s: the screen says %q", name, found)
		}
	}
}

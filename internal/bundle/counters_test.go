package bundle_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/spend"
)

// Attack 114: the receipts that the issuer has seen reach the signers as they were sealed.
func TestAttack114CountersComeBackAsSealed(t *testing.T) {
	for _, counters := range [][]bundle.Counter{nil, {{Position: 14, Counter: 1<<64 - 1}}, {{Position: 0, Counter: 1}, {Position: 1, Counter: 7}}} {
		body := exampleBody(t)
		body.Counters = counters
		opened, err := bundle.Open(sealed(t, body), trusted(t), now)
		if err != nil || !reflect.DeepEqual(opened.Counters, counters) {
			t.Errorf("%v came back as %v: %v", counters, opened.Counters, err)
		}
	}
}

// One key has one counter, and one list has one order.
func TestCountersHaveOneSpelling(t *testing.T) {
	for name, counters := range map[string][]bundle.Counter{
		"a key twice":        {{Position: 1, Counter: 1}, {Position: 1, Counter: 2}},
		"falling positions":  {{Position: 2, Counter: 1}, {Position: 1, Counter: 2}},
		"no receipt":         {{Position: 1}},
		"a sixteenth key":    {{Position: 15, Counter: 1}},
		"a key before all":   {{Position: -1, Counter: 1}},
		"a key that wrapped": {{Position: 256, Counter: 1}},
	} {
		body := exampleBody(t)
		body.Counters = counters
		_, err := bundle.Seal(body, keyOf(t, 1), nil)
		if r := (*spend.Refusal)(nil); !errors.As(err, &r) || r.Code != "bundle-malformed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

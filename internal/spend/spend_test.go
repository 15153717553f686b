package spend_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/coldsign/coldsign/internal/spend"
)

func TestAVerdictWithoutChecksRefuses(t *testing.T) {
	passed, refused := spend.Check{Name: "fee"}, spend.Check{Name: "limit", Refusal: spend.Refuse("limit", "", "", "", "")}
	for _, c := range []struct {
		checks []spend.Check
		clean  bool
	}{{nil, false}, {[]spend.Check{passed}, true}, {[]spend.Check{passed, refused}, false}, {[]spend.Check{refused}, false}} {
		if got := (spend.Verdict{Checks: c.checks}).Clean(); got != c.clean {
			t.Errorf("%d checks: clean is %v", len(c.checks), got)
		}
	}
	if got := (spend.Verdict{Checks: []spend.Check{refused, passed, refused}}).Refusals(); len(got) != 2 {
		t.Errorf("%d refusals, want 2", len(got))
	}
}

func TestARefusalIsFoundThroughWrapsAndSaysItself(t *testing.T) {
	err := fmt.Errorf("bundle.cbor: %w", spend.Distrust("seal-invalid", "seal", "a seal by exchanged-1", "none", "ask again"))
	var r *spend.Refusal
	if !errors.As(err, &r) || r.Kind != spend.NotAuthentic {
		t.Fatalf("not found in %v", err)
	}
	if want := "seal-invalid at seal: expected a seal by exchanged-1, found none"; r.Error() != want {
		t.Errorf("says %q, want %q", r.Error(), want)
	}
	if r := spend.Malformed("psbt-magic", "packet", "%d bytes", 3); r.Kind != spend.Unreadable || r.Found != "3 bytes" {
		t.Errorf("malformed %+v", r)
	}
}

func TestNetworksSayWhetherTheirCoinsAreWorthNothing(t *testing.T) {
	for network, test := range map[spend.Network]bool{spend.BitcoinMainnet: false, spend.BitcoinTestnet: true, spend.BitcoinSignet: true,
		spend.BitcoinRegtest: true, "bitcoin:other": false, "": false} {
		if network.IsTest() != test {
			t.Errorf("%q is test: %v", network, network.IsTest())
		}
	}
}

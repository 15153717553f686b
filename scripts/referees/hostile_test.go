//go:build referees

package referees_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
)

// bench is the referees with a key of the same wallet each, or, for Caravan, a view of it.
type bench struct {
	t        testing.TB
	vault    vault
	scope    bitcoin.Scope
	secrets  []string
	referees []*referee
}

func newBench(t testing.TB) *bench {
	t.Helper()
	v := vaults(t)["2 of 3"]
	return &bench{t, v, v.scope(t), v.secrets(t, v.packet(t), 0),
		[]*referee{hire(t, bitcoinjs), hire(t, scure), hire(t, caravan), openElectrum(t, v, 0)}}
}

// present has a referee sign a packet with the key at position 0; Caravan, which has no keys, reads it.
func (b *bench) present(r *referee, raw []byte) verdict {
	b.t.Helper()
	act := "sign"
	if r.name == caravan {
		act = "read"
	}
	return r.judge(act, map[string]any{"psbt": text(raw), "keys": b.secrets, "cosigner": public(b.vault.wallet)[0],
		"file": filepath.Join(r.dir, "wallet")})
}

// ours is the codes of our refusals, or nothing.
func (b *bench) ours(raw []byte) []string {
	p, err := bitcoin.Read(raw)
	if err == nil {
		_, err = bitcoin.Prove(p, b.scope)
	}
	return codes(err)
}

// codes lists every refusal inside an error.
func codes(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []string
		for _, inner := range joined.Unwrap() {
			out = append(out, codes(inner)...)
		}
		return out
	}
	var r *spend.Refusal
	if errors.As(err, &r) {
		return []string{r.Code}
	}
	if err != nil {
		return []string{err.Error()}
	}
	return nil
}

// What others refuse, we refuse, and what they sign all the same, we refuse too. Each attack changes one thing about a
// packet that everybody signs.
func TestWhatOthersRefuseWeRefuse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	honest := b.vault.packet(t).Bytes()
	if refused := b.ours(honest); refused != nil {
		t.Fatalf("we refuse the honest packet: %v", refused)
	}
	for _, r := range b.referees {
		if v := b.present(r, honest); v.Refuses != "" {
			t.Fatalf("%s refuses the honest packet: %s", r.name, v.Refuses)
		}
	}
	table := [][]string{{"what was done to an honest packet", "we refuse with", bitcoinjs, scure, caravan, electrum}}
	for _, a := range slices.Concat(formAttacks(), coinAttacks(), signatureAttacks(), outputAttacks()) {
		table = append(table, b.try(a, honest))
	}
	print(table)
}

// try presents one attack to everybody and returns its row.
func (b *bench) try(a attack, honest []byte) []string {
	b.t.Helper()
	d := open(b.t, honest)
	a.spoil(b.t, d)
	raw := d.bytes()
	refused := b.ours(raw)
	if !slices.Contains(refused, a.code) {
		b.t.Errorf("%s: we should refuse with %s, and say %v", a.name, a.code, refused)
	}
	row, misses := []string{a.name, a.code}, []string{}
	for _, r := range b.referees {
		v := b.present(r, raw)
		switch {
		case v.Refuses != "":
			row = append(row, "refuses")
			continue
		case r.name == caravan:
			row = append(row, "READS")
		default:
			row = append(row, "SIGNS")
		}
		if r.name != electrum { // the others are pinned; Electrum is what the system has
			misses = append(misses, r.name)
		}
	}
	if !slices.Equal(misses, a.misses) {
		b.t.Errorf("%s: misled are %v, not %v as written beside the attack", a.name, misses, a.misses)
	}
	return row
}

// print writes the table to standard output, which go test -v shows.
func print(table [][]string) {
	var out strings.Builder
	for _, row := range table {
		fmt.Fprintf(&out, "%-54s %-23s %-10s %-10s %-10s %s\n", row[0], row[1], row[2], row[3], row[4], row[5])
	}
	fmt.Fprint(os.Stdout, "\n", out.String(), "\n")
}

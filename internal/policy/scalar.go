package policy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"go.yaml.in/yaml/v3"
)

// scalar is one value of the file as it was written. YAML's own ideas of numbers, booleans and dates never apply.
type scalar struct {
	text   string
	quoted bool
	line   int // 0 when the field is absent
}

// UnmarshalYAML keeps the text of a scalar.
func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a list or map where one value belongs", n.Line)
	}
	*s = scalar{n.Value, n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0, n.Line}
	return nil
}

// unit is a unit of measure and how many decimals its values may have.
type unit struct {
	symbol   string
	decimals uint8
}

// bounds are the least and the most that a value may be.
type bounds struct{ least, most uint64 }

// reader turns scalars into values and collects every refusal.
type reader struct {
	kind string // of the file, "policy" or "book"; it begins every code
	errs []error
}

func (r *reader) invalid(where, expected, found string) {
	r.errs = append(r.errs, &spend.Refusal{Kind: spend.Unreadable, Code: r.kind + "-field-invalid", Where: where,
		Expected: expected, Found: found, Fix: "correct the " + r.kind + " file, then pin it: coldsign trust add FILE"})
}

// present refuses an absent or empty field. No field has a default: a limit that nobody wrote is no limit.
func (r *reader) present(where string, s scalar) bool {
	if s.line == 0 || s.text == "" {
		r.errs = append(r.errs, &spend.Refusal{Kind: spend.Unreadable, Code: r.kind + "-field-missing", Where: where,
			Expected: "a value", Found: "none", Fix: "add the field to the " + r.kind + " file, then pin it: coldsign trust add FILE"})
		return false
	}
	return true
}

func (r *reader) count(where string, n, most int) {
	if n < 1 || n > most {
		r.invalid(where, fmt.Sprintf("1 to %d entries", most), strconv.Itoa(n))
	}
}

func (r *reader) oneOf(where string, s scalar, values ...string) string {
	if r.present(where, s) && !slices.Contains(values, s.text) {
		r.invalid(where, strings.Join(values, " or "), s.text)
	}
	return s.text
}

func (r *reader) network(where string, s scalar) spend.Network {
	return spend.Network(r.oneOf(where, s, string(spend.BitcoinMainnet), string(spend.BitcoinTestnet), string(spend.BitcoinSignet), string(spend.BitcoinRegtest)))
}

func (r *reader) quoted(where string, s scalar) bool {
	if !r.present(where, s) {
		return false
	}
	if !s.quoted {
		r.invalid(where, "a value in quotes", s.text)
	}
	return s.quoted
}

func (r *reader) name(where string, s scalar) string {
	foreign := strings.ContainsFunc(s.text, func(r rune) bool { return r < ' ' || r > '~' }) // an escape in quotes can hold any
	if r.present(where, s) && (len(s.text) > nameMax || foreign || strings.TrimSpace(s.text) != s.text) {
		r.invalid(where, fmt.Sprintf("a name of 1 to %d printable ASCII characters", nameMax), s.text)
	}
	return s.text
}

func (r *reader) id(where string, s scalar) (id spend.WalletID) {
	if !r.quoted(where, s) {
		return id
	}
	raw, err := hex.DecodeString(s.text)
	if err != nil || len(raw) != len(id) || strings.ToLower(s.text) != s.text {
		r.invalid(where, "64 hexadecimal digits in lower case", s.text)
		return id
	}
	return spend.WalletID(raw)
}

// number reads a plain decimal count: no sign, no leading zero, no other base.
func (r *reader) number(where string, s scalar, least, most uint64) uint64 {
	if !r.present(where, s) {
		return 0
	}
	n, err := strconv.ParseUint(s.text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s.text || n < least || n > most {
		r.invalid(where, fmt.Sprintf("a whole number from %d to %d", least, most), s.text)
		return 0
	}
	return n
}

// decimal reads a quoted decimal with its unit, "14.5 sat/vB", as a count of its last decimal.
func (r *reader) decimal(where string, s scalar, u unit, b bounds) uint64 {
	if !r.quoted(where, s) {
		return 0
	}
	digits, found := strings.CutSuffix(s.text, " "+u.symbol)
	amount, err := money.Parse(digits, money.Asset{Symbol: u.symbol, Decimals: u.decimals})
	units := amount.Units()
	if !found || err != nil || units.Hi != 0 || units.Lo < b.least || units.Lo > b.most {
		show := func(n uint64) string {
			return money.New(money.Asset{Symbol: u.symbol, Decimals: u.decimals}, money.U128{Lo: n}).String()
		}
		r.invalid(where, fmt.Sprintf("a decimal from %s to %s", show(b.least), show(b.most)), s.text)
		return 0
	}
	return units.Lo
}

// amount reads a quoted amount of bitcoin between two counts of satoshi.
func (r *reader) amount(where string, s scalar, least, most int64) money.Amount {
	units := r.decimal(where, s, unit{money.BTC.Symbol, money.BTC.Decimals}, bounds{uint64(least), uint64(most)})
	return money.New(money.BTC, money.U128{Lo: units})
}

// duration reads whole hours or minutes, "72h" or "10m".
func (r *reader) duration(where string, s scalar, most time.Duration) time.Duration {
	if !r.present(where, s) {
		return 0
	}
	count, step := strings.CutSuffix(s.text, "h")
	length := time.Hour
	if !step {
		count, step = strings.CutSuffix(s.text, "m")
		length = time.Minute
	}
	n, err := strconv.ParseUint(count, 10, 32)
	if d := time.Duration(n) * length; step && err == nil && strconv.FormatUint(n, 10) == count && d >= durationFloor && d <= most {
		return d
	}
	r.invalid(where, fmt.Sprintf("hours or minutes like 72h or 10m, at most %dm", int(most/time.Minute)), s.text)
	return 0
}

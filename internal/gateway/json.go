package gateway

import (
	"strconv"

	"github.com/coldsign/coldsign/internal/money"
)

// writer appends JSON. It knows nothing of types: a member is written by the function of its kind, commas come by
// themselves. It holds the only buffer of an answer and is used again.
type writer struct{ b []byte }

func (w *writer) comma() {
	if n := len(w.b); n > 0 && w.b[n-1] != '{' && w.b[n-1] != '[' {
		w.b = append(w.b, ',')
	}
}

func (w *writer) open(c byte)  { w.comma(); w.b = append(w.b, c) }
func (w *writer) close(c byte) { w.b = append(w.b, c) }

// name begins a member. Names are constants of this package and need no escaping.
func (w *writer) name(n string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, n...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) object(n string) { w.name(n); w.b = append(w.b, '{') }
func (w *writer) array(n string)  { w.name(n); w.b = append(w.b, '[') }

func (w *writer) text(n, v string) { w.name(n); w.quote(v) }
func (w *writer) number(n string, v int64) {
	w.name(n)
	w.b = strconv.AppendInt(w.b, v, 10)
}

func (w *writer) flag(n string, v bool) {
	w.name(n)
	w.b = strconv.AppendBool(w.b, v)
}

// scaled writes a member whose value is n x 10^-scale, as text.
func (w *writer) scaled(n string, v int64, scale int) {
	w.name(n)
	w.b = append(w.b, '"')
	w.b = append(appendScaled(w.b, v, scale), '"')
}

// units writes a member whose value is v x 10^-scale, as text.
func (w *writer) units(n string, v money.U128, scale int) {
	w.name(n)
	w.b = append(w.b, '"')
	w.b = append(appendUnits(w.b, v, scale), '"')
}

// The same without a name, for arrays.

func (w *writer) itemScaled(v int64, scale int) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(appendScaled(w.b, v, scale), '"')
}

func (w *writer) itemUnits(v money.U128, scale int) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(appendUnits(w.b, v, scale), '"')
}

func (w *writer) itemNumber(v int64) { w.comma(); w.b = strconv.AppendInt(w.b, v, 10) }
func (w *writer) itemText(v string)  { w.comma(); w.quote(v) }

// quote writes a JSON string. What is not printable ASCII is escaped, so that a stranger's text cannot end the string,
// colour a terminal or become markup.
func (w *writer) quote(v string) {
	const hex = "0123456789abcdef"
	w.b = append(w.b, '"')
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '"' || c == '\\':
			w.b = append(w.b, '\\', c)
		case c < 0x20 || c >= 0x7f || c == '<' || c == '>' || c == '&':
			w.b = append(w.b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			w.b = append(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}

package records

// Nearly everything that is written is in four tables, thousands of rows at a time. Their rows are kept flat, and each
// database puts them in the way that costs it least: SQLite one by one, through statements that stay prepared and take
// their values unboxed; PostgreSQL all of a table in one statement, column by column.

// value is a number, or a text: amounts and names.
type value struct {
	number int64
	text   string
}

func number[T ~int64 | ~uint64 | ~uint32 | ~uint16 | ~uint8](n T) value {
	return value{number: int64(n)}
}

func text(s string) value { return value{text: s} }

// rows are rows of one table. bulk puts all of them in PostgreSQL: its parameters are the columns.
type rows struct {
	kinds     string
	put, bulk string
	values    []value // row after row
}

func (r *rows) add(values ...value) { r.values = append(r.values, values...) }

func (r *rows) count() int { return len(r.values) / len(r.kinds) }

// columns returns the values of each column, as the driver of PostgreSQL takes them.
func (r *rows) columns() []any {
	out := make([]any, len(r.kinds))
	for i, kind := range r.kinds {
		if kind == 'i' {
			column := make([]int64, 0, r.count())
			for at := i; at < len(r.values); at += len(r.kinds) {
				column = append(column, r.values[at].number)
			}
			out[i] = column
			continue
		}
		column := make([]string, 0, r.count())
		for at := i; at < len(r.values); at += len(r.kinds) {
			column = append(column, r.values[at].text)
		}
		out[i] = column
	}
	return out
}

const (
	ordersKinds   = "iiiiiiiiiiiiiiiiiit"
	tradesKinds   = "iiiiiiiiaiiiai"
	candlesKinds  = "iiiiiiiiaiiaii"
	balancesKinds = "iiaa"
)

func ordersRows() rows   { return rows{kinds: ordersKinds, put: putOrder, bulk: bulkOrders} }
func tradesRows() rows   { return rows{kinds: tradesKinds, put: putTrade, bulk: bulkTrades} }
func candlesRows() rows  { return rows{kinds: candlesKinds, put: putCandle, bulk: bulkCandles} }
func balancesRows() rows { return rows{kinds: balancesKinds, put: putBalance, bulk: bulkBalances} }

package console

import "io"

// Table prints rows in columns.
func Table(w io.Writer, header []string, rows [][]string) error { return nil }

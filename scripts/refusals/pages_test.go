package main

import (
	"errors"
	"flag"
	"path"
	"path/filepath"
	"strings"

	"github.com/coldsign/coldsign/internal/spend"
)

var update = flag.Bool("update", false, "write the examples into docs/refusals anew")

// pageOf returns the file of a room's page.
func pageOf(room string) string {
	return filepath.Join("..", "..", "docs", "refusals", strings.TrimPrefix(path.Base(room), "/")+".md")
}

// joined makes one error of a verdict's refusals.
func joined(refusals []*spend.Refusal) error {
	var errs []error
	for _, r := range refusals {
		errs = append(errs, r)
	}
	return errors.Join(errs...)
}

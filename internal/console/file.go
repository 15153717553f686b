package console

import (
	"errors"
	"io/fs"
)

// ReadFile reads a regular file of at most max bytes.
func ReadFile(path string, max int64) ([]byte, error) { return nil, errors.ErrUnsupported }

// WriteNew writes a file whole or not at all, and never overwrites.
func WriteNew(path string, data []byte, mode fs.FileMode) error { return errors.ErrUnsupported }

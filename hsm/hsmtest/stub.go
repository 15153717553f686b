//go:build !cgo || nopkcs11

package hsmtest

import "github.com/coldsign/coldsign/hsm"

func initialise(string, []string) error { return hsm.ErrNotBuilt }

//go:build amd64 || arm64

package near

import "unsafe"

//go:noescape
func lines(at *[listLen]uintptr, n int)

//go:noescape
func line(p unsafe.Pointer)

//go:build amd64 || arm64

package near

//go:noescape
func lines(at *[listLen]uintptr, n int)

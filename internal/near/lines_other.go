//go:build !amd64 && !arm64

package near

func lines(*[listLen]uintptr, int) {}

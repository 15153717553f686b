package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A picture is the one thing from outside that a foreign library reads (the QR decoder). It is read by a process of its
// own: scan opens no home, has no key, and only writes what it read to a file that the next command judges. The kernel
// bounds that process besides, so that a picture on which the decoder never ends, or eats memory, ends the scan.
const (
	scanSecondsMax = 3600    // of processor time; a thousand photographs take a quarter of it
	scanMemoryMax  = 1 << 30 // bytes; a scan of the largest pictures was measured to take 440 MB
)

// confine limits this process for good. What the user's own limits hold lower stays.
func confine() error {
	for _, limit := range []struct {
		name     string
		resource int
		most     uint64
	}{
		{"processor time", unix.RLIMIT_CPU, scanSecondsMax},
		{"memory", unix.RLIMIT_DATA, scanMemoryMax},
		{"file size", unix.RLIMIT_FSIZE, bundleFileMax},
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(limit.resource, &now); err != nil {
			return fmt.Errorf("limit of %s: %w", limit.name, err)
		}
		most := min(now.Max, limit.most)
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: min(now.Cur, most), Max: most}); err != nil {
			return fmt.Errorf("limit of %s: %w", limit.name, err)
		}
	}
	return nil
}

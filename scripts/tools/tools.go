//go:build tools

// Package tools pins the programs that build and test use, in a module of their own: none of them is linked into a
// product binary. What may never happen here: an unpinned version.
package tools

import (
	_ "github.com/btcsuite/btcd"
	_ "github.com/btcsuite/btcd/cmd/btcctl"
	_ "github.com/nats-io/nats-server/v2"
	_ "honnef.co/go/tools/cmd/staticcheck"
)

// Package nodetest runs a real btcd on regtest for tests and for the demo.
//
// What may never happen here: an import by product code (a test of the floor plan forbids it), a network other than
// regtest, or a listener outside loopback.
package nodetest

import (
	"context"
	"errors"

	"github.com/btcsuite/btcd/chainhash/v2"
)

var errUnfinished = errors.New("unfinished")

// Options say how to run the node.
type Options struct {
	Binary  string // path of btcd; empty: build/bin/btcd of the project, built when it is missing
	Dir     string // for its data, logs and credentials; must exist
	Outlive bool   // the node goes on after the caller's process ends; Attach finds it again
}

// Node is a running btcd.
type Node struct {
	URL             string // of its RPC
	CredentialsFile string // "user:password", for node.Config
	PID             int
}

// Start runs btcd and waits until its RPC answers.
func Start(ctx context.Context, o Options) (*Node, error) { return nil, errUnfinished }

// Attach finds the node that was started with Outlive in dir.
func Attach(dir string) (*Node, error) { return nil, errUnfinished }

// Close ends the process by its id and waits for it.
func (n *Node) Close() error { return errUnfinished }

// Mine mines count blocks with everything that is in the mempool, the reward to address, and returns their hashes.
func (n *Node) Mine(ctx context.Context, count int, address string) ([]chainhash.Hash, error) {
	return nil, errUnfinished
}

// InvalidateBlock makes the node leave the block and everything above it.
func (n *Node) InvalidateBlock(ctx context.Context, hash chainhash.Hash) error { return errUnfinished }

// ReconsiderBlock takes an InvalidateBlock back.
func (n *Node) ReconsiderBlock(ctx context.Context, hash chainhash.Hash) error { return errUnfinished }

// Call calls any method of the node's RPC; out may be nil.
func (n *Node) Call(ctx context.Context, method string, out any, params ...any) error {
	return errUnfinished
}

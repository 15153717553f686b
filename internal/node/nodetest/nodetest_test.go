package nodetest_test

import (
	"context"
	"testing"

	"github.com/coldsign/coldsign/internal/node/nodetest"
)

// address is a P2WPKH of twenty bytes 0x01.
const address = "bcrt1qqyqszqgpqyqszqgpqyqszqgpqyqszqgpvxat9t"

func TestMinesToAnyAddressAndIsFoundAgain(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	n, err := nodetest.Start(ctx, nodetest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	hashes, err := n.Mine(ctx, 3, address)
	if err != nil || len(hashes) != 3 {
		t.Fatalf("mined %d blocks: %v", len(hashes), err)
	}
	again, err := nodetest.Attach(dir)
	if err != nil {
		t.Fatal(err)
	}
	height := func() (h int) {
		if err := again.Call(ctx, "getblockcount", &h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := height(); h != 3 {
		t.Fatalf("height %d after three blocks", h)
	}
	if err := again.InvalidateBlock(ctx, hashes[1]); err != nil {
		t.Fatal(err)
	}
	if h := height(); h != 1 {
		t.Fatalf("height %d after the second block was left", h)
	}
	if err := again.ReconsiderBlock(ctx, hashes[1]); err != nil {
		t.Fatal(err)
	}
	if h := height(); h != 3 {
		t.Fatalf("height %d after the second block was taken back", h)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := again.Call(ctx, "getblockcount", nil); err == nil {
		t.Error("the node answers after Close")
	}
	if err := again.Close(); err != nil {
		t.Errorf("closing what is gone: %v", err)
	}
}

func TestAnAttachedNodeIsEndedByItsFinder(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	n, err := nodetest.Start(ctx, nodetest.Options{Dir: dir, Outlive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	again, err := nodetest.Attach(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil { // waits for the end
		t.Fatal(err)
	}
	if err := n.Call(ctx, "getblockcount", nil); err == nil {
		t.Error("the node answers after Close")
	}
}

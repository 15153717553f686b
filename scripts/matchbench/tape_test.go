package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// The tape is a fact, not a product of this machine: these digests change only when its rules do.
func TestTheTapeIsTheSameEverywhereAndEveryEngineAgrees(t *testing.T) {
	tp := generate(1000, 50_000, false)
	if want := uint64(0xe3fa7bdcdeedfad); tp.trades != 27462 || tp.digest != want {
		t.Errorf("%d trades, digest %#x, want %#x", tp.trades, tp.digest, want)
	}
	kinds := map[uint8]int{}
	for _, o := range tp.ops[tp.preload:] {
		kinds[o.kind]++
	}
	for kind, percent := range map[uint8]int{passive: 70, cancel: 20, aggressive: 10} {
		if got := kinds[kind]; got < 500*percent*97/100 || got > 500*percent*103/100 {
			t.Errorf("%d operations of kind %d, want about %d", got, kind, 500*percent)
		}
	}
	for _, e := range entrants() {
		f := measure(e.make, tp)
		if f.Trades != tp.trades || f.Digest != tp.digest || f.Live >= 0 && (f.Live < 700 || f.Live > 1300) {
			t.Errorf("%s: %d trades, digest %#x, %d orders; the tape has %d, %#x", e.name, f.Trades, f.Digest, f.Live, tp.trades, tp.digest)
		}
	}
}

func TestOnTheTapeWithRulesBothDirectoriesAgreeAndTheBookStays(t *testing.T) {
	tp := generate(1000, 100_000, true)
	dense, any := measure(func() engine { return newColdsign(false) }, tp), measure(func() engine { return newColdsign(true) }, tp)
	if dense.Trades != any.Trades || dense.Digest != any.Digest || dense.Trades == 0 {
		t.Errorf("dense: %d trades, %#x; any: %d, %#x", dense.Trades, dense.Digest, any.Trades, any.Digest)
	}
	if dense.Live < 300 || dense.Live > 3000 {
		t.Errorf("%d orders at the end", dense.Live)
	}
}

func TestATapeIsReadAsItWasWritten(t *testing.T) {
	tp, path := generate(300, 2000, true), filepath.Join(t.TempDir(), "tape")
	if err := tp.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readTape(path)
	if err != nil || got.preload != tp.preload || !slices.Equal(got.ops, tp.ops) {
		t.Errorf("%d operations of %d, %v", len(got.ops), len(tp.ops), err)
	}
}

func TestArbitraryIdentitiesTurnBack(t *testing.T) {
	seen := map[uint64]bool{}
	for id := range uint64(100_000) {
		if seen[scramble(id)] || unscramble(scramble(id)) != id {
			t.Fatalf("identity %d", id)
		}
		seen[scramble(id)] = true
	}
}

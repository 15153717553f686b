package journal

import "github.com/coldsign/coldsign/internal/engine"

func (b *bench) damagedAt(where string) {
	b.t.Helper()
	o := b.options
	o.Follow = true
	j, err := Open(b.ctx, o)
	if err == nil {
		defer j.Close()
		_, err = j.Verify(b.ctx)
	}
	b.refused(err, "journal-damaged", where)
}

func (b *bench) some() {
	j := b.open()
	b.write(j, frame(1, 2), frame(3, 2), frame(5, 2), frame(7, 2))
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func claimCorrupted(b *bench) {
	b.some()
	b.change(`UPDATE $T SET sealed = (SELECT sealed FROM $T WHERE $J AND first = 5) WHERE $J AND first = 3`)
	b.damagedAt("frame 3 (commands 3 to 4)")
}

func claimRenumbered(b *bench) {
	b.some()
	b.change(`UPDATE $T SET at = at + 1 WHERE $J AND first = 5`)
	b.damagedAt("frame 5")
}

func claimTorn(b *bench) {
	b.some()
	b.change(`UPDATE $T SET sealed = x'00' WHERE $J AND first = 7`)
	_, err := Open(b.ctx, b.options)
	b.refused(err, "journal-damaged", "frame 7 (commands 7 to 8)")
}

func claimGap(b *bench) {
	b.some()
	b.change(`DELETE FROM $T WHERE $J AND first = 3`)
	_, err := b.open().Verify(b.ctx)
	b.refused(err, "journal-gap", "after command 2")
}

func claimTransplanted(b *bench) {
	j := b.open()
	b.write(j, frame(1, 1), frame(2, 1))
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.change(`DELETE FROM $T WHERE $J AND first = 2`)
	// The same numbers, the same store key, a later epoch: another history from command 2 on.
	j = b.open()
	f := frame(2, 1)
	f.At++
	b.write(j, f, frame(3, 1))
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.change(`UPDATE $T SET epoch = 1 WHERE $J AND first = 2`)
	b.damagedAt("frame 2")
}

func claimPrune(b *bench) {
	j := b.open()
	for first := uint64(1); first <= 2000; first += 2 {
		b.write(j, frame(first, 2))
	}
	head, err := j.Chain(b.ctx, 2000)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := j.Prune(b.ctx, 1500); err != nil { // in the middle of a frame: that frame stays
		b.t.Fatal(err)
	}
	report, err := j.Verify(b.ctx)
	if err != nil || report.Pruned != 1498 || report.First != 1499 || report.Last != 2000 || report.Head != head {
		b.t.Fatalf("%+v, %v", report, err)
	}
	err = j.Read(b.ctx, 1, func(engine.Frame) error { return nil })
	b.refused(err, "journal-pruned", "command 1")
	if err := j.Prune(b.ctx, 2001); err != nil {
		b.t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	j = b.open()
	if last, err := j.Last(b.ctx); err != nil || last != 2000 {
		b.t.Fatalf("a journal with its last frame ends with %d, %v", last, err)
	}
	b.write(j, frame(2001, 1))
	if report, err = j.Verify(b.ctx); err != nil || report.Frames != 2 || report.Pruned != 1998 { // the last frame stayed
		b.t.Fatalf("%+v, %v", report, err)
	}
}

func claimForgedPrune(b *bench) {
	b.some()
	j := b.open()
	if err := j.Prune(b.ctx, 3); err != nil {
		b.t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.change(`UPDATE $M SET value = x'00' WHERE $J AND name = 'pruned'`)
	_, err := Open(b.ctx, b.options)
	b.refused(err, "journal-damaged", "mark of pruning")
}

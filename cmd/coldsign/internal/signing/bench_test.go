package signing_test

import (
	"os"
	"testing"
)

func BenchmarkSign(b *testing.B) {
	tr := newTreasury(b, 3, 5)
	before, err := os.ReadFile(tr.ledgerPath())
	must(b, err)
	for _, n := range []int{1, 50, 500} {
		p, _ := tr.sweep(b, tr.hot, tr.coins(b, 0, n))
		raw := tr.bundle(b, tr.hot, p)
		b.Run(map[int]string{1: "1", 50: "50", 500: "500"}[n], func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				tr.forget(b, before)
				ledger := tr.ledger(b)
				b.StartTimer()
				_, err := tr.sign(ledger, raw, confirmed)
				must(b, err)
				b.StopTimer()
				ledger.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/input")
			b.ReportMetric(float64(len(raw)), "bundle-bytes")
		})
	}
}

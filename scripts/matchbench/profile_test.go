package main

import "testing"

// BenchmarkColdsign plays the tape of 10,000 resting orders; with -cpuprofile it shows where package matching spends.
func BenchmarkColdsign(b *testing.B) {
	for _, any := range []bool{false, true} {
		name := "dense"
		if any {
			name = "any"
		}
		b.Run(name, func(b *testing.B) {
			t := generate(10_000, 2_000_000, false)
			for b.Loop() {
				e := newColdsign(any)
				for i := range t.ops {
					e.do(0, &t.ops[i])
					if i%chunkLen == 0 {
						e.drain(func(trade) {})
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(t.ops)), "ns/order")
		})
	}
}

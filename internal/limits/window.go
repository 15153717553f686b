package limits

import "github.com/coldsign/coldsign/internal/exchange"

const (
	bucketMillis = 5_000
	// buckets reach from now over the 60 seconds before it, wherever in its bucket now is.
	buckets = 60_000/bucketMillis + 1
)

// window is the weight that was used in the last buckets. used is their sum.
type window struct {
	last    uint32 // number of the newest bucket: its begin divided by its length
	used    uint16
	weights [buckets]uint16
}

// roll forgets what is older than the buckets that now needs.
func (w *window) roll(now exchange.Millis) {
	bucket := uint32(now / bucketMillis)
	if bucket-w.last >= buckets {
		*w = window{last: bucket}
		return
	}
	for w.last != bucket {
		w.last++
		place := w.last % buckets
		w.used -= w.weights[place]
		w.weights[place] = 0
	}
}

// fits reports whether cost more would stay within the limit.
func (w *window) fits(cost uint32, limit uint16) bool { return uint32(w.used)+cost <= uint32(limit) }

// add counts a cost that fits.
func (w *window) add(cost uint32) {
	w.weights[w.last%buckets] += uint16(cost)
	w.used += uint16(cost)
}

// wait returns how long it takes until cost fits, if nothing else is asked for meanwhile.
func (w *window) wait(cost uint32, limit uint16, now exchange.Millis) exchange.Millis {
	used := uint32(w.used)
	for age := min(w.last, buckets-1); age > 0; age-- {
		bucket := w.last - age
		used -= uint32(w.weights[bucket%buckets])
		if used+cost <= uint32(limit) {
			return exchange.Millis(bucket+buckets)*bucketMillis - now
		}
	}
	return exchange.Millis(w.last+buckets)*bucketMillis - now
}

// idle reports whether nothing in it counts any more.
func (w *window) idle(now exchange.Millis) bool {
	return w.used == 0 || uint32(now/bucketMillis)-w.last >= buckets
}

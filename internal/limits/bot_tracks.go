package limits

import "math/bits"

// aged tells by how many halvings counts of a period are old in another, and how many turns of half an hour passed.
func aged(from, to uint32) (halvings, turns uint32) {
	return min(to-from, 31), min(to/turnPeriods-from/turnPeriods, 2)
}

// turned moves what was seen to the half hour before.
func turned(seen [2]uint64, turns uint32) [2]uint64 {
	switch turns {
	case 0:
		return seen
	case 1:
		return [2]uint64{0, seen[0]}
	}
	return [2]uint64{}
}

func (t *track) settle(second uint32) {
	if period := second / periodSeconds; period > t.period {
		n, turns := aged(t.period, period)
		for _, count := range []*uint16{&t.good, &t.open, &t.weight, &t.bad[0], &t.bad[1], &t.bad[2], &t.probes, &t.served} {
			*count >>= n
		}
		t.symbols, t.targets, t.period = turned(t.symbols, turns), turned(t.targets, turns), period
	}
	if t.found != Quiet && second >= t.foundAt+foundSeconds {
		t.found = Quiet
	}
}

// interest is how much would be lost with a track.
func (t *track) interest() uint32 {
	return uint32(t.found)<<20 + 16*(uint32(t.bad[0])+uint32(t.bad[1])+uint32(t.bad[2])+uint32(t.probes)) + uint32(t.weight)/64 + 1
}

// track returns the track of an address, a new one in the place of the least interesting of its set.
func (s *Scorer) track(key uint64, second uint32) *track {
	set := &s.tracks[mix(key^s.seed)%trackSets]
	least := 0
	for i := range set {
		if set[i].key == key {
			set[i].settle(second)
			return &set[i]
		}
		if set[i].key == 0 {
			least = i
			break
		}
		if set[i].settle(second); set[i].interest() < set[least].interest() {
			least = i
		}
	}
	set[least] = track{key: key, period: second / periodSeconds}
	return &set[least]
}

// known is what was found of an address before.
func (s *Scorer) known(key uint64, second uint32) Finding {
	set := &s.tracks[mix(key^s.seed)%trackSets]
	for i := range set {
		if t := &set[i]; t.key == key && t.found != Quiet && second < t.foundAt+foundSeconds {
			return Finding{Conduct: t.found, Before: true}
		}
	}
	return Finding{}
}

func (q *quoter) settle(second uint32) {
	if period := second / periodSeconds; period > q.period {
		n, _ := aged(q.period, period)
		q.orders, q.fills, q.probes, q.period = q.orders>>n, q.fills>>n, q.probes>>n, period
	}
	if q.found != Quiet && second >= q.foundAt+foundSeconds {
		q.found = Quiet
	}
}

func (s *Scorer) account(key uint64, second uint32) *quoter {
	set := &s.accounts[mix(key^s.seed)%accountSets]
	least := 0
	for i := range set {
		if set[i].key == key {
			set[i].settle(second)
			return &set[i]
		}
		if set[i].key == 0 {
			least = i
			break
		}
		if set[i].settle(second); set[i].orders+uint32(set[i].found)<<24 < set[least].orders+uint32(set[least].found)<<24 {
			least = i
		}
	}
	set[least] = quoter{key: key, period: second / periodSeconds}
	return &set[least]
}

// group is what many addresses did together: those whose clients look alike, or those of one network.
type group struct {
	key       uint64
	turn      uint32 // half hours
	toldAt    uint32
	good      uint32
	failed    uint32
	opened    uint32
	weight    uint32
	addresses seen
	targets   seen
	openers   seen
	symbols   seen
}

// seen estimates how many different things there were, up to some two hundred: bits of a hash that were met.
type seen [4]uint64

func (b *seen) mark(x uint64) {
	h := mix(x) >> 56
	b[h>>6] |= 1 << (h & 63)
}

func (b *seen) count() int {
	return bits.OnesCount64(b[0]) + bits.OnesCount64(b[1]) + bits.OnesCount64(b[2]) + bits.OnesCount64(b[3])
}

func shapeKey(r *Request) uint64 { return 1<<63 | uint64(r.Trace.Shape)<<1 | 1 }

// netKey names the /24 of an IPv4 address, the /48 of an IPv6 one.
func netKey(place uint64) uint64 {
	if key(place)&keyOf4 == keyOf4 {
		return (place>>8)<<1&^(1<<63) | 1
	}
	return (place>>16)<<2&^(1<<63) | 2
}

func (s *Scorer) group(key uint64, second uint32) *group {
	set, turn := &s.groups[mix(key^s.seed)%groupSets], second/(periodSeconds*turnPeriods)
	least := 0
	for i := range set {
		if set[i].key == key {
			if set[i].turn != turn {
				set[i] = group{key: key, turn: turn, toldAt: set[i].toldAt}
			}
			return &set[i]
		}
		if set[i].key == 0 {
			least = i
			break
		}
		if set[i].interest(turn) < set[least].interest(turn) {
			least = i
		}
	}
	set[least] = group{key: key, turn: turn}
	return &set[least]
}

func (g *group) interest(turn uint32) uint32 {
	if g.turn != turn {
		return 0
	}
	return g.failed + g.opened + g.good/16
}

// fails counts a failure of one of the group.
func (g *group) fails(r *Request, place uint64) {
	g.failed++
	g.addresses.mark(place)
	g.targets.mark(uint64(r.Trace.Target))
}

// weighs counts a heavy unsigned request of one of the group.
func (g *group) weighs(r *Request, place uint64) {
	g.opened++
	g.weight += uint32(r.Weight)
	g.openers.mark(place)
	g.symbols.mark(uint64(r.Trace.Target))
}

// concerted reports whether the group's failures are an attack: many addresses, many targets, and nobody of the group
// who does it right. A client that many people use has both.
func (g *group) concerted(addresses, targets int, fails uint32) Conduct {
	if g.failed >= fails && g.failed > 4*g.good && g.addresses.count() >= addresses && g.targets.count() >= targets {
		return Concerted
	}
	return Quiet
}

func (g *group) scrapes() Conduct {
	if g.weight >= groupWeight && g.good*50 < g.opened && g.openers.count() >= groupAddresses && g.symbols.count() >= groupSymbols {
		return Concerted
	}
	return Quiet
}

// tell reports whether people were not told of the group for a while, and notes that they are.
func (g *group) tell(second uint32) bool {
	if g.toldAt != 0 && second < g.toldAt+foundSeconds {
		return false
	}
	g.toldAt = second
	return true
}

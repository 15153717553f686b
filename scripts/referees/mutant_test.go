//go:build referees

package referees_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// mutants is how many spoiled packets are tried, and acceptedMin how many of them we must find nothing wrong with: a
// property of packets that we accept needs some.
const (
	mutants     = 1000
	acceptedMin = 150
)

// difference is a strictness of a referee that we know of and do not share, with the reason.
type difference struct{ referee, says, why string }

// differences were all that 60,000 mutants showed.
func differences() []difference {
	const derived = "we derive the script from the pinned wallet, and need nobody to tell it"
	return []difference{
		{bitcoinjs, "witnessScript missing", derived},
		{scure, "wsh without witnessScript", derived},
		{caravan, "reading 'toString'", derived},
		{caravan, "Signing key details not included", "we look for our key in the wallet, not among the paths in the packet"},
		{caravan, "tx version less than 2", "both versions mean the same without relative lock times, which we refuse"},
		{scure, "element bigger than MAX_SAFE_INTEGER", "a field type that JavaScript cannot count to"},
	}
}

// Where a referee refuses a packet, we do too: many packets, each an honest one with one to three changes, are put
// before us, and those that we would sign before the referees. One that a referee will not sign is either a check that
// we lack or a strictness that we know of.
func TestWhatWeAcceptEveryRefereeAccepts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	honest := b.vault.packet(t).Bytes()
	random := rand.New(rand.NewPCG(8, 75))
	var accepted []mutant
	seen := map[string]bool{string(honest): true}
	for range mutants {
		m := mutate(t, random, honest)
		if !seen[string(m.raw)] && b.ours(m.raw) == nil {
			accepted = append(accepted, m)
		}
		seen[string(m.raw)] = true
	}
	if len(accepted) < acceptedMin {
		t.Errorf("we accepted only %d of %d mutants: the property was hardly tried", len(accepted), mutants)
	}
	var done sync.WaitGroup
	for _, r := range b.referees {
		done.Go(func() { b.accepts(r, accepted) })
	}
	done.Wait()
}

// accepts presents packets to a referee, which must sign all but those that it is known to be stricter about.
func (b *bench) accepts(r *referee, packets []mutant) {
	stricter := 0
	for _, m := range packets {
		v := b.present(r, m.raw)
		switch {
		case v.Refuses == "":
		case slices.ContainsFunc(differences(), func(d difference) bool { return d.referee == r.name && strings.Contains(v.Refuses, d.says) }):
			stricter++
		default:
			b.t.Errorf("%s refuses what we accept: %s\nafter %q\n%s", r.name, v.Refuses, m.what, text(m.raw))
		}
	}
	b.t.Logf("%s accepts %d of the %d packets that we accept, and is stricter as known about %d", r.name, len(packets)-stricter, len(packets), stricter)
}

// mutant is a changed packet.
type mutant struct {
	raw  []byte
	what []string // was changed
}

// mutate changes one to three things and says which.
func mutate(t testing.TB, random *rand.Rand, honest []byte) mutant {
	d, m := open(t, honest), mutant{}
	for range 1 + random.IntN(3) {
		m.what = append(m.what, d.mutation(random))
	}
	m.raw = d.bytes()
	if random.IntN(10) == 0 {
		at := random.IntN(len(m.raw))
		m.raw[at] ^= 1 << random.IntN(8)
		m.what = append(m.what, fmt.Sprintf("flip a bit of byte %d", at))
	}
	return m
}

func (d *draft) mutation(random *rand.Rand) string {
	if random.IntN(3) == 0 {
		return d.mutateTx(random)
	}
	at := random.IntN(len(d.maps))
	m := &d.maps[at]
	if len(*m) == 0 || random.IntN(4) == 0 {
		key := append([]byte{byte(random.IntN(256))}, bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(3)*16)...)
		add(m, key, bytes.Repeat([]byte{7}, random.IntN(40)))
		return fmt.Sprintf("add field %x to map %d", key, at)
	}
	i := random.IntN(len(*m))
	p := &(*m)[i]
	switch random.IntN(6) {
	case 0:
		if at == 0 && i == 0 {
			return "nothing" // the transaction stays, or there is no packet
		}
		name := fmt.Sprintf("drop field %x of map %d", p.key, at)
		*m = slices.Delete(*m, i, i+1)
		return name
	case 1:
		p.value = bytes.Clone(p.value)
		if len(p.value) > 0 {
			p.value[random.IntN(len(p.value))] ^= 1 << random.IntN(8)
		}
		return fmt.Sprintf("flip a bit of the value of %x in map %d", p.key, at)
	case 2:
		p.key = bytes.Clone(p.key)
		p.key[random.IntN(len(p.key))] ^= 1 << random.IntN(8)
		return fmt.Sprintf("flip a bit of a key of map %d: %x", at, p.key)
	case 3:
		other := random.IntN(len(d.maps))
		d.maps[other] = append(d.maps[other], *p)
		return fmt.Sprintf("copy field %x of map %d to map %d", p.key, at, other)
	case 4:
		j := random.IntN(len(*m))
		if at != 0 {
			(*m)[i], (*m)[j] = (*m)[j], (*m)[i]
		}
		return fmt.Sprintf("swap fields %d and %d of map %d", i, j, at)
	}
	p.value = p.value[:random.IntN(len(p.value)+1)]
	return fmt.Sprintf("cut the value of %x in map %d to %d bytes", p.key, at, len(p.value))
}

func (d *draft) mutateTx(random *rand.Rand) string {
	switch random.IntN(5) {
	case 0:
		d.tx.LockTime = random.Uint32N(1_000_000_000)
		return fmt.Sprintf("lock time %d", d.tx.LockTime)
	case 1:
		in := d.tx.TxIn[random.IntN(len(d.tx.TxIn))]
		in.Sequence = 0xffffffff - random.Uint32N(5)
		return fmt.Sprintf("sequence %08x", in.Sequence)
	case 2:
		d.tx.Version = int32(random.IntN(5)) - 1
		return fmt.Sprintf("version %d", d.tx.Version)
	case 3:
		out := d.tx.TxOut[random.IntN(len(d.tx.TxOut))]
		out.Value += int64(random.IntN(20_000)) - 10_000
		return fmt.Sprintf("output of %d satoshi", out.Value)
	}
	out := d.tx.TxOut[random.IntN(len(d.tx.TxOut))]
	out.PkScript = append([]byte{0, byte(20 + 12*random.IntN(2))}, bytes.Repeat([]byte{byte(random.IntN(256))}, 20+12*random.IntN(2))...)
	return fmt.Sprintf("pay to %x", out.PkScript)
}

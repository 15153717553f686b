package main

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// read returns an act that reads the packet after one change to its bytes.
func read(change func([]byte) []byte) func(*testing.T) error {
	return func(*testing.T) error { _, err := bitcoin.Read(change(drafted().bytes())); return err }
}

// reread returns an act that reads the packet after one change to its parts.
func reread(change func(*draft)) func(*testing.T) error {
	return func(*testing.T) error {
		d := drafted()
		change(d)
		_, err := bitcoin.Read(d.bytes())
		return err
	}
}

func ofProofs() page.Examples {
	join := func(change func([]byte, [][]byte) ([]byte, [][]byte)) func(*testing.T) error {
		return func(*testing.T) error { _, err := bitcoin.Join(change(built().Strip())); return err }
	}
	return page.Examples{
		"proof-inside":   join(func(_ []byte, proofs [][]byte) ([]byte, [][]byte) { return built().Bytes(), proofs }),
		"proof-missing":  join(func(packet []byte, _ [][]byte) ([]byte, [][]byte) { return packet, nil }),
		"proof-repeated": join(func(packet []byte, proofs [][]byte) ([]byte, [][]byte) { return packet, append(proofs, proofs[0]) }),
		"proof-unused": join(func(packet []byte, proofs [][]byte) ([]byte, [][]byte) {
			other := bytes.Clone(proofs[0])
			other[0] = 1 // the version: another transaction
			return packet, append(proofs, other)
		}),
	}
}

func ofForm() page.Examples {
	return page.Examples{
		"psbt-base64":        read(func(raw []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(raw) + "\n") }),
		"psbt-compact-size":  read(func(raw []byte) []byte { return slices.Concat(raw[:5], []byte{0xfd, 1, 0}, raw[6:]) }),
		"psbt-duplicate-key": reread(func(d *draft) { m := d.input(0); *m = append(*m, (*m)[0]) }),
		"psbt-key-length":    reread(func(d *draft) { set(d.input(0), []byte{3, 3}, []byte{1, 0, 0, 0}) }),
		"psbt-magic":         read(func([]byte) []byte { return []byte("hello") }),
		"psbt-too-large":     reread(func(d *draft) { set(d.input(0), bytes.Repeat([]byte{0xfc}, 20_000), nil) }),
		"psbt-trailing":      read(func(raw []byte) []byte { return append(raw, 0) }),
		"psbt-transaction":   reread(func(d *draft) { set(d.input(0), []byte{0}, []byte{2, 0, 0, 0, 0, 7}) }),
		"psbt-truncated":     read(func(raw []byte) []byte { return raw[:len(raw)-9] }),
		"psbt-unsigned-tx":   reread(func(d *draft) { d.tx.TxIn[0].SignatureScript = []byte{0x51} }),
		"psbt-value":         reread(func(d *draft) { set(d.input(0), []byte{3}, []byte{1}) }),
		"psbt-version":       reread(func(d *draft) { d.global = []pair{{[]byte{0xfb}, []byte{1, 0, 0, 0}}} }),
		"psbt-version-field": reread(func(d *draft) { d.global = []pair{{[]byte{4}, []byte{2}}} }),
	}
}

// ofVersions are refusals of packets of version 2, which are converted where that is exact.
func ofVersions() page.Examples {
	second := func(modifiable byte, locks ...byte) func(*testing.T) error {
		return func(*testing.T) error {
			global := []pair{{[]byte{2}, []byte{2, 0, 0, 0}}, {[]byte{4}, []byte{2}}, {[]byte{5}, []byte{1}}, {[]byte{6}, []byte{modifiable}},
				{[]byte{0xfb}, []byte{2, 0, 0, 0}}}
			maps := [][]pair{global}
			for i, lock := range locks {
				value := []byte{100, 0, 0, 0} // a height
				if lock == 0x11 {
					value = []byte{0, 0, 0, 0x70} // a time
				}
				maps = append(maps, []pair{{[]byte{0x0e}, bytes.Repeat([]byte{7}, 32)}, {[]byte{0x0f}, []byte{byte(i), 0, 0, 0}}, {[]byte{lock}, value}})
			}
			maps = append(maps, []pair{{[]byte{3}, bytes.Repeat([]byte{0}, 8)}, {[]byte{4}, []byte(strings.Repeat("\x51", 3))}})
			_, err := bitcoin.ReadAny(written(maps))
			return err
		}
	}
	return page.Examples{
		"psbt-locktime":   second(0, 0x11, 0x12),
		"psbt-modifiable": second(1, 0x12, 0x12),
	}
}

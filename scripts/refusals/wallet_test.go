package main

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

const drill = spend.BitcoinRegtest

// record returns an act that verifies the record of zurich after one change, proven again so that only the change is
// wrong.
func record(change func(*wallet.KeyRecord)) func(*testing.T) error {
	return func(*testing.T) error {
		h := seeded("zurich", 1, drill)
		change(&h.record)
		return h.prove().Verify()
	}
}

// compose returns an act that composes a wallet of these records.
func compose(name string, tier spend.Tier, threshold int, records ...wallet.KeyRecord) func(*testing.T) error {
	return func(*testing.T) error {
		_, err := wallet.New(name, tier, threshold, records)
		return err
	}
}

// pinned returns an act that reads the wallet file after one change.
func pinned(change func([]byte) []byte) func(*testing.T) error {
	return func(*testing.T) error {
		_, err := wallet.Parse(change(coldWallet(drill).Marshal()))
		return err
	}
}

// imported returns an act that imports a file of another product.
func imported(format wallet.Format, file func(wallet.Wallet) []byte) func(*testing.T) error {
	return func(*testing.T) error {
		w := warmWallet()
		_, err := wallet.Import(file(w), format, wallet.Label{Name: w.Name(), Tier: w.Tier(), Network: w.Network()}, wallet.AcceptUnproven())
		return err
	}
}

// warmWallet has keys with children only, which every format can say.
func warmWallet() wallet.Wallet {
	holders := []*holder{seeded("warm-1", 1, drill), seeded("warm-2", 3, drill), seeded("warm-3", 4, drill)}
	return must(wallet.New("WARM-1", spend.Warm, 2, records(holders)))
}

func descriptor(text string) func(*testing.T) error {
	return func(*testing.T) error { _, err := wallet.ParseDescriptor(text); return err }
}

func TestRefusalsOfWallet(t *testing.T) {
	acts := page.Examples{}
	for _, part := range []page.Examples{ofKeys(), ofKeyTexts(), ofWallets(), ofFiles()} {
		maps.Copy(acts, part)
	}
	page.Check(t, pageOf("internal/wallet"), "coldsign", acts, *update)
}

func ofKeys() page.Examples {
	return page.Examples{
		"key-depth": record(func(r *wallet.KeyRecord) {
			r.Key = onPath("zurich", 1, drill, []uint32{hard + 48, hard + 1, hard}).record.Key
		}),
		"key-device":      record(func(r *wallet.KeyRecord) { r.Device = "paper" }),
		"key-fingerprint": record(func(r *wallet.KeyRecord) { r.Fingerprint = [4]byte{} }),
		"key-kind":        record(func(r *wallet.KeyRecord) { r.Kind = "bip39" }),
		"key-name":        record(func(r *wallet.KeyRecord) { r.Name = "z\u00fcrich" }),
		"key-path":        record(func(r *wallet.KeyRecord) { r.Path = []uint32{hard + 84, hard + 1, hard, hard + 2} }),
		"key-pool": func(*testing.T) error {
			r := pool("basin", 4, drill)
			r.Key = r.Key[:3*67-1]
			return r.Verify()
		},
		"key-proof": func(*testing.T) error {
			r := seeded("zurich", 1, drill).record
			r.Name = "geneva"
			return r.Verify()
		},
		"key-receipt":  record(func(r *wallet.KeyRecord) { r.Receipt = "ssh-rsa AAAA" }),
		"key-unproven": func(*testing.T) error { r := seeded("zurich", 1, drill).record; r.Proof = nil; return r.Verify() },
		"key-unreadable": func(*testing.T) error {
			_, err := wallet.ParseKeyRecord(swap(`"kind"`, `"type"`)(seeded("zurich", 1, drill).record.Marshal()))
			return err
		},
		"network-unknown": func(*testing.T) error { _, err := wallet.Params("litecoin:mainnet"); return err },
	}
}

func ofKeyTexts() page.Examples {
	account := seeded("zurich", 1, drill).account
	public := must(account.Neuter())
	fixed := func(key string) func(*testing.T) error { return descriptor0("wsh(pk(" + key + "))") }
	return page.Examples{
		"key-encoding": record(func(r *wallet.KeyRecord) { r.Key = r.Key[:len(r.Key)-1] + "1" }),
		"key-network":  record(func(r *wallet.KeyRecord) { r.Key = seeded("zurich", 1, spend.BitcoinMainnet).record.Key }),
		"key-private": func(*testing.T) error {
			r := seeded("zurich", 1, drill).record
			r.Key = account.String()
			return r.Verify()
		},
		"key-slip132": record(func(r *wallet.KeyRecord) {
			r.Key = must(public.CloneWithVersion([]byte{0x02, 0x57, 0x54, 0x83})).String()
		}),
		"key-off-curve":         fixed("02" + strings.Repeat("00", 31) + "05"),
		"key-uncompressed":      fixed("04" + strings.Repeat("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 2)),
		"descriptor-checksum":   descriptor("wsh(pk(02" + strings.Repeat("00", 31) + "01))#aaaaaaaa"),
		"descriptor-hardened":   descriptor0("wsh(pk(" + public.String() + "/0h/*))"),
		"descriptor-unreadable": descriptor0("combo(02" + strings.Repeat("00", 31) + "01)"),
	}
}

// descriptor0 reads a descriptor that has no checksum.
func descriptor0(text string) func(*testing.T) error {
	return func(*testing.T) error { _, err := wallet.ParseUnchecked(text); return err }
}

func ofWallets() page.Examples {
	three := records(trio(drill))
	var pools []wallet.KeyRecord
	large := func(t *testing.T) error {
		for i := range 4 {
			pools = append(pools, pool(fmt.Sprintf("basin-%d", i), wallet.PoolKeysMax, drill))
		}
		return compose("COLD-A", spend.Cold, 2, pools...)(t)
	}
	second := onPath("lima", 1, drill, []uint32{hard + 48, hard + 1, hard + 1, hard + 2}).record
	basin := func() wallet.Wallet {
		return must(wallet.New("COLD-B", spend.Cold, 2, []wallet.KeyRecord{three[0], three[2], pool("basin", 4, drill)}))
	}
	return page.Examples{
		"wallet-fingerprint-duplicate": compose("COLD-A", spend.Cold, 2, three[0], three[1], second),
		"wallet-index": func(*testing.T) error {
			_, err := coldWallet(drill).Derive(wallet.Receive, hard)
			return err
		},
		"wallet-key-count":     compose("COLD-A", spend.Cold, 2, three[:2]...),
		"wallet-key-duplicate": compose("COLD-A", spend.Cold, 2, three[0], three[1], three[1]),
		"wallet-name":          compose("Cold Wallet", spend.Cold, 2, three...),
		"wallet-network":       compose("COLD-A", spend.Cold, 2, three[0], three[1], seeded("lima", 3, spend.BitcoinSignet).record),
		"wallet-one-address": compose("COLD-A", spend.Cold, 2, fixedKey("oslo", 2, drill).record, fixedKey("bergen", 5, drill).record,
			fixedKey("tromso", 6, drill).record),
		"wallet-pool-exhausted": func(*testing.T) error { _, err := basin().Derive(wallet.Receive, 2); return err },
		"wallet-threshold":      compose("COLD-A", spend.Cold, 1, three...),
		"wallet-tier":           compose("COLD-A", "frozen", 2, three...),
		"wallet-too-large":      large,
		"export-fixed-key": func(*testing.T) error {
			_, err := coldWallet(drill).Export(wallet.ColdcardFormat, time.Time{})
			return err
		},
		"export-pool-key": func(*testing.T) error { _, err := basin().Export(wallet.DescriptorFormat, time.Time{}); return err },
	}
}

func ofFiles() page.Examples {
	export := func(f wallet.Format, change func([]byte) []byte) func(*testing.T) error {
		return imported(f, func(w wallet.Wallet) []byte { return change(must(w.Export(f, noon))) })
	}
	return page.Examples{
		"import-address": export(wallet.BSMSFormat, func(raw []byte) []byte {
			lines := bytes.Split(raw, []byte("\n"))
			lines[3] = []byte(must(warmWallet().Derive(wallet.Receive, 1)).Address)
			return bytes.Join(lines, []byte("\n"))
		}),
		"import-own":        func(*testing.T) error { _, err := wallet.Sniff(coldWallet(drill).Marshal()); return err },
		"import-unreadable": func(*testing.T) error { _, err := wallet.Sniff([]byte("hello")); return err },
		"key-origin":        export(wallet.ColdcardFormat, swap("Derivation: m/48'/1'/0'/2'\n", "")),
		"wallet-descriptor": pinned(func(raw []byte) []byte {
			keys := coldWallet(drill).Keys()
			other := must(wallet.New("COLD-A", spend.Cold, 2, []wallet.KeyRecord{keys[1], keys[0], keys[2]}))
			return swap(coldWallet(drill).Descriptor(), other.Descriptor())(raw)
		}),
		"wallet-script":     export(wallet.ColdcardFormat, swap("P2WSH", "P2SH")),
		"wallet-unreadable": pinned(swap("wallet/v1", "wallet/v9")),
	}
}

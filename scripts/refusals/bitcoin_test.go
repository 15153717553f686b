package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// proven returns an act that proves the packet after one change to its parts or its scope.
func proven(change func(*draft, *bitcoin.Scope)) func(*testing.T) error {
	return func(*testing.T) error {
		d, s := drafted(), scope()
		change(d, &s)
		p, err := bitcoin.Read(d.bytes())
		if err != nil {
			return err
		}
		_, err = bitcoin.Prove(p, s)
		return err
	}
}

// answered returns an act that verifies the signatures of zurich after one change.
func answered(change func([]bitcoin.Signature) []bitcoin.Signature) func(*testing.T) error {
	return func(*testing.T) error {
		return bitcoin.VerifySignatures(built(), scope(), change(signed(built(), 0)))
	}
}

// asked returns an act that builds a packet of a changed request.
func asked(change func(*bitcoin.Request)) func(*testing.T) error {
	return func(*testing.T) error {
		r := request()
		change(&r)
		_, _, err := bitcoin.Build(r)
		return err
	}
}

func TestRefusalsOfBitcoin(t *testing.T) {
	acts := page.Examples{}
	for _, part := range []page.Examples{ofTransactions(), ofInputs(), ofPaidOutputs(), ofSignatures(), ofBuilding(), ofChildren(), ofProofs(), ofForm(), ofVersions(), ofDeposits()} {
		maps.Copy(acts, part)
	}
	page.Check(t, pageOf("internal/chain/bitcoin"), "coldsign", acts, *update)
}

func ofTransactions() page.Examples {
	return page.Examples{
		"amount-range":    proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxOut[1].Value = 2_100_000_000_000_001 }),
		"amount-sum":      proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxOut[0].Value, d.tx.TxOut[1].Value = 2e15, 2e15 }),
		"fee-negative":    proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxOut[1].Value += 30_000_000 }),
		"input-duplicate": proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxIn[1].PreviousOutPoint = d.tx.TxIn[0].PreviousOutPoint }),
		"locktime-moot": proven(func(d *draft, _ *bitcoin.Scope) {
			d.tx.TxIn[0].Sequence, d.tx.TxIn[1].Sequence = 0xffffffff, 0xffffffff
		}),
		"locktime-time":    proven(func(d *draft, _ *bitcoin.Scope) { d.tx.LockTime = 1_800_000_000 }),
		"outpoint-null":    proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxIn[0].PreviousOutPoint = wire.OutPoint{Index: 0xffffffff} }),
		"sequence-unusual": proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxIn[0].Sequence = 144 }),
		"tx-no-inputs":     proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxIn, d.maps = nil, d.maps[2:] }),
		"tx-no-outputs":    proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxOut, d.maps = nil, d.maps[:2] }),
		"tx-too-heavy": proven(func(d *draft, _ *bitcoin.Scope) {
			for i := range 2000 {
				d.tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: [32]byte{9}, Index: uint32(i)}, nil, nil))
				d.maps = append([][]pair{nil}, d.maps...)
			}
		}),
		"tx-version":       proven(func(d *draft, _ *bitcoin.Scope) { d.tx.Version = 3 }),
		"wallet-missing":   proven(func(_ *draft, s *bitcoin.Scope) { s.From = wallet.Wallet{} }),
		"network-mismatch": proven(func(_ *draft, s *bitcoin.Scope) { s.To = hotWallet(spend.BitcoinSignet) }),
	}
}

func ofInputs() page.Examples {
	path := func(d *draft, branch, index uint32, which int) {
		claim := get(d.input(0), 6)[which]
		value := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(bytes.Clone(claim.value[:len(claim.value)-8]), branch), index)
		set(d.input(0), claim.key, value)
	}
	seeds := func(d *draft) (out []int) { // the claims that have a path; the fixed key has none
		for i, claim := range get(d.input(0), 6) {
			if len(claim.value) > 4 {
				out = append(out, i)
			}
		}
		return out
	}
	return page.Examples{
		"amount-unproven":     proven(func(d *draft, _ *bitcoin.Scope) { drop(d.input(0), []byte{0}) }),
		"derivation-conflict": proven(func(d *draft, _ *bitcoin.Scope) { path(d, 0, 9, seeds(d)[0]) }),
		"derivation-false": proven(func(d *draft, _ *bitcoin.Scope) {
			claim := get(d.input(0), 6)[seeds(d)[0]]
			set(d.input(0), claim.key, append([]byte{0xde, 0xad, 0xbe, 0xef}, claim.value[4:]...))
		}),
		"derivation-impossible": proven(func(_ *draft, s *bitcoin.Scope) {
			keys := records(trio(drill))
			s.To = must(wallet.New("HOT-P", spend.Hot, 2, []wallet.KeyRecord{keys[0], keys[2], pool("basin", 4, drill)}))
		}),
		"derivation-missing": proven(func(d *draft, _ *bitcoin.Scope) { drop(d.input(0), []byte{6}) }),
		"derivation-outside": proven(func(d *draft, _ *bitcoin.Scope) {
			for range 2 {
				path(d, 2, 4, seeds(d)[0]) // a field that is set goes to the end, so the next one is first
			}
		}),
		"field-foreign":      proven(func(d *draft, _ *bitcoin.Scope) { set(d.input(0), []byte{4}, []byte{0x51}) }),
		"index-beyond-limit": proven(func(_ *draft, s *bitcoin.Scope) { s.ToIndex = 5000 }),
		"input-finalised":    proven(func(d *draft, _ *bitcoin.Scope) { set(d.input(0), []byte{8}, []byte{0}) }),
		"input-foreign": proven(func(d *draft, _ *bitcoin.Scope) {
			derivations(d.input(0), 6, must(coldWallet(drill).Derive(0, 6)))
			drop(d.input(0), []byte{5})
		}),
		"previous-output-missing": proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxIn[0].PreviousOutPoint.Index = 9 }),
		"previous-tx-mismatch":    proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxIn[0].PreviousOutPoint.Hash[0] ^= 1 }),
		"sighash-not-all":         proven(func(d *draft, _ *bitcoin.Scope) { set(d.input(0), []byte{3}, []byte{0x83, 0, 0, 0}) }),
		"taproot-key-differs":     strangeTaprootKey,
		"witness-script-differs":  proven(func(d *draft, _ *bitcoin.Scope) { set(d.input(0), []byte{5}, []byte{0x51}) }),
		"witness-utxo-differs": proven(func(d *draft, _ *bitcoin.Scope) {
			claim := get(d.input(0), 1)[0]
			set(d.input(0), claim.key, append([]byte{claim.value[0] ^ 1}, claim.value[1:]...))
		}),
	}
}

// strangeTaprootKey surveys a packet of another product's wallet: taproot coins with the output key of the first of BIP341's
// vectors, and the internal key of the second.
func strangeTaprootKey(*testing.T) error {
	d := drafted()
	script := must(hex.DecodeString("512053a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"))
	internal := must(hex.DecodeString("187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27"))
	for i := range d.tx.TxIn {
		var coin bytes.Buffer
		if err := wire.WriteTxOut(&coin, 0, 0, wire.NewTxOut(70_000_000, script)); err != nil {
			return err
		}
		*d.input(i) = []pair{{[]byte{1}, coin.Bytes()}}
	}
	set(d.input(0), []byte{0x17}, internal)
	p, err := bitcoin.Read(d.bytes())
	if err != nil {
		return err
	}
	_, err = bitcoin.Survey(p)
	return err
}

func ofPaidOutputs() page.Examples {
	again := func(i int) func(*draft, *bitcoin.Scope) {
		return func(d *draft, _ *bitcoin.Scope) {
			d.tx.TxOut[1].Value -= 20_000_000
			m := *d.output(i)
			d.tx.AddTxOut(wire.NewTxOut(20_000_000, d.tx.TxOut[i].PkScript))
			d.maps = append(d.maps, m)
		}
	}
	script := func(script string) func(*testing.T) error {
		return proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxOut[1].PkScript = []byte(script) })
	}
	return page.Examples{
		"change-exceeds-inputs": proven(func(d *draft, _ *bitcoin.Scope) {
			d.tx.TxOut[0].Value, d.tx.TxOut[1].Value = d.tx.TxOut[1].Value, d.tx.TxOut[0].Value
		}),
		"change-forged": proven(func(d *draft, _ *bitcoin.Scope) {
			d.tx.TxOut[0].PkScript = must(hotWallet(drill).Derive(0, 8)).ScriptPubKey
		}),
		"change-on-receive-branch": proven(func(d *draft, _ *bitcoin.Scope) {
			derived := must(coldWallet(drill).Derive(wallet.Receive, 9))
			d.tx.TxOut[0].PkScript = derived.ScriptPubKey
			derivations(d.output(0), 2, derived)
			set(d.output(0), []byte{1}, derived.WitnessScript)
		}),
		"change-repeated":        proven(again(0)),
		"destination-repeated":   proven(again(1)),
		"output-dust":            proven(func(d *draft, _ *bitcoin.Scope) { d.tx.TxOut[0].Value = 200 }),
		"output-nonstandard":     script("\x51"),
		"output-op-return":       script("\x6a\x05hello"),
		"output-witness-version": script("\x60\x14aaaaaaaaaaaaaaaaaaaa"),
	}
}

func ofSignatures() page.Examples {
	first := func(change func(*bitcoin.Signature)) func(*testing.T) error {
		return answered(func(s []bitcoin.Signature) []bitcoin.Signature { change(&s[0]); return s })
	}
	return page.Examples{
		"input-already-signed": func(*testing.T) error {
			p := must(bitcoin.Read(must(built().WithSignatures(append(signed(built(), 0), signed(built(), 1)...)))))
			_, err := bitcoin.Tasks(p, scope(), 2)
			return err
		},
		"key-foreign": func(*testing.T) error { _, err := bitcoin.Tasks(built(), scope(), 3); return err },
		"nonce-reused": func(*testing.T) error {
			nonces := must(bitcoin.Nonces(built(), scope(), signed(built(), 0)))
			nonces[1].R = nonces[0].R
			return bitcoin.NonceReuse(nonces)
		},
		"signature-count":       answered(func(s []bitcoin.Signature) []bitcoin.Signature { return s[:1] }),
		"signature-encoding":    first(func(s *bitcoin.Signature) { s.Signature = append([]byte{0x31}, s.Signature[1:]...) }),
		"signature-foreign-key": first(func(s *bitcoin.Signature) { s.PubKey = [33]byte{2, 1} }),
		"signature-high-s":      first(func(s *bitcoin.Signature) { s.Signature = highS(s.Signature) }),
		"signature-input":       answered(func(s []bitcoin.Signature) []bitcoin.Signature { s[1].Input = 0; return s }),
		"signature-invalid":     answered(func(s []bitcoin.Signature) []bitcoin.Signature { s[0].Signature = s[1].Signature; return s }),
		"signature-mixed-keys": answered(func(s []bitcoin.Signature) []bitcoin.Signature {
			return append(s[:1], signed(built(), 2)[1:]...)
		}),
		"signatures-missing": func(*testing.T) error {
			_, err := bitcoin.Finalise(built(), scope(), [][]bitcoin.Signature{signed(built(), 0)})
			return err
		},
		"returned-other-transaction": func(*testing.T) error {
			d := drafted()
			d.tx.LockTime++
			_, err := bitcoin.Returned(built(), must(bitcoin.Read(d.bytes())), scope())
			return err
		},
		"returned-unsigned": func(*testing.T) error { _, err := bitcoin.Returned(built(), built(), scope()); return err },
	}
}

// highS gives the same signature with the other root, which verifies as well.
func highS(signature []byte) []byte {
	parsed := must(ecdsa.ParseDERSignature(signature[:len(signature)-1]))
	r, s := parsed.R(), parsed.S()
	s.Negate()
	rBytes, sBytes := r.Bytes(), s.Bytes()
	integer := func(b []byte) []byte {
		for len(b) > 1 && b[0] == 0 {
			b = b[1:]
		}
		if b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	body := append(integer(rBytes[:]), integer(sBytes[:])...)
	return append(append([]byte{0x30, byte(len(body))}, body...), 1)
}

func ofBuilding() page.Examples {
	bumped := func(s func(*bitcoin.Scope), rate int64) func(*testing.T) error {
		return func(*testing.T) error {
			scope := scope()
			s(&scope)
			_, _, err := bitcoin.Bump(built(), scope, rate)
			return err
		}
	}
	return page.Examples{
		"bump-beyond-change": func(*testing.T) error {
			r := request()
			r.Amount = 149_990_000
			p, _, err := bitcoin.Build(r)
			if err != nil {
				return err
			}
			_, _, err = bitcoin.Bump(p, scope(), 100_000)
			return err
		},
		"address-invalid": func(*testing.T) error {
			return bitcoin.CheckAddress(drill, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081")
		},
		"bump-too-low":       bumped(func(*bitcoin.Scope) {}, 5001),
		"fee-rate-range":     asked(func(r *bitcoin.Request) { r.FeeRate = 5_000_000 }),
		"funds-insufficient": asked(func(r *bitcoin.Request) { r.Amount = 200_000_000 }),
		"inputs-above-cap":   asked(func(r *bitcoin.Request) { r.InputsMax = 1 }),
		"output-external":    bumped(func(s *bitcoin.Scope) { s.ToIndex = 8 }, 10_000),
	}
}

package main

import (
	"bytes"
	"encoding/binary"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/wallet"
)

// coinsOf are two coins of the cold wallet, of 1 and of 0.5 BTC, out of one transaction.
func coinsOf(w wallet.Wallet) []bitcoin.Coin {
	previous := wire.NewMsgTx(2)
	previous.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: [32]byte{7}}, nil, nil))
	coins := []bitcoin.Coin{{Value: 100_000_000, Index: 4}, {Value: 50_000_000, Index: 5}}
	for _, c := range coins {
		previous.AddTxOut(wire.NewTxOut(c.Value, must(w.Derive(c.Branch, c.Index)).ScriptPubKey))
	}
	var raw bytes.Buffer
	if err := previous.Serialize(&raw); err != nil {
		panic(err)
	}
	for i := range coins {
		coins[i].Outpoint, coins[i].PrevTx = wire.OutPoint{Hash: previous.TxHash(), Index: uint32(i)}, raw.Bytes()
	}
	return coins
}

// request moves 1.2 BTC from the cold wallet to index 7 of the hot one.
func request() bitcoin.Request {
	from := coldWallet(drill)
	return bitcoin.Request{From: from, To: hotWallet(drill), ToIndex: 7, Amount: 120_000_000, ChangeIndex: 2, FeeRate: 5000,
		Coins: coinsOf(from), Height: 150, Rand: bytes.NewReader(make([]byte, 1<<16))}
}

// scope is what the packet of request is judged against.
func scope() bitcoin.Scope {
	return bitcoin.Scope{From: coldWallet(drill), To: hotWallet(drill), ToIndex: 7, ToKnown: true, IndexMax: 1000}
}

// built is the packet of request: output 0 is change, output 1 the destination.
func built() *bitcoin.Packet {
	p, _, err := bitcoin.Build(request())
	return must(p, err)
}

// pair is one field of a PSBT.
type pair struct{ key, value []byte }

// draft is a PSBT whose every byte can be set.
type draft struct {
	tx     *wire.MsgTx
	global []pair // without the transaction
	maps   [][]pair
}

// drafted takes the packet of request apart.
func drafted() *draft {
	raw := bytes.NewReader(built().Bytes()[5:])
	d := &draft{}
	read := func() []byte {
		out := make([]byte, must(wire.ReadVarInt(raw, 0)))
		must(raw.Read(out))
		return out
	}
	for raw.Len() > 0 {
		var m []pair
		for {
			n := must(wire.ReadVarInt(raw, 0))
			if n == 0 {
				break
			}
			key := make([]byte, n)
			must(raw.Read(key))
			m = append(m, pair{key, read()})
		}
		d.maps = append(d.maps, m)
	}
	d.tx = &wire.MsgTx{}
	if err := d.tx.DeserializeNoWitness(bytes.NewReader(d.maps[0][0].value)); err != nil {
		panic(err)
	}
	d.maps = d.maps[1:]
	return d
}

// input and output give the map of an input or an output.
func (d *draft) input(i int) *[]pair  { return &d.maps[i] }
func (d *draft) output(i int) *[]pair { return &d.maps[len(d.maps)-len(d.tx.TxOut)+i] }

// set puts a field into a map in place of the one with the same key.
func set(m *[]pair, key []byte, value []byte) {
	drop(m, key)
	*m = append(*m, pair{key, value})
}

// drop takes the fields out of a map whose keys begin as given.
func drop(m *[]pair, prefix []byte) {
	var kept []pair
	for _, p := range *m {
		if !bytes.HasPrefix(p.key, prefix) {
			kept = append(kept, p)
		}
	}
	*m = kept
}

// get returns the fields whose keys begin as given.
func get(m *[]pair, prefix byte) (out []pair) {
	for _, p := range *m {
		if p.key[0] == prefix {
			out = append(out, p)
		}
	}
	return out
}

func (d *draft) bytes() []byte {
	var tx bytes.Buffer
	if err := d.tx.SerializeNoWitness(&tx); err != nil {
		panic(err)
	}
	return written(append([][]pair{append([]pair{{[]byte{0}, tx.Bytes()}}, d.global...)}, d.maps...))
}

// written spells a PSBT.
func written(maps [][]pair) []byte {
	var out bytes.Buffer
	out.WriteString("psbt\xff")
	for _, m := range maps {
		for _, p := range m {
			for _, part := range [][]byte{p.key, p.value} {
				if err := wire.WriteVarBytes(&out, 0, part); err != nil {
					panic(err)
				}
			}
		}
		out.WriteByte(0)
	}
	return out.Bytes()
}

// derivations puts the keys of a derived script into a map, as types of an input (6) or an output (2).
func derivations(m *[]pair, kind byte, derived wallet.Derived) {
	drop(m, []byte{kind})
	for _, k := range derived.Keys {
		value := append([]byte{}, k.Fingerprint[:]...)
		for _, step := range k.Path {
			value = binary.LittleEndian.AppendUint32(value, step)
		}
		*m = append(*m, pair{append([]byte{kind}, k.PubKey[:]...), value})
	}
}

// signed answers the tasks of a packet for the holder at a position of the cold wallet.
func signed(p *bitcoin.Packet, position int) []bitcoin.Signature {
	var out []bitcoin.Signature
	for _, task := range must(bitcoin.Tasks(p, scope(), position)) {
		der := ecdsa.Sign(trio(drill)[position].child(task.Branch, task.Index), task.Digest[:]).Serialize()
		out = append(out, bitcoin.Signature{Input: uint32(task.Input), PubKey: task.PubKey, Signature: append(der, 1)})
	}
	return out
}

// child is the private key of a script.
func (h *holder) child(branch wallet.Branch, index uint32) *btcec.PrivateKey {
	if h.account == nil {
		return h.private
	}
	return must(must(must(h.account.Derive(uint32(branch))).Derive(index)).ECPrivKey())
}

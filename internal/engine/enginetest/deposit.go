package enginetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// Wallet is a 2-of-3 wallet on regtest for deposits, always the same.
func Wallet() wallet.Wallet {
	var records []wallet.KeyRecord
	for _, name := range names {
		records = append(records, keyRecord(name))
	}
	w, err := wallet.New("DEPOSITS", spend.Warm, 2, records)
	if err != nil {
		panic(err)
	}
	return w
}

func keyRecord(name string) wallet.KeyRecord {
	seed := sha256.Sum256([]byte("enginetest wallet " + name))
	receipt := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), seed[:]...)
	r := wallet.KeyRecord{Name: name, Network: spend.BitcoinRegtest, Kind: wallet.BIP32, Device: wallet.DeviceFile,
		Receipt: "ssh-ed25519 " + base64.StdEncoding.EncodeToString(receipt)}
	params, err := wallet.Params(spend.BitcoinRegtest)
	orPanic(err)
	node, err := hdkeychain.NewMaster(seed[:], params)
	orPanic(err)
	master, err := node.ECPubKey()
	orPanic(err)
	r.Fingerprint = wallet.FingerprintOf([33]byte(master.SerializeCompressed()))
	const hard = hdkeychain.HardenedKeyStart
	r.Path = []uint32{hard + 48, hard + 1, hard, hard + 2}
	for _, step := range r.Path {
		node, err = node.Derive(step)
		orPanic(err)
	}
	public, err := node.Neuter()
	orPanic(err)
	private, err := node.ECPrivKey()
	orPanic(err)
	r.Key = public.String()
	digest := r.ProofDigest()
	r.Proof = ecdsa.Sign(private, digest[:]).Serialize()
	return r
}

func orPanic(err error) {
	if err != nil {
		panic(err)
	}
}

// Evidence is that a transaction paid sats to a receive index of the wallet, in a block of two transactions that
// confirmations-1 others follow, each with the work of regtest.
func Evidence(w wallet.Wallet, index uint32, sats int64, confirmations int) exchange.DepositBody {
	derived, err := w.Derive(wallet.Receive, index)
	orPanic(err)
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(sats)<<20|uint64(index)))}})
	tx.AddTxOut(&wire.TxOut{Value: sats, PkScript: derived.ScriptPubKey})
	var raw bytes.Buffer
	orPanic(tx.Serialize(&raw))
	coinbase, id := sha256.Sum256([]byte("a coinbase")), tx.TxHash()
	root := chainhash.DoubleHashH(append(coinbase[:], id[:]...))
	body := exchange.DepositBody{Asset: Bitcoin, Raw: raw.Bytes(), Index: index, Height: 101, Place: 1, Branch: [][]byte{coinbase[:]}}
	before := chainhash.Hash{}
	for range confirmations {
		h := Mine(before, root)
		body.Headers, before = append(body.Headers, h), chainhash.DoubleHashH(h)
		root = before // the blocks behind it hold something else
	}
	return body
}

// Mine returns a header on regtest that follows another and commits to a root.
func Mine(before, root chainhash.Hash) []byte {
	const bits = 0x207fffff
	h := binary.LittleEndian.AppendUint32(nil, 4)
	h = append(append(h, before[:]...), root[:]...)
	h = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(h, 1767225600), bits)
	for nonce := uint32(0); ; nonce++ {
		raw := binary.LittleEndian.AppendUint32(h[:76:76], nonce)
		if hash := chainhash.DoubleHashH(raw); hash[31] < 0x7f {
			return raw
		}
	}
}

package bitcoin

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"
)

// transaction is our own reading of transaction bytes: views into them, no copies. The wire module reads the same bytes
// a second time, but only after this reading has bounded every count in them.
type transaction struct {
	version  uint32
	inputs   []txInput
	outputs  []txOutput
	lockTime uint32
	witness  bool     // serialised with witnesses
	id       [32]byte // hash of stripped; readTransaction computes it
	stripped []byte   // serialised without witnesses: the bytes that the txid hashes
}

type txInput struct {
	outpoint []byte // 36 bytes: txid in hash order, index
	script   []byte
	sequence uint32
}

type txOutput struct {
	value  int64
	script []byte
	bytes  []byte // amount, length and script as serialised
}

// txid returns the transaction's hash in hash order.
func (t transaction) txid() [32]byte { return sha256d(t.stripped) }

// displayTxID writes a txid as people read it, last byte first.
func displayTxID(hash [32]byte) string {
	slices.Reverse(hash[:])
	return hex.EncodeToString(hash[:])
}

// readUnsigned reads the transaction of the global map, which has the form without witnesses even when it has no input.
func readUnsigned(raw []byte) (transaction, *wire.MsgTx, error) {
	const where = "unsigned transaction"
	t, err := scanTransaction(raw, where, false)
	if err != nil {
		return t, nil, err
	}
	for i, in := range t.inputs {
		if len(in.script) != 0 {
			return t, nil, malformed("psbt-unsigned-tx", where, "input %d carries a script of %d bytes", i, len(in.script))
		}
	}
	msg := &wire.MsgTx{}
	if err := msg.DeserializeNoWitness(bytes.NewReader(raw)); err != nil {
		return t, nil, malformed("psbt-transaction", where, "%v", err)
	}
	var again bytes.Buffer
	if err := msg.SerializeNoWitness(&again); err != nil || !bytes.Equal(again.Bytes(), raw) || msg.TxHash() != t.txid() {
		return t, nil, malformed("psbt-transaction", where, "two readings of it differ")
	}
	return t, msg, nil
}

// readTransaction reads a previous transaction, with or without witnesses.
func readTransaction(raw []byte, where string) (transaction, error) {
	t, err := scanTransaction(raw, where, true)
	if err != nil {
		return t, err
	}
	msg := &wire.MsgTx{}
	if err := msg.Deserialize(bytes.NewReader(raw)); err != nil {
		return t, malformed("psbt-transaction", where, "%v", err)
	}
	t.id = t.txid()
	again := bytes.NewBuffer(make([]byte, 0, len(raw)))
	if err := msg.Serialize(again); err != nil || !bytes.Equal(again.Bytes(), raw) || msg.TxHash() != t.id {
		return t, malformed("psbt-transaction", where, "two readings of it differ")
	}
	return t, nil
}

func scanTransaction(raw []byte, where string, witnesses bool) (t transaction, err error) {
	if len(raw) > txMax {
		return t, malformed("psbt-too-large", where, "%d bytes, at most %d are read", len(raw), txMax)
	}
	c := &cursor{data: raw, where: where}
	if t.version, err = c.uint32(); err != nil {
		return t, err
	}
	if witnesses && c.left() > 0 && raw[c.at] == 0 {
		flag, err := c.take(2)
		if err != nil {
			return t, err
		}
		if flag[1] != 1 {
			return t, malformed("psbt-transaction", where, "no input, or witness flag %#02x", flag[1])
		}
		t.witness = true
	}
	body := c.at
	inputs, outputs := inputsMax, outputsMax
	if witnesses {
		inputs, outputs = txInputsMax, txOutputsMax
	}
	if err := t.scanInputs(c, inputs); err != nil {
		return t, err
	}
	if witnesses && len(t.inputs) == 0 {
		return t, malformed("psbt-transaction", where, "no input")
	}
	if err := t.scanOutputs(c, outputs); err != nil {
		return t, err
	}
	bodyEnd := c.at
	if err := t.scanWitnesses(c); err != nil {
		return t, err
	}
	if t.lockTime, err = c.uint32(); err != nil {
		return t, err
	}
	t.stripped = raw
	if t.witness {
		t.stripped = slices.Concat(raw[:4], raw[body:bodyEnd], raw[len(raw)-c.left()-4:len(raw)-c.left()])
	}
	if len(t.stripped) > txBaseMax {
		return t, malformed("psbt-too-large", where, "%d bytes without witnesses, at most %d are read", len(t.stripped), txBaseMax)
	}
	return t, c.end()
}

func (t *transaction) scanInputs(c *cursor, most int) error {
	n, err := c.count(most, inputBytesMin, "inputs")
	if err != nil {
		return err
	}
	t.inputs = make([]txInput, n)
	for i := range t.inputs {
		in := &t.inputs[i]
		if in.outpoint, err = c.take(36); err != nil {
			return err
		}
		if in.script, err = c.prefixed(); err != nil {
			return err
		}
		if in.sequence, err = c.uint32(); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) scanOutputs(c *cursor, most int) error {
	n, err := c.count(most, outputBytesMin, "outputs")
	if err != nil {
		return err
	}
	t.outputs = make([]txOutput, n)
	for i := range t.outputs {
		start := c.at
		value, err := c.uint64()
		if err != nil {
			return err
		}
		script, err := c.prefixed()
		if err != nil {
			return err
		}
		t.outputs[i] = txOutput{int64(value), script, c.data[start:c.at]}
	}
	return nil
}

// scanWitnesses walks over the witnesses, which prove nothing here, to find where they end. A witness form in which all
// are empty has a shorter spelling and is refused.
func (t *transaction) scanWitnesses(c *cursor) error {
	if !t.witness {
		return nil
	}
	items := 0
	for range t.inputs {
		n, err := c.count(txItemsMax-items, 1, "witness items")
		if err != nil {
			return err
		}
		items += n
		for range n {
			if _, err := c.prefixed(); err != nil {
				return err
			}
		}
	}
	if items == 0 {
		return malformed("psbt-transaction", c.where, "witness form without a witness")
	}
	return nil
}

// parentTx is a previous transaction with its bytes. It is hashed when it is read and never again.
type parentTx struct {
	transaction
	raw []byte
}

func readParent(raw []byte, where string) (*parentTx, error) {
	t, err := readTransaction(raw, where)
	if err != nil {
		return nil, err
	}
	return &parentTx{t, raw}, nil
}

// spent is what an input spends, as its previous transaction has it.
type spent struct {
	known   bool // there is a previous transaction
	parent  [32]byte
	outputs int      // of the parent
	output  txOutput // zero when the parent has fewer
}

func (t *parentTx) spentBy(in txInput) spent {
	s := spent{known: true, parent: t.id, outputs: len(t.outputs)}
	if index := binary.LittleEndian.Uint32(in.outpoint[32:]); uint64(index) < uint64(len(t.outputs)) {
		s.output = t.outputs[index]
	}
	return s
}

// readOutput reads the bytes of one output, nothing before or after it.
func readOutput(raw []byte, where string) (txOutput, error) {
	c := &cursor{data: raw, where: where}
	value, err := c.uint64()
	if err != nil {
		return txOutput{}, err
	}
	script, err := c.prefixed()
	if err != nil {
		return txOutput{}, err
	}
	return txOutput{int64(value), script, raw}, c.end()
}

// appendOutput writes an output as transactions do.
func appendOutput(to []byte, value int64, script []byte) []byte {
	return appendPrefixed(binary.LittleEndian.AppendUint64(to, uint64(value)), script)
}

package bitcoin

import (
	"fmt"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/internal/proof"
	"github.com/coldsign/coldsign/internal/spend"
)

// Proven is a packet that was proven against a scope: its effects, and the digests that its signatures are about. Only
// Establish makes one, and nothing changes it, so whoever holds one may ask it many things and the packet was proven for
// each. It keeps nothing of the packet's own bytes. A Proven that Establish did not make panics.
type Proven struct {
	msg    *wire.MsgTx // the unsigned transaction
	scope  Scope
	facts  chain.Facts
	inputs []provenInput
	fee    int64
}

// Establish proves a packet: it derives what the packet does from its bytes and the pinned wallets of the scope. The
// error joins every *spend.Refusal that was found; there is a Proven only when there is none.
func Establish(p *Packet, s Scope) (*Proven, error) { return prove(p, s) }

func (f *Proven) established() *Proven {
	if f.msg == nil {
		panic("bitcoin: a packet that nobody proved")
	}
	return f
}

// Effects returns what the packet does, for policy and review.
func (f *Proven) Effects() chain.Effects { return chain.New(f.established().facts, proof.Done()) }

// Tasks gives the digests for the key at a position of the spending wallet. A packet that enough keys have signed has
// none.
func (f *Proven) Tasks(position int) ([]Task, error) {
	from := f.established().scope.From
	tasks := make([]Task, len(f.inputs))
	for i, coin := range f.inputs {
		where := fmt.Sprintf("input %d", i)
		if len(coin.partials) >= from.Threshold() {
			return nil, spend.Refuse("input-already-signed", where, fmt.Sprintf("fewer than %d signatures", from.Threshold()),
				fmt.Sprint(len(coin.partials)), "finalise it; nobody needs another signature")
		}
		key, ok := coin.keyAt(position)
		if !ok {
			return nil, spend.Refuse("key-foreign", where, "a key of "+from.Name(), fmt.Sprintf("position %d", position), "choose the wallet this key belongs to")
		}
		tasks[i] = Task{Input: i, Branch: coin.derived.Branch, Index: coin.derived.Index, PubKey: key, Y: coin.derived.y(position), Digest: coin.digest}
	}
	return tasks, nil
}

// VerifySignatures checks the answer of one key: one signature for each input, all by the key at one position of the
// wallet, each valid by two verifiers, no nonce twice.
func (f *Proven) VerifySignatures(signatures []Signature) error {
	_, err := newChecker().answer(f.established(), signatures)
	return err
}

// signTogether is how many inputs a key is asked for at a time.
const signTogether = 32

// Sign has the key at a position sign every input. The function given signs the digests of tasks: strict DER with low S,
// without a sighash byte, each verified with btcec against the public key of its task before it is let go. With an error
// it gives the signatures of the tasks before the one that failed. It is called from several goroutines. What it gives is
// held to all that VerifySignatures demands, the curve equation by our own verifier: together they are the two
// implementations that every signature passes before it leaves.
func (f *Proven) Sign(position int, sign func([]Task) (ders [][]byte, err error)) ([]Signature, error) {
	tasks, err := f.Tasks(position)
	if err != nil {
		return nil, err
	}
	out, parts := make([]Signature, len(tasks)), evenly(tasks, signTogether)
	err = inParallel(len(parts), func(i int) error {
		part := parts[i]
		ders, err := sign(part)
		if err == nil && len(ders) != len(part) || len(ders) > len(part) {
			err = fmt.Errorf("%d signatures for %d inputs", len(ders), len(part))
		}
		if err != nil {
			return fmt.Errorf("input %d: %w", part[min(len(ders), len(part)-1)].Input, err)
		}
		for j, task := range part {
			out[task.Input] = Signature{uint32(task.Input), task.PubKey, append(ders[j], sighashAll)}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	check := newChecker()
	check.countersigned = true
	if _, err := check.answer(f, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Nonces returns the r values of signatures that VerifySignatures accepts.
func (f *Proven) Nonces(signatures []Signature) ([]Nonce, error) {
	if err := f.VerifySignatures(signatures); err != nil {
		return nil, err
	}
	return f.nonces(signatures), nil
}

// The functions below prove a packet for one question. Whoever has several asks a Proven.

// Prove returns what the packet does: see Establish.
func Prove(p *Packet, s Scope) (chain.Effects, error) {
	found, err := prove(p, s)
	if err != nil {
		return chain.Effects{}, err
	}
	return found.Effects(), nil
}

// Tasks gives the digests for the key at a position of the spending wallet. A packet that is not proven has none, and
// neither has one that enough keys have signed.
func Tasks(p *Packet, s Scope, position int) ([]Task, error) {
	found, err := prove(p, s)
	if err != nil {
		return nil, err
	}
	return found.Tasks(position)
}

// VerifySignatures checks the answer of one key: see the method of Proven.
func VerifySignatures(p *Packet, s Scope, signatures []Signature) error {
	found, err := prove(p, s)
	if err != nil {
		return err
	}
	return found.VerifySignatures(signatures)
}

// Nonces returns the r values of signatures that VerifySignatures accepts for the packet.
func Nonces(p *Packet, s Scope, signatures []Signature) ([]Nonce, error) {
	found, err := prove(p, s)
	if err != nil {
		return nil, err
	}
	return found.Nonces(signatures)
}

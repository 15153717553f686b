package treasury

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/spend"
)

// ancestryMax is how many transactions that no block has may stand behind each other, the last one with them.
const ancestryMax = 25

// ancestry returns a transaction with every ancestor that no block has, ancestors first.
func (t *Treasury) ancestry(ctx context.Context, last stuckTx) ([][]byte, error) {
	var out [][]byte
	seen := map[chainhash.Hash]bool{}
	var visit func(tx stuckTx) error
	visit = func(tx stuckTx) error {
		if seen[tx.TxHash()] {
			return nil
		}
		seen[tx.TxHash()] = true
		for _, in := range tx.TxIn {
			if seen[in.PreviousOutPoint.Hash] || len(seen) > ancestryMax {
				continue
			}
			raw, waits, err := t.Node.Waiting(ctx, in.PreviousOutPoint.Hash)
			if err != nil {
				return fmt.Errorf("ancestor: %w", err)
			}
			if !waits {
				continue // a block has it, or nobody does: its amount will tell
			}
			before, err := readStuck(raw)
			if err != nil {
				return err
			}
			if err := visit(before); err != nil {
				return err
			}
		}
		out = append(out, tx.raw)
		return nil
	}
	return out, visit(last)
}

// settled asks for the amount of an output that the chain has. Whether the node tells the truth about it decides how much
// a child pays within its limits, and nothing else.
func (t *Treasury) settled(ctx context.Context) func(wire.OutPoint) (int64, error) {
	return func(at wire.OutPoint) (int64, error) {
		value, known, err := t.Node.Output(ctx, at)
		if err == nil && !known {
			err = spend.Refuse("parent-spends-nothing", "coin "+at.String(), "a coin that the chain has, for the stuck transaction to spend", "none",
				"look whether another transaction was confirmed in its place")
		}
		return value, err
	}
}

// sendParents hands the node again what a child pays for: it may have dropped it.
func (t *Treasury) sendParents(ctx context.Context, serial uint64) error {
	intent, err := t.Records.Intent(ctx, serial)
	if err != nil || !intent.IsChild() {
		return err
	}
	depth, err := t.Records.Confirmations(ctx, intent.Parent)
	if err != nil || depth > 0 {
		return err
	}
	stuck, err := t.Records.Stuck(ctx, serial)
	if err != nil {
		return err
	}
	for _, raw := range stuck {
		if _, err := t.Node.Broadcast(ctx, raw); err != nil {
			return fmt.Errorf("parent: %w", err)
		}
	}
	return nil
}

// watchParents ends every child whose parent can never be confirmed any more. A child whose parent was confirmed stays
// as good as it was.
func (t *Treasury) watchParents(ctx context.Context) error {
	live, err := t.Records.Intents(ctx, liveStates()...)
	if err != nil {
		return err
	}
	if t.refuseBehind() != nil {
		return nil // what the chain has is not known well enough
	}
	var all []error
	for _, child := range live {
		if !child.IsChild() {
			continue
		}
		why, err := t.orphaned(ctx, child)
		if err == nil && why != "" {
			t.Log.Warn("child cancelled", "topup", child.Serial, "reason", why)
			err = t.Records.Void(ctx, child.Serial, why)
			delete(t.trouble, child.Serial)
		}
		if err != nil {
			all = append(all, fmt.Errorf("top-up %d: %w", child.Serial, err))
		}
	}
	return errors.Join(all...)
}

// orphaned says why a child has no parent any more, or nothing.
func (t *Treasury) orphaned(ctx context.Context, child Intent) (string, error) {
	depth, err := t.Records.Confirmations(ctx, child.Parent)
	if err != nil || depth > 0 {
		return "", err
	}
	if why, err := t.replacedHere(ctx, child); err != nil || why != "" {
		return why, err
	}
	height, _, err := t.Records.Tip(ctx)
	if err != nil || t.asked[child.Serial] == height {
		return "", err // only a block can have changed the answer
	}
	stuck, err := t.Records.Stuck(ctx, child.Serial)
	if err != nil {
		return "", err
	}
	gone, err := t.conflicts(ctx, stuck)
	if err != nil {
		return "", err
	}
	t.asked[child.Serial] = height
	if !gone {
		delete(t.lost, child.Serial)
		return "", nil
	}
	// The node may be a block ahead of us, and that block may have the parent. One block later we would know.
	first, seen := t.lost[child.Serial]
	if !seen {
		t.lost[child.Serial] = height
		return "", nil
	}
	if height == first {
		return "", nil
	}
	return fmt.Sprintf("parent-replaced: the chain spent what transaction %s rests on in another one, so it is never confirmed", child.Parent), nil
}

// replacedHere says whether a bundle of ours took the parent's place. Before enough keyholders have signed the child that
// is enough to end it; afterwards only the chain decides, because either transaction may be mined.
func (t *Treasury) replacedHere(ctx context.Context, child Intent) (string, error) {
	parent, ours, err := t.Records.TransactionOf(ctx, child.Parent)
	if err != nil || !ours {
		return "", err
	}
	last, _, err := t.Records.Transaction(ctx, parent.Serial)
	if err != nil || last.TxID == child.Parent {
		return "", err
	}
	unsigned := child.State != Signed && child.State != Broadcast
	if !unsigned && last.Height == 0 {
		return "", nil
	}
	return fmt.Sprintf("parent-replaced: transaction %s of top-up %d took the place of %s", last.TxID, parent.Serial, child.Parent), nil
}

// conflicts reports whether the chain spent a coin that the last of stuck transactions rests on, while it has not that
// transaction itself. An input rests on the chain, or on another one of the stuck transactions.
func (t *Treasury) conflicts(ctx context.Context, stuck [][]byte) (bool, error) {
	waiting := map[chainhash.Hash]stuckTx{}
	var last stuckTx
	for _, raw := range stuck {
		tx, err := readStuck(raw)
		if err != nil {
			return false, err
		}
		waiting[tx.TxHash()], last = tx, tx
	}
	dead := func(tx stuckTx) (bool, []stuckTx, error) {
		var on []stuckTx
		for _, in := range tx.TxIn {
			_, unspent, err := t.Node.Output(ctx, in.PreviousOutPoint)
			if err != nil {
				return false, nil, err
			}
			before, rests := waiting[in.PreviousOutPoint.Hash]
			if !unspent && !rests {
				return true, nil, nil
			}
			if !unspent {
				on = append(on, before)
			}
		}
		return false, on, nil
	}
	// Ancestors are asked only as far as the chain has not their outputs; each once.
	for queue, asked := []stuckTx{last}, 0; len(queue) > 0 && asked <= ancestryMax; asked++ {
		tx := queue[0]
		gone, on, err := dead(tx)
		if err != nil || gone {
			return gone, err
		}
		queue = append(slices.Clone(queue[1:]), on...)
	}
	return false, nil
}

package treasury

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// ChildOrder asks for a child of a stuck transaction: of a top-up's, or of one that pays a wallet of ours.
type ChildOrder struct {
	Serial uint64         // of the top-up whose transaction hangs; 0: TxID says which
	TxID   chainhash.Hash // of a payment that is on its way to us
	Output int            // of that transaction; negative: change, else the largest of ours
	Rate   int64          // satoshi per 1000 vB that both are to reach together
}

// conception is a child that is planned and not stored.
type conception struct {
	from  wallet.Wallet
	stuck [][]byte // ancestors first
	made  built
}

// ProposeChild proposes to spend an output of a stuck transaction back to the wallet that it pays, with a fee that lifts
// both. Nothing leaves; people approve the amount that stays, and so the fee.
func (t *Treasury) ProposeChild(ctx context.Context, by Person, o ChildOrder) (View, error) {
	if err := t.refuseStranger(by); err != nil {
		return View{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.halted(ctx); err != nil {
		return View{}, err
	}
	c, err := t.conceive(ctx, o)
	if err != nil {
		return View{}, err
	}
	parent := c.made.plan.Child.Parent
	if err := t.Records.Note(ctx, "child-requested", request{by, o.Serial, fmt.Sprintf("of %s at %d satoshi per 1000 vB", parent, o.Rate)}); err != nil {
		return View{}, err
	}
	before, err := t.childrenBefore(ctx, c.made.coins[0])
	if err != nil {
		return View{}, err
	}
	p := Proposal{Request: fmt.Sprintf("child:%s:%d", c.made.coins[0], before), To: c.from.ID(), Plan: c.made.plan.encode(), Coins: c.made.coins, Stuck: c.stuck}
	intent, fresh, err := t.Records.Propose(ctx, p, t.writing(c.from, c.from, money.Sats(c.made.plan.Amount), by.Name))
	if err != nil {
		return View{}, err
	}
	if fresh {
		t.Log.Info("child proposed", "topup", intent.Serial, "parent", parent, "wallet", c.from.Name(), "fee", c.made.plan.Fee, "proposer", by.Name)
	}
	return t.view(ctx, intent)
}

// PlanChild says what a child would pay and reach now, and proposes nothing.
func (t *Treasury) PlanChild(ctx context.Context, o ChildOrder) (Plan, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.conceive(ctx, o)
	return c.made.plan, err
}

// childrenBefore counts the children that were proposed to spend an output, and refuses while one of them lives.
func (t *Treasury) childrenBefore(ctx context.Context, coin wire.OutPoint) (int, error) {
	all, err := t.Records.Intents(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, intent := range all {
		if intent.Parent != coin.Hash {
			continue
		}
		planned, err := t.Records.Planned(ctx, intent.Serial)
		if err != nil {
			return 0, err
		}
		if !slices.Contains(planned, coin) {
			continue
		}
		if n++; intent.State.Live() {
			return 0, spend.Refuse("child-live", "output "+coin.String(), "no child that spends it already", fmt.Sprintf("top-up %d", intent.Serial),
				fmt.Sprintf("look at it with: warmctl topup show %d; to pay yet more, give it a child", intent.Serial))
		}
	}
	holder, err := t.Records.ReservedBy(ctx, coin)
	if err == nil && holder != 0 {
		err = spend.Refuse("child-live", "output "+coin.String(), "an output that no bundle may spend any more", fmt.Sprintf("top-up %d, whose bundle can still be signed", holder),
			"wait until that bundle has expired")
	}
	return n, err
}

// conceive finds the parent, what it rests on and what of it is ours, and works the fee out.
func (t *Treasury) conceive(ctx context.Context, o ChildOrder) (c conception, err error) {
	if err := t.refuseBehind(); err != nil {
		return c, err
	}
	txid, err := t.stuckID(ctx, o)
	if err != nil {
		return c, err
	}
	parent, err := t.hanging(ctx, txid)
	if err != nil {
		return c, err
	}
	if c.stuck, err = t.ancestry(ctx, parent); err != nil {
		return c, err
	}
	coin, owner, err := t.ourOutput(ctx, parent, o.Output)
	if err != nil {
		return c, err
	}
	if c.from, err = t.pinned(owner); err != nil {
		return c, err
	}
	if err := t.refuseDeposits(c.from); err != nil {
		return c, err
	}
	r := bitcoin.ChildRequest{Wallet: c.from, Coin: coin, Rate: o.Rate, Floor: t.rules.FeeRateMin,
		Caps: []bitcoin.Cap{{Name: "the cap on fee rates in the daemon's configuration", Rate: t.rules.FeeRateMax}}}
	known, err := t.signerCaps(&r)
	if err != nil {
		return c, err
	}
	if r.Stuck, err = bitcoin.Weigh(c.stuck, t.settled(ctx)); err != nil {
		return c, err
	}
	plan, err := bitcoin.PlanChild(r)
	if err != nil {
		return c, err
	}
	total := r.Stuck.Total()
	lifted := Lifted{Parent: txid.String(), Transactions: len(c.stuck), VirtualBytes: total.VirtualBytes, Fee: total.Fee, RateAlone: r.Stuck.Rate(bitcoin.Weight{}),
		PackageRate: plan.PackageRate, HighestRate: plan.HighestRate, HighestBy: plan.HighestBy, CapsKnown: known}
	next, err := t.Records.Counter(ctx, c.from.ID(), uint32(wallet.Receive))
	if err != nil {
		return c, err
	}
	r.Index = next.Next
	c.made, err = t.bear(ctx, r, coin.Value-plan.Fee, &lifted)
	return c, err
}

// bear builds the child.
func (t *Treasury) bear(ctx context.Context, r bitcoin.ChildRequest, amount int64, lifted *Lifted) (built, error) {
	var err error
	if r.Height, _, err = t.Records.Tip(ctx); err != nil {
		return built{}, err
	}
	packet, made, err := bitcoin.BuildChild(r, amount)
	if err != nil {
		return built{}, err
	}
	out := built{packet: packet, plan: t.planOf(packet, made, amount, made.Fee*1000/made.VirtualBytes), coins: []wire.OutPoint{r.Coin.Outpoint}}
	out.plan.Child = lifted
	return out, t.refuseAbove(out.plan)
}

// buildChild builds an approved child. Whether the parent was confirmed meanwhile makes no difference to it.
func (t *Treasury) buildChild(ctx context.Context, intent Intent, o order) (built, error) {
	stuck, err := t.Records.Stuck(ctx, intent.Serial)
	if err != nil {
		return built{}, err
	}
	planned, err := t.Records.Planned(ctx, intent.Serial)
	if err != nil {
		return built{}, err
	}
	p, ok := planIn(intent.Plan)
	if len(planned) != 1 || len(stuck) == 0 || !ok || p.Child == nil {
		return built{}, errors.New("the child has no parent or plan in the records")
	}
	parent, err := readStuck(stuck[len(stuck)-1])
	if err != nil {
		return built{}, err
	}
	coin, owner, err := t.ourOutput(ctx, parent, int(planned[0].Index))
	if err != nil || owner != o.from.ID() {
		return built{}, errors.Join(err, fmt.Errorf("output %s is of wallet %s", planned[0], owner.Short()))
	}
	return t.bear(ctx, bitcoin.ChildRequest{Wallet: o.from, Index: o.toIndex, Coin: coin}, o.amount, p.Child)
}

// signerCaps adds what the signers' policy says of a child, and reports whether the daemon knows it. When nothing leaves
// there is no cap in percent, as for a consolidation; a policy that does not let the wallet pay itself refuses both.
func (t *Treasury) signerCaps(r *bitcoin.ChildRequest) (bool, error) {
	rule, known, err := t.signerRule(r.Wallet)
	if err != nil || !known {
		return false, err
	}
	if !slices.Contains(rule.To, r.Wallet.ID()) {
		return true, spend.Refuse("child-not-in-policy", "wallet "+r.Wallet.Name(), "a signers' policy that lists the wallet under its own to", "one that does not",
			"the keyholders add it, sign the policy and pin it; then: exchanged policy set FILE --signature FILE")
	}
	most, fits := rule.FeeMax.Int64()
	if fits {
		r.Caps = append(r.Caps, bitcoin.Cap{Name: "fee_max of the signers' policy", Fee: most})
	}
	r.Caps = append(r.Caps, bitcoin.Cap{Name: "fee_rate_max of the signers' policy", Rate: int64(min(rule.FeeRateMax, 1<<40))})
	if least, fits := rule.DustMin.Int64(); fits {
		r.Least = least
	}
	r.Floor = max(r.Floor, int64(min(rule.FeeRateMin, 1<<40)))
	return true, nil
}

// stuckID says which transaction is meant.
func (t *Treasury) stuckID(ctx context.Context, o ChildOrder) (chainhash.Hash, error) {
	if o.Serial == 0 {
		return o.TxID, nil
	}
	if _, err := t.Records.Intent(ctx, o.Serial); err != nil {
		return chainhash.Hash{}, err
	}
	tx, known, err := t.Records.Transaction(ctx, o.Serial)
	if err == nil && !known {
		err = spend.Refuse("child-no-parent", fmt.Sprintf("top-up %d", o.Serial), "a transaction that was sent", "none yet", fmt.Sprintf("warmctl topup show %d", o.Serial))
	}
	return tx.TxID, err
}

// hanging gets a transaction that the node holds and no block has. One of ours that the node has lost is in the records,
// and is handed to it again.
func (t *Treasury) hanging(ctx context.Context, txid chainhash.Hash) (stuckTx, error) {
	depth, err := t.Records.Confirmations(ctx, txid)
	if err != nil {
		return stuckTx{}, err
	}
	where := "transaction " + txid.String()
	if depth > 0 {
		return stuckTx{}, spend.Refuse("child-not-needed", where, "one that no block has", fmt.Sprintf("%d confirmations", depth), "nothing is to be done")
	}
	raw, waits, err := t.Node.Waiting(ctx, txid)
	if err != nil {
		return stuckTx{}, fmt.Errorf("stuck transaction: %w", err)
	}
	if tx, ours, err := t.Records.TransactionOf(ctx, txid); err != nil {
		return stuckTx{}, err
	} else if ours && !waits {
		_, err := t.Node.Broadcast(ctx, tx.Raw)
		raw, waits = tx.Raw, err == nil
	}
	if !waits {
		return stuckTx{}, spend.Refuse("child-no-parent", where, "a transaction that waits at the node", "none",
			"look whether it was replaced, or is in a block; a node that does not hold the parent takes no child")
	}
	return readStuck(raw)
}

// stuckTx is a transaction with its bytes.
type stuckTx struct {
	*wire.MsgTx
	raw []byte
}

func readStuck(raw []byte) (stuckTx, error) {
	s := stuckTx{new(wire.MsgTx), raw}
	r := bytes.NewReader(raw)
	if err := s.Deserialize(r); err != nil || r.Len() != 0 {
		return s, fmt.Errorf("stuck transaction: %d bytes that are not one transaction", len(raw))
	}
	return s, nil
}

// ourOutput finds an output that a pinned wallet of ours can spend: the one asked for, else change, else the largest. Of a
// top-up that hangs it takes what comes back to the wallet that fills, and leaves alone what arrives at the other.
func (t *Treasury) ourOutput(ctx context.Context, parent stuckTx, wanted int) (coin bitcoin.Coin, owner spend.WalletID, err error) {
	for i, out := range parent.TxOut {
		if wanted >= 0 && i != wanted {
			continue
		}
		whose, ours, err := t.Records.Owner(ctx, out.PkScript)
		if err != nil {
			return coin, owner, err
		}
		branch := wallet.Branch(whose.Branch)
		if ours && out.Value > 0 && (branch > coin.Branch || branch == coin.Branch && out.Value > coin.Value) {
			owner = whose.Wallet
			coin = bitcoin.Coin{Outpoint: wire.OutPoint{Hash: parent.TxHash(), Index: uint32(i)}, Value: out.Value,
				Branch: branch, Index: whose.Index, PrevTx: parent.raw}
		}
	}
	if coin.Value == 0 {
		what := "an output to a wallet of ours"
		if wanted >= 0 {
			what = fmt.Sprintf("output %d to a wallet of ours", wanted)
		}
		err = spend.Refuse("child-no-output", "transaction "+parent.TxHash().String(), what, "outputs to others alone",
			"only who can spend an output can pay for it; ask whoever is paid")
	}
	return coin, owner, err
}

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/treasury"
	"github.com/coldsign/coldsign/internal/words"
)

// desk is the daemon as the staff API sees it: it translates between the wire and the treasury, and decides nothing.
type desk struct{ d *daemon }

func (k desk) Status(ctx context.Context) (admin.Status, error) {
	height, hash, err := k.d.store.Tip(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	tiers, trouble, err := k.d.treasury.Overview(ctx)
	if err != nil {
		return admin.Status{}, err
	}
	s := admin.Status{Network: string(k.d.config.network), Issuer: k.d.config.Issuer, IssuerKey: seal.KeyLine(k.d.sealer.PublicKey()),
		Version: version, Time: k.d.now().UTC(), Height: height, BlockHash: hash.String(), Trouble: []string{}, RosterPeople: []string{},
		ApprovalsNeeded: k.d.config.ApprovalsNeeded, Tiers: []admin.TierStatus{}}
	if err := k.d.followed(); err != nil {
		s.Trouble = append(s.Trouble, "chain: "+err.Error())
	} else {
		s.Following = true
	}
	s.Trouble = append(s.Trouble, trouble...)
	if people, err := k.d.roster.now(); err != nil {
		s.Trouble = append(s.Trouble, "roster: "+err.Error())
	} else {
		v := people.Version()
		s.RosterVersion = hex.EncodeToString(v[:])
		for _, person := range people.People() {
			s.RosterPeople = append(s.RosterPeople, person.Name)
		}
	}
	for _, t := range tiers {
		one := admin.TierStatus{Wallet: t.Wallet, From: t.From, Balance: admin.AmountOf(t.Balance), Floor: admin.AmountOf(t.Floor),
			Target: admin.AmountOf(t.Target), Below: t.Balance.Cmp(t.Floor) < 0}
		if t.Live != 0 {
			one.TopUp = strconv.FormatUint(t.Live, 10)
		}
		s.Tiers = append(s.Tiers, one)
	}
	return s, nil
}

func (k desk) Wallets(ctx context.Context) ([]admin.Wallet, error) {
	list, err := k.d.treasury.Holdings(ctx)
	out := []admin.Wallet{}
	for _, h := range list {
		out = append(out, admin.Wallet{ID: h.ID, Name: h.Name, Tier: h.Tier, Threshold: h.Threshold, Keys: h.Keys, Unproven: h.Unproven, Words: h.Words,
			Balance: admin.AmountOf(money.Sats(h.Balance.Total)), Reserved: admin.AmountOf(money.Sats(h.Balance.Reserved)),
			Spendable: admin.AmountOf(money.Sats(h.Balance.Spendable))})
	}
	return out, err
}

// Events pages through the records until enough of them are of the top-up.
func (k desk) Events(ctx context.Context, after uint64, topUp string) ([]admin.Event, error) {
	out := []admin.Event{}
	for len(out) < admin.EventsMax {
		page, err := k.d.records.Events(ctx, after, admin.EventsMax)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, e := range page {
			after = e.Seq
			one := admin.Event{Seq: e.Seq, At: time.Unix(e.At, 0).UTC(), TopUp: serialIn(e.Text), What: e.Kind, Detail: json.RawMessage(e.Text)}
			if (topUp == "" || topUp == one.TopUp) && len(out) < admin.EventsMax {
				out = append(out, one)
			}
		}
	}
	return out, nil
}

// serialIn finds the top-up that an event speaks of.
func serialIn(text string) string {
	var detail struct {
		Serial uint64 `json:"serial"`
	}
	if err := json.Unmarshal([]byte(text), &detail); err != nil || detail.Serial == 0 {
		return ""
	}
	return strconv.FormatUint(detail.Serial, 10)
}

func (k desk) TopUps(ctx context.Context) ([]admin.TopUp, error) {
	list, err := k.d.treasury.List(ctx)
	out := []admin.TopUp{}
	for _, v := range list {
		out = append(out, topUpOf(v))
	}
	return out, err
}

func (k desk) TopUp(ctx context.Context, id string) (admin.TopUp, error) {
	serial, err := serialOf(id)
	if err != nil {
		return admin.TopUp{}, err
	}
	return topUpOr(k.d.treasury.Look(ctx, serial))
}

func (k desk) Propose(ctx context.Context, by admin.Actor, wallet string) (admin.TopUp, error) {
	return topUpOr(k.d.treasury.Propose(ctx, personOf(by), wallet))
}

func (k desk) Approve(ctx context.Context, by admin.Actor, id string, armored []byte) (admin.TopUp, error) {
	serial, err := serialOf(id)
	if err != nil {
		return admin.TopUp{}, err
	}
	return topUpOr(k.d.treasury.Approve(ctx, personOf(by), serial, armored))
}

func (k desk) Bundle(ctx context.Context, id string) ([]byte, error) {
	serial, err := serialOf(id)
	if err != nil {
		return nil, err
	}
	return k.d.treasury.Sealed(ctx, serial)
}

func (k desk) Answer(ctx context.Context, by admin.Actor, raw []byte) (admin.Answered, error) {
	v, fresh, err := k.d.treasury.Answer(ctx, personOf(by), raw)
	if err != nil {
		return admin.Answered{}, err
	}
	return admin.Answered{TopUp: topUpOf(v), Changed: fresh}, nil
}

func (k desk) Returned(ctx context.Context, by admin.Actor, psbt []byte) (admin.Answered, error) {
	v, fresh, err := k.d.treasury.Returned(ctx, personOf(by), psbt)
	if err != nil {
		return admin.Answered{}, err
	}
	return admin.Answered{TopUp: topUpOf(v), Changed: fresh}, nil
}

func personOf(by admin.Actor) treasury.Person {
	return treasury.Person{Name: by.Person, Address: by.Address, Certificate: by.Certificate}
}

// serialOf reads the identity of a top-up: its serial, in decimal, in one spelling.
func serialOf(id string) (uint64, error) {
	serial, err := strconv.ParseUint(id, 10, 63)
	if err != nil || serial == 0 || strconv.FormatUint(serial, 10) != id {
		return 0, admin.NewProblem(admin.Misused, "topup-malformed", "a top-up is named by its number, such as 7", "warmctl topup list")
	}
	return serial, nil
}

func topUpOr(v treasury.View, err error) (admin.TopUp, error) {
	if err != nil {
		return admin.TopUp{}, err
	}
	return topUpOf(v), nil
}

func topUpOf(v treasury.View) admin.TopUp {
	i := v.Intent
	t := admin.TopUp{ID: strconv.FormatUint(i.Serial, 10), Kind: admin.KindTopUp, State: string(i.State), Intent: i.Bytes, IntentHash: hex.EncodeToString(i.ID[:]),
		Words: words.Line(i.ID), From: v.From, To: v.To, ToIndex: i.ToIndex, Amount: admin.AmountOf(i.Amount), Proposer: i.Proposer,
		CreatedAt: time.Unix(i.CreatedAt, 0).UTC(), ExpiresAt: time.Unix(i.ExpiresAt, 0).UTC(), Need: v.Need, Approvals: []admin.Approval{},
		Signers: v.Threshold, Answers: []admin.Answer{}, TxID: v.TxID, Confirmations: int(v.Confirmations), Waiting: v.Waiting,
		Replaced: v.Replaced, Replacing: v.Replacing(), RefusedBy: v.Refusals(), Ended: v.Ended, Entry: i.Entry}
	switch {
	case i.IsChild():
		t.Kind = admin.KindChild
	case i.Merges():
		t.Kind = admin.KindConsolidation
	case i.Pays():
		t.Kind = admin.KindPayment
	}
	if v.Plan != nil {
		plan := planOf(*v.Plan)
		plan.Exact = v.Bundle != nil
		t.Plan = &plan
	}
	for _, a := range v.Approvers {
		t.Approvals = append(t.Approvals, admin.Approval{Person: a.Person, Role: a.Role, Device: a.Device, Key: a.Key})
	}
	if v.Bundle == nil {
		return t
	}
	t.Bundle, t.BundleWords = hex.EncodeToString(v.Bundle.ID[:]), words.Line(v.Bundle.ID)
	if v.Fee != (money.Amount{}) {
		fee := admin.AmountOf(v.Fee)
		t.Fee = &fee
	}
	for _, a := range v.Answers {
		name := ""
		if a.Position >= 0 && a.Position < len(v.KeyNames) {
			name = v.KeyNames[a.Position]
		}
		t.Answers = append(t.Answers, admin.Answer{Position: a.Position, Key: name, At: time.Unix(a.At, 0).UTC(), Signed: a.Refusal == "", Refusal: a.Refusal,
			Receipt: !a.Bare})
	}
	return t
}

func planOf(p treasury.Plan) admin.Plan {
	out := admin.Plan{Amount: admin.AmountOf(money.Sats(p.Amount)), Fee: admin.AmountOf(money.Sats(p.Fee)), FeeRate: admin.RateOf(p.FeeRate),
		Change: admin.AmountOf(money.Sats(p.Change)), VirtualBytes: p.VirtualBytes, Inputs: p.Inputs, PayloadBytes: p.PayloadBytes,
		BundleBytes: p.BundleBytes, Frames: p.Frames, Seconds: p.Seconds(), Bundles: max(p.Bundles, 1),
		Address: p.Address}
	if c := p.Child; c != nil {
		out.Lifted = &admin.Lifted{Parent: c.Parent, Transactions: c.Transactions, VirtualBytes: c.VirtualBytes, Fee: admin.AmountOf(money.Sats(c.Fee)),
			RateAlone: admin.RateOf(c.RateAlone), PackageRate: admin.RateOf(c.PackageRate), HighestRate: admin.RateOf(c.HighestRate),
			HighestBy: c.HighestBy, CapsKnown: c.CapsKnown}
	}
	return out
}

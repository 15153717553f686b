package admin

import (
	"context"
	"net/http"
	"net/url"
)

func (s *Server) returned(r *http.Request, by Actor) (any, error) {
	raw, err := body(r, psbtMax)
	if err != nil {
		return nil, err
	}
	answered, err := s.Bundles.Returned(r.Context(), by, raw)
	answered.Schema = SchemaAnswered
	return answered, err
}

func (s *Server) plan(r *http.Request, _ Actor) (any, error) {
	var p Planning
	if err := object(r, &p); err != nil {
		return nil, err
	}
	whole := p.Kind == KindTopUp || p.Kind == KindConsolidation || p.Kind == KindPayment && p.Payment != nil || p.Kind == KindChild && p.Child != nil
	if !whole {
		return nil, NewProblem(Misused, "body-malformed", "kind is not topup, consolidation, payment or child, or what it is about is missing")
	}
	plan, err := s.Plans.Plan(r.Context(), p)
	plan.Schema = SchemaPlan
	return plan, err
}

func (s *Server) consolidate(r *http.Request, by Actor) (any, error) {
	var c Consolidation
	if err := object(r, &c); err != nil {
		return nil, err
	}
	return withSchema(s.Plans.Consolidate(r.Context(), by, c))
}

func (s *Server) pay(r *http.Request, by Actor) (any, error) {
	var p Paying
	if err := object(r, &p); err != nil {
		return nil, err
	}
	return withSchema(s.Plans.Pay(r.Context(), by, p))
}

func (s *Server) bear(r *http.Request, by Actor) (any, error) {
	var b Bearing
	if err := object(r, &b); err != nil {
		return nil, err
	}
	return withSchema(s.Plans.Bear(r.Context(), by, b))
}

func (s *Server) entries(r *http.Request, _ Actor) (any, error) {
	list, err := s.Views.Entries(r.Context(), r.URL.Query().Get("wallet"))
	return Entries{SchemaEntries, list}, err
}

func (s *Server) bump(r *http.Request, by Actor) (any, error) {
	var b Bumping
	if err := object(r, &b); err != nil {
		return nil, err
	}
	return withSchema(s.Changes.Bump(r.Context(), by, r.PathValue("id"), b))
}

func (s *Server) cancel(r *http.Request, by Actor) (any, error) {
	var c Cancelling
	if err := object(r, &c); err != nil {
		return nil, err
	}
	return withSchema(s.Changes.Cancel(r.Context(), by, r.PathValue("id"), c))
}

// Plan asks what something would take.
func (c *Client) Plan(ctx context.Context, p Planning) (out Plan, err error) {
	return out, c.post(ctx, "/v1/plans", p, &out)
}

// Consolidate asks to merge a wallet's small coins.
func (c *Client) Consolidate(ctx context.Context, wanted Consolidation) (out TopUp, err error) {
	return out, c.post(ctx, "/v1/consolidations", wanted, &out)
}

// Pay asks to pay an entry of the address book.
func (c *Client) Pay(ctx context.Context, p Paying) (out TopUp, err error) {
	return out, c.post(ctx, "/v1/payments", p, &out)
}

// Bear asks for a child that pays for a stuck transaction.
func (c *Client) Bear(ctx context.Context, b Bearing) (out TopUp, err error) {
	return out, c.post(ctx, "/v1/children", b, &out)
}

// Entries lists the address book that counts for a wallet.
func (c *Client) Entries(ctx context.Context, wallet string) (out Entries, err error) {
	return out, c.get(ctx, "/v1/entries?wallet="+url.QueryEscape(wallet), &out)
}

// Bump asks for a higher fee.
func (c *Client) Bump(ctx context.Context, id string, b Bumping) (out TopUp, err error) {
	return out, c.post(ctx, "/v1/topups/"+url.PathEscape(id)+"/bump", b, &out)
}

// Cancel ends a top-up.
func (c *Client) Cancel(ctx context.Context, id string, wanted Cancelling) (out TopUp, err error) {
	return out, c.post(ctx, "/v1/topups/"+url.PathEscape(id)+"/cancel", wanted, &out)
}

// Returned hands in a plain PSBT that another wallet has signed.
func (c *Client) Returned(ctx context.Context, psbt []byte) (out Answered, err error) {
	reply, err := c.do(ctx, http.MethodPost, "/v1/psbts", psbt, documentMax)
	if err != nil {
		return out, err
	}
	return out, readReply(reply, &out)
}

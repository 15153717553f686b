package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Tickets lists what people have to look at, newest first.
type Tickets struct {
	Schema  string   `json:"schema"`
	Tickets []Ticket `json:"tickets"`
	// Addresses are the closings of tickets about addresses that are blocked for good. Who is blocked is known to whoever
	// counts requests; a closing speaks of the blocks before it.
	Addresses []Closing `json:"addresses"`
}

// Ticket is something that the engine did by itself: it ended an API key because of a flood of withdrawals.
type Ticket struct {
	Number  uint64    `json:"number"`
	Account uint64    `json:"account"`
	Key     string    `json:"key"`
	Why     string    `json:"why"`
	At      time.Time `json:"at"`
	Closed  *Closing  `json:"closed,omitempty"`
}

// Closing says who looked at a ticket, when, and what came of it. It ends no ban and gives no key back.
type Closing struct {
	Schema string    `json:"schema,omitempty"`
	Ticket string    `json:"ticket"` // its number, or the address
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Note   string    `json:"note"`
}

// ClosingRequest asks for one.
type ClosingRequest struct {
	Note string `json:"note"`
}

func (s *Server) tickets(r *http.Request, _ Actor) (any, error) {
	list, err := s.Engine.Tickets(r.Context())
	list.Schema = SchemaTickets
	return list, err
}

func (s *Server) closeTicket(r *http.Request, by Actor) (any, error) {
	var c ClosingRequest
	if err := object(r, &c); err != nil {
		return nil, err
	}
	closing, err := s.Engine.CloseTicket(r.Context(), by, r.PathValue("ticket"), c.Note)
	closing.Schema = SchemaTicketClose
	return closing, err
}

// Tickets lists what people have to look at.
func (c *Client) Tickets(ctx context.Context) (out Tickets, err error) {
	return out, c.get(ctx, "/v1/tickets", &out)
}

// CloseTicket says that somebody looked at a ticket.
func (c *Client) CloseTicket(ctx context.Context, ticket, note string) (out Closing, err error) {
	return out, c.post(ctx, "/v1/tickets/"+url.PathEscape(ticket)+"/close", ClosingRequest{note}, &out)
}

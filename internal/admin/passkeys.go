package admin

import (
	"context"
	"net/http"
	"time"
)

// SchemaEnrolment names the reply to an enrolment.
const SchemaEnrolment = "coldsign.enrolment/v1"

// Enrolment lets an account register its first passkey. Code is in this reply and nowhere else.
type Enrolment struct {
	Schema  string    `json:"schema,omitempty"`
	Account uint64    `json:"account"`
	Code    string    `json:"code"`
	Expires time.Time `json:"expires_at"`
	Page    string    `json:"page"` // where the customer types it
}

func (s *Server) enrolAccount(r *http.Request, by Actor) (any, error) {
	account, err := accountNumber(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var nothing struct{}
	if err := object(r, &nothing); err != nil {
		return nil, err
	}
	made, err := s.Customers.EnrolAccount(r.Context(), by, account)
	made.Schema = SchemaEnrolment
	return made, err
}

// EnrolAccount lets an account register its first passkey.
func (c *Client) EnrolAccount(ctx context.Context, account uint64) (out Enrolment, err error) {
	return out, c.post(ctx, accountPath(account)+"/enrolment", struct{}{}, &out)
}

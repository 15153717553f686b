package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Schemas of the replies about what came in and what goes out.
const (
	SchemaDeposits    = "coldsign.deposits/v1"
	SchemaDeposit     = "coldsign.deposit/v1"
	SchemaWithdrawals = "coldsign.withdrawals/v1"
	SchemaWithdrawal  = "coldsign.withdrawal/v1"
)

// The states of a deposit.
const (
	DepositConfirming = "confirming" // in a block, not deep enough for its value
	DepositRefused    = "refused"    // the engine does not take the evidence; it is asked again when something is new
	DepositCredited   = "credited"
)

// FundsMax is the most deposits of a reply.
const FundsMax = 500

// DepositQuery says which deposits are wanted, newest first. What is empty is not asked for.
type DepositQuery struct {
	Account uint64
	Asset   string
	State   string
	Output  string // one: its transaction, a colon, and the output's place
}

// Deposits lists deposits: those that are not credited yet, then the others, newest first.
type Deposits struct {
	Schema   string    `json:"schema"`
	Deposits []Deposit `json:"deposits"`
}

// Deposit is a payment to a customer's deposit address.
type Deposit struct {
	Schema        string    `json:"schema,omitempty"`
	Number        uint64    `json:"number,omitempty"` // of the credit
	Account       uint64    `json:"account"`
	Amount        Amount    `json:"amount"`
	TxID          string    `json:"txid"`
	Output        uint32    `json:"output"`
	Address       string    `json:"address"`
	Height        uint32    `json:"height"`
	State         string    `json:"state"`
	Confirmations uint32    `json:"confirmations,omitempty"` // seen; not counted any more once it is credited
	Need          uint32    `json:"confirmations_needed,omitempty"`
	Waiting       string    `json:"waiting,omitempty"` // for what, in a sentence
	CreditedAt    time.Time `json:"credited_at,omitzero"`
}

// Withdrawals lists withdrawals.
type Withdrawals struct {
	Schema      string       `json:"schema"`
	Withdrawals []Withdrawal `json:"withdrawals"`
}

// Withdrawal is one request of a customer.
type Withdrawal struct {
	Schema  string    `json:"schema,omitempty"`
	Number  uint64    `json:"number"`
	Account uint64    `json:"account"`
	Amount  Amount    `json:"amount"` // with the fee
	Fee     Amount    `json:"fee"`
	Address string    `json:"address"`
	Client  string    `json:"client,omitempty"` // the customer's own name of it
	State   string    `json:"state"`            // held, settled, cancelled
	TxID    string    `json:"txid,omitempty"`
	Reason  string    `json:"reason,omitempty"` // of a cancelled one
	Waiting string    `json:"waiting,omitempty"`
	Created time.Time `json:"created_at"`
	Changed time.Time `json:"changed_at"`
}

// FundsDesk looks at what came in and what wants to go out.
type FundsDesk interface {
	Deposits(ctx context.Context, q DepositQuery) ([]Deposit, error)
	Withdrawals(ctx context.Context, account uint64) ([]Withdrawal, error)
	Withdrawal(ctx context.Context, number uint64) (Withdrawal, error)
}

func (s *Server) deposits(r *http.Request, _ Actor) (any, error) {
	query := r.URL.Query()
	q := DepositQuery{Asset: query.Get("asset"), State: query.Get("state")}
	if text := query.Get("account"); text != "" {
		account, err := accountNumber(text)
		if err != nil {
			return nil, err
		}
		q.Account = account
	}
	switch q.State {
	case "", DepositConfirming, DepositRefused, DepositCredited:
	default:
		return nil, NewProblem(Misused, "state-unknown", "a deposit is "+DepositConfirming+", "+DepositRefused+" or "+DepositCredited, "exchanged deposits list --help")
	}
	list, err := s.Funds.Deposits(r.Context(), q)
	return Deposits{SchemaDeposits, list}, err
}

func (s *Server) deposit(r *http.Request, _ Actor) (any, error) {
	output := r.PathValue("output")
	if !IsOutput(output) {
		return nil, NewProblem(Misused, "output-malformed", "a deposit is named by its transaction and output: 64 hexadecimal digits, a colon, and a number from 0", "exchanged deposits list")
	}
	list, err := s.Funds.Deposits(r.Context(), DepositQuery{Output: output})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, NewProblem(Misused, "not-found", "no block that was read holds a payment "+output+" to a deposit address", "exchanged deposits list", "exchanged status")
	}
	list[0].Schema = SchemaDeposit
	return list[0], nil
}

// IsOutput reports whether text names an output of a transaction, in one spelling.
func IsOutput(text string) bool {
	txid, place, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(place, 10, 32)
	return len(txid) == 64 && strings.Trim(txid, "0123456789abcdef") == "" && err == nil && strconv.FormatUint(n, 10) == place
}

func (s *Server) withdrawals(r *http.Request, _ Actor) (any, error) {
	account, err := uint64(0), error(nil)
	if text := r.URL.Query().Get("account"); text != "0" {
		account, err = accountNumber(text)
	}
	if err != nil {
		return nil, err
	}
	list, err := s.Funds.Withdrawals(r.Context(), account)
	return Withdrawals{SchemaWithdrawals, list}, err
}

func (s *Server) withdrawal(r *http.Request, _ Actor) (any, error) {
	text := r.PathValue("number")
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return nil, NewProblem(Misused, "withdrawal-malformed", "a withdrawal is named by its number, such as 7", "exchanged withdrawals list")
	}
	w, err := s.Funds.Withdrawal(r.Context(), n)
	w.Schema = SchemaWithdrawal
	return w, err
}

// Deposits lists deposits.
func (c *Client) Deposits(ctx context.Context, q DepositQuery) (out Deposits, err error) {
	query := url.Values{}
	if q.Account != 0 {
		query.Set("account", strconv.FormatUint(q.Account, 10))
	}
	for name, text := range map[string]string{"asset": q.Asset, "state": q.State} {
		if text != "" {
			query.Set(name, text)
		}
	}
	return out, c.get(ctx, "/v1/deposits?"+query.Encode(), &out)
}

// Deposit gets one by its transaction and output.
func (c *Client) Deposit(ctx context.Context, output string) (out Deposit, err error) {
	return out, c.get(ctx, "/v1/deposits/"+url.PathEscape(output), &out)
}

// Withdrawals lists those of an account; of account zero, all that wait.
func (c *Client) Withdrawals(ctx context.Context, account uint64) (out Withdrawals, err error) {
	return out, c.get(ctx, "/v1/withdrawals?account="+strconv.FormatUint(account, 10), &out)
}

// Withdrawal gets one.
func (c *Client) Withdrawal(ctx context.Context, number uint64) (out Withdrawal, err error) {
	return out, c.get(ctx, "/v1/withdrawals/"+strconv.FormatUint(number, 10), &out)
}

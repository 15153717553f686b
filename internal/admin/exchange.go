package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Schemas of the replies about the exchange.
const (
	SchemaChange      = "coldsign.change/v1"
	SchemaChanges     = "coldsign.changes/v1"
	SchemaEngine      = "coldsign.engine/v1"
	SchemaAccount     = "coldsign.account/v1"
	SchemaAccounts    = "coldsign.accounts/v1"
	SchemaKey         = "coldsign.api-key/v1"
	SchemaOperation   = "coldsign.operation/v1"
	SchemaTickets     = "coldsign.tickets/v1"
	SchemaTicketClose = "coldsign.ticket-close/v1"
)

// changeMax is the longest change: a wallet or a roster file with its frame.
const changeMax = 512 << 10

// Change is a change of the exchange and how far it came. Intent holds the exact bytes that people approve; whoever
// shows it to a person decodes these bytes.
type Change struct {
	Schema    string     `json:"schema,omitempty"`
	ID        string     `json:"id"`    // the front of the intent's SHA-256
	State     string     `json:"state"` // proposed, applied, refused, expired, or passed: another change took its serial
	Intent    []byte     `json:"intent"`
	Words     string     `json:"words"` // twelve words of the intent's hash
	Proposer  string     `json:"proposer"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	Need      int        `json:"approvals_needed"`
	Approvals []Approval `json:"approvals"`
	Result    string     `json:"result,omitempty"` // why it was refused
	Seq       uint64     `json:"seq,omitempty"`    // of the command that applied it
}

// Changes lists changes, newest first.
type Changes struct {
	Schema  string   `json:"schema"`
	Changes []Change `json:"changes"`
}

// EngineStatus is how the engine does.
type EngineStatus struct {
	Schema    string   `json:"schema"`
	Seq       uint64   `json:"seq"`
	Hash      string   `json:"state_hash"`
	Queue     int      `json:"queue"`
	Records   uint64   `json:"records_seq"`
	Snapshot  uint64   `json:"snapshot_seq"`
	Follower  uint64   `json:"follower_seq"`
	Stopped   string   `json:"stopped,omitempty"`
	Accounts  int      `json:"accounts"`
	Open      int      `json:"open_orders"`
	Changes   uint64   `json:"changes"`
	Assets    []Asset  `json:"assets"`
	Markets   []Market `json:"markets"`
	Tickets   uint64   `json:"tickets"`    // how many there ever were
	Unclosed  uint64   `json:"unclosed"`   // of them
	BusForged uint64   `json:"bus_forged"` // messages that the staff's own connection refused
	Maker     uint32   `json:"maker_ppm"`  // of accounts that have no fees of their own
	Taker     uint32   `json:"taker_ppm"`
}

// Asset is one asset of the catalogue.
type Asset struct {
	ID          uint16 `json:"id"`
	Symbol      string `json:"symbol"`
	Decimals    uint8  `json:"decimals"`
	Network     string `json:"network,omitempty"`
	WithdrawMin Amount `json:"withdraw_min"`
	WithdrawFee Amount `json:"withdraw_fee"`
	DayMax      Amount `json:"withdraw_day_max"` // of one account in 24 hours
}

// Market is one market of the catalogue.
type Market struct {
	ID           uint16 `json:"id"`
	Symbol       string `json:"symbol"`
	Base         string `json:"base"`
	Quote        string `json:"quote"`
	State        string `json:"state"`
	TickDecimals uint8  `json:"tick_decimals"`
	LotDecimals  uint8  `json:"lot_decimals"`
	PriceMin     int64  `json:"price_min"` // ticks
	PriceMax     int64  `json:"price_max"`
	QtyMin       int64  `json:"quantity_min"` // lots
	QtyMax       int64  `json:"quantity_max"`
	NotionalMin  int64  `json:"notional_min"` // ticks x lots
	OrdersMax    int    `json:"orders_max"`
}

// AccountOpening asks for a customer's account.
type AccountOpening struct {
	Name string `json:"name"`
}

// Account is a customer's account. Secret and TOTP are in the reply that makes them, and never again.
type Account struct {
	Schema  string    `json:"schema,omitempty"`
	ID      uint64    `json:"id"`
	Name    string    `json:"name"`
	Frozen  bool      `json:"frozen"`
	Maker   uint32    `json:"maker_ppm"`
	Taker   uint32    `json:"taker_ppm"`
	Own     bool      `json:"own_fees"` // otherwise they are those of the exchange
	Created time.Time `json:"created_at"`
	TOTP    string    `json:"totp_secret,omitempty"` // base32, shown once
}

// Accounts lists accounts.
type Accounts struct {
	Schema   string    `json:"schema"`
	Accounts []Account `json:"accounts"`
}

// KeyAdding asks for an API key.
type KeyAdding struct {
	Kind    string   `json:"kind"`       // hmac or ed25519
	Public  []byte   `json:"public_key"` // of ed25519
	Scopes  []string `json:"scopes"`     // read, trade, withdraw
	Allowed []string `json:"allowed"`    // CIDR blocks
	Code    string   `json:"code"`       // one-time code; for withdraw
	Label   string   `json:"label"`
}

// Key is an API key that was made. Secret is in this reply and nowhere else.
type Key struct {
	Schema  string `json:"schema,omitempty"`
	Account uint64 `json:"account"`
	Key     string `json:"key"`
	Secret  string `json:"secret,omitempty"`
	Revoked bool   `json:"revoked,omitempty"`
}

// AddressChanging adds an address to a withdrawal book, or removes it.
type AddressChanging struct {
	Asset   string `json:"asset"`
	Address string `json:"address"`
	Label   string `json:"label"`
	Code    string `json:"code"`
	Remove  bool   `json:"remove"`
}

// Operating asks the engine's segment for something that changes nothing: verify or snapshot.
type Operating struct {
	Kind string `json:"kind"`
}

// Operation says what it found.
type Operation struct {
	Schema string `json:"schema"`
	Kind   string `json:"kind"`
	Frames uint64 `json:"frames,omitempty"`
	First  uint64 `json:"first,omitempty"`
	Last   uint64 `json:"last"`
	Pruned uint64 `json:"pruned,omitempty"`
	Head   string `json:"head,omitempty"` // hash over the whole journal
}

// ExchangeDesk keeps the changes of the exchange.
type ExchangeDesk interface {
	AllChanges(ctx context.Context) ([]Change, error)
	OneChange(ctx context.Context, id string) (Change, error)
	ProposeChange(ctx context.Context, by Actor, draft []byte) (Change, error)
	ApproveChange(ctx context.Context, by Actor, id string, armored []byte) (Change, error)
}

// CustomerDesk keeps customers' accounts.
type CustomerDesk interface {
	Accounts(ctx context.Context) ([]Account, error)
	OpenAccount(ctx context.Context, by Actor, o AccountOpening) (Account, error)
	AddKey(ctx context.Context, by Actor, account uint64, k KeyAdding) (Key, error)
	RevokeKey(ctx context.Context, by Actor, account uint64, key string) (Key, error)
	ChangeAddress(ctx context.Context, by Actor, account uint64, c AddressChanging) error
	EnrolAccount(ctx context.Context, by Actor, account uint64) (Enrolment, error)
}

// EngineDesk looks at the engine.
type EngineDesk interface {
	Engine(ctx context.Context) (EngineStatus, error)
	Tickets(ctx context.Context) (Tickets, error)
	CloseTicket(ctx context.Context, by Actor, ticket, note string) (Closing, error)
	Operate(ctx context.Context, by Actor, kind string) (Operation, error)
}

// exchangeRoutes are those of a daemon that is an exchange.
func (s *Server) exchangeRoutes() map[string]route {
	if s.Exchange == nil {
		return nil
	}
	return map[string]route{
		"GET /v1/changes":                          s.changes,
		"POST /v1/changes":                         s.proposeChange,
		"GET /v1/changes/{id}":                     s.change,
		"POST /v1/changes/{id}/approvals":          s.approveChange,
		"GET /v1/engine":                           s.engine,
		"POST /v1/operations":                      s.operate,
		"GET /v1/deposits":                         s.deposits,
		"GET /v1/deposits/{output}":                s.deposit,
		"GET /v1/withdrawals":                      s.withdrawals,
		"GET /v1/withdrawals/{number}":             s.withdrawal,
		"GET /v1/tickets":                          s.tickets,
		"POST /v1/tickets/{ticket}/close":          s.closeTicket,
		"GET /v1/accounts":                         s.accounts,
		"POST /v1/accounts":                        s.openAccount,
		"POST /v1/accounts/{id}/keys":              s.addKey,
		"POST /v1/accounts/{id}/keys/{key}/revoke": s.revokeKey,
		"POST /v1/accounts/{id}/addresses":         s.changeAddress,
		"POST /v1/accounts/{id}/enrolment":         s.enrolAccount,
	}
}

func (s *Server) changes(r *http.Request, _ Actor) (any, error) {
	list, err := s.Exchange.AllChanges(r.Context())
	return Changes{SchemaChanges, list}, err
}

func changed(c Change, err error) (any, error) {
	c.Schema = SchemaChange
	return c, err
}

func (s *Server) change(r *http.Request, _ Actor) (any, error) {
	return changed(s.Exchange.OneChange(r.Context(), r.PathValue("id")))
}

func (s *Server) proposeChange(r *http.Request, by Actor) (any, error) {
	draft, err := body(r, changeMax)
	if err != nil {
		return nil, err
	}
	return changed(s.Exchange.ProposeChange(r.Context(), by, draft))
}

func (s *Server) approveChange(r *http.Request, by Actor) (any, error) {
	var a Approving
	if err := object(r, &a); err != nil {
		return nil, err
	}
	return changed(s.Exchange.ApproveChange(r.Context(), by, r.PathValue("id"), []byte(a.Signature)))
}

func (s *Server) engine(r *http.Request, _ Actor) (any, error) {
	status, err := s.Engine.Engine(r.Context())
	status.Schema = SchemaEngine
	return status, err
}

func (s *Server) operate(r *http.Request, by Actor) (any, error) {
	var o Operating
	if err := object(r, &o); err != nil {
		return nil, err
	}
	done, err := s.Engine.Operate(r.Context(), by, o.Kind)
	done.Schema, done.Kind = SchemaOperation, o.Kind
	return done, err
}

func (s *Server) accounts(r *http.Request, _ Actor) (any, error) {
	list, err := s.Customers.Accounts(r.Context())
	return Accounts{SchemaAccounts, list}, err
}

func (s *Server) openAccount(r *http.Request, by Actor) (any, error) {
	var o AccountOpening
	if err := object(r, &o); err != nil {
		return nil, err
	}
	account, err := s.Customers.OpenAccount(r.Context(), by, o)
	account.Schema = SchemaAccount
	return account, err
}

func (s *Server) addKey(r *http.Request, by Actor) (any, error) {
	var k KeyAdding
	account, err := accountNumber(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := object(r, &k); err != nil {
		return nil, err
	}
	key, err := s.Customers.AddKey(r.Context(), by, account, k)
	key.Schema = SchemaKey
	return key, err
}

func (s *Server) revokeKey(r *http.Request, by Actor) (any, error) {
	account, err := accountNumber(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	key, err := s.Customers.RevokeKey(r.Context(), by, account, r.PathValue("key"))
	key.Schema = SchemaKey
	return key, err
}

func (s *Server) changeAddress(r *http.Request, by Actor) (any, error) {
	var c AddressChanging
	account, err := accountNumber(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := object(r, &c); err != nil {
		return nil, err
	}
	return Account{Schema: SchemaAccount, ID: account}, s.Customers.ChangeAddress(r.Context(), by, account, c)
}

// accountNumber reads an account in decimal, in one spelling.
func accountNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 53)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, NewProblem(Misused, "account-malformed", "an account is named by its number, such as 7", "exchanged account list")
	}
	return n, nil
}

// Changes lists changes.
func (c *Client) Changes(ctx context.Context) (out Changes, err error) {
	return out, c.get(ctx, "/v1/changes", &out)
}

// Change gets one.
func (c *Client) Change(ctx context.Context, id string) (out Change, err error) {
	return out, c.get(ctx, "/v1/changes/"+url.PathEscape(id), &out)
}

// ProposeChange asks for a change. The draft is an exchange.ChangeIntent without serial, proposer and times.
func (c *Client) ProposeChange(ctx context.Context, draft []byte) (out Change, err error) {
	reply, err := c.do(ctx, http.MethodPost, "/v1/changes", draft, documentMax)
	if err != nil {
		return out, err
	}
	return out, readReply(reply, &out)
}

// ApproveChange hands in one armored signature.
func (c *Client) ApproveChange(ctx context.Context, id string, armored []byte) (out Change, err error) {
	return out, c.post(ctx, "/v1/changes/"+url.PathEscape(id)+"/approvals", Approving{string(armored)}, &out)
}

// Engine asks how the engine is.
func (c *Client) Engine(ctx context.Context) (out EngineStatus, err error) {
	return out, c.get(ctx, "/v1/engine", &out)
}

// Operate asks for a verification or a snapshot.
func (c *Client) Operate(ctx context.Context, kind string) (out Operation, err error) {
	return out, c.post(ctx, "/v1/operations", Operating{kind}, &out)
}

// Accounts lists accounts.
func (c *Client) Accounts(ctx context.Context) (out Accounts, err error) {
	return out, c.get(ctx, "/v1/accounts", &out)
}

// OpenAccount makes an account.
func (c *Client) OpenAccount(ctx context.Context, o AccountOpening) (out Account, err error) {
	return out, c.post(ctx, "/v1/accounts", o, &out)
}

// AddKey makes an API key.
func (c *Client) AddKey(ctx context.Context, account uint64, k KeyAdding) (out Key, err error) {
	return out, c.post(ctx, accountPath(account)+"/keys", k, &out)
}

// RevokeKey ends an API key.
func (c *Client) RevokeKey(ctx context.Context, account uint64, key string) (out Key, err error) {
	return out, c.post(ctx, accountPath(account)+"/keys/"+url.PathEscape(key)+"/revoke", struct{}{}, &out)
}

// ChangeAddress changes an account's withdrawal book.
func (c *Client) ChangeAddress(ctx context.Context, account uint64, a AddressChanging) (out Account, err error) {
	return out, c.post(ctx, accountPath(account)+"/addresses", a, &out)
}

func accountPath(account uint64) string { return "/v1/accounts/" + strconv.FormatUint(account, 10) }

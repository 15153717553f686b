package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
)

func newTicketsCmd(a *app) *cobra.Command {
	var all bool
	list := &cobra.Command{Use: "list", Short: "List what the exchange did by itself and nobody looked at yet, newest first",
		Long: "The engine ends a key that keeps asking for withdrawals; whoever counts requests blocks an address for good. Both are\n" +
			"tickets: somebody looks at them. Addresses are listed where their file is (exchanged limits list).",
		Example: "  exchanged tickets list --all --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runTickets(a, all) }}
	list.Flags().BoolVar(&all, "all", false, "closed ones too, with who closed them and why")
	var note string
	closing := &cobra.Command{Use: "close NUMBER|IP", Short: "Say that somebody looked at a ticket, and what came of it",
		Long: "Records who closed it, when, and the note: in the events for ever, and beside the ticket. Nothing is deleted. It gives no\n" +
			"key back (exchanged account key add) and ends no block: two people do that (exchanged limits unban).",
		Example: "  exchanged tickets close 1 --note \"stolen key; the customer has a new one\" --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runTicketClose(a, args[0], note) }}
	closing.Flags().StringVar(&note, "note", "", "what came of it, in a few words")
	return command.Group("tickets", "What the exchange did by itself and people have to look at", list, closing)
}

// ticketRow is a ticket as people see it.
type ticketRow struct {
	Ticket  string         `json:"ticket"` // its number, or an address that is blocked for good
	Number  uint64         `json:"number,omitempty"`
	Account uint64         `json:"account,omitempty"`
	Key     string         `json:"key,omitempty"`
	Why     string         `json:"why"`
	At      time.Time      `json:"at"`
	Closed  *admin.Closing `json:"closed,omitempty"`
}

func runTickets(a *app, all bool) error {
	client, at, err := a.engineFolder()
	if err != nil {
		return err
	}
	known, err := client.Tickets(context.Background())
	if errors.Is(err, admin.ErrUnreachable) {
		return notRunning(at, err)
	}
	if err != nil {
		return explained(err)
	}
	list := []ticketRow{}
	for _, t := range known.Tickets {
		list = append(list, ticketRow{strconv.FormatUint(t.Number, 10), t.Number, t.Account, t.Key, t.Why, t.At, t.Closed})
	}
	blocked, err := at.blockTickets(known.Addresses)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(append(list, blocked...), func(t ticketRow) bool { return t.Closed != nil && !all })
	slices.SortStableFunc(list, func(x, y ticketRow) int { return y.At.Compare(x.At) })
	if a.json {
		return a.JSON(admin.SchemaTickets, map[string]any{"tickets": list})
	}
	if len(list) == 0 {
		a.Say("no ticket is open")
		return nil
	}
	rows := [][]string{}
	for _, t := range list {
		account, closed := "", "open"
		if t.Account != 0 {
			account = strconv.FormatUint(t.Account, 10)
		}
		if t.Closed != nil {
			closed = fmt.Sprintf("by %s on %s: %s", t.Closed.By, t.Closed.At.Format(time.RFC3339), t.Closed.Note)
		}
		rows = append(rows, []string{t.Ticket, t.At.Format(time.RFC3339), account, t.Key, t.Why, console.Printable(closed)})
	}
	return console.Table(a.Out, []string{"TICKET", "AT", "ACCOUNT", "KEY", "WHY", "CLOSED"}, rows)
}

// engineFolder is engineNow with the folder: some tickets are in its files.
func (a *app) engineFolder() (*admin.Client, folder, error) {
	_, at, err := a.load()
	if err != nil {
		return nil, at, err
	}
	client, err := operatorClient(a, at)
	return client, at, err
}

// blockTickets are the addresses that are blocked for good, as the files of this folder know them. A closing speaks of
// the blocks before it.
func (f folder) blockTickets(closings []admin.Closing) (out []ticketRow, err error) {
	for _, segment := range counters() {
		sentences, err := f.bans(segment)
		if err != nil {
			return nil, err
		}
		for _, s := range sentences {
			if !s.Blocked() {
				continue
			}
			t := ticketRow{Ticket: ticketOf(s.Block), Why: "blocked for good: " + sayWhy(s.Why), At: timeOf(s.Since)}
			for i, c := range closings {
				if c.Ticket == t.Ticket && !c.At.Before(t.At) {
					t.Closed = &closings[i]
				}
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// ticketOf names the ticket of a blocked address: the address, of IPv6 the first one of its /64.
func ticketOf(block netip.Prefix) string { return block.Masked().Addr().String() }

func runTicketClose(a *app, ticket, note string) error {
	client, at, err := a.engineFolder()
	if err != nil {
		return err
	}
	c, err := client.CloseTicket(context.Background(), ticket, note)
	if errors.Is(err, admin.ErrUnreachable) {
		return notRunning(at, err)
	}
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaTicketClose, withoutSchema(c))
	}
	a.Say("ticket %s closed by %s", c.Ticket, c.By)
	return nil
}

// Closings are files of one line of JSON in exchange/admin/tickets, written once. The events hold the same, chained.
const closingMax = 4 << 10

func (f folder) closings() (out []admin.Closing, err error) {
	dir := f.path(exchangeDir, "admin", "tickets")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".json") || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		raw, err := console.ReadFile(f.path(exchangeDir, "admin", "tickets", entry.Name()), closingMax)
		if err != nil {
			return nil, err
		}
		c, err := parseClosing(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y admin.Closing) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Ticket, y.Ticket)) })
	return out, nil
}

func parseClosing(raw []byte) (c admin.Closing, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if c.Ticket == "" || c.By == "" || d.More() {
		return c, errors.New("not what closing a ticket writes")
	}
	return c, nil
}

// unclosed counts the engine's tickets that nobody closed.
func unclosed(issued uint64, closed []admin.Closing) uint64 {
	for _, c := range closed {
		if _, err := strconv.ParseUint(c.Ticket, 10, 64); err == nil && issued > 0 {
			issued--
		}
	}
	return issued
}

// ticketsPage is how many tickets the engine is asked for at a time, and ticketPages how often.
const (
	ticketsPage = 500
	ticketPages = 20
)

// Tickets lists what the engine did by itself and people have to look at, and what people said about it.
func (k *exchangeDesk) Tickets(ctx context.Context) (admin.Tickets, error) {
	out := admin.Tickets{Tickets: []admin.Ticket{}, Addresses: []admin.Closing{}}
	closed, err := k.folder.closings()
	if err != nil {
		return out, err
	}
	byNumber := map[string]*admin.Closing{}
	for i, c := range closed {
		if _, err := strconv.ParseUint(c.Ticket, 10, 64); err == nil {
			byNumber[c.Ticket] = &closed[i]
		} else {
			out.Addresses = append(out.Addresses, c)
		}
	}
	for page := range ticketPages {
		a, err := k.ask(ctx, exchange.Question{Tickets: &exchange.HistoryQuestion{Limit: ticketsPage, Offset: page * ticketsPage}})
		if err != nil {
			return out, err
		}
		for _, t := range a.Tickets {
			out.Tickets = append(out.Tickets, admin.Ticket{Number: t.Number, Account: uint64(t.Account), Key: t.Key, Why: t.Why, At: timeOf(t.At),
				Closed: byNumber[strconv.FormatUint(t.Number, 10)]})
		}
		if len(a.Tickets) < ticketsPage {
			break
		}
	}
	return out, nil
}

// CloseTicket records that somebody looked at a ticket: first in the events, which nobody can change, then beside it.
func (k *exchangeDesk) CloseTicket(ctx context.Context, by admin.Actor, ticket, note string) (admin.Closing, error) {
	c := admin.Closing{By: by.Person, At: k.now().UTC().Truncate(time.Millisecond), Note: note}
	if strings.TrimSpace(note) == "" || len(note) > reasonMax {
		return c, admin.NewProblem(admin.Misused, "note-malformed", fmt.Sprintf("a note has 1 to %d characters: what came of the ticket", reasonMax))
	}
	k.closing.Lock()
	defer k.closing.Unlock()
	name := ""
	if address, err := netip.ParseAddr(ticket); err == nil && address.Zone() == "" {
		block := netip.PrefixFrom(address.Unmap(), 32)
		if address.Unmap().Is6() {
			block = netip.PrefixFrom(address, 64)
		}
		c.Ticket = ticketOf(block)
		name = fmt.Sprintf("%x-%d.json", block.Masked().Addr().As16(), c.At.UnixMilli())
	} else if err := k.closable(ctx, ticket); err != nil {
		return c, err
	} else {
		c.Ticket, name = ticket, ticket+".json"
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	if err := errors.Join(os.MkdirAll(k.folder.path(exchangeDir, "admin", "tickets"), 0o700), k.note(ctx, "ticket-closed", c)); err != nil {
		return c, err
	}
	if err := console.WriteNew(k.folder.path(exchangeDir, "admin", "tickets", name), append(raw, '\n'), 0o600); err != nil {
		return c, err
	}
	k.log.Info("ticket closed", "ticket", c.Ticket, "by", by.Person)
	return c, nil
}

// closable reports why a ticket of the engine cannot be closed.
func (k *exchangeDesk) closable(ctx context.Context, ticket string) error {
	number, err := strconv.ParseUint(ticket, 10, 53)
	status, errStatus := k.status(ctx)
	if errStatus != nil {
		return errStatus
	}
	if err != nil || number == 0 || number > status.Tickets || strconv.FormatUint(number, 10) != ticket {
		return admin.NewProblem(admin.Misused, "not-found", "there is no ticket "+console.Printable(ticket), "exchanged tickets list")
	}
	closed, err := k.folder.closings()
	if err != nil {
		return err
	}
	for _, c := range closed {
		if c.Ticket == ticket {
			return admin.NewProblem(admin.Misused, "ticket-closed", fmt.Sprintf("ticket %s was closed by %s on %s", ticket, c.By, c.At.Format(time.RFC3339)), "exchanged tickets list --all")
		}
	}
	return nil
}

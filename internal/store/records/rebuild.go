package records

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// Rebuild takes out everything and makes the records again from the journal. It returns the state that the journal
// ends with, to compare with. An interrupted one is begun again.
func (r *Records) Rebuild(ctx context.Context, j engine.Journal, o engine.StateOptions) (*engine.State, error) {
	if err := r.empty(ctx); err != nil {
		return nil, err
	}
	o.NoEvents = false
	state := engine.NewState(o)
	var out engine.Results
	var events []byte
	err := j.Read(ctx, 1, func(f engine.Frame) error {
		if err := state.Apply(f, &out); err != nil {
			return err
		}
		if events = append(events, out.Events...); len(events) < rebuildBatch {
			return nil
		}
		err := r.Write(ctx, state.Seq(), state.Now(), events)
		events = events[:0]
		return err
	})
	if err == nil && state.Seq() > 0 {
		err = r.Write(ctx, state.Seq(), state.Now(), events)
	}
	if err == nil {
		err = r.Flush(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("records: made again up to command %d: %w", state.Seq(), err)
	}
	return state, nil
}

// empty takes every row out, and forgets what was told.
func (r *Records) empty(ctx context.Context) error {
	r.Flush(ctx) // a failure is as good: nothing of this stays
	r.forgive()
	r.writing.Lock()
	defer r.writing.Unlock()
	var number int64
	err := r.db.view(ctx, func(tx *sql.Tx) error {
		var at int64
		return tx.QueryRowContext(ctx, selectProgress).Scan(&number, &at)
	})
	if err != nil {
		return fmt.Errorf("records: progress: %w", err)
	}
	calls := []call{{query: updateProgress, args: []any{int64(0), int64(0), number}}}
	for _, t := range tables() {
		calls = append(calls, call{query: t.delete})
	}
	r.known = false
	r.written.Store(0)
	return r.db.commit(ctx, calls)
}

// Compare says how the records differ from a state that applied the same commands; nil: in nothing that a state can be
// asked for. Nobody else may use the state meanwhile.
func (r *Records) Compare(ctx context.Context, s *engine.State) error {
	if err := r.Flush(ctx); err != nil {
		return err
	}
	last, err := r.last(ctx)
	if err != nil {
		return err
	}
	if last != s.Seq() {
		return fmt.Errorf("the records know command %d, the state %d", last, s.Seq())
	}
	mine, theirs, err := r.both(ctx, s, exchange.Question{Catalogue: &struct{}{}})
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(mine.Assets, theirs.Assets) || !reflect.DeepEqual(mine.Markets, theirs.Markets) {
		return errors.New("the catalogues differ")
	}
	var accounts []exchange.AccountInfo
	open := 0
	err = r.db.view(ctx, func(tx *sql.Tx) (err error) {
		a := answer{ctx: ctx, tx: tx, seal: r.seal}
		accounts, err = a.accounts(0, 1<<62, 1<<31-1)
		return err
	})
	if err != nil {
		return err
	}
	for _, info := range accounts {
		n, err := r.compareAccount(ctx, s, info.ID)
		if err != nil {
			return fmt.Errorf("account %d: %w", info.ID, err)
		}
		open += n
	}
	status, _ := s.Answer(exchange.Question{Status: &struct{}{}})
	if status.Status.Accounts != len(accounts) || status.Status.OpenCount != open {
		return fmt.Errorf("%d accounts with %d open orders, where the state has %d with %d", len(accounts), open, status.Status.Accounts, status.Status.OpenCount)
	}
	return nil
}

// both asks the records and the state.
func (r *Records) both(ctx context.Context, s *engine.State, q exchange.Question) (mine, theirs exchange.Answer, err error) {
	theirs, _ = s.Answer(q)
	mine, err = r.Answer(ctx, q)
	if err == nil && mine.Code != theirs.Code {
		err = fmt.Errorf("code %d, where the state has %d", mine.Code, theirs.Code)
	}
	return mine, theirs, err
}

// compareAccount compares terms, balances, keys and open orders, and returns how many of the last there are.
func (r *Records) compareAccount(ctx context.Context, s *engine.State, id exchange.Account) (int, error) {
	mine, theirs, err := r.both(ctx, s, exchange.Question{Account: &exchange.AccountQuestion{Account: id}})
	if err != nil {
		return 0, err
	}
	// The state has a place for a balance as soon as somebody looks; nothing in it is the same as none.
	zero := func(b exchange.BalanceRecord) bool {
		return b.Available == (money.U128{}) && b.Held == (money.U128{})
	}
	one, other := slices.DeleteFunc(mine.Balances, zero), slices.DeleteFunc(theirs.Balances, zero)
	if !reflect.DeepEqual(mine.Account, theirs.Account) || !slices.Equal(one, other) {
		return 0, fmt.Errorf("%+v with %v, where the state has %+v with %v", mine.Account, one, theirs.Account, other)
	}
	if err := r.compareKeys(ctx, s, id); err != nil {
		return 0, err
	}
	own, err := r.openOrders(ctx, id)
	if err != nil {
		return 0, err
	}
	live, _ := s.Answer(exchange.Question{Orders: &exchange.OrdersQuestion{Account: id, Open: true}})
	slices.SortFunc(live.Orders, func(x, y exchange.OrderView) int {
		return cmp.Or(cmp.Compare(x.Market, y.Market), cmp.Compare(x.Order, y.Order))
	})
	for i := range max(len(own), len(live.Orders)) {
		if i >= len(own) || i >= len(live.Orders) {
			return 0, fmt.Errorf("%d open orders, where the state has %d", len(own), len(live.Orders))
		}
		if own[i] != live.Orders[i] {
			return 0, fmt.Errorf("order %+v, where the state has %+v", own[i], live.Orders[i])
		}
	}
	return len(own), nil
}

func (r *Records) openOrders(ctx context.Context, id exchange.Account) (out []exchange.OrderView, err error) {
	err = r.db.view(ctx, func(tx *sql.Tx) error {
		a := answer{ctx: ctx, tx: tx, seal: r.seal}
		rows, err := tx.QueryContext(ctx, ordersOpen, int64(id), int64(0), 1<<31-1)
		err = a.scanOrders(rows, err)
		out = a.Orders
		return err
	})
	return out, err
}

// compareKeys compares what is known of an account's keys. A state gives a secret open, so that is left out here; Hash
// covers it.
func (r *Records) compareKeys(ctx context.Context, s *engine.State, id exchange.Account) error {
	mine, err := r.Answer(ctx, exchange.Question{Accounts: &exchange.DirectoryQuestion{Account: id}})
	if err != nil {
		return err
	}
	for _, key := range mine.Keys {
		theirs, _ := s.Answer(exchange.Question{Key: &exchange.KeyQuestion{Key: key.Key}})
		if theirs.Key == nil {
			return fmt.Errorf("key %s, which the state does not know", key.Key)
		}
		one, err1 := exchange.EncodeBody(key)
		info := *theirs.Key
		info.Secret = nil
		other, err2 := exchange.EncodeBody(info)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if !bytes.Equal(one, other) {
			return fmt.Errorf("key %+v, where the state has %+v", key, info)
		}
	}
	return nil
}

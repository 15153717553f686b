package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/store/journal"
	"github.com/coldsign/coldsign/internal/store/records"
)

// replica replays the journal beside the engine, frame by frame, and remembers what became of every order. It shares no
// memory and no process with the exchange: it has the store key and the journal.
type replica struct {
	journal *journal.Journal
	records *records.Records
	state   *engine.State
	results engine.Results
	done    map[placed][]int64 // numbers of the orders that were taken
	again   int                // commands that came twice and were answered the second time as the first
	trades  int
}

// placed names an order by whose it is and how its customer calls it.
type placed struct {
	account uint64
	client  string
}

// open opens the journal and the records that a folder's configuration means.
func open(ctx context.Context, data, dsn string) (*replica, error) {
	key, errKey := hexFile(filepath.Join(data, "exchange", "engine", "store.key"))
	kek, errKEK := hexFile(filepath.Join(data, "exchange", "engine", "kek.key"))
	raw, errRules := os.ReadFile(filepath.Join(data, "exchange", "engine", "rules"))
	if err := errors.Join(errKey, errKEK, errRules); err != nil {
		return nil, err
	}
	var delays struct {
		Address exchange.Millis `json:"address_delay_ms"`
		Key     exchange.Millis `json:"key_delay_ms"`
	}
	if err := json.Unmarshal(raw, &delays); err != nil {
		return nil, err
	}
	sealer, err := accounts.NewSealer(kek)
	if err != nil {
		return nil, err
	}
	rules := accounts.DefaultRules()
	rules.AddressDelay, rules.KeyDelay = delays.Address, delays.Key
	r := &replica{state: engine.NewState(engine.StateOptions{Rules: rules, Opener: sealer}), done: map[placed][]int64{}}
	j, rec := journal.Options{Group: "main", Key: key, Follow: true}, records.Options{Key: key}
	if dsn == "" {
		j.Dir, rec.Dir = filepath.Join(data, "exchange", "engine", "journal"), filepath.Join(data, "exchange", "engine", "records")
	} else {
		j.URL, rec.URL = dsn, dsn
	}
	if r.journal, err = journal.Open(ctx, j); err != nil {
		return nil, err
	}
	r.records, err = records.Open(ctx, rec)
	return r, err
}

func hexFile(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(strings.TrimSpace(string(raw)))
}

func (r *replica) close() error { return errors.Join(r.journal.Close(), r.records.Close()) }

// catchUp replays what is new. A connection that was broken by a restart of the server is made again.
func (r *replica) catchUp(ctx context.Context) error {
	err := r.read(ctx)
	for tries := 0; err != nil && tries < 5; tries++ {
		err = r.read(ctx)
	}
	return err
}

func (r *replica) read(ctx context.Context) error {
	return r.journal.Read(ctx, r.state.Seq()+1, func(f engine.Frame) error {
		if err := r.state.Apply(f, &r.results); err != nil {
			return err
		}
		rest := f.Commands
		for i := range r.results.Outcomes {
			var c exchange.Command
			var err error
			if rest, err = c.Read(rest); err != nil {
				return err
			}
			o := &r.results.Outcomes[i]
			switch {
			case o.Again:
				r.again++
			case c.Kind == exchange.Place && o.Code == exchange.Done:
				name := placed{uint64(c.Account), c.Client.String()}
				r.done[name] = append(r.done[name], int64(o.Order))
				r.trades += len(o.Fills)
			}
		}
		return nil
	})
}

// findings are what the comparison of customers' memories with the journal showed.
type findings struct {
	acked, lost, twice, ghosts int
	examples                   []string
}

// judge holds what customers know against the journal. lost: acknowledged, and not there, or there under another
// number, or cancelled and still open. twice: taken more than once. ghosts: there, though the customer was told it is not.
func (r *replica) judge(known []order) (f findings) {
	open := map[placed]bool{}
	for _, o := range known {
		name := placed{o.account, o.client}
		numbers := r.done[name]
		if _, asked := open[placed{account: o.account}]; !asked {
			open[placed{account: o.account}] = true
			a, _ := r.state.Answer(exchange.Question{Orders: &exchange.OrdersQuestion{Account: exchange.Account(o.account), Open: true}})
			for _, view := range a.Orders {
				open[placed{o.account, view.Client}] = true
			}
		}
		problem := ""
		switch {
		case len(numbers) > 1:
			f.twice++
			problem = "twice"
		case o.fate == acked && (len(numbers) == 0 || numbers[0] != o.number), o.cancelled && open[name]:
			f.lost++
			problem = "lost"
		case (o.fate == refused || o.fate == absent) && len(numbers) > 0:
			f.ghosts++
			problem = "ghost"
		}
		if o.fate == acked {
			f.acked++
		}
		if problem != "" && len(f.examples) < 5 {
			f.examples = append(f.examples, fmt.Sprintf("%s: account %d order %s fate %d number %d in the journal %v cancelled %v", problem, o.account, o.client, o.fate, o.number, numbers, o.cancelled))
		}
	}
	return f
}

func (f findings) err() error {
	if f.lost+f.twice+f.ghosts == 0 {
		return nil
	}
	return fmt.Errorf("%d lost, %d twice, %d that were said not to be there: %s", f.lost, f.twice, f.ghosts, strings.Join(f.examples, "; "))
}

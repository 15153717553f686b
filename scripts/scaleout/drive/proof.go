package drive

import (
	"bytes"
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

// Replica replays the journal beside the engine, frame by frame, and remembers what became of every order. It shares no
// memory and no process with the exchange: it has the store key and the journal.
type Replica struct {
	journal *journal.Journal
	Records *records.Records
	State   *engine.State
	options engine.StateOptions
	results engine.Results
	done    map[placed][]int64 // numbers of the orders that were taken
	Again   int                // commands that came twice and were answered the second time as the first
	Trades  int
}

// placed names an order by whose it is and how its customer calls it.
type placed struct {
	account uint64
	client  string
}

// Open opens the journal and the records that a folder's configuration means.
func Open(ctx context.Context, data, dsn string) (*Replica, error) {
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
	options := engine.StateOptions{Rules: rules, Opener: sealer}
	r := &Replica{State: engine.NewState(options), options: options, done: map[placed][]int64{}}
	j, rec := journal.Options{Group: "main", Key: key, Follow: true}, records.Options{Key: key, Read: true}
	if dsn == "" {
		j.Dir, rec.Dir = filepath.Join(data, "exchange", "engine", "journal"), filepath.Join(data, "exchange", "engine", "records")
	} else {
		j.URL, rec.URL = dsn, dsn
	}
	if r.journal, err = journal.Open(ctx, j); err != nil {
		return nil, err
	}
	if r.Records, err = records.Open(ctx, rec); err != nil {
		return nil, errors.Join(err, r.journal.Close())
	}
	return r, nil
}

func hexFile(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(strings.TrimSpace(string(raw)))
}

func (r *Replica) Close() error { return errors.Join(r.journal.Close(), r.Records.Close()) }

// CatchUp replays what is new. A connection that was broken by a restart of the server is made again.
func (r *Replica) CatchUp(ctx context.Context) error {
	err := r.read(ctx)
	for tries := 0; err != nil && tries < 5; tries++ {
		err = r.read(ctx)
	}
	return err
}

func (r *Replica) read(ctx context.Context) error {
	return r.journal.Read(ctx, r.State.Seq()+1, func(f engine.Frame) error {
		if err := r.State.Apply(f, &r.results); err != nil {
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
				r.Again++
			case (c.Kind == exchange.Place || c.Kind == exchange.Replace) && o.Code == exchange.Done:
				name := placed{uint64(c.Account), c.Client.String()}
				r.done[name] = append(r.done[name], int64(o.Order))
				r.Trades += len(o.Fills)
			}
		}
		return nil
	})
}

// Balanced proves that no money came from nowhere and none is held for nothing: a snapshot of the state is read again, and
// whoever reads one adds up every posting, every order and every withdrawal. It also comes back as the same state.
func (r *Replica) Balanced() error {
	var raw bytes.Buffer
	if err := r.State.Snapshot(&raw); err != nil {
		return err
	}
	again, err := engine.RestoreState(&raw, r.options)
	if err != nil {
		return fmt.Errorf("the ledger does not balance: %w", err)
	}
	if again.Hash() != r.State.Hash() {
		return fmt.Errorf("a snapshot at command %d comes back with another hash", r.State.Seq())
	}
	return nil
}

// Findings are what the comparison of customers' memories with the journal showed.
type Findings struct {
	Acked, Lost, Twice, ghosts int
	examples                   []string
}

// Judge holds what customers know against the journal. lost: acknowledged, and not there, or there under another
// number, or cancelled and still open. twice: taken more than once. ghosts: there, though the customer was told it is not.
func (r *Replica) Judge(known []Order) (f Findings) {
	open := map[placed]bool{}
	for _, o := range known {
		name := placed{o.account, o.client}
		numbers := r.done[name]
		if _, asked := open[placed{account: o.account}]; !asked {
			open[placed{account: o.account}] = true
			a, _ := r.State.Answer(exchange.Question{Orders: &exchange.OrdersQuestion{Account: exchange.Account(o.account), Open: true}})
			for _, view := range a.Orders {
				open[placed{o.account, view.Client}] = true
			}
		}
		problem := ""
		switch {
		case len(numbers) > 1:
			f.Twice++
			problem = "twice"
		case o.fate == Acked && (len(numbers) == 0 || numbers[0] != o.number), o.Cancelled && open[name]:
			f.Lost++
			problem = "lost"
		case (o.fate == Refused || o.fate == Absent) && len(numbers) > 0:
			f.ghosts++
			problem = "ghost"
		}
		if o.fate == Acked {
			f.Acked++
		}
		if problem != "" && len(f.examples) < 5 {
			f.examples = append(f.examples, fmt.Sprintf("%s: account %d order %s fate %d number %d in the journal %v cancelled %v", problem, o.account, o.client, o.fate, o.number, numbers, o.Cancelled))
		}
	}
	return f
}

func (f Findings) Err() error {
	if f.Lost+f.Twice+f.ghosts == 0 {
		return nil
	}
	return fmt.Errorf("%d lost, %d twice, %d that were said not to be there: %s", f.Lost, f.Twice, f.ghosts, strings.Join(f.examples, "; "))
}

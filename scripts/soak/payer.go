package main

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

// payTo is where withdrawals go; nobody pays them here, so they stay held.
const payTo = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"

// payer is a customer who asks for withdrawals, each under a name of its own, and asks again under the same name while it
// does not know what became of one.
type payer struct {
	key     drive.APIKey
	gateway string
	client  *http.Client
	stop    context.CancelFunc
	done    chan struct{}
	once    sync.Once

	mu     sync.Mutex
	asked  int
	known  map[string]string // numbers of those that were acknowledged, by name
	latest string            // that the exchange said last, beside acknowledgements
}

// newPayer opens the account, with a key that may withdraw and an address that may be paid.
func newPayer(ctx context.Context, w *drive.Whole) (*payer, error) {
	client := w.Operator.Client
	opened, err := client.OpenAccount(ctx, admin.AccountOpening{Name: "payer"})
	if err != nil {
		return nil, err
	}
	if err := w.Operator.Give(ctx, opened.ID); err != nil {
		return nil, err
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(opened.TOTP)
	if err != nil {
		return nil, err
	}
	code := func(step int64) string { // each is taken once
		return accounts.OneTimeCode(secret, exchange.Millis(time.Now().UnixMilli()+step*30_000))
	}
	if _, err := client.ChangeAddress(ctx, opened.ID, admin.AddressChanging{Asset: "BTC", Address: payTo, Label: "soak", Code: code(-1)}); err != nil {
		return nil, err
	}
	made, err := client.AddKey(ctx, opened.ID, admin.KeyAdding{Kind: accounts.HMAC, Scopes: []string{"read", "withdraw"}, Allowed: []string{"198.18.0.0/16"}, Code: code(0)})
	if err != nil {
		return nil, err
	}
	return &payer{key: drive.APIKey{Account: opened.ID, Key: made.Key, Secret: made.Secret}, gateway: w.Gateway, client: &http.Client{Timeout: 8 * time.Second},
		done: make(chan struct{}), known: map[string]string{}}, nil
}

// begin asks for one every two seconds: 50 in any 60 seconds are an account's limit.
func (p *payer) begin() {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		defer close(p.done)
		for ctx.Err() == nil {
			p.mu.Lock()
			p.asked++
			name := fmt.Sprintf("soak-%d", p.asked)
			p.mu.Unlock()
			for !p.ask(name) && ctx.Err() == nil {
				time.Sleep(2 * time.Second)
			}
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
		}
	}()
}

// end stops asking, after the answer that is under way.
func (p *payer) end() {
	p.once.Do(func() {
		if p.stop != nil {
			p.stop()
			<-p.done
		}
	})
}

// ask asks for one withdrawal, and reports whether its outcome is known.
func (p *payer) ask(name string) bool {
	query := p.key.Signed("coin=BTC&amount=0.001&address=" + payTo + "&withdrawOrderId=" + name)
	r, err := http.NewRequest(http.MethodPost, "http://"+p.gateway+"/sapi/v1/capital/withdraw/apply?"+query, nil)
	if err != nil {
		panic(err) // the address is ours
	}
	r.Header.Set("X-MBX-APIKEY", p.key.Key)
	r.Header.Set("X-Forwarded-For", "198.18.250.1")
	reply, err := p.client.Do(r)
	if err != nil {
		return false
	}
	defer reply.Body.Close()
	var body struct {
		ID, Msg string
		Code    int
	}
	if json.NewDecoder(reply.Body).Decode(&body) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if reply.StatusCode == http.StatusOK && body.ID != "" {
		p.known[name] = body.ID
		return true
	}
	p.latest = fmt.Sprintf("%d %s", body.Code, body.Msg)
	// Asked again under a name that was taken, it says so: the first one was done, under a number that was not heard.
	return reply.StatusCode >= 400 && reply.StatusCode < 429 && body.Code != -1007 && body.Code != -1021
}

func (p *payer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.known)
}

// judge looks for every acknowledged withdrawal in the replayed state: held, once, under the number that was told.
func (p *payer) judge(r *drive.Replica, ended bool) error {
	p.mu.Lock()
	known := map[string]string{}
	for name, number := range p.known {
		known[name] = number
	}
	latest := p.latest
	p.mu.Unlock()
	if err := r.CatchUp(context.Background()); err != nil {
		return err
	}
	held := map[string]string{}
	for offset := 0; ; {
		a, _ := r.State.Answer(exchange.Question{Withdraws: &exchange.HistoryQuestion{Offset: offset}})
		if len(a.Withdraws) == 0 {
			break
		}
		offset += len(a.Withdraws)
		for _, w := range a.Withdraws {
			if held[w.Client] != "" {
				return fmt.Errorf("withdrawal %s is held twice, as %s and %d", w.Client, held[w.Client], w.Number)
			}
			held[w.Client] = fmt.Sprint(w.Number)
		}
	}
	for name, number := range known {
		if held[name] != number {
			return fmt.Errorf("withdrawal %s was acknowledged under number %s and is held as %q", name, number, held[name])
		}
	}
	if ended && len(known) == 0 {
		return fmt.Errorf("no withdrawal was acknowledged; the last answer: %s", latest)
	}
	return nil
}

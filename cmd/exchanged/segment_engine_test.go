package main

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

// A gateway that fell asks about one customer at a time: nothing that lists, or finds, those of others.
func TestAGatewayMayNotAskBeyondOneAccount(t *testing.T) {
	for _, h := range []exchange.HistoryQuestion{{}, {Account: 7, Number: 1}, {Account: 7, Output: "00:1"}} {
		for _, q := range []exchange.Question{{Deposits: &h}, {Withdraws: &h}, {Addresses: &h}} {
			if asks("qry.gateway", q) || asks("qry.public", q) || !asks("qry.admin", q) {
				t.Errorf("%+v", h)
			}
		}
	}
	if own := (exchange.HistoryQuestion{Account: 7}); !asks("qry.gateway", exchange.Question{Deposits: &own}) {
		t.Error("a customer's own deposits are refused")
	}
}

// Control 6: a question is one question. Two in one would be let in for the first and answered for the second: a segment
// that fell would read the secrets of customers' keys with what anybody may ask.
func TestControl006AQuestionIsOneQuestion(t *testing.T) {
	of := reflect.TypeFor[exchange.Question]()
	for i := range of.NumField() {
		for j := range i {
			q := reflect.New(of).Elem()
			both := q.Field(i).Kind() == reflect.Pointer && q.Field(j).Kind() == reflect.Pointer
			for _, k := range []int{i, j} {
				if f := q.Field(k); f.Kind() == reflect.Pointer {
					f.Set(reflect.New(f.Type().Elem()))
				}
			}
			for _, subject := range []string{"qry.public", "qry.gateway", "qry.wallet", "qry.admin", "qry.limits"} {
				if both && asks(subject, q.Interface().(exchange.Question)) {
					t.Errorf("%s takes %s together with %s", subject, of.Field(i).Name, of.Field(j).Name)
				}
			}
		}
	}
	if asks("qry.admin", exchange.Question{After: 7}) {
		t.Error("nothing is asked, and it is taken")
	}
}

// A write that failed because the database server was restarted ended the whole exchange: its exit code was that of a
// refusal, which the supervisor takes for final.
func TestAnEngineIsStartedAgainAfterAWriteThatFailedAndNotBesideAnother(t *testing.T) {
	lost := fmt.Errorf("%w: %w", spend.Refuse("journal-write-failed", "after command 7", "a durable write", "an error", "start the engine again"), errors.New("57P01"))
	taken := fmt.Errorf("%w: %w", engine.ErrSuperseded, spend.Refuse("journal-superseded", "after command 7", "one engine", "two", "end one"))
	for _, c := range []struct {
		err   error
		code  console.Code
		again bool
	}{{lost, console.Failed, true}, {errors.Join(errors.New("records"), lost), console.Failed, true}, {taken, console.Refused, false}, {nil, console.Done, true},
		{spend.Refuse("journal-full", "disk", "room", "none", "free some"), console.Refused, false},
		{spend.Distrust("engine-states-differ", "after command 7", "one hash", "another", "replay"), console.NotAuthentic, false}} {
		if code := console.CodeOf(engineEnd(c.err)); code != c.code || hopeless(int(code)) == c.again {
			t.Errorf("%v: exit code %d, expected %d, started again: %v", c.err, code, c.code, c.again)
		}
	}
}

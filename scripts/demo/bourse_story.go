package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// order is what the API says of an order.
type order struct {
	OrderID     int64 `json:"orderId"`
	Status      string
	ExecutedQty string
	Price       string
}

// play is the short story of the exchange: from the first deposit to an order that outlives the gateway.
func (b *bourse) play(ctx context.Context) error {
	if err := b.found(ctx); err != nil {
		return err
	}
	if err := b.trade(); err != nil {
		return err
	}
	if err := b.survive(ctx); err != nil {
		return err
	}
	if _, err := b.must(b.exchanged("journal", "verify")); err != nil {
		return err
	}
	if err := b.stopDaemon(false); err != nil {
		return err
	}
	b.tell("The journal is whole and genuine, frame by frame, and the exchange ended in order.")
	return nil
}

// trade has the bot buy from the maker.
func (b *bourse) trade() error {
	if err := b.quote(); err != nil {
		return err
	}
	var bought order
	if err := b.call(b.bot, http.MethodPost, "/api/v3/order", "symbol="+market+"&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.15&price="+strconv.Itoa(firstAsk+100), &bought); err != nil {
		return err
	}
	has, err := b.free(b.bot, "BTC")
	if err != nil {
		return err
	}
	if bought.Status != "FILLED" || has != "0.15" {
		return fmt.Errorf("order %d is %s, and the bot has %s BTC", bought.OrderID, bought.Status, has)
	}
	b.tell("The maker offers BTC at three prices, by HTTP. The bot's order %d is filled by two of them: it has %s BTC now.", bought.OrderID, has)
	return nil
}

// survive kills the gateway under an open order.
func (b *bourse) survive(ctx context.Context) error {
	var resting order
	if err := b.call(b.bot, http.MethodPost, "/api/v3/order", "symbol="+market+"&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=55000", &resting); err != nil {
		return err
	}
	killed, err := b.segment("gateway")
	if err != nil {
		return err
	}
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		return err
	}
	var open []order
	if err := b.patient(ctx, func() error {
		return b.call(b.bot, http.MethodGet, "/api/v3/openOrders", "symbol="+market, &open)
	}); err != nil {
		return err
	}
	now, err := b.segment("gateway")
	if err != nil {
		return err
	}
	if len(open) != 1 || open[0] != resting || now == killed {
		return fmt.Errorf("after the gateway %d was killed, %d has %+v, not order %+v", killed, now, open, resting)
	}
	b.tell("The gateway, process %d, is killed with SIGKILL. Its successor %d answers, and order %d is open as before.", killed, now, resting.OrderID)
	return nil
}

// segment is the process of a segment.
func (b *bourse) segment(name string) (int, error) {
	raw, err := os.ReadFile(b.path(daemonData, exchangeDir, name, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(raw)))
}

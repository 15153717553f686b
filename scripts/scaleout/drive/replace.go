package drive

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// replaces is where an order takes another one's place: both is done, or neither.
const replaces = "/api/v3/order/cancelReplace"

// replace has a new order take the place of an open one.
func (c *customer) replace(ctx context.Context) {
	i := c.random.IntN(len(c.open))
	old := c.open[i]
	c.open = append(c.open[:i], c.open[i+1:]...)
	c.sent++
	o := &Order{account: c.key.Account, client: fmt.Sprintf("r%d-%d", c.place, c.sent)}
	c.load.mu.Lock()
	c.load.orders = append(c.load.orders, o)
	c.load.mu.Unlock()
	price := middle + c.random.Int64N(65) - 32
	query := c.key.Signed(fmt.Sprintf("symbol=BTCUSDT&side=%s&type=LIMIT&timeInForce=GTC&quantity=0.001&newOrderRespType=ACK&cancelReplaceMode=STOP_ON_FAILURE&cancelOrigClientOrderId=%s&newClientOrderId=%s&price=%d.%02d",
		c.side(), old.client, o.client, price/100, price%100))
	gateway := c.load.pick(c.home)
	a := c.send(http.MethodPost, gateway, replaces, query)
	switch {
	case a.unknown:
		c.load.workers.Go(func() { c.settleReplaced(o, old) })
	case a.status == http.StatusOK:
		c.load.note(gateway)
		c.replaced(o, old, a.body.New.OrderID)
		c.open = append(c.open, o)
	default: // the old one was filled, or nobody listens
		c.load.set(o, Refused, 0, false)
		wait(ctx, 50*time.Millisecond)
	}
}

// replaced notes that both halves were done.
func (c *customer) replaced(o, old *Order, number int64) {
	c.load.set(o, Acked, number, false)
	c.load.mu.Lock()
	old.Cancelled = true
	c.load.mu.Unlock()
}

// settleReplaced asks what became of an order that was to take another one's place.
func (c *customer) settleReplaced(o, old *Order) {
	until := time.Now().Add(c.load.long)
	for try := 1; c.asks.Err() == nil; try++ {
		wait(c.asks, min(time.Duration(try)*100*time.Millisecond, 2*time.Second))
		a := c.send(http.MethodGet, c.load.pick(c.home), "/api/v3/order?"+c.key.Signed("symbol=BTCUSDT&origClientOrderId="+o.client), "")
		switch {
		case a.status == http.StatusOK:
			c.replaced(o, old, a.body.OrderID)
			return
		case a.body.Code == -2013 && time.Now().After(until):
			c.load.set(o, Absent, 0, true)
			return
		}
	}
}

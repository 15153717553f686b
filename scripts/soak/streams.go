package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// streams are readers of the public streams. A reader whose gateway died connects again, as clients do.
type streams struct {
	stop     context.CancelFunc
	readers  sync.WaitGroup
	messages atomic.Int64
}

func follow(gateway string, count int) *streams {
	ctx, stop := context.WithCancel(context.Background())
	s := &streams{stop: stop}
	for range count {
		s.readers.Go(func() {
			for ctx.Err() == nil {
				s.read(ctx, "ws://"+gateway+"/stream?streams=btcusdt@trade/btcusdt@depth@100ms/btcusdt@bookTicker")
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
		})
	}
	return s
}

// read counts messages until the connection ends.
func (s *streams) read(ctx context.Context, address string) {
	ws, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(16 << 20)
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			return
		}
		s.messages.Add(1)
	}
}

func (s *streams) count() int64 { return s.messages.Load() }

// end stops reading, and fails when nothing was ever heard.
func (s *streams) end() error {
	s.stop()
	s.readers.Wait()
	if s.messages.Load() == 0 {
		return errors.New("the streams told nothing")
	}
	return nil
}

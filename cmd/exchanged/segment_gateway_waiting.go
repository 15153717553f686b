package main

import (
	"sync"
	"sync/atomic"

	"github.com/coldsign/coldsign/internal/exchange"
)

// When an engine is away, requests wait for the next one. There is room for so many, and nobody has all of it: an account
// has its share, cancels have a part that no order takes, and questions, which strangers may ask too, have none of the
// room of commands. What finds no room is refused before anything of it is sent: that it was not taken is then certain,
// and nothing piles up.
const (
	unsureMax    = 4096 // commands that may be asked for again at a time
	unsureOrders = unsureMax - 1024
	unsureEach   = 256  // of one account
	questionsMax = 2048 // under way; the bus has room for twice as many requests
)

// waiting counts the requests that wait.
type waiting struct {
	commands, questions atomic.Int64

	mu sync.Mutex
	of map[exchange.Account]int
}

// room reports whether a command could wait.
func (w *waiting) room(c *exchange.Command) bool {
	n := w.commands.Load()
	if n == 0 {
		return true
	}
	if n >= unsureMax || n >= unsureOrders && c.Kind != exchange.Cancel && c.Kind != exchange.CancelAll {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[c.Account] < unsureEach
}

func (w *waiting) enter(c *exchange.Command) {
	w.commands.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[exchange.Account]int{}
	}
	w.of[c.Account]++
}

func (w *waiting) leave(c *exchange.Command) {
	w.commands.Add(-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of[c.Account]--; w.of[c.Account] == 0 {
		delete(w.of, c.Account)
	}
}

// ask takes a question's place.
func (w *waiting) ask() bool {
	if w.questions.Add(1) > questionsMax {
		w.questions.Add(-1)
		return false
	}
	return true
}

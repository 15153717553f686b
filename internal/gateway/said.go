package gateway

import (
	"context"
	"log/slog"
	"sync"
)

// saidMax is how many lines of one kind the log gets in a second. Strangers cause them, from as many addresses as they
// have: they decide how large the counts are, and never how large the log is.
const saidMax = 20

// said counts the lines of each kind. The kinds are the sentences of this package: their number is fixed.
type said struct {
	mu    sync.Mutex
	kinds map[string]*saidKind
}

type saidKind struct {
	second int64
	lines  int
	unsaid uint64
}

// turn reports whether one more line may be said in that second, and how many were not since the last one.
func (s *said) turn(kind string, second int64) (unsaid uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[kind]
	if k == nil {
		if s.kinds == nil {
			s.kinds = map[string]*saidKind{}
		}
		k = &saidKind{}
		s.kinds[kind] = k
	}
	if k.second != second {
		k.second, k.lines = second, 0
	}
	if k.lines >= saidMax {
		k.unsaid++
		return 0, false
	}
	k.lines++
	unsaid, k.unsaid = k.unsaid, 0
	return unsaid, true
}

// say logs what customers and strangers cause. It is counted in the metrics too, where nothing is left out.
func (s *Server) say(level slog.Level, sentence string, args ...any) {
	if !s.o.Log.Enabled(context.Background(), level) {
		return
	}
	unsaid, ok := s.said.turn(sentence, s.o.Clock().Unix())
	if !ok {
		return
	}
	if unsaid > 0 {
		args = append(args, "unsaid", unsaid)
	}
	s.o.Log.Log(context.Background(), level, sentence, args...)
}

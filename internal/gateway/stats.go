package gateway

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// routeStats are a route's counters, found once at the start: the way of an order looks nothing up.
type routeStats struct {
	answers [6]prometheus.Counter // by the hundreds of the status
	seconds prometheus.Observer
}

func (r *routeStats) count(status int, took time.Duration) {
	r.answers[min(max(status/100, 1), 5)].Inc()
	r.seconds.Observe(took.Seconds())
}

// stats are what /metrics tells.
type stats struct {
	registry *prometheus.Registry
	answers  *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  prometheus.Counter
}

func newStats(s *Server) *stats {
	m := &stats{registry: prometheus.NewRegistry(),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coldsign_gateway_answers_total", Help: "Answers by route and status class."},
			[]string{"method", "path", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "coldsign_gateway_seconds", Help: "Time from a request to its answer.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5}}, []string{"method", "path"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "coldsign_gateway_keys_refused_total",
			Help: "Requests with an API key whose signature, address, time or scope was refused."})}
	s.gaps = prometheus.NewCounter(prometheus.CounterOpts{Name: "coldsign_gateway_gaps_total", Help: "How often events of the engine were missed."})
	m.registry.MustRegister(m.answers, m.seconds, m.refused, s.gaps, collectors.NewGoCollector(),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldsign_gateway_websockets", Help: "Open WebSockets."}, func() float64 { return float64(s.sockets.open()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "coldsign_gateway_sequence", Help: "Last command whose events were read."},
			func() float64 { return float64(s.lastSeq()) }))
	return m
}

func (m *stats) of(method, path string) *routeStats {
	r := &routeStats{seconds: m.seconds.WithLabelValues(method, path)}
	for i := range r.answers {
		r.answers[i] = m.answers.WithLabelValues(method, path, string(rune('0'+i))+"xx")
	}
	return r
}

func (s *Server) lastSeq() uint64 {
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	return s.recent.known
}

// ready says why the gateway cannot serve yet, or nothing.
func (s *Server) ready() string {
	if s.catalogue.Load() == nil {
		return "the engine has not answered yet"
	}
	if s.o.Clock().Sub(time.UnixMilli(s.alive.Load())) > awayAfter {
		return "the engine has not been heard for a while"
	}
	for _, b := range s.books.all() {
		if !b.isKnown() {
			return "a book is not known yet"
		}
	}
	return ""
}

// Internal serves the operator: health, readiness and metrics. It belongs on a listener that customers cannot reach.
func (s *Server) Internal() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := s.ready(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ready\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.stats.registry, promhttp.HandlerOpts{}))
	return mux
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/console"
)

// alertsConfig says where alerts go beside their file.
type alertsConfig struct {
	Webhook string        `yaml:"webhook"` // http or https URL with a loopback or private IP; empty: the file alone
	Timeout time.Duration `yaml:"timeout"` // of one attempt
}

// check refuses a receiver elsewhere: the machine that holds an exchange's keys knows no messenger and no password of
// one. A program beside it does, and decides who is woken.
func (c alertsConfig) check() error {
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		return fmt.Errorf("exchange.alerts.timeout is %s, from 100ms to 1m", c.Timeout)
	}
	if c.Webhook == "" {
		return nil
	}
	u, err := url.Parse(c.Webhook)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("exchange.alerts.webhook is not like http://127.0.0.1:9099/alerts: no name, password or query")
	}
	at, err := netip.ParseAddr(u.Hostname())
	if err != nil || !at.IsLoopback() && !at.IsPrivate() {
		return fmt.Errorf("exchange.alerts.webhook: %q is not a loopback or private IP; let a program there pass alerts on", u.Hostname())
	}
	return nil
}

const (
	alertRetryMin = time.Second
	alertRetryMax = time.Minute
	alertLook     = 10 * time.Second // how often counts are looked at
	alertGrace    = 3 * time.Second  // for what a process says when it ends
)

// errAlertRefused says that the receiver will never take an alert.
var errAlertRefused = errors.New("the receiver refuses it")

// alertSender sends what the file holds beyond a place that a second file remembers. An alert that the receiver does not
// take waits, and all behind it: the file is the queue, so nothing in memory grows.
type alertSender struct {
	alerts *alerts
	config alertsConfig
	client *http.Client
	place  int64

	refused int // alerts that the receiver will never take
}

// newAlertSender makes the sender of a segment's alerts. Where nothing was ever sent it begins with what comes now.
func newAlertSender(a *alerts, c alertsConfig) (*alertSender, error) {
	s := &alertSender{alerts: a, config: c, client: &http.Client{Timeout: c.Timeout, Transport: &http.Transport{Proxy: nil, MaxConnsPerHost: 1, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	raw, err := console.ReadFile(s.placePath(), 64)
	if err == nil {
		s.place, err = strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
		if err != nil || s.place < 0 {
			return nil, fmt.Errorf("%s does not hold a number", s.placePath())
		}
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	info, err := os.Stat(a.path)
	if err == nil {
		s.place = info.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s, s.remember()
}

func (s *alertSender) placePath() string { return s.alerts.path + ".sent" }

func (s *alertSender) remember() error {
	return replace(s.placePath(), fmt.Appendf(nil, "%d\n", s.place), 0o600)
}

// drain sends all that waits, until one alert is not taken.
func (s *alertSender) drain(ctx context.Context) error {
	file, err := os.Open(s.alerts.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.place = 0
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < s.place { // the operator put the file away and a new one began
		s.place = 0
	}
	if _, err := file.Seek(s.place, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(file, alertLineMax)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil // half a line is being written
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if _, ours := parseAlert(bytes.TrimSuffix(line, []byte{'\n'})); ours {
			if err := s.post(ctx, line); errors.Is(err, errAlertRefused) {
				s.refused++
				s.alerts.log.Error("an alert was not sent", "error", err)
			} else if err != nil {
				return err
			}
		}
		s.place += int64(len(line))
		if err := s.remember(); err != nil {
			return err
		}
	}
}

// post makes one attempt. Only an answer of 2xx counts; a client error that trying again does not change is final.
func (s *alertSender) post(ctx context.Context, line []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.Webhook, bytes.NewReader(line))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again; what it says does not count
	switch code := answer.StatusCode; {
	case code/100 == 2:
		return nil
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", errAlertRefused, answer.Status)
	default:
		return fmt.Errorf("the receiver of alerts answers %s", answer.Status)
	}
}

// runAlerts tells counts when their hour is over and sends alerts, until ctx ends; then it makes a last attempt.
func (a *alerts) run(ctx context.Context, c alertsConfig) error {
	var sender *alertSender
	if c.Webhook != "" {
		var err error
		if sender, err = newAlertSender(a, c); err != nil {
			return fmt.Errorf("alerts: %w", err)
		}
	}
	said, wait := "", time.Duration(0)
	for {
		again := alertLook
		if sender != nil {
			err := sender.drain(ctx)
			if wait = min(max(2*wait, alertRetryMin), alertRetryMax); err == nil {
				said, wait = "", 0
			} else if again = wait; ctx.Err() == nil && said != err.Error() {
				said = err.Error()
				a.log.Error("alerts wait: their receiver does not take them", "error", err)
			}
		}
		written := a.written
		if wait > 0 {
			written = nil // the receiver is down: another alert does not make it come back
		}
		select {
		case <-ctx.Done():
			return a.last(ctx, sender)
		case <-written:
		case <-time.After(again):
		}
		a.settleAll()
	}
}

// last sends what the end of a process had to say. What is not taken within a moment is sent by the next process.
func (a *alerts) last(ctx context.Context, sender *alertSender) error {
	if sender == nil {
		return nil
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), alertGrace)
	defer cancel()
	if err := sender.drain(grace); err != nil {
		a.log.Warn("alerts wait in their file for the next start", "file", a.path, "error", err)
	}
	return nil
}

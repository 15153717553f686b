//go:build browser

package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// chromium is a browser without a screen, driven over its DevTools protocol, with one page and one authenticator.
type chromium struct {
	t       *testing.T
	conn    *websocket.Conn
	session string
	device  string // the authenticator
	last    int
	mu      sync.Mutex
	waiting map[int]chan devtoolsMessage
	heard   []devtoolsMessage // events
}

type devtoolsMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// newChromium starts a browser with a folder of its own, and ends it with the test.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	program := "chromium"
	if named := os.Getenv("CHROMIUM"); named != "" {
		program = named
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	errs := must(cmd.StderrPipe())
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: make browser installs it", err)
	}
	c := &chromium{t: t, waiting: map[int]chan devtoolsMessage{}}
	at := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for scan := bufio.NewScanner(errs); scan.Scan(); {
			if _, url, found := strings.Cut(scan.Text(), "DevTools listening on "); found {
				at <- url
			}
		}
		close(at)
	}()
	url := <-at
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group that this test made
		<-read
		_ = cmd.Wait()
	})
	if url == "" {
		t.Fatal("the browser ended before it listened")
	}
	var err error
	if c.conn, _, err = websocket.Dial(context.Background(), url, nil); err != nil {
		t.Fatal(err)
	}
	c.conn.SetReadLimit(64 << 20)
	t.Cleanup(func() { _ = c.conn.CloseNow() })
	go c.read()
	var target struct{ TargetID string }
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	c.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	c.session = session.SessionID
	for _, domain := range []string{"Page", "Runtime", "Network", "Log", "WebAuthn"} {
		c.call(domain+".enable", nil, nil)
	}
	c.call("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	return c
}

func (c *chromium) read() {
	for {
		_, raw, err := c.conn.Read(context.Background())
		if err != nil {
			return
		}
		var m devtoolsMessage
		if json.Unmarshal(raw, &m) != nil {
			continue
		}
		c.mu.Lock()
		if to := c.waiting[m.ID]; to != nil && m.ID != 0 {
			delete(c.waiting, m.ID)
			to <- m
		} else {
			c.heard = append(c.heard, m)
		}
		c.mu.Unlock()
	}
}

// call sends one command and waits for its answer.
func (c *chromium) call(method string, params any, into any) {
	c.t.Helper()
	c.mu.Lock()
	c.last++
	id, answer := c.last, make(chan devtoolsMessage, 1)
	c.waiting[id] = answer
	c.mu.Unlock()
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if c.session != "" {
		message["sessionId"] = c.session
	}
	if err := c.conn.Write(context.Background(), websocket.MessageText, must(json.Marshal(message))); err != nil {
		c.t.Fatal(err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			c.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if into != nil {
			if err := json.Unmarshal(m.Result, into); err != nil {
				c.t.Fatal(err)
			}
		}
	case <-time.After(30 * time.Second):
		c.t.Fatalf("%s: no answer", method)
	}
}

// run evaluates an expression in the page, as if a person had touched it, and returns its value as text.
func (c *chromium) run(expression string) string {
	c.t.Helper()
	var out struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	c.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true}, &out)
	if out.ExceptionDetails != nil {
		c.t.Fatalf("%s: %s %s", expression, out.ExceptionDetails.Text, out.ExceptionDetails.Exception.Description)
	}
	if out.Result.Value == nil {
		return ""
	}
	return fmt.Sprint(out.Result.Value)
}

// open goes to an address and waits until the page is there.
func (c *chromium) open(url string) {
	c.t.Helper()
	c.call("Page.navigate", map[string]any{"url": url}, nil)
	c.until("the page", `location.href === `+quoted(url)+` && document.readyState === 'complete'`)
}

func (c *chromium) until(what, condition string) {
	c.t.Helper()
	until(c.t, what, func() bool { return c.run(condition) == "true" })
}

func quoted(text string) string { return string(must(json.Marshal(text))) }

// fill writes a text into a field, as typing does.
func (c *chromium) fill(id, text string) {
	c.t.Helper()
	c.run(`(() => { const f = document.getElementById(` + quoted(id) + `); f.closest('details')?.setAttribute('open', ''); f.focus(); f.value = ` + quoted(text) + `; f.dispatchEvent(new Event('input')); })()`)
}

// press clicks a button, found by its form or its own id.
func (c *chromium) press(id string) {
	c.t.Helper()
	c.run(`(() => { const e = document.getElementById(` + quoted(id) + `); (e.matches('form') ? e.querySelector('button[type=submit]') : e).click(); })()`)
}

// text is what a person reads in an element, or nothing while it is hidden.
func (c *chromium) text(id string) string {
	c.t.Helper()
	return c.run(`(() => { const e = document.getElementById(` + quoted(id) + `); return e.checkVisibility() ? e.innerText : ''; })()`)
}

// size makes the window as wide as a phone's or a desk's.
func (c *chromium) size(width, height int, phone bool) {
	c.t.Helper()
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}, nil)
	if wide := c.run(`document.documentElement.scrollWidth > innerWidth`); wide == "true" {
		c.t.Errorf("the page is wider than a window of %d", width)
	}
}

// picture keeps the whole page in out/browser.
func (c *chromium) picture(name string) {
	c.t.Helper()
	if wide := c.run(`document.documentElement.scrollWidth > innerWidth`); wide == "true" {
		c.t.Errorf("%s is wider than its window", name)
	}
	var shot struct{ Data string }
	c.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	dir := filepath.Join("..", "..", "out", "browser")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), must(base64.StdEncoding.DecodeString(shot.Data)), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// authenticator gives the machine an authenticator: internal, as a phone has one, or at usb.
func (c *chromium) authenticator(transport string) {
	c.t.Helper()
	var added struct{ AuthenticatorID string }
	c.call("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{"protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": transport,
		"hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true}}, &added)
	c.device = added.AuthenticatorID
}

// recognises says whether the authenticator recognises its user from now on.
func (c *chromium) recognises(user bool) {
	c.t.Helper()
	c.call("WebAuthn.setUserVerified", map[string]any{"authenticatorId": c.device, "isUserVerified": user}, nil)
}

// touches says whether somebody touches an authenticator when it asks.
func (c *chromium) touches(device string, does bool) {
	c.t.Helper()
	c.call("WebAuthn.setAutomaticPresenceSimulation", map[string]any{"authenticatorId": device, "enabled": does}, nil)
}

// events returns what the browser told of a kind.
func (c *chromium) events(method string) (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.heard {
		if m.Method == method {
			out = append(out, string(m.Params))
		}
	}
	return out
}

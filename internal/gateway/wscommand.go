package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/coldsign/coldsign/internal/limits"
)

// wsRequest is what a client sends: a method, its parameters, and an id that comes back.
type wsRequest struct {
	method string
	params json.RawMessage
	id     json.RawMessage
}

var errWords = errors.New("it is one JSON object of method, params and id, each once")

// readRequest reads a request strictly: one object, known members, each once, nothing behind it.
func readRequest(raw []byte) (wsRequest, error) {
	r := wsRequest{id: json.RawMessage("null")}
	members, err := object(raw)
	if err != nil {
		return r, err
	}
	for name, value := range members {
		switch name {
		case "method":
			if err := json.Unmarshal(value, &r.method); err != nil {
				return r, errWords
			}
		case "params":
			r.params = value
		case "id":
			if !goodID(value) {
				return r, errors.New("its id must be a number, a string of at most 36 characters, or null")
			}
			r.id = value
		default:
			return r, errWords
		}
	}
	return r, nil
}

// object reads the members of a JSON object, each of which may come once.
func object(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errWords
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, is := t.(string)
		if err != nil || !is {
			return nil, errWords
		}
		if _, twice := members[name]; twice || len(members) > int(paramCount) {
			return nil, errWords
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errWords
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errWords
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errWords
	}
	return members, nil
}

// goodID reports whether an id may be sent back as it came.
func goodID(raw json.RawMessage) bool {
	if string(raw) == "null" {
		return true
	}
	if raw[0] == '"' {
		var text string
		return json.Unmarshal(raw, &text) == nil && len(text) <= 36 && printable(text)
	}
	var n int64
	return json.Unmarshal(raw, &n) == nil
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// command answers what a client of the market streams sends.
func (s *Server) command(c *conn, raw []byte) []byte {
	r, err := readRequest(raw)
	if err != nil {
		return streamError(r.id, 3, "Invalid request: "+err.Error())
	}
	switch r.method {
	case "SUBSCRIBE", "UNSUBSCRIBE":
		names, err := nameList(r.params)
		if err != nil {
			return streamError(r.id, 2, "Invalid request: "+err.Error())
		}
		if refusal := s.charge(c, r.id); refusal != nil {
			return refusal
		}
		for _, name := range names {
			if r.method == "UNSUBSCRIBE" {
				s.leave(c, name)
			} else if err := s.join(c, name); err != nil {
				return streamError(r.id, 2, "Invalid request: "+err.Error())
			}
		}
		return streamResult(r.id, []byte("null"))
	case "LIST_SUBSCRIPTIONS":
		var w writer
		w.open('[')
		for _, name := range slices.Sorted(maps.Keys(c.joined)) {
			w.itemText(name)
		}
		w.close(']')
		return streamResult(r.id, w.b)
	case "SET_PROPERTY":
		// The flag is read by whoever publishes, so it is set only while nobody does.
		if string(r.params) != `["combined",true]` && string(r.params) != `["combined",false]` || len(c.joined) > 0 {
			return streamError(r.id, 2, "Invalid request: combined is true or false, and set before the first subscription")
		}
		c.combined = string(r.params) == `["combined",true]`
		return streamResult(r.id, []byte("null"))
	case "GET_PROPERTY":
		if string(r.params) != `["combined"]` {
			return streamError(r.id, 2, "Invalid request: the only property is combined")
		}
		return streamResult(r.id, fmt.Append(nil, c.combined))
	}
	return streamError(r.id, 2, "Invalid request: method must be SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY or GET_PROPERTY")
}

// charge lets a change of subscriptions cost its address weight: it takes locks that the market data needs, and a listen
// key may be a question to the engine.
func (s *Server) charge(c *conn, id []byte) []byte {
	ctx, cancel := context.WithTimeout(c.ctx, s.o.Timeout)
	defer cancel()
	d, err := s.o.Limits.Take(ctx, limits.Request{IP: c.addr, Class: limits.General, Weight: 1})
	if err != nil {
		s.say(slog.LevelError, "limits are out of reach", "error", err)
		return streamError(id, 1, overloaded().msg)
	}
	if d.Verdict == limits.Pass {
		return nil
	}
	c.banned = d.Verdict >= limits.Banned
	return streamError(id, 1, limited(d).msg)
}

func nameList(raw json.RawMessage) ([]string, error) {
	var names []string
	if json.Unmarshal(raw, &names) != nil || len(names) == 0 || len(names) > subscribedMax {
		return nil, errors.New("params must be an array of stream names")
	}
	for _, name := range names {
		if name == "" || len(name) > 256 || !printable(name) {
			return nil, errors.New("params must be an array of stream names")
		}
	}
	return names, nil
}

func streamResult(id, result []byte) []byte {
	return fmt.Appendf(nil, `{"result":%s,"id":%s}`, result, id)
}

func streamError(id []byte, code int, msg string) []byte {
	var w writer
	w.open('{')
	w.object("error")
	w.number("code", int64(code))
	w.text("msg", msg)
	w.close('}')
	w.name("id")
	w.b = append(w.b, id...)
	w.close('}')
	return w.b
}

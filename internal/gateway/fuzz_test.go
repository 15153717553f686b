package gateway

import (
	"bytes"
	"encoding/json"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/money"
)

func bigOf(v money.U128) *big.Int {
	n := new(big.Int).SetUint64(v.Hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(v.Lo))
}

// A decimal that is taken is exactly what another reader makes of it, and is printed as the same number.
func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0", "1", "0.1", "00012.500", "1e5", "-1", "+1", ".5", "5.", "1..2", "340282366920938463463374607431768211455", "340282366920938463463374607431768211456",
		"0.00000000000000000000000000000000000000000000000000001", "NaN", "0x1", "１", "1 ", " 1", "1_0", "1,5"} {
		f.Add(s, uint8(8))
	}
	f.Fuzz(func(t *testing.T, text string, scale uint8) {
		scale %= 19
		v, how := parseUnits(text, int(scale))
		if how != readWell {
			return
		}
		if strings.Trim(text, "0123456789.") != "" || strings.Count(text, ".") > 1 || strings.HasPrefix(text, ".") || strings.HasSuffix(text, ".") {
			t.Fatalf("%q is taken", text)
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q is taken, and no number", text)
		}
		ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
		if want.Mul(want, new(big.Rat).SetInt(ten)); !want.IsInt() || want.Num().Cmp(bigOf(v)) != 0 {
			t.Fatalf("%q of scale %d is read as %s", text, scale, bigOf(v))
		}
		again, how := parseUnits(string(appendUnits(nil, v, int(scale))), int(scale))
		if how != readWell || again != v {
			t.Fatalf("%q is printed as %s", text, appendUnits(nil, v, int(scale)))
		}
	})
}

// Parameters that are taken are what net/url reads, each once, and every byte before the signature is signed.
func FuzzParameters(f *testing.F) {
	for _, s := range []string{limitBuy, limitBuy + "&timestamp=1&signature=ab", "symbol=A&symbol=B", "a=b", "=", "&", "symbol=", "symbol=%41", "symbol=%zz", "symbols=%5B%22A%22%5D", "symbol=a+b",
		"signature=1&symbol=A", "symbol=A&&side=B", "symbol=A=B", "symbol=A;B", "symbol=A;side=B", "symbol=%41;B", "symbol=%00", "symbol=\xff"} {
		f.Add(s)
	}
	allowed := setOf(pSymbol, pSymbols, pSide, pType, pTimeInForce, pQuantity, pPrice, pTimestamp, pSignature)
	names := newParamNames()
	f.Fuzz(func(t *testing.T, text string) {
		q := &params{names: names}
		signed, p := q.scan(text, allowed)
		if p != nil {
			if p.code > -1000 || p.status < 400 || strings.Contains(p.msg, text) && len(text) > 8 {
				t.Fatalf("%q is refused with %v", text, p)
			}
			return
		}
		values, err := url.ParseQuery(text)
		if err != nil || len(values) != popcount(q.sent) {
			t.Fatalf("%q is taken: %v", text, err)
		}
		for name, v := range values {
			id := names[name]
			if len(v) != 1 || q.text[id] != v[0] || !q.sent.has(id) || !printable(v[0]) {
				t.Fatalf("%q: %s is read as %q", text, name, q.text[id])
			}
		}
		if q.has(pSignature) {
			if rest := text[len(signed):]; !strings.HasPrefix(strings.TrimPrefix(rest, "&"), "signature=") || strings.Count(rest, "&") > 1 {
				t.Fatalf("%q: %q is signed", text, signed)
			}
		} else if signed != text {
			t.Fatalf("%q: %q is signed", text, signed)
		}
	})
}

// A signature has one spelling.
func FuzzSignature(f *testing.F) {
	f.Add(strings.Repeat("ab", 32))
	f.Add(strings.Repeat("AB", 32))
	f.Add("Tf4mok/kJ8XMt7MEsxVynvTuT7yXtFDF9vXo+88U1ZR4Zcw7FvHi2ZBp3it1YuoUeSJc6FCAzUqQEptHylZzDw==")
	f.Fuzz(func(t *testing.T, text string) {
		hmacs, edwards := &key{}, &key{public: make([]byte, 32)}
		var a, b [64]byte
		if n, ok := hmacs.readSignature(a[:], text); ok {
			if n != 32 || len(text) != 64 {
				t.Fatalf("%q is read", text)
			}
		}
		if n, ok := edwards.readSignature(b[:], text); ok {
			if n != 64 || len(text) != 88 {
				t.Fatalf("%q is read", text)
			}
		}
	})
}

func FuzzListenKey(f *testing.F) {
	keys, err := newListenKeys([32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	now, name := time.UnixMilli(1767225600000), strings.Repeat("k", keyLength)
	good := keys.make(&key{account: 7, name: name}, now)
	if l, ok := keys.open(good, now); !ok || l.account != 7 || l.key != name {
		f.Fatal("a listen key does not open")
	}
	if _, ok := keys.open(good, now.Add(listenLife+time.Second)); ok {
		f.Fatal("a listen key lives on")
	}
	f.Add(good)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		// The process that keeps the seeds made a listen key of its own, with another nonce and the same words.
		if l, ok := keys.open(text, now); ok && (l.account != 7 || l.key != name || !l.made.Equal(now)) {
			t.Fatalf("%q opens: %+v", text, l)
		}
	})
}

// Whatever a client sends over a WebSocket, what goes back is one JSON object with its id.
func FuzzWebSocketRequest(f *testing.F) {
	for _, s := range []string{`{"method":"SUBSCRIBE","params":["a"],"id":1}`, `{"id":"x"}`, `{"id":1e400}`, `{`, `[]`, `{"id":null,"id":null}`, `{"method":"ping"}`, `{"id":"\u0000"}`,
		`{"params":{"symbol":"A","limit":5},"method":"depth","id":-1}`, `{"id":[1]}`, `null`, `{"id":1} {}`} {
		f.Add(s)
	}
	names := newParamNames()
	f.Fuzz(func(t *testing.T, text string) {
		r, err := readRequest([]byte(text))
		back := streamError(r.id, 3, "x")
		var m map[string]json.RawMessage
		if json.Unmarshal(back, &m) != nil || !bytes.Equal(m["id"], bytes.TrimSpace(r.id)) && !json.Valid(m["id"]) {
			t.Fatalf("%q is answered %s", text, back)
		}
		if err != nil {
			return
		}
		c := &call{q: params{names: names}, route: &route{params: setOf(pSymbol, pSymbols, pLimit) | timing(), auth: authSigned}}
		if _, p := c.readMembers(r.params); p == nil {
			for id := range paramCount {
				if c.q.sent.has(id) && !printable(c.q.text[id]) {
					t.Fatalf("%q: %s is %q", text, id.name(), c.q.text[id])
				}
			}
		}
		_, _ = nameList(r.params)
	})
}

func FuzzStreamNames(f *testing.F) {
	f.Add("/ws/btcusdt@trade", "")
	f.Add("/stream", "streams=a@b/c@d")
	f.Add("/stream", "streams=%2f%00")
	f.Fuzz(func(t *testing.T, path, query string) {
		names, p := streamNames(path, query)
		if p == nil && len(names) > subscribedMax {
			t.Fatal("too many streams")
		}
	})
}

// A header of a stranger never makes an address that is not in it, and none at all without a proxy.
func FuzzForwarded(f *testing.F) {
	f.Add("192.0.2.1, 10.0.0.1")
	f.Add("::1,,")
	f.Fuzz(func(t *testing.T, text string) {
		s := &Server{}
		r := &http.Request{RemoteAddr: "10.0.0.9:1", Header: http.Header{"X-Forwarded-For": {text}}}
		if got := s.clientAddr(r); got != netip.MustParseAddr("10.0.0.9") {
			t.Fatalf("without a proxy %q gives %s", text, got)
		}
		s.o.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		if got := s.clientAddr(r); !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q gives %s", text, got)
		}
	})
}

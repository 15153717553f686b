package gateway

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// A listen key opens an account's stream of events, at every gateway that has the same secret: it is the account, the
// time and the name of the API key, sealed. No gateway remembers it, so none can lose it. It ends a day after it was
// made, or when the API key is revoked.
const (
	listenLife = 24 * time.Hour
	listenText = 8 + 8 + keyLength
)

type listenKeys struct{ seal cipher.AEAD }

func newListenKeys(secret [32]byte) (listenKeys, error) {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		return listenKeys{}, err
	}
	seal, err := cipher.NewGCM(block)
	return listenKeys{seal}, err
}

func (l listenKeys) make(k *key, now time.Time) string {
	var text [listenText]byte
	binary.BigEndian.PutUint64(text[:], uint64(k.account))
	binary.BigEndian.PutUint64(text[8:], uint64(now.UnixMilli()))
	copy(text[16:], k.name)
	nonce := make([]byte, l.seal.NonceSize(), l.seal.NonceSize()+listenText+l.seal.Overhead())
	rand.Read(nonce) // it never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(l.seal.Seal(nonce, nonce, text[:], nil))
}

// listener is what a listen key says.
type listener struct {
	account exchange.Account
	key     string
	made    time.Time
}

func (l listenKeys) open(text string, now time.Time) (listener, bool) {
	size := l.seal.NonceSize()
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != size+listenText+l.seal.Overhead() {
		return listener{}, false
	}
	plain, err := l.seal.Open(nil, raw[:size], raw[size:], nil)
	if err != nil {
		return listener{}, false
	}
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(plain[8:])))
	if now.Sub(made) > listenLife || made.Sub(now) > time.Minute {
		return listener{}, false
	}
	return listener{exchange.Account(binary.BigEndian.Uint64(plain)), string(plain[16:]), made}, true
}

// users are the connections that hear of accounts.
type users struct {
	count     atomic.Int32
	mu        sync.RWMutex
	byAccount map[exchange.Account]map[*userSub]struct{}
}

// userSubsMax is how many streams there are of one account: each event is written for each of them, while everybody
// else's events wait.
const userSubsMax = 200

// join reports false when the account has as many streams as it may have.
func (u *users) join(s *userSub) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.byAccount[s.account]) >= userSubsMax {
		return false
	}
	if u.byAccount[s.account] == nil {
		u.byAccount[s.account] = map[*userSub]struct{}{}
	}
	u.byAccount[s.account][s] = struct{}{}
	u.count.Add(1)
	return true
}

func (u *users) leave(s *userSub) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, there := u.byAccount[s.account][s]; !there {
		return
	}
	delete(u.byAccount[s.account], s)
	if len(u.byAccount[s.account]) == 0 {
		delete(u.byAccount, s.account)
	}
	u.count.Add(-1)
}

func (u *users) hears(a exchange.Account) bool {
	if u.count.Load() == 0 {
		return false
	}
	u.mu.RLock()
	defer u.mu.RUnlock()
	return len(u.byAccount[a]) > 0
}

func (u *users) send(a exchange.Account, event []byte) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for s := range u.byAccount[a] {
		msg := make([]byte, 0, len(s.before)+len(event)+len(s.behind))
		s.conn.send(append(append(append(msg, s.before...), event...), s.behind...))
	}
}

// end closes streams: those of a key, of a stream name, or all when both are empty.
func (u *users) end(keyName, why string) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for _, subs := range u.byAccount {
		for s := range subs {
			if keyName == "" || s.key == keyName {
				s.conn.end(why)
			}
		}
	}
}

// userStream makes a connection hear of an account when the name is a listen key that counts. Nil without an error: it is
// none.
func (s *Server) userStream(c *conn, name string) (*userSub, error) {
	l, ok := s.listen.open(name, s.o.Clock())
	if !ok {
		return nil, nil
	}
	u := &userSub{conn: c, account: l.account, key: l.key}
	if c.combined {
		u.before, u.behind = `{"stream":"`+name+`","data":`, "}"
	}
	return u, s.hear(c.ctx, u)
}

// hear begins a stream. The key is looked at after that: when it is revoked meanwhile, either this look finds it revoked
// or the event finds the stream.
func (s *Server) hear(ctx context.Context, u *userSub) error {
	if !s.users.join(u) {
		return errStreams
	}
	now := s.o.Clock()
	k := s.keys.find(u.key, now)
	if k == nil {
		k, _ = s.fetchKey(ctx, u.key, now)
	}
	if k == nil || k.account != u.account || !k.admits(u.conn.addr) || !k.may(exchange.ScopeRead, exchange.Millis(now.UnixMilli())) {
		s.users.leave(u)
		return errNoStream
	}
	return nil
}

// userSubscription makes a connection of the WebSocket API hear of the account of a signed request.
func (s *Server) userSubscription(c *call) *problem {
	conn := c.conn
	if conn == nil {
		return unsupported()
	}
	for _, j := range conn.joined {
		if j.user != nil && j.user.account == c.key.account {
			return refuse(-2035, "User Data Stream subscription already active.")
		}
	}
	u := &userSub{conn: conn, account: c.key.account, key: c.key.name, number: conn.subs}
	id := strconv.FormatInt(conn.subs, 10)
	u.before, u.behind = `{"subscriptionId":`+id+`,"event":`, "}"
	switch err := s.hear(c.ctx, u); {
	case errors.Is(err, errStreams):
		return refuse(-1101, "Too many streams.")
	case err != nil:
		return rejectedKey()
	}
	conn.joined["user:"+id] = joined{user: u}
	c.w.open('{')
	c.w.number("subscriptionId", conn.subs)
	c.w.close('}')
	conn.subs++
	return nil
}

func (s *Server) newListenKey(c *call) *problem {
	c.w.open('{')
	c.w.text("listenKey", s.listen.make(c.key, c.at))
	c.w.close('}')
	return nil
}

// ownListenKey reads the listen key of the request, which must be of its account.
func (s *Server) ownListenKey(c *call) (string, *problem) {
	text := c.q.must(pListenKey)
	if c.q.fault != nil {
		return "", c.q.fault
	}
	l, ok := s.listen.open(text, c.at)
	if !ok || l.account != c.key.account {
		return "", badListenKey()
	}
	return text, nil
}

func (s *Server) keepListenKey(c *call) *problem {
	if _, p := s.ownListenKey(c); p != nil {
		return p
	}
	c.w.b = append(c.w.b, "{}"...)
	return nil
}

func (s *Server) closeListenKey(c *call) *problem {
	if _, p := s.ownListenKey(c); p != nil {
		return p
	}
	s.users.endAccount(c.key.account, c.key.name)
	c.w.b = append(c.w.b, "{}"...)
	return nil
}

func (u *users) endAccount(a exchange.Account, keyName string) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for s := range u.byAccount[a] {
		if s.key == keyName {
			s.conn.end("the listen key was closed")
		}
	}
}

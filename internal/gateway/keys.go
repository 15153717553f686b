package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
)

// Bounds of the key cache.
const (
	keyLife   = 30 * time.Second // after which the engine is asked again, events or not
	keysMax   = 100_000
	keyLength = 64
)

// key is an API key as the gateway keeps it: ready to verify, and for a bounded time. Its secret is in memory alone, in
// the state of its HMACs, and never printed.
type key struct {
	account exchange.Account
	name    string
	info    exchange.KeyInfo // without the secret
	public  ed25519.PublicKey
	allowed []netip.Prefix
	asked   time.Time
	macs    sync.Pool     // of *mac
	seen    atomic.Uint64 // the last journal number that a client of this key was told
}

type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

// String keeps keys out of logs.
func (k *key) String() string { return "[key]" }

func newKey(info *exchange.KeyInfo, now time.Time) *key {
	k := &key{account: info.Account, name: info.Key, info: *info, asked: now}
	k.info.Secret = nil
	switch info.Kind {
	case "hmac":
		if len(info.Secret) == 0 {
			break // a key without a secret would be everybody's
		}
		secret := append([]byte(nil), info.Secret...)
		k.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }
	case "ed25519":
		if len(info.Secret) == ed25519.PublicKeySize {
			k.public = append(ed25519.PublicKey(nil), info.Secret...)
		}
	}
	for _, text := range info.Allowed {
		k.allowed = append(k.allowed, readPrefix(text))
	}
	return k
}

// readPrefix reads an address or a block. An IPv4 block written as IPv6 is that IPv4 block. What cannot be read gives
// a block that nobody is in.
func readPrefix(text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// admits reports whether the key may be used from an address. A key that may withdraw must name its addresses.
func (k *key) admits(addr netip.Addr) bool {
	if len(k.allowed) == 0 {
		return k.info.Scopes&exchange.ScopeWithdraw == 0
	}
	for _, p := range k.allowed {
		if p.IsValid() && p.Contains(addr) {
			return true
		}
	}
	return false
}

// may reports whether the key has a scope now.
func (k *key) may(scope exchange.Scope, now exchange.Millis) bool {
	if k.info.Revoked || k.info.Scopes&scope != scope {
		return false
	}
	return scope&exchange.ScopeWithdraw == 0 || now >= k.info.Usable
}

// told notes that the customer knows of a command, so that what it asks next knows it as well.
func (k *key) told(seq uint64) {
	for {
		old := k.seen.Load()
		if seq <= old || k.seen.CompareAndSwap(old, seq) {
			return
		}
	}
}

// keyring holds the keys that were used lately.
type keyring struct {
	mu    sync.RWMutex
	keys  map[string]*key
	epoch uint64 // rises whenever something was dropped
}

func (r *keyring) find(name string, now time.Time) *key {
	r.mu.RLock()
	k := r.keys[name]
	r.mu.RUnlock()
	if k == nil || now.Sub(k.asked) > keyLife {
		return nil
	}
	return k
}

// keep stores what the engine said, unless a key changed while it was asked.
func (r *keyring) keep(k *key, epoch uint64) *key {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.keys[k.name]; old != nil {
		k.told(old.seen.Load())
	}
	if r.epoch == epoch {
		if len(r.keys) >= keysMax {
			clear(r.keys)
		}
		r.keys[k.name] = k
	}
	return k
}

func (r *keyring) now() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.epoch
}

// drop forgets a key, or all of them.
func (r *keyring) drop(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	if name == "" {
		clear(r.keys)
		return
	}
	delete(r.keys, name)
}

// fetchKey asks the engine for a key. It is nil, without a problem, when there is none or it was revoked.
func (s *Server) fetchKey(ctx context.Context, name string, now time.Time) (*key, *problem) {
	epoch := s.keys.now()
	answer, err := s.o.Engine.Ask(ctx, exchange.Question{Key: &exchange.KeyQuestion{Key: name}})
	if errors.Is(err, ErrBusy) {
		return nil, overloaded()
	}
	if err != nil {
		return nil, notReady()
	}
	if answer.Code != exchange.Done || answer.Key == nil || answer.Key.Key != name || answer.Key.Revoked {
		return nil, nil
	}
	return s.keys.keep(newKey(answer.Key, now), epoch), nil
}

// wellFormed reports whether a text can be a key's name.
func wellFormed(name string) bool {
	return len(name) == keyLength && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
	}) < 0
}

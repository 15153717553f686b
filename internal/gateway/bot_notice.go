package gateway

import (
	"net/netip"

	"github.com/coldsign/coldsign/internal/exchange"
)

// NoticeKind says what a Notice is about.
type NoticeKind uint8

// The kinds.
const (
	KeyElsewhere      NoticeKind = iota // a right signature from an address that the key's list does not allow
	KeyNamedElsewhere                   // the same, of a request that needs no signature: its name alone is known there
)

// Notice is something about a key that its owner and the operator want to hear of at once. It holds no secret: of the
// key its first characters, as the logs do.
type Notice struct {
	Kind    NoticeKind
	Account exchange.Account
	Key     string
	Addr    netip.Addr
	Path    string
}

// keyAbroad tells the operator when a key is used from an address that its list does not allow. That somebody elsewhere
// signs with it means that its secret is in other hands, or that the list is wrong; both are for people. A wrong
// signature tells nothing: anybody can send one.
func (s *Server) keyAbroad(c *call) {
	if s.o.Notice == nil || c.key.admits(c.addr) {
		return
	}
	kind := KeyElsewhere
	if c.route.auth == authKey {
		kind = KeyNamedElsewhere
	}
	s.o.Notice(Notice{Kind: kind, Account: c.key.account, Key: c.key.name[:6], Addr: c.addr, Path: c.route.path})
}

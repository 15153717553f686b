package main

import (
	"net"
	"net/netip"
	"sync"
)

// Connections of customers. A connection costs some ten KiB whether it asks for anything or not, so there are only so
// many, and one address has only so many of them: whoever opens more is closed before a byte of his is read. Proxies
// have as many as there are.
const (
	connectionsAddress = 512 // of one address; of IPv6, its /64
	connectionsSpare   = 10_000
)

// capped is a listener that counts.
type capped struct {
	net.Listener
	most    int
	proxies []netip.Prefix

	mu     sync.Mutex
	total  int
	counts map[netip.Prefix]int
}

func newCapped(l net.Listener, most int, proxies []netip.Prefix) *capped {
	return &capped{Listener: l, most: most, proxies: proxies, counts: map[netip.Prefix]int{}}
}

// Accept returns the next connection that there is room for.
func (c *capped) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := c.network(conn.RemoteAddr())
		if c.enter(from) {
			return &counted{Conn: conn, left: func() { c.leave(from) }}, nil
		}
		_ = conn.Close() // nobody is there to be told
	}
}

// network names what counts as one address. The zero one, of proxies, is not counted by itself.
func (c *capped) network(addr net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, p := range c.proxies {
		if p.Contains(ip) {
			return netip.Prefix{}
		}
	}
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

func (c *capped) enter(from netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= c.most || from.IsValid() && c.counts[from] >= connectionsAddress {
		return false
	}
	c.total++
	if from.IsValid() {
		c.counts[from]++
	}
	return true
}

func (c *capped) leave(from netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if !from.IsValid() {
		return
	}
	if c.counts[from]--; c.counts[from] == 0 {
		delete(c.counts, from)
	}
}

// counted is a connection whose end is noticed once.
type counted struct {
	net.Conn
	once sync.Once
	left func()
}

// Close ends it.
func (c *counted) Close() error {
	c.once.Do(c.left)
	return c.Conn.Close()
}

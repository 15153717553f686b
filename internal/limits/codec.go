package limits

import (
	"encoding/binary"
	"net/netip"

	"github.com/coldsign/coldsign/internal/exchange"
)

// A request is: address 16 (IPv4 as IPv6), 4 or 6 (0: none), Account 8, Class 1, Failure 1, Weight 2, Orders 2,
// Route 1, Shape 4, Target 4, Denied 1, Fills 2. A decision is: Verdict 1, Why 1, Used 2, Orders10s 4, OrdersDay 4,
// RetryAfter 8, Conduct 1. Little endian. A message is any number
// of them, one after the other.
const (
	requestSize  = 16 + 1 + 8 + 1 + 1 + 2 + 2 + 1 + 4 + 4 + 1 + 2
	decisionSize = 1 + 1 + 2 + 4 + 4 + 8 + 1
)

// Append appends the request's bytes.
func (r *Request) Append(out []byte) []byte {
	ip, family := r.IP.Unmap(), byte(0)
	raw := [16]byte{}
	switch {
	case ip.Is4():
		raw, family = ip.As16(), 4
	case ip.Is6():
		raw, family = ip.As16(), 6
	}
	out = append(append(out, raw[:]...), family)
	out = binary.LittleEndian.AppendUint64(out, uint64(r.Account))
	out = append(out, byte(r.Class), byte(r.Failure))
	out = binary.LittleEndian.AppendUint16(out, r.Weight)
	out = binary.LittleEndian.AppendUint16(out, r.Orders)
	denied := byte(0)
	if r.Trace.Denied {
		denied = 1
	}
	out = binary.LittleEndian.AppendUint32(append(out, r.Trace.Route), r.Trace.Shape)
	out = append(binary.LittleEndian.AppendUint32(out, r.Trace.Target), denied)
	return binary.LittleEndian.AppendUint16(out, r.Trace.Fills)
}

// Read reads one request from the front of raw and returns what follows. It refuses, with exchange.ErrBytes, whatever
// Append does not make.
func (r *Request) Read(raw []byte) (rest []byte, err error) {
	if len(raw) < requestSize {
		return nil, exchange.ErrBytes
	}
	ip := netip.AddrFrom16([16]byte(raw[:16]))
	switch family := raw[16]; {
	case family == 4 && ip.Is4In6():
		ip = ip.Unmap()
	case family == 6 && !ip.Is4In6():
	case family == 0 && ip == netip.IPv6Unspecified():
		ip = netip.Addr{}
	default:
		return nil, exchange.ErrBytes
	}
	*r = Request{IP: ip, Account: exchange.Account(binary.LittleEndian.Uint64(raw[17:])), Class: Class(raw[25]), Failure: Failure(raw[26]),
		Weight: binary.LittleEndian.Uint16(raw[27:]), Orders: binary.LittleEndian.Uint16(raw[29:]),
		Trace: Trace{Route: raw[31], Shape: binary.LittleEndian.Uint32(raw[32:]), Target: binary.LittleEndian.Uint32(raw[36:]), Denied: raw[40] == 1,
			Fills: binary.LittleEndian.Uint16(raw[41:])}}
	if raw[40] > 1 || r.Class > Sensitive || r.Failure > BadRequest {
		return nil, exchange.ErrBytes
	}
	return raw[requestSize:], nil
}

// Append appends the decision's bytes.
func (d *Decision) Append(out []byte) []byte {
	out = append(out, byte(d.Verdict), byte(d.Why))
	out = binary.LittleEndian.AppendUint16(out, d.Used)
	out = binary.LittleEndian.AppendUint32(out, d.Orders10s)
	out = binary.LittleEndian.AppendUint32(out, d.OrdersDay)
	return append(binary.LittleEndian.AppendUint64(out, uint64(d.RetryAfter)), byte(d.Conduct))
}

// Read reads one decision from the front of raw and returns what follows.
func (d *Decision) Read(raw []byte) (rest []byte, err error) {
	if len(raw) < decisionSize {
		return nil, exchange.ErrBytes
	}
	*d = Decision{Verdict: Verdict(raw[0]), Why: Why(raw[1]), Used: binary.LittleEndian.Uint16(raw[2:]), Orders10s: binary.LittleEndian.Uint32(raw[4:]),
		OrdersDay: binary.LittleEndian.Uint32(raw[8:]), RetryAfter: exchange.Millis(binary.LittleEndian.Uint64(raw[12:])),
		Conduct: Conduct(raw[20])}
	if d.Verdict > Blocked || d.Why > WhyConduct || d.Conduct >= conductEnd || d.RetryAfter < 0 {
		return nil, exchange.ErrBytes
	}
	return raw[decisionSize:], nil
}

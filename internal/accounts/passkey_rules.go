package accounts

import (
	"io"
	"net/url"
	"strings"
)

// DefaultPasskeys returns the rules with passkeys for a site: the host that they are bound to, and the origins of pages
// that may ask for them. Withdrawal keys and addresses then need a passkey. After a reset, what is new waits three times
// as long as usual.
func (r Rules) DefaultPasskeys(host string, origins ...string) Rules {
	r.PasskeyRP, r.PasskeyOrigins, r.PasskeyRequired = host, strings.Join(origins, " "), true
	r.EnrolLife, r.ResetDelay = 24*3600_000, 3*max(r.KeyDelay, r.AddressDelay)
	return r
}

// validPasskeys reports whether the rules of passkeys belong together. Without a relying party there are none.
func (r Rules) validPasskeys() bool {
	if r.PasskeyRP == "" {
		return r.PasskeyOrigins == "" && !r.PasskeyRequired && r.EnrolLife == 0 && r.ResetDelay == 0
	}
	for _, origin := range strings.Split(r.PasskeyOrigins, " ") {
		if !originOf(origin, r.PasskeyRP) {
			return false
		}
	}
	return len(r.PasskeyRP) <= 253 && len(r.PasskeyOrigins) <= 1000 && r.EnrolLife > 0 && r.EnrolLife <= 7*day && r.ResetDelay >= 0
}

// originOf reports whether an origin is one whose pages may ask for passkeys of a host: the host itself or one below it,
// over TLS, or on this machine. It is compared byte by byte with what browsers say, so it is written as they write it.
func originOf(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme+"://"+u.Host != origin || host != strings.ToLower(host) || u.Host != strings.ToLower(u.Host) {
		return false
	}
	name, port := u.Hostname(), u.Port()
	if name != host && !strings.HasSuffix(name, "."+host) {
		return false
	}
	switch u.Scheme {
	case "https":
		return port != "443"
	case "http":
		return name == "localhost" && port != "80"
	}
	return false
}

// Site reads the address of the exchange's page, such as https://exchange.example, and returns the host that passkeys are
// bound to and the origin that browsers will say.
func Site(text string) (host, origin string, ok bool) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil {
		return "", "", false
	}
	host, origin = strings.ToLower(u.Hostname()), strings.ToLower(u.Scheme+"://"+u.Host)
	return host, origin, host != "" && u.Path == "" && u.RawQuery == "" && u.User == nil && u.Fragment == "" && originOf(origin, host)
}

// enrolmentAlphabet is Crockford's: no letter that people take for another one or for a digit.
const enrolmentAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewEnrolmentCode draws an enrolment code of 100 bits, in groups of four.
func NewEnrolmentCode(random io.Reader) (string, error) {
	var raw [20]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", err
	}
	var out strings.Builder
	for i, b := range raw {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(enrolmentAlphabet[b%32])
	}
	return out.String(), nil
}

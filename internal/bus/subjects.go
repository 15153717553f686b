package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// subjectMax is the longest subject, in bytes.
const subjectMax = 64

// rule says who sends on a subject, who takes it there, and whether there is a reply. A star stands for one token.
type rule struct {
	pattern string
	event   bool // one publisher, any number of listeners; no reply
	from    []Segment
	to      []Segment
}

// rules is the whole table of who may reach whom. Permissions of the servers, and the keys that segments share, are
// made from it; what is not in it does not exist.
func rules() []rule {
	gateway, engine, wallet, admin := []Segment{Gateway}, []Segment{Engine}, []Segment{Wallet}, []Segment{Admin}
	return []rule{
		{"cmd.order.*", false, gateway, engine},
		{"cmd.withdraw", false, gateway, engine},
		{"cmd.account", false, gateway, engine},
		{"cmd.deposit", false, wallet, engine},
		{"cmd.settle", false, wallet, engine},
		{"cmd.admin", false, admin, engine},
		{"qry.public", false, []Segment{Gateway, Wallet, Admin}, engine},
		{"qry.gateway", false, gateway, engine},
		{"qry.wallet", false, wallet, engine},
		{"qry.admin", false, admin, engine},
		{"qry.limits", false, []Segment{Limits}, engine},
		{"ops.engine", false, admin, engine},
		{"lim.take", false, gateway, []Segment{Limits}},
		{"evt.frame.*", true, engine, gateway},
		{"evt.wallet", true, engine, wallet},
		{"evt.unban.gateway", true, engine, gateway},
		{"evt.unban.limits", true, engine, []Segment{Limits}},
		{"epoch.engine", false, []Segment{Gateway, Wallet, Limits}, engine},
	}
}

// covers reports whether a subject is one of a pattern's.
func (r rule) covers(subject string) bool {
	if len(subject) > subjectMax || strings.ContainsAny(subject, "*> \t\r\n") {
		return false
	}
	want, have := strings.Split(r.pattern, "."), strings.Split(subject, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if have[i] == "" || want[i] != "*" && want[i] != have[i] {
			return false
		}
	}
	return true
}

// ruleOf finds the rule of a subject.
func ruleOf(subject string) (rule, bool) {
	for _, r := range rules() {
		if r.covers(subject) {
			return r, true
		}
	}
	return rule{}, false
}

// towards returns the segment that serves or hears a subject on which s sends.
func towards(s Segment, subject string, event bool) (Segment, error) {
	r, known := ruleOf(subject)
	if !known || r.event != event || !slices.Contains(r.from, s) {
		return 0, fmt.Errorf("%w: %s does not send on %s", ErrDenied, s, subject)
	}
	return r.to[0], nil
}

// takes reports whether s serves or hears a subject.
func takes(s Segment, subject string, event bool) error {
	r, known := ruleOf(subject)
	if !known || r.event != event || !slices.Contains(r.to, s) {
		return fmt.Errorf("%w: %s does not serve %s", ErrDenied, s, subject)
	}
	return nil
}

// inboxOf is the prefix of a segment's private replies.
func inboxOf(s Segment) string { return "_INBOX." + s.String() }

// published and heard are a segment's subjects, as the server's permissions name them.
func published(s Segment) (out []string) {
	for _, r := range rules() {
		if slices.Contains(r.from, s) {
			out = append(out, r.pattern)
		}
	}
	return out
}

func heard(s Segment) (out []string) {
	for _, r := range rules() {
		if slices.Contains(r.to, s) {
			out = append(out, r.pattern)
		}
	}
	return append(out, inboxOf(s)+".>")
}

// serves reports whether a segment replies to anybody.
func serves(s Segment) bool {
	return slices.ContainsFunc(rules(), func(r rule) bool { return !r.event && slices.Contains(r.to, s) })
}

// replyLife is how long a segment may reply to a request that reached it.
const replyLife = time.Minute

// permissions is what a server lets a segment do. Whoever serves may publish one reply to each request that came, and
// to no other inbox.
func permissions(s Segment) *server.Permissions {
	p := &server.Permissions{Publish: &server.SubjectPermission{Allow: published(s)}, Subscribe: &server.SubjectPermission{Allow: heard(s)}}
	if len(p.Publish.Allow) == 0 {
		p.Publish.Deny = []string{">"} // an empty list of NATS allows everything
	}
	if serves(s) {
		p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: replyLife}
	}
	return p
}

// ServerConfig writes the part of a NATS server's configuration that admits the segments, for an external cluster. The
// operator adds the cluster and TLS.
func ServerConfig(users Users) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Admits the segments of the exchange. Every server of the cluster has the same block.\nmax_payload: %d\n", payloadMax)
	b.WriteString("accounts {\n  BUS {\n    users = [\n")
	quoted := func(list []string) string {
		return `"` + strings.Join(list, `", "`) + `"`
	}
	for _, s := range Segments() {
		user, known := users[s]
		if !known {
			continue
		}
		p := permissions(s)
		fmt.Fprintf(&b, "      { nkey: %s # %s\n        permissions: {\n", user, s)
		if len(p.Publish.Allow) > 0 {
			fmt.Fprintf(&b, "          publish: { allow: [%s] }\n", quoted(p.Publish.Allow))
		} else {
			b.WriteString("          publish: { deny: [\">\"] }\n")
		}
		fmt.Fprintf(&b, "          subscribe: { allow: [%s] }\n", quoted(p.Subscribe.Allow))
		if p.Response != nil {
			fmt.Fprintf(&b, "          allow_responses: { max: %d, expires: %q }\n", p.Response.MaxMsgs, p.Response.Expires)
		}
		b.WriteString("        } }\n")
	}
	b.WriteString("    ]\n  }\n}\n")
	return b.String()
}

package gateway

import (
	"embed"
	"net/http"
	"strings"
)

// pageFiles are the customer's page: three files of our own and no others.
//
//go:embed page
var pageFiles embed.FS

// page is a file that browsers get.
type page struct {
	path, file string
	kind       []string
}

func pages() []*page {
	return []*page{
		{"/security", "page/security.html", []string{"text/html; charset=utf-8"}},
		{"/security/page.js", "page/security.js", []string{"text/javascript; charset=utf-8"}},
		{"/security/page.css", "page/security.css", []string{"text/css; charset=utf-8"}},
	}
}

// pagePolicy lets the page run its own script, speak with its own origin, and nothing else: no script in the text, no
// frame around it, no form that goes anywhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// servePage writes a file of the page. The list of coins is put in as text of options.
func (s *Server) servePage(c *call) *problem {
	raw, err := pageFiles.ReadFile(c.route.page.file)
	if err != nil {
		return unknownError()
	}
	c.w.b = append(c.w.b, raw...)
	if c.route.page.path != "/security" {
		return nil
	}
	var coins strings.Builder
	for _, a := range c.cat.assets {
		if _, _, moves := networkName(a); moves {
			coins.WriteString("<option>" + a.Symbol + "</option>") // of the characters A-Z and 0-9 alone
		}
	}
	c.w.b = []byte(strings.Replace(string(raw), "<!--coins-->", coins.String(), 1))
	return nil
}

// pageHeaders are those of a page instead of those of an answer.
func (c *call) pageHeaders(h http.Header) {
	h["Content-Type"] = c.route.page.kind
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Strict-Transport-Security", "max-age=31536000") // browsers heed it over TLS alone
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()")
}

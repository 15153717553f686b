package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Whoever has his certificate in a browser lends it to every page that he opens: a page sends a form to any address, and
// the browser shows the certificate with it.
func TestPagesOfTheWebDoNotActAsStaff(t *testing.T) {
	h := newHouse(t)
	c := h.client(h.enrolled("alice"))
	for name, value := range map[string]string{"Origin": "https://evil.example", "Referer": "https://evil.example/", "Sec-Fetch-Site": "cross-site", "Cookie": "a=b"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+"/v1/topups", strings.NewReader(`{"wallet":"cold"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "text/plain")
		if answer, err := c.http.Do(request); err != nil || answer.Body.Close() != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("without %s: %v %v", name, answer, err)
		}
		again := request.Clone(t.Context())
		again.Body, again.Header = io.NopCloser(strings.NewReader(`{"wallet":"cold"}`)), http.Header{name: {value}}
		answer, err := c.http.Do(again)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK || !strings.Contains(string(raw), "not-for-browsers") {
			t.Errorf("%s: %s %s", name, answer.Status, raw)
		}
	}
}

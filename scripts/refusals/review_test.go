package main

import (
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// A refusal by the review stands on its first page; nothing prints it as an error.
func TestRefusalsOfReview(t *testing.T) {
	acts := page.Examples{"review-unprovable": func(t *testing.T) error {
		judged := spend.Verdict{Checks: []spend.Check{{Name: "effects are proven"}}}
		text := review.Plain(review.Request{Intent: topUp().Intent, Effects: chain.Effects{}, Verdict: judged, Now: noon})
		_, text, _ = strings.Cut(text, "SUMMARY\n")
		text, _, _ = strings.Cut(text, " WORDS")
		return &page.Screen{Exit: "3, refused", Text: text}
	}}
	page.Check(t, pageOf("internal/review"), "coldsign", acts, *update)
}

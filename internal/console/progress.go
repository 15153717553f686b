package console

import (
	"fmt"
	"io"
	"time"
)

// progressAfter is how long a job must last before its progress is shown: short jobs stay silent.
const progressAfter = time.Second

// Progress is one line on standard error about a job that may last. It shows nothing when standard error is not a
// terminal, so that logs hold no animation.
type Progress struct {
	w       io.Writer // nil when nothing is shown
	label   string
	total   int
	now     func() time.Time
	started time.Time
	shown   time.Time
}

// Progress begins a job of total steps.
func (c *Console) Progress(label string, total int) *Progress {
	p := &Progress{label: Printable(label), total: total, now: c.Now, started: c.Now()}
	if isTerminal(c.Err) {
		p.w = c.Err
	}
	return p
}

// At says how many steps are done. It draws at most ten times a second.
func (p *Progress) At(done int) {
	now := p.now()
	if p.w == nil || now.Sub(p.started) < progressAfter || now.Sub(p.shown) < progressAfter/10 {
		return
	}
	p.shown = now
	fmt.Fprintf(p.w, "\r\x1b[K%s %d of %d", p.label, done, p.total)
}

// End removes the line.
func (p *Progress) End() {
	if p.w != nil && !p.shown.IsZero() {
		io.WriteString(p.w, "\r\x1b[K")
	}
}

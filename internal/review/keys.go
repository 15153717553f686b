package review

import "fmt"

// Key takes one key: a printable character as itself, or a name (enter, backspace, esc, up, down, pgup, pgdn, home, end,
// ctrl-u, paste). While the terminal is too small nothing is taken.
func (s *Session) Key(key string) {
	if s.rows == 0 || s.Done() {
		return
	}
	switch s.state {
	case Confirming:
		s.confirmKey(key)
	case Declining:
		s.declineKey(key)
	default:
		s.message = ""
		s.viewKey(key)
	}
}

// viewKey moves between pages, or begins to confirm or to decline.
func (s *Session) viewKey(key string) {
	last := len(s.parts()) - 1
	switch key {
	case "m", "esc":
		s.page = pageSummary
	case "o":
		s.page = pageOutputs
	case "i":
		s.page = pageInputs
	case "c":
		s.page = pageChecks
	case "h":
		s.page = pageHashes
	case " ", "pgdn", "down", "right":
		s.at[s.page] = min(s.at[s.page]+1, last)
	case "pgup", "up", "left":
		s.at[s.page] = max(s.at[s.page]-1, 0)
	case "home":
		s.at[s.page] = 0
	case "end":
		s.at[s.page] = last
	case "q", "r":
		s.state = Declining
		if !s.sheet.clean() {
			s.state = Refused
		}
	case "s":
		s.beginConfirming()
	}
}

// beginConfirming asks for the confirmation, when everything was shown.
func (s *Session) beginConfirming() {
	switch seen, of := s.OutputsSeen(); {
	case !s.sheet.clean():
		// The screen says that nothing can be signed; there is no prompt to reach.
	case seen < of:
		s.message = fmt.Sprintf("%d of %d outputs were not on the screen yet: press o, and page to the end", of-seen, of)
	case !s.ready():
		s.message = "the summary or the sum of the outputs was not on the screen yet: page to the end"
	default:
		s.state, s.page, s.at[pageSummary], s.input = Confirming, pageSummary, 0, ""
	}
}

// confirmKey edits what is retyped. A wrong line, or a paste, costs a try.
func (s *Session) confirmKey(key string) {
	switch {
	case key == "esc":
		s.state, s.input, s.message = Viewing, "", ""
	case key == "backspace":
		s.input = s.input[:max(0, len(s.input)-1)]
	case key == "ctrl-u":
		s.input = ""
	case key == "paste":
		s.wrong("pasted text is no answer")
	case key == "enter" && s.confirm.Check(s.input):
		s.state = Approved
	case key == "enter":
		s.wrong("not the same")
	case len(key) == 1 && key[0] >= ' ' && key[0] <= '~' && len(s.input) < inputMax:
		s.input += key
	}
}

// wrong costs a try; the third one locks.
func (s *Session) wrong(message string) {
	s.input, s.message = "", message
	if s.tries--; s.tries == 0 {
		s.state = Locked
	}
}

// declineKey takes the reason.
func (s *Session) declineKey(key string) {
	if key == "esc" {
		s.state = Viewing
		return
	}
	for _, r := range reasons() {
		if key == r.key {
			s.state, s.reason = Declined, r.code
		}
	}
}

package console

import (
	"fmt"
	"time"
)

// Speeds of a slide show, in pictures a second. Five is what cameras of laptops and phones follow without loss.
const (
	slidesPerSecond    = 5
	slidesPerSecondMin = 1
	slidesPerSecondMax = 12
)

// Slides shows pictures one after another, again and again, until a person presses q. pictures makes them for a screen
// size, and is called again when that changes; they are drawn as they are, so they must come from this program and
// never from outside. One row is kept for the caption.
func (c *Console) Slides(pictures func(cols, rows int) ([]string, error)) error {
	if c.TTY == nil {
		return noTerminal("showing pictures")
	}
	return c.TTY.Raw(func(k *Keyboard) error {
		if _, err := fmt.Fprint(c.TTY, viewBegin); err != nil {
			return err
		}
		defer fmt.Fprint(c.TTY, viewEnd)
		show := slideShow{c: c, k: k, pictures: pictures, rate: slidesPerSecond}
		return show.run()
	})
}

type slideShow struct {
	c        *Console
	k        *Keyboard
	pictures func(cols, rows int) ([]string, error)
	frames   []string
	rate     int
}

func (s *slideShow) run() error {
	if err := s.fit(); err != nil {
		return err
	}
	for at := 0; ; at = (at + 1) % len(s.frames) {
		caption := fmt.Sprintf("frame %d of %d  %d a second  + - speed  q ends", at+1, len(s.frames), s.rate)
		if _, err := fmt.Fprintf(s.c.TTY, "\x1b[H%s\x1b[0m\x1b[J\r\n%s", s.frames[at], caption); err != nil {
			return err
		}
		key, err := s.k.readKeyWithin(time.Second / time.Duration(s.rate))
		switch {
		case err != nil:
			return err
		case key == KeyInterrupt:
			return ErrInterrupted
		case key == "q" || key == KeyEscape:
			return nil
		case key == "+":
			s.rate = min(s.rate+1, slidesPerSecondMax)
		case key == "-":
			s.rate = max(s.rate-1, slidesPerSecondMin)
		case key == KeyResize:
			if err := s.fit(); err != nil {
				return err
			}
			at = -1
		}
	}
}

// fit makes the pictures for the size that the terminal has now.
func (s *slideShow) fit() error {
	cols, rows, err := s.c.TTY.Size()
	if err != nil {
		return err
	}
	if s.frames, err = s.pictures(cols, rows-1); err != nil {
		return err
	}
	if len(s.frames) == 0 {
		return fmt.Errorf("nothing to show")
	}
	return nil
}

// readKeyWithin is ReadKey that gives up after wait, with no key.
func (k *Keyboard) readKeyWithin(wait time.Duration) (string, error) {
	if len(k.pending) == 0 {
		got, err := k.fill(wait)
		switch {
		case err != nil:
			return "", err
		case got == gotResize:
			return KeyResize, nil
		case got == gotNothing:
			return "", nil
		}
	}
	return k.ReadKey()
}

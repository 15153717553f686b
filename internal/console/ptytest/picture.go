//go:build linux

package ptytest

import "image"

// Picture returns what a camera before the terminal would see, two pixels to a cell, one above the other: enough for
// QR symbols drawn with spaces and lower half blocks. Text leaves no mark. An unpainted ground is mid-grey, so that a
// symbol which relies on the terminal's own colours is not read.
func (s *Session) Picture() image.Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.Picture()
}

// Picture returns what a camera would see of the screen.
func (s *Screen) Picture() image.Image {
	const scale = 4 // pixels a module
	out := image.NewGray(image.Rect(0, 0, s.cols*scale, 2*s.rows*scale))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			c := s.cells[y/(2*scale)][x/scale]
			colour := c.ground
			if c.char == '▄' && y/scale%2 == 1 {
				colour = c.ink
			}
			out.Pix[y*out.Stride+x] = brightness(colour)
		}
	}
	return out
}

// brightness returns the grey of a colour of the fixed part of the table: a cube of 6 x 6 x 6, then 24 greys. The first
// sixteen depend on the user's theme and count as unknown.
func brightness(colour int) byte {
	switch {
	case colour >= 232:
		return byte(8 + 10*(colour-232))
	case colour >= 16:
		level := func(v int) int { return min(v, 1)*55 + 40*v }
		v := colour - 16
		return byte((299*level(v/36) + 587*level(v/6%6) + 114*level(v%6)) / 1000)
	}
	return 128
}

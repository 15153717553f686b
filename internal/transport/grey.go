package transport

import (
	"image"
	"image/color"
)

// luminance copies a picture as grey values over white: a transparent ground is paper.
func luminance(img image.Image) *image.Gray {
	bounds := img.Bounds()
	out := image.NewGray(image.Rect(0, 0, bounds.Dx(), bounds.Dy()))
	for y := range bounds.Dy() {
		row := out.Pix[y*out.Stride : y*out.Stride+bounds.Dx()]
		switch from := img.(type) {
		case *image.Gray:
			copy(row, from.Pix[from.PixOffset(bounds.Min.X, bounds.Min.Y+y):])
		case *image.YCbCr:
			copy(row, from.Y[from.YOffset(bounds.Min.X, bounds.Min.Y+y):])
		default:
			for x := range row {
				row[x] = overWhite(img.At(bounds.Min.X+x, bounds.Min.Y+y))
			}
		}
	}
	return out
}

// overWhite returns the brightness of a colour laid over white. RGBA gives values already multiplied by alpha.
func overWhite(c color.Color) byte {
	r, g, b, a := c.RGBA()
	light := (299*r+587*g+114*b)/1000 + (0xffff - a)
	return byte(light >> 8)
}

// halved returns the picture at half its size, four pixels averaged to one: noise goes, and small symbols become
// sharper. A picture of one row or column stays as it is.
func halved(in *image.Gray) *image.Gray {
	width, height := in.Rect.Dx()/2, in.Rect.Dy()/2
	if width == 0 || height == 0 {
		return in
	}
	out := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		top, below := in.Pix[2*y*in.Stride:], in.Pix[(2*y+1)*in.Stride:]
		for x := range width {
			sum := int(top[2*x]) + int(top[2*x+1]) + int(below[2*x]) + int(below[2*x+1])
			out.Pix[y*out.Stride+x] = byte((sum + 2) / 4)
		}
	}
	return out
}

// softened averages each pixel with its eight neighbours; the border stays as it is. It removes the chance patterns of
// noise that the search takes for finder patterns.
func softened(in *image.Gray) *image.Gray {
	width, height := in.Rect.Dx(), in.Rect.Dy()
	out := image.NewGray(in.Rect)
	copy(out.Pix, in.Pix)
	for y := 1; y < height-1; y++ {
		above, row, below := in.Pix[(y-1)*in.Stride:], in.Pix[y*in.Stride:], in.Pix[(y+1)*in.Stride:]
		for x := 1; x < width-1; x++ {
			sum := 0
			for _, from := range [][]byte{above, row, below} {
				sum += int(from[x-1]) + int(from[x]) + int(from[x+1])
			}
			out.Pix[y*out.Stride+x] = byte((sum + 4) / 9)
		}
	}
	return out
}

// inverse swaps dark and light, for symbols shown white on black.
func inverse(in *image.Gray) *image.Gray {
	out := image.NewGray(in.Rect)
	for i, v := range in.Pix {
		out.Pix[i] = 255 - v
	}
	return out
}

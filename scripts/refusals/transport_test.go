package main

import (
	"bytes"
	"compress/flate"
	"encoding/base32"
	"fmt"
	"image"
	"image/png"
	"testing"

	"github.com/skip2/go-qrcode"

	"github.com/coldsign/coldsign/internal/transport"
	"github.com/coldsign/coldsign/scripts/refusals/page"
)

// scanned returns an act that scans these symbols and takes what they carry.
func scanned(texts ...string) func(*testing.T) error {
	return func(*testing.T) error {
		j := transport.NewJoiner()
		for _, text := range texts {
			if _, err := j.Add(text); err != nil {
				return err
			}
		}
		_, _, err := j.Payload()
		return err
	}
}

// deflated cuts a deflate stream into frames as BBQr does.
func deflated(encoded []byte) []string {
	const each = 1000 // bytes of a frame, whole groups of five
	count := (len(encoded) + each - 1) / each
	var out []string
	for i := range count {
		part := encoded[i*each : min(i*each+each, len(encoded))]
		out = append(out, fmt.Sprintf("B$ZC%02d%02d", count, i)+base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(part))
	}
	return out
}

// bomb is a small stream that inflates to more than a payload may have.
func bomb() []byte {
	var out bytes.Buffer
	w := must(flate.NewWriter(&out, flate.BestCompression))
	must(w.Write(make([]byte, transport.PayloadMax+1)))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// picture returns an act that reads a picture.
func picture(img image.Image) func(*testing.T) error {
	return func(*testing.T) error {
		var out bytes.Buffer
		if err := png.Encode(&out, img); err != nil {
			return err
		}
		_, err := transport.ReadPicture(out.Bytes())
		return err
	}
}

func TestRefusalsOfTransport(t *testing.T) {
	frames := func(kind transport.FileType, data []byte, version int) func(*testing.T) error {
		return func(*testing.T) error {
			_, err := transport.Frames(kind, data, transport.Options{VersionMax: version})
			return err
		}
	}
	symbol := func(text string, version int) func(*testing.T) error {
		return func(*testing.T) error { _, err := transport.NewSymbol(text, version); return err }
	}
	good := must(transport.NewSymbol("B$2C0100AE", 1))
	noise := make([]byte, 20_000) // bytes that do not compress
	for i, state := 0, uint32(1); i < len(noise); i++ {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	page.Check(t, pageOf("internal/transport"), "coldsign", page.Examples{
		"bbqr-content":           scanned("B$2J0100AE"),
		"bbqr-deflate":           scanned(deflated([]byte{7, 7, 7})...),
		"bbqr-encoding":          scanned("B$QC0100AE"),
		"bbqr-frame-too-long":    scanned("B$2C0100" + string(bytes.Repeat([]byte("A"), 5000))),
		"bbqr-header":            scanned("B$2C0305AE"),
		"bbqr-incomplete":        scanned("B$2C0300AEBAGBA5"),
		"bbqr-part-empty":        scanned("B$2C0100"),
		"bbqr-part-text":         scanned("B$2C0100ae"),
		"bbqr-payload-too-large": scanned(deflated(bomb())...),
		"bbqr-series-mixed":      scanned("B$2C0300AEBAGBAF", "B$2C0400AEBAGBAF"),
		"picture-format":         func(*testing.T) error { _, err := transport.ReadPicture([]byte("GIF89a")); return err },
		"picture-size":           picture(image.NewGray(image.Rect(0, 0, 9000, 1))),
		"qr-content-unknown":     frames('J', []byte("{}"), 0),
		"qr-not-bbqr":            picture(must(qrcode.New("https://example.com/", qrcode.Low)).Image(400)),
		"qr-not-found":           picture(image.NewGray(image.Rect(0, 0, 200, 200))),
		"qr-payload-empty":       frames(transport.CBOR, nil, 0),
		"qr-payload-too-large":   frames(transport.CBOR, make([]byte, transport.PayloadMax+1), 0),
		"qr-rate-range":          func(*testing.T) error { _, err := transport.HTML([]transport.Symbol{good}, 60); return err },
		"qr-scale-range":         func(*testing.T) error { _, err := good.PNG(100); return err },
		"qr-series-too-long":     frames(transport.CBOR, noise, 1),
		"qr-text-set":            symbol("b$2c0100", 5),
		"qr-text-too-long":       symbol("B$2C0100"+string(bytes.Repeat([]byte("A"), 100)), 1),
		"qr-version-range":       symbol("B$2C0100AE", 41),
	}, *update)
}

package bundle

import (
	"bytes"
	"strings"
)

// Kind is what a file or a QR payload looks like, before anything in it is trusted.
type Kind int

// The kinds. A bundle or an answer of another version is still of its kind, so that opening it can name both versions.
const (
	KindUnknown Kind = iota
	KindBundle
	KindAnswer
	KindPSBT
	KindBase64PSBT
)

// String returns the word for a screen.
func (k Kind) String() string {
	switch k {
	case KindBundle:
		return "bundle"
	case KindAnswer:
		return "answer"
	case KindPSBT:
		return "psbt"
	case KindBase64PSBT:
		return "psbt (base64)"
	}
	return "unknown"
}

// Sniff tells kinds apart by their first bytes. It decides which reader to ask and nothing else.
func Sniff(raw []byte) Kind {
	tag := tagOf(raw)
	switch {
	case strings.HasPrefix(tag, "coldsign-bundle-v"):
		return KindBundle
	case strings.HasPrefix(tag, "coldsign-answer-v"):
		return KindAnswer
	case bytes.HasPrefix(raw, []byte("psbt\xff")):
		return KindPSBT
	case bytes.HasPrefix(raw, []byte("cHNidP")):
		return KindBase64PSBT
	}
	return KindUnknown
}

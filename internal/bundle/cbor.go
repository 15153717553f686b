package bundle

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// nestingMax covers an answer: map, array of signatures, signature.
const nestingMax = 4

// encode writes v as deterministic CBOR. A nil slice is an empty one: null has no place in these formats.
func encode(v any) ([]byte, error) { return encodeInto(nil, v) }

// encodeInto does the same in memory that the caller has: a bundle is long, and the encoder's own buffers would grow to
// twice its length and stay.
func encodeInto(room []byte, v any) ([]byte, error) {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty
	options.TagsMd = cbor.TagsForbidden
	mode, err := options.UserBufferEncMode()
	if err != nil {
		panic("bundle: encoder options: " + err.Error())
	}
	out := bytes.NewBuffer(room[:0])
	err = mode.MarshalToBuffer(v, out)
	return out.Bytes(), err
}

// decode reads exactly one value from raw into v, a pointer to a wire struct, and refuses every encoding of it but the
// one that encode writes. The caller has checked the size.
func decode(what string, raw []byte, v any) error {
	if err := unmarshal(what, raw, v); err != nil {
		return err
	}
	return canonical(what, len(raw), v, func(again []byte) bool { return bytes.Equal(again, raw) })
}

// decodeLast does the same for bytes that nobody needs afterwards, and lets go of them before it encodes again: a bundle
// is long, and what it says and its second encoding are two copies already. The encodings are compared by their hash.
func decodeLast(what string, raw *[]byte, v any) error {
	size, sum := len(*raw), sha256.Sum256(*raw)
	err := unmarshal(what, *raw, v)
	if *raw = nil; err != nil { // v shares nothing with it
		return err
	}
	return canonical(what, size, v, func(again []byte) bool { return sha256.Sum256(again) == sum })
}

func unmarshal(what string, raw []byte, v any) error {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   nestingMax,
		MaxArrayElements:  max(proofsMax, signaturesMax),
		MaxMapPairs:       16,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		NaN:               cbor.NaNDecodeForbidden,
		Inf:               cbor.InfDecodeForbidden,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		panic("bundle: decoder options: " + err.Error())
	}
	if err := mode.Unmarshal(raw, v); err != nil {
		return malformed(what+"-malformed", what, "%s", err)
	}
	return nil
}

// canonical refuses what was read unless it is encoded as the bytes that it was read from.
func canonical(what string, size int, v any, same func(again []byte) bool) error {
	again, err := encodeInto(make([]byte, 0, size), v)
	if err != nil {
		return malformed(what+"-malformed", what, "%s", err)
	}
	if !same(again) {
		return malformed(what+"-not-canonical", what, "%d bytes that are not the deterministic encoding of what they say", size)
	}
	return nil
}

// checkOutside looks at the size and the first bytes of a file, before any decoder does.
func checkOutside(what string, raw []byte, tag string, max int) error {
	if len(raw) > max {
		return tooLarge(what, len(raw), max)
	}
	found := tagOf(raw)
	if found == tag {
		return nil
	}
	if family := tag[:len(tag)-1]; len(found) >= len(family) && found[:len(family)] == family {
		r := malformed(what+"-version", what, "%.32q", found)
		r.Expected, r.Fix = fmt.Sprintf("%q", tag), "bring the older of the two programs to the newer one's version"
		return r
	}
	return malformed(what+"-malformed", what, "a file that does not begin as %q", tag)
}

// tagOf returns the text that the outer array begins with: one byte for an array of few elements, one for a text of
// fewer than 24 bytes, then the text.
func tagOf(raw []byte) string {
	const array, text = 0x80, 0x60
	if len(raw) < 2 || raw[0] < array || raw[0] > array+23 || raw[1] < text || raw[1] > text+23 {
		return ""
	}
	length := int(raw[1] - text)
	if len(raw) < 2+length {
		return ""
	}
	return string(raw[2 : 2+length])
}

func tooLarge(what string, size, max int) error {
	r := malformed(what+"-too-large", what, "%d bytes", size)
	r.Expected = fmt.Sprintf("at most %d bytes", max)
	return r
}

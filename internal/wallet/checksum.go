package wallet

import "strings"

const (
	// descriptorCharset is BIP380's: three groups of 32, so that one wrong character is one wrong symbol.
	descriptorCharset = "0123456789()[],'/*abcdefgh@:$%{}" + "IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~" + "ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
	checksumCharset   = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	checksumLength    = 8
)

// descriptorChecksum returns the eight characters of BIP380 for a descriptor without its checksum, or false when a
// character of it cannot stand in a descriptor.
func descriptorChecksum(body string) (string, bool) {
	// A character counts as its place in its group of 32; the groups of three characters follow as one symbol, so that a
	// change of case is one error too.
	sum, class, count := uint64(1), uint64(0), 0
	for i := range len(body) {
		position := strings.IndexByte(descriptorCharset, body[i])
		if position < 0 {
			return "", false
		}
		sum = checksumStep(sum, uint64(position)&31)
		class = class*3 + uint64(position)>>5
		if count++; count == 3 {
			sum, class, count = checksumStep(sum, class), 0, 0
		}
	}
	if count > 0 {
		sum = checksumStep(sum, class)
	}
	// Eight zero symbols make room for the checksum; the final 1 keeps an empty text from having an empty checksum.
	for range checksumLength {
		sum = checksumStep(sum, 0)
	}
	sum ^= 1
	out := make([]byte, checksumLength)
	for i := range out {
		out[i] = checksumCharset[sum>>(5*(checksumLength-1-i))&31]
	}
	return string(out), true
}

// checksumStep feeds one symbol of five bits into the checksum's linear code.
func checksumStep(sum, symbol uint64) uint64 {
	top := sum >> 35
	sum = (sum&(1<<35-1))<<5 ^ symbol
	for i, generator := range [5]uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd} {
		if top>>i&1 == 1 {
			sum ^= generator
		}
	}
	return sum
}

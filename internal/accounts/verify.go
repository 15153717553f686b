package accounts

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// VerifyHMAC reports whether signature is the hexadecimal HMAC-SHA256 of payload, in constant time. Both cases of
// hexadecimal digits are taken, as Binance does.
func VerifyHMAC(secret, payload []byte, signature string) bool {
	var given, want [sha256.Size]byte
	if len(signature) != hex.EncodedLen(len(given)) || len(secret) == 0 {
		return false
	}
	if _, err := hex.Decode(given[:], []byte(signature)); err != nil {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(payload)
	return hmac.Equal(given[:], mac.Sum(want[:0]))
}

// VerifyEd25519 reports whether signature is the base64 Ed25519 signature of payload by the key's public key.
func VerifyEd25519(public, payload []byte, signature string) bool {
	if len(public) != ed25519.PublicKeySize || len(signature) != base64.StdEncoding.EncodedLen(ed25519.SignatureSize) {
		return false
	}
	// Strict: the unused bits of the last character must be zero, or one signature would have many spellings.
	raw, err := base64.StdEncoding.Strict().DecodeString(signature)
	return err == nil && len(raw) == ed25519.SignatureSize && ed25519.Verify(public, payload, raw)
}

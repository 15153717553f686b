//go:build cgo && !nopkcs11

package hsm

import "github.com/miekg/pkcs11"

// Cryptoki lets tests stand between a token and its module.
type Cryptoki = cryptoki

// Interpose replaces the module of a token by what wrap makes of it.
func (t *Token) Interpose(wrap func(*pkcs11.Ctx) Cryptoki) {
	if module, ok := t.module.(*pkcs11.Ctx); ok {
		t.module = wrap(module)
	}
}

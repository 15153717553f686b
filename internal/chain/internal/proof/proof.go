// Package proof holds the token that separates verified effects from claims.
//
// Only rooms below internal/chain can import this package (the compiler enforces it), so only a chain room that has
// proven amounts and ownership from bytes can make a chain.Effects. Everything above can read effects, and cannot make
// them. What may never happen here: a second way to obtain a token.
package proof

// Token is needed to make a chain.Effects. Its field is unexported, so a Token comes from Done alone.
type Token struct{ done bool }

// Done states that every fact it is given with was derived from bytes and pinned wallets.
func Done() Token { return Token{done: true} }

// Valid reports whether the token came from Done.
func (t Token) Valid() bool { return t.done }

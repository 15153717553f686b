package exchange

// Language is the version of this language: of what the bytes of a command are, and of what commands do to a state. The
// journal keeps it with what it holds (room store/journal), and a program refuses what was written in a newer one than its
// own: it would read commands that it does not know as refused ones, and make up a state that never was.
//
// Raise it by one with everything that makes an older program's replay come out differently: a kind of command, a field,
// a limit, a rule. Every program reads all older languages.
//
//	1  everything up to passkeys, and identities that are known for 40 seconds under any load
const Language uint32 = 1

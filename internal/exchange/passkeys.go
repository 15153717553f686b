package exchange

// Passkeys: what a customer's own hardware approves. The engine judges every byte of it (room accounts); whoever carries
// these bodies is a messenger.

// EnrolBody lets an account without a passkey register its first one. Hash is that of a code which its customer gets on
// another way (room accounts makes it); the code counts once and for a while.
type EnrolBody struct {
	Hash []byte `cbor:"1,keyasint"`
}

// PasskeyBody is a new passkey as an authenticator and a browser made it. Created and Nonce name the challenge.
type PasskeyBody struct {
	Label       string `cbor:"1,keyasint"`
	Created     Millis `cbor:"2,keyasint"`
	Nonce       []byte `cbor:"3,keyasint"` // 16 bytes
	Client      []byte `cbor:"4,keyasint"` // clientDataJSON
	Attestation []byte `cbor:"5,keyasint"` // attestationObject
	Enrol       string `cbor:"6,keyasint"` // the enrolment code, of a first passkey
	Code        string `cbor:"7,keyasint"` // a one-time code, of a first passkey
}

// PasskeyInfo is a passkey as it now is.
type PasskeyInfo struct {
	Account    Account `cbor:"1,keyasint"`
	Credential []byte  `cbor:"2,keyasint"`
	Label      string  `cbor:"3,keyasint"`
	Algorithm  int64   `cbor:"4,keyasint"` // of COSE: -7 ES256, -8 EdDSA
	Added      Millis  `cbor:"5,keyasint"`
	Synced     bool    `cbor:"6,keyasint"` // its maker may copy it to other devices of its owner
	Removed    bool    `cbor:"7,keyasint"`
}

// CustomerIntent is what a customer approves with a passkey. Exactly one of its actions is set. It counts once: Created
// rises from one intent of an account to the next.
type CustomerIntent struct {
	Account Account      `cbor:"1,keyasint"`
	Created Millis       `cbor:"2,keyasint"`
	Nonce   []byte       `cbor:"3,keyasint"`           // 16 bytes
	Key     *KeyBody     `cbor:"4,keyasint,omitempty"` // a new API key
	Address *AddressBody `cbor:"5,keyasint,omitempty"` // a new address of the withdrawal book
	Passkey *PasskeyBody `cbor:"6,keyasint,omitempty"` // one more passkey
	Remove  []byte       `cbor:"7,keyasint,omitempty"` // the passkey of this credential
	Look    bool         `cbor:"8,keyasint,omitempty"` // at passkeys, keys and addresses; changes nothing
}

// ApprovalBody is an intent and the assertion of a passkey over exactly these bytes.
type ApprovalBody struct {
	Intent        []byte `cbor:"1,keyasint"`
	Credential    []byte `cbor:"2,keyasint"`
	Client        []byte `cbor:"3,keyasint"` // clientDataJSON
	Authenticator []byte `cbor:"4,keyasint"` // authenticatorData
	Signature     []byte `cbor:"5,keyasint"`
}

// FactorReset takes all passkeys from an account whose customer lost them. What is new in the book or waits there has to
// wait for a longer time.
type FactorReset struct {
	Account Account `cbor:"1,keyasint"`
	Codes   bool    `cbor:"2,keyasint"` // the one-time-code secret is lost too
}

// SecurityQuestion asks for the rules of passkeys. With an approval it asks as well whether the approval would count, and
// when it is one to look, what the account has; with the hash of an enrolment code, whether that enrolment is open.
type SecurityQuestion struct {
	Account  Account       `cbor:"1,keyasint"`
	Approval *ApprovalBody `cbor:"2,keyasint,omitempty"`
	Enrol    []byte        `cbor:"3,keyasint,omitempty"`
}

// SecurityInfo are the rules of passkeys.
type SecurityInfo struct {
	RP        string   `cbor:"1,keyasint"` // the name that passkeys are bound to; empty: there are none
	Origins   []string `cbor:"2,keyasint"`
	Required  bool     `cbor:"3,keyasint"` // withdrawal keys and addresses need one
	EnrolLife Millis   `cbor:"4,keyasint"` // until an enrolment code ends
	Refused   string   `cbor:"5,keyasint"` // why the approval or enrolment of the question would not count
}

// SealQuestion asks the segment that has the key for it to seal a secret of a customer.
type SealQuestion struct {
	Account Account `cbor:"1,keyasint"`
	Name    string  `cbor:"2,keyasint"` // of the API key
	Secret  []byte  `cbor:"3,keyasint"`
}

// Package hsm is the only room that speaks PKCS#11.
//
// It exists so that a private key can live where no program can read it: the account key of a signer (secp256k1) and
// the keys with which people approve and machines give receipts (P-256) are generated inside a token, never leave it,
// and every property we rely on is read back and checked rather than assumed.
//
// How it works. crypto11 owns the module (it must be initialised first, and without a PIN, so that no PIN lies in its
// configuration); miekg/pkcs11 speaks to the same module for everything that crypto11 cannot do: login, secp256k1,
// attributes. Login state belongs to the process and the token, so one Token per token and process is the rule. A
// signature leaves this package only after it was brought to low-S form and verified against the public key that the
// caller has pinned: public objects on a token can be replaced by anybody who can open a session, without a login.
//
// Locks. life: every operation shares it, Login, Logout and Close take it alone, because C_Finalize or C_Logout beside
// a running C_Sign kills the process or the handle. objects: finding shares it, making keys takes it alone, because
// SoftHSM up to 2.6.1 mixes up objects when one thread searches while another creates. The module is never unloaded.
//
// Builds. PKCS#11 modules are C libraries, so this package needs cgo. Without it (CGO_ENABLED=0, or the tag nopkcs11)
// every call returns ErrNotBuilt and the program links static.
//
// Tested: SoftHSM 2.6.1 only. Documented by their makers to offer secp256k1 key generation and CKM_ECDSA, but not
// tested here: YubiHSM 2, Nitrokey HSM 2 and SmartCard-HSM through OpenSC, Nitrokey NetHSM, AWS CloudHSM, Thales Luna 7
// and ProtectServer, Securosys Primus, IBM EP11. Not confirmed: Utimaco SecurityServer, Entrust nShield. SoftHSM keeps
// keys in files and never locks a PIN: it is for tests and drills, not for money. It also does not fsync a new key, so
// a power cut right after generation can lose it; export the record, and check that the key is found again, before
// anything is paid to it.
//
// Provisioning a real token is its maker's tool's job, for example
//
//	softhsm2-util --init-token --free --label treasury     (asks for the two PINs)
//	sc-hsm-tool --initialize                               (SmartCard-HSM, Nitrokey HSM 2)
//
// after which this package makes the keys. Tokens have no BIP32 (PKCS#11 has no mechanism for it), so a token key is
// one fixed public key; and CKM_ECDSA cannot make BIP340 signatures, so a token key cannot sign taproot.
//
// What may never happen here: a private key in this process, a signature that was not verified, a PIN in an error text
// or kept after Login, a key that was imported, is extractable or may do more than sign, and a guess between two
// objects of the same name.
package hsm

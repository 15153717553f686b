//go:build cgo && !nopkcs11

package hsm_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"math/big"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/coldsign/coldsign/hsm"
	"github.com/coldsign/coldsign/hsm/hsmtest"
	"github.com/miekg/pkcs11"
)

// intruder is another program at the same token: it has the module, and the PIN only where a test says so.
type intruder struct {
	t       *testing.T
	module  *pkcs11.Ctx
	session pkcs11.SessionHandle
}

// intrude opens a session beside an open token. Login state is the process's, so the token decides whether the
// intruder is logged in.
func intrude(t *testing.T, place hsmtest.Token) intruder {
	t.Helper()
	module := pkcs11.New(place.Module)
	slots, err := module.GetSlotList(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range slots {
		if info, err := module.GetTokenInfo(slot); err == nil && info.Label == place.Label {
			session, err := module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
			if err != nil {
				t.Fatal(err)
			}
			return intruder{t, module, session}
		}
	}
	t.Fatalf("no token %s", place.Label)
	return intruder{}
}

func (i intruder) find(class uint, label string) pkcs11.ObjectHandle {
	i.t.Helper()
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label)}
	if err := i.module.FindObjectsInit(i.session, template); err != nil {
		i.t.Fatal(err)
	}
	objects, _, err := i.module.FindObjects(i.session, 4)
	if err != nil || len(objects) == 0 {
		i.t.Fatalf("%d objects of label %s: %v", len(objects), label, err)
	}
	if err := i.module.FindObjectsFinal(i.session); err != nil {
		i.t.Fatal(err)
	}
	return objects[0]
}

func secpOID() []byte { return []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a} }

func p256OID() []byte { return []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07} }

func (i intruder) plantPublic(label string, id, oid, point []byte) {
	i.t.Helper()
	_, err := i.module.CreateObject(i.session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, oid),
		pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, append([]byte{0x04, byte(len(point))}, point...)),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i intruder) plantPrivate(label string, id, oid, scalar []byte, more ...*pkcs11.Attribute) {
	i.t.Helper()
	_, err := i.module.CreateObject(i.session, append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, oid),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE, scalar),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}, more...))
	if err != nil {
		i.t.Fatal(err)
	}
}

// Attack 111: a key that was imported was known outside the token, whatever else it claims.
func TestAttack111AnImportedKeyIsRefused(t *testing.T) {
	token, place := open(t)
	other := intrude(t, place)
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	other.plantPrivate("imported", []byte{1, 1}, secpOID(), key.Serialize())
	other.plantPublic("imported", []byte{1, 1}, secpOID(), key.PubKey().SerializeUncompressed())
	public := [33]byte(key.PubKey().SerializeCompressed())
	if _, err := token.Inspect(t.Context(), "imported"); !errors.Is(err, hsm.ErrKeyUnsafe) {
		t.Errorf("inspecting: %v", err)
	}
	if der, err := token.SignDigest(t.Context(), "imported", public, [32]byte{1}); !errors.Is(err, hsm.ErrKeyUnsafe) || der != nil {
		t.Errorf("signing: %v", err)
	}
	person, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other.plantPrivate("person", []byte{2, 2}, p256OID(), person.Bytes())
	other.plantPublic("person", []byte{2, 2}, p256OID(), person.PublicKey().Bytes())
	if _, err := token.P256Signer("person"); !errors.Is(err, hsm.ErrKeyUnsafe) {
		t.Errorf("an imported P-256 key: %v", err)
	}
}

// A public object can be replaced by anybody who can open a session: no login, no PIN.
func TestAPublicKeyReplacedWithoutALoginIsNoticed(t *testing.T) {
	token, place := open(t)
	key := generate(t, token, "b")
	if _, err := token.GenerateP256("receipt"); err != nil {
		t.Fatal(err)
	}
	if err := token.Logout(); err != nil {
		t.Fatal(err)
	}
	other := intrude(t, place)
	rogue, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	public := other.find(pkcs11.CKO_PUBLIC_KEY, "b")
	if err := other.module.DestroyObject(other.session, public); err != nil {
		t.Fatal(err)
	}
	other.plantPublic("b", key.ID, secpOID(), rogue.PubKey().SerializeUncompressed())

	receipt := other.find(pkcs11.CKO_PUBLIC_KEY, "receipt")
	id, err := other.module.GetAttributeValue(other.session, receipt, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ID, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.module.DestroyObject(other.session, receipt); err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other.plantPublic("receipt", id[0].Value, p256OID(), stranger.PublicKey().Bytes())

	if err := token.Login(t.Context(), place.PIN()); err != nil {
		t.Fatal(err)
	}
	if _, err := token.FindKey(t.Context(), "b", key.Public); !errors.Is(err, hsm.ErrKeyMismatch) {
		t.Errorf("finding the pinned key: %v", err)
	}
	if _, err := token.SignDigest(t.Context(), "b", key.Public, [32]byte{1}); !errors.Is(err, hsm.ErrKeyMismatch) {
		t.Errorf("signing for the pinned key: %v", err)
	}
	// Whoever has not pinned anything yet learns it from the proof: the rogue key cannot have signed.
	if _, err := token.SignDigest(t.Context(), "b", [33]byte(rogue.PubKey().SerializeCompressed()), [32]byte{1}); !errors.Is(err, hsm.ErrSignature) {
		t.Errorf("signing for the rogue key: %v", err)
	}
	if _, err := token.P256Signer("receipt"); !errors.Is(err, hsm.ErrSignature) {
		t.Errorf("the receipt key: %v", err)
	}
}

func TestAPublicKeyDestroyedWithoutALoginIsNoticed(t *testing.T) {
	token, place := open(t)
	generate(t, token, "b")
	other := intrude(t, place)
	if err := other.module.DestroyObject(other.session, other.find(pkcs11.CKO_PUBLIC_KEY, "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Inspect(t.Context(), "b"); !errors.Is(err, hsm.ErrKeyMismatch) {
		t.Errorf("a pair without its public half: %v", err)
	}
}

// Attack 112: two objects of one label or one identifier are never chosen between.
func TestAttack112DuplicatesAreRefused(t *testing.T) {
	token, place := open(t)
	for _, label := range []string{"b", "c", "d"} {
		generate(t, token, label)
	}
	other := intrude(t, place)
	rogue, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := token.Inspect(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other.plantPublic("b", b.ID, secpOID(), rogue.PubKey().SerializeUncompressed())
	if _, err := token.FindKey(t.Context(), "b", b.Public); !errors.Is(err, hsm.ErrKeyAmbiguous) {
		t.Errorf("two public keys of one label: %v", err)
	}
	c, err := token.Inspect(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	other.plantPublic("elsewhere", c.ID, secpOID(), rogue.PubKey().SerializeUncompressed())
	if _, err := token.FindKey(t.Context(), "c", c.Public); !errors.Is(err, hsm.ErrKeyAmbiguous) {
		t.Errorf("three objects of one identifier: %v", err)
	}
	d, err := token.Inspect(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	other.plantPrivate("d", []byte{9}, secpOID(), big.NewInt(7).FillBytes(make([]byte, 32)))
	if _, err := token.SignDigest(t.Context(), "d", d.Public, [32]byte{}); !errors.Is(err, hsm.ErrKeyAmbiguous) {
		t.Errorf("two private keys of one label: %v", err)
	}
}

// The control of TestAttack111: a key made loosely IS given out, and TryExport says so.
func TestTryExportNoticesAKeyThatLeaves(t *testing.T) {
	token, place := open(t)
	other := intrude(t, place)
	public := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, secpOID()), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, "loose"), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte{3})}
	private := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, "loose"), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte{3})}
	mechanism := []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)}
	if _, _, err := other.module.GenerateKeyPair(other.session, mechanism, public, private); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Inspect(t.Context(), "loose"); !errors.Is(err, hsm.ErrKeyUnsafe) {
		t.Errorf("inspecting: %v", err)
	}
	if err := token.TryExport(t.Context(), "loose"); !errors.Is(err, hsm.ErrExported) {
		t.Errorf("exporting: %v", err)
	}
}

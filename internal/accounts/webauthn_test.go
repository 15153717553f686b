package accounts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

// The vectors of W3C Web Authentication Level 3, section 16.2 "ES256 Credential with No Attestation": relying party
// example.org, origin https://example.org. Its authenticator did not verify its user.
const (
	w3cRegisterChallenge = "00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130"
	w3cRegisterClient    = "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d"
	w3cAttestation       = "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220"
	w3cCredential        = "f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4"
	w3cAssertChallenge   = "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408"
	w3cAssertClient      = "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d"
	w3cAuthenticator     = "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000"
	w3cSignature         = "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func w3cRules() *Rules {
	r := DefaultRules().DefaultPasskeys("example.org", "https://example.org")
	return &r
}

// Everything of the standard's example holds, but that nobody was recognised, and that alone is why it is refused.
func TestTheStandardsExampleOnlyLacksAVerifiedUser(t *testing.T) {
	register := ceremony{w3cRules(), "webauthn.create", [32]byte(unhex(t, w3cRegisterChallenge))}
	client, attestation := unhex(t, w3cRegisterClient), unhex(t, w3cAttestation)
	if _, err := register.register(client, attestation); err == nil || !strings.Contains(err.Error(), "did not verify") {
		t.Fatalf("an authenticator that verified nobody: %v", err)
	}
	flags := bytes.Index(attestation, []byte{0xe4, 0xb5, 0x59}) + 2
	attestation[flags] |= flagVerified // no attestation signs it
	made, err := register.register(client, attestation)
	if err != nil || hex.EncodeToString(made.credential) != w3cCredential || made.key.algorithm != algES256 || !made.syncable || made.counter != 0 {
		t.Fatalf("%+v %v", made, err)
	}
	p := &passkey{credential: string(made.credential), key: made.key, syncable: true}
	assert := ceremony{w3cRules(), "webauthn.get", [32]byte(unhex(t, w3cAssertChallenge))}
	client, data, signature := unhex(t, w3cAssertClient), unhex(t, w3cAuthenticator), unhex(t, w3cSignature)
	if err := assert.client(client); err != nil {
		t.Error(err)
	}
	if _, err := assert.assert(p, client, data, signature); err == nil || !strings.Contains(err.Error(), "did not verify") {
		t.Errorf("an authenticator that verified nobody: %v", err)
	}
	sum := sha256.Sum256(client)
	if !p.key.verify(append(bytes.Clone(data), sum[:]...), signature) {
		t.Error("the standard's signature does not verify")
	}
	data[32] |= flagVerified
	if _, err := assert.assert(p, client, data, signature); err == nil || !strings.Contains(err.Error(), "signature") {
		t.Errorf("a flag that was set on the way: %v", err)
	}
}

func TestClientDataIsReadAsBrowsersWriteIt(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want clientData
	}{
		"Chromium": {`{"type":"webauthn.get","challenge":"YQ","origin":"https://a.example","crossOrigin":false,"other_keys_can_be_added_here":"do not compare clientDataJSON against a template. See https://goo.gl/yabPex"}`,
			clientData{"webauthn.get", "YQ", "https://a.example", false}},
		"in the order of the alphabet": {`{"challenge":"YQ","clientExtensions":{},"hashAlgorithm":"SHA-256","origin":"https://a.example","type":"webauthn.get"}`,
			clientData{"webauthn.get", "YQ", "https://a.example", false}},
		"an old one with token binding": {`{"challenge":"YQ","origin":"https://a.example","tokenBinding":{"status":"supported"},"type":"webauthn.get"}`,
			clientData{"webauthn.get", "YQ", "https://a.example", false}},
		"in a frame":    {`{"type":"webauthn.get","challenge":"YQ","origin":"https://a.example","crossOrigin":true}`, clientData{"webauthn.get", "YQ", "https://a.example", true}},
		"below another": {`{"type":"webauthn.get","challenge":"YQ","origin":"https://a.example","topOrigin":"https://b.example"}`, clientData{"webauthn.get", "YQ", "https://a.example", true}},
		"with escapes":  {` { "type" : "a\u0062\n\"\ud83d\ude00" , "x" : [ 1 , -0.5e+3 , [ ] , null , { "y" : true } ] } `, clientData{kind: "ab\n\"😀"}},
	} {
		if got, ok := readClientData([]byte(c.text)); !ok || got != c.want {
			t.Errorf("%s: %+v %t", name, got, ok)
		}
	}
	for name, text := range map[string]string{"nothing": "", "an array": "[]", "twice": `{"type":"a","type":"b"}`, "twice in another spelling": `{"type":"a","\u0074ype":"b"}`,
		"twice inside": `{"x":{"a":1,"a":2}}`, "behind it": `{} x`, "a comma too many": `{"a":1,}`, "a comma too few": `{"a":1 "b":2}`, "a number for a text": `{"origin":1}`,
		"a text for a truth": `{"crossOrigin":"false"}`, "null for a truth": `{"crossOrigin":null}`, "half a surrogate": `{"a":"\ud83d"}`, "not UTF-8": "{\"a\":\"\xff\"}", "a byte order mark": "\ufeff{}",
		"a control character": "{\"a\":\"\n\"}", "too deep": `{"a":{"a":{"a":{"a":{"a":1}}}}}`, "01": `{"a":01}`, "1.": `{"a":1.}`, "cut": `{"type":"a"`, "no name": `{:1}`, "no value": `{"a"}`} {
		if got, ok := readClientData([]byte(text)); ok {
			t.Errorf("%s is taken: %+v", name, got)
		}
	}
}

func FuzzClientData(f *testing.F) {
	for _, text := range []string{`{"type":"webauthn.get","challenge":"YQ","origin":"https://a.example","crossOrigin":false,"x":[1,{"y":null}]}`, `{"a":"\ud83d\ude00"}`, `{"a":-1.5e+7}`, "{}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := readClientData(raw)
		if !ok {
			return
		}
		// What we take is JSON to others too, and says the same.
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		for name, ours := range map[string]string{"type": got.kind, "challenge": got.challenge, "origin": got.origin} {
			if theirs, _ := all[name].(string); theirs != ours {
				t.Fatalf("%q: %s is %q and %q", raw, name, ours, theirs)
			}
		}
		_, top := all["topOrigin"]
		if cross, _ := all["crossOrigin"].(bool); (cross || top) != got.cross {
			t.Fatalf("%q: cross %t", raw, got.cross)
		}
	})
}

// Only one key is registered, so whatever else an assertion says, it was not signed by it.
func FuzzPasskeyAssertion(f *testing.F) {
	attestation := unhex(f, w3cAttestation)
	attestation[bytes.Index(attestation, []byte{0xe4, 0xb5, 0x59})+2] |= flagVerified
	register := ceremony{w3cRules(), "webauthn.create", [32]byte(unhex(f, w3cRegisterChallenge))}
	made, err := register.register(unhex(f, w3cRegisterClient), attestation)
	if err != nil {
		f.Fatal(err)
	}
	p := &passkey{credential: string(made.credential), key: made.key, syncable: made.syncable}
	verified := unhex(f, w3cAuthenticator)
	verified[32] |= flagVerified
	f.Add(unhex(f, w3cAssertClient), unhex(f, w3cAuthenticator), unhex(f, w3cSignature))
	f.Add(unhex(f, w3cAssertClient), verified, unhex(f, w3cSignature))
	f.Add(unhex(f, w3cRegisterClient), append(bytes.Clone(verified), 0xa0), []byte{0x30, 0})
	f.Fuzz(func(t *testing.T, client, data, signature []byte) {
		assert := ceremony{w3cRules(), "webauthn.get", [32]byte(unhex(t, w3cAssertChallenge))}
		before := bytes.Clone(data)
		if a, err := assert.assert(p, client, data, signature); err == nil {
			t.Fatalf("a forged assertion: %+v", a)
		}
		if !bytes.Equal(before, data) {
			t.Fatal("verification wrote into what it read")
		}
	})
}

func FuzzPasskeyRegistration(f *testing.F) {
	attestation := unhex(f, w3cAttestation)
	f.Add(unhex(f, w3cRegisterClient), bytes.Clone(attestation))
	attestation[bytes.Index(attestation, []byte{0xe4, 0xb5, 0x59})+2] |= flagVerified
	f.Add(unhex(f, w3cRegisterClient), attestation)
	f.Fuzz(func(t *testing.T, client, attestation []byte) {
		register := ceremony{w3cRules(), "webauthn.create", [32]byte(unhex(t, w3cRegisterChallenge))}
		made, err := register.register(client, attestation)
		if err != nil {
			return
		}
		if n := len(made.credential); n < credentialMin || n > credentialMax {
			t.Fatalf("a credential of %d bytes", n)
		}
		if length := map[int64]int{algES256: 65, algEdDSA: 32}[made.key.algorithm]; len(made.key.raw) != length || length == 0 {
			t.Fatalf("a key of algorithm %d in %d bytes", made.key.algorithm, len(made.key.raw))
		}
	})
}

package wallet

import (
	"bytes"
	"encoding/hex"
	"encoding/json"

	"github.com/coldsign/coldsign/internal/spend"
)

const (
	keyRecordMax = 80 << 10 // bytes; one of a full pool has 77 KiB, every other below 1 KiB
	keyFormat    = "key/v1"
	noProof      = "none" // what stands for the proof of a foreign key
)

// recordFields is the order in which a key record is written; every field is required when it is read.
type recordFields struct {
	Format      string `json:"coldsign"`
	Name        string `json:"name"`
	Network     string `json:"network"`
	Kind        string `json:"kind"`
	Fingerprint string `json:"fingerprint"`
	Path        string `json:"path"`
	Key         string `json:"key"`
	Receipt     string `json:"receipt"`
	Device      string `json:"device"`
	Proof       string `json:"proof"`
}

func (r KeyRecord) fields() recordFields {
	f := recordFields{Format: keyFormat, Name: r.Name, Network: string(r.Network), Kind: string(r.Kind),
		Fingerprint: hex.EncodeToString(r.Fingerprint[:]), Path: pathText(r.Path), Key: r.Key, Receipt: r.Receipt,
		Device: r.Device, Proof: hex.EncodeToString(r.Proof)}
	if r.Unproven() {
		f.Proof = noProof
	}
	return f
}

// Marshal writes the record as indented JSON with a final newline; the same record always gives the same bytes.
func (r KeyRecord) Marshal() []byte { return indented(r.fields()) }

// indented writes v for people: "<0;1>" stays as it is rather than becoming escapes for web pages.
func indented(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		panic("wallet: text that JSON cannot hold: " + err.Error()) // only strings and numbers come here
	}
	return b.Bytes()
}

// ParseKeyRecord reads a record and verifies it. Unknown, missing and repeated fields, text after the object, more
// than 80 KiB and a key without proof are refused.
func ParseKeyRecord(raw []byte) (KeyRecord, error) {
	r, err := readRecord(raw, "key record")
	if err != nil {
		return KeyRecord{}, err
	}
	if err := r.Verify(); err != nil {
		return KeyRecord{}, err
	}
	return r, nil
}

// readRecord reads the form of a record only.
func readRecord(raw []byte, where string) (KeyRecord, error) {
	names := []string{"coldsign", "name", "network", "kind", "fingerprint", "path", "key", "receipt", "device", "proof"}
	doc := document{"key-unreadable", where, keyRecordMax}
	o, err := doc.read(raw, names, nil)
	if err != nil {
		return KeyRecord{}, err
	}
	f, err := o.texts(names...)
	if err != nil {
		return KeyRecord{}, err
	}
	if f["coldsign"] != keyFormat {
		return KeyRecord{}, doc.malformed("the format %s where %s stands in a key record", quote(f["coldsign"]), keyFormat)
	}
	r := KeyRecord{Name: f["name"], Network: spend.Network(f["network"]), Kind: KeyKind(f["kind"]), Key: f["key"],
		Receipt: f["receipt"], Device: f["device"]}
	// One spelling for each field: a record that is read always marshals to the same values.
	path, ok := parsePath(f["path"])
	if !ok || pathText(path) != f["path"] {
		return KeyRecord{}, doc.malformed("the path %s, which is not written like m/48h/0h/0h/2h", quote(f["path"]))
	}
	r.Path = path
	fingerprint, ok := parseFingerprint(f["fingerprint"])
	if !ok {
		return KeyRecord{}, doc.malformed("the fingerprint %s, which is not 8 lower-case hexadecimal digits", quote(f["fingerprint"]))
	}
	r.Fingerprint = fingerprint
	// The mark is explicit. An empty or missing proof is a broken record, not a foreign key.
	if f["proof"] == noProof {
		return r, nil
	}
	r.Proof, err = hex.DecodeString(f["proof"])
	if err != nil || len(r.Proof) == 0 || hex.EncodeToString(r.Proof) != f["proof"] {
		return KeyRecord{}, doc.malformed("a proof that is not lower-case hexadecimal digits")
	}
	return r, nil
}

func parseFingerprint(text string) (out [4]byte, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(out) || hex.EncodeToString(raw) != text {
		return out, false
	}
	return [4]byte(raw), true
}

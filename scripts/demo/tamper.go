package main

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/seal"
	"golang.org/x/crypto/ssh"
)

// thief owns the daemon's machine: it has the issuer key, and seals whatever it likes. It has nobody's approval key.
type thief struct {
	issuer   ssh.Signer
	honest   bundle.Body // the bundle that two people approved
	approver []ssh.Signer
	now      time.Time
}

// attempt is one tampered bundle, and how coldsign must refuse it.
type attempt struct {
	name   string
	story  string // what the thief does, in words
	code   string // the refusal that must be among those given
	exit   int
	sealed []byte
}

// newThief reads the issuer key from the daemon's folder and opens the honest bundle without asking anybody.
func (s *story) newThief(raw []byte, now time.Time) (*thief, error) {
	issuer, err := readSSHKey(s.path(daemonData, "issuer.key"))
	if err != nil {
		return nil, err
	}
	opened, err := bundle.Open(raw, onlyIssuer{issuer.PublicKey()}, now)
	if err != nil {
		return nil, err
	}
	t := &thief{issuer: issuer, honest: opened.Body, now: now}
	for _, name := range []string{"bob", "carol"} {
		key, err := readSSHKey(s.path("staff", name+".ed25519"))
		if err != nil {
			return nil, err
		}
		t.approver = append(t.approver, key)
	}
	return t, nil
}

func readSSHKey(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	return ssh.ParsePrivateKey(text)
}

type onlyIssuer struct{ key ssh.PublicKey }

func (o onlyIssuer) Issuer(string) (ssh.PublicKey, bool) { return o.key, true }

func (t *thief) seal(b bundle.Body) ([]byte, error) { return bundle.Seal(b, t.issuer, rand.Reader) }

// attempts makes every tampered bundle.
func (t *thief) attempts() ([]attempt, error) {
	list := []attempt{
		{name: "swapped-output", code: "output-external", exit: 3, story: "swaps the hot wallet's address for an own one inside the PSBT, and seals it again"},
		{name: "lied-amount", code: "witness-utxo-differs", exit: 3, story: "states that a coin is smaller than it is, so that the rest would go to fees"},
		{name: "one-approval", code: "approvals-insufficient", exit: 3, story: "leaves out one of the two approvals"},
		{name: "expired", code: "bundle-expired", exit: 5, story: "brings a bundle of yesterday, well approved, whose time is over"},
		{name: "flipped-byte", code: "seal-invalid", exit: 5, story: "changes one byte in transit, without the issuer key"},
	}
	makers := []func() ([]byte, error){t.swappedOutput, t.liedAmount, t.oneApproval, t.expired, t.flippedByte}
	var err error
	for i, make := range makers {
		if list[i].sealed, err = make(); err != nil {
			return nil, fmt.Errorf("%s: %w", list[i].name, err)
		}
	}
	return list, nil
}

// rewrite changes the PSBT inside the bundle and seals the whole again.
func (t *thief) rewrite(change func(*psbt.Packet) error) ([]byte, error) {
	p, err := psbt.NewFromRawBytes(bytes.NewReader(t.honest.Payload), false)
	if err != nil {
		return nil, err
	}
	if err := change(p); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := p.Serialize(&out); err != nil {
		return nil, err
	}
	b := t.honest
	b.Payload = out.Bytes()
	return t.seal(b)
}

func (t *thief) swappedOutput() ([]byte, error) {
	return t.rewrite(func(p *psbt.Packet) error {
		own, err := address.NewAddressWitnessPubKeyHash(bytes.Repeat([]byte{0x66}, 20), &chaincfg.RegressionNetParams)
		if err != nil {
			return err
		}
		script, err := txscript.PayToAddrScript(own)
		if err != nil {
			return err
		}
		for i, out := range p.Outputs {
			if !isChange(out) {
				p.UnsignedTx.TxOut[i].PkScript = script
				p.Outputs[i] = psbt.POutput{}
				return nil
			}
		}
		return errors.New("the bundle has no destination output")
	})
}

// isChange tells the change output by its own claim: derivations whose second to last step is the change branch.
func isChange(out psbt.POutput) bool {
	for _, d := range out.Bip32Derivation {
		if n := len(d.Bip32Path); n >= 2 {
			return d.Bip32Path[n-2] == 1
		}
	}
	return false
}

func (t *thief) liedAmount() ([]byte, error) {
	return t.rewrite(func(p *psbt.Packet) error {
		if p.Inputs[0].WitnessUtxo == nil {
			return errors.New("the first input states no amount")
		}
		p.Inputs[0].WitnessUtxo.Value -= 1 * btc
		return nil
	})
}

func (t *thief) oneApproval() ([]byte, error) {
	b := t.honest
	b.Approvals = b.Approvals[:1]
	return t.seal(b)
}

// expired takes an intent of yesterday that two people did approve: everything about it is good but its time.
func (t *thief) expired() ([]byte, error) {
	intent, err := bundle.DecodeIntent(t.honest.Intent)
	if err != nil {
		return nil, err
	}
	lifetime := intent.ExpiresAt - intent.CreatedAt
	intent.CreatedAt = t.now.Add(-24*time.Hour).Unix() - lifetime
	intent.ExpiresAt = intent.CreatedAt + lifetime
	b := t.honest
	if b.Intent, err = bundle.EncodeIntent(intent); err != nil {
		return nil, err
	}
	b.SealedAt, b.Approvals = intent.CreatedAt, nil
	for _, key := range t.approver {
		armored, err := seal.Sign(key, seal.Approve, b.Intent, rand.Reader)
		if err != nil {
			return nil, err
		}
		b.Approvals = append(b.Approvals, armored)
	}
	return t.seal(b)
}

func (t *thief) flippedByte() ([]byte, error) {
	raw, err := t.seal(t.honest)
	if err != nil {
		return nil, err
	}
	raw[len(raw)/2] ^= 1
	return raw, nil
}

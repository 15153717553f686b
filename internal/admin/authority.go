package admin

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"regexp"
	"time"
)

// How long certificates live. The authority outlives them all; people renew once a year, so that somebody who left
// and was forgotten ends by himself.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	serverLife    = 2 * 365 * 24 * time.Hour
	personLife    = 365 * 24 * time.Hour
	clockSkew     = 5 * time.Minute // certificates begin a little earlier than now: two clocks are never equal
	pemMax        = 16 << 10
)

var personShape = regexp.MustCompile(`^[a-z][a-z0-9]*([._-][a-z0-9]+)*$`)

// CheckPerson refuses names that could not stand in a roster, a file name and a screen without surprise.
func CheckPerson(name string) error {
	if len(name) > 32 || !personShape.MatchString(name) {
		return fmt.Errorf("person %q is not a name of lower-case letters, digits and inner dots or dashes, at most 32", name)
	}
	return nil
}

// Authority is the small certificate authority of one daemon. It signs the daemon's own certificate and those of the
// staff; nothing else trusts it.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes a root with a fresh P-256 key. The path length is zero: it signs leaves only.
func NewAuthority(name string, now time.Time, random io.Reader) (Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return Authority{}, fmt.Errorf("key of the authority: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	if template.SerialNumber, err = serial(random); err != nil {
		return Authority{}, err
	}
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return Authority{}, fmt.Errorf("certificate of the authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	return Authority{certificate, key}, err
}

// LoadAuthority reads what CertPEM and KeyPEM wrote and checks that they belong together.
func LoadAuthority(certPEM, keyPEM []byte) (Authority, error) {
	certificate, err := ParseCertificate(certPEM)
	if err != nil {
		return Authority{}, err
	}
	der, err := decodePEM(keyPEM, "PRIVATE KEY")
	if err != nil {
		return Authority{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Authority{}, errors.New("key of the authority: not PKCS #8")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) || !certificate.IsCA {
		return Authority{}, errors.New("key and certificate of the authority do not belong together")
	}
	return Authority{certificate, key}, nil
}

// CertPEM returns the root certificate, which is public.
func (a Authority) CertPEM() []byte { return encodePEM("CERTIFICATE", a.certificate.Raw) }

// KeyPEM returns the private key as PKCS #8, to be written with mode 0600.
func (a Authority) KeyPEM() ([]byte, error) { return keyPEM(a.key) }

// IssueServer makes the daemon's key and certificate for IP addresses and host names.
func (a Authority) IssueServer(hosts []string, now time.Time, random io.Reader) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fmt.Errorf("key of the server: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "exchanged"}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if cert, err = a.sign(template, private.Public(), random); err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(private)
	return cert, key, err
}

// IssuePerson signs a staff member's request. Only the public key is taken from it: the name must be the one that the
// operator typed, and usage, lifetime and everything else are ours.
func (a Authority) IssuePerson(name string, requestPEM []byte, now time.Time, random io.Reader) ([]byte, error) {
	if err := CheckPerson(name); err != nil {
		return nil, err
	}
	der, err := decodePEM(requestPEM, "CERTIFICATE REQUEST")
	if err != nil {
		return nil, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, errors.New("certificate request: not readable")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, errors.New("certificate request: its own signature is not valid")
	}
	if request.Subject.CommonName != name {
		return nil, fmt.Errorf("certificate request is for %q, not for %q", request.Subject.CommonName, name)
	}
	switch key := request.PublicKey.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("certificate request: curve %s, want P-256", key.Curve.Params().Name)
		}
	default:
		return nil, fmt.Errorf("certificate request: key of type %T, want P-256 or Ed25519", key)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(personLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return a.sign(template, request.PublicKey, random)
}

func (a Authority) sign(template *x509.Certificate, public crypto.PublicKey, random io.Reader) ([]byte, error) {
	var err error
	if template.SerialNumber, err = serial(random); err != nil {
		return nil, err
	}
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(random, template, a.certificate, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", template.Subject.CommonName, err)
	}
	return encodePEM("CERTIFICATE", der), nil
}

// NewPersonKey makes a staff member's TLS key and the request to have it signed. The key never leaves the person's
// home.
func NewPersonKey(name string, random io.Reader) (key, request []byte, err error) {
	if err := CheckPerson(name); err != nil {
		return nil, nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fmt.Errorf("key of %s: %w", name, err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificateRequest(random, template, private)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate request of %s: %w", name, err)
	}
	key, err = keyPEM(private)
	return key, encodePEM("CERTIFICATE REQUEST", der), err
}

// ParseCertificate reads exactly one certificate.
func ParseCertificate(certPEM []byte) (*x509.Certificate, error) {
	der, err := decodePEM(certPEM, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("certificate: not readable")
	}
	return certificate, nil
}

// CertificateID names a certificate in events and lists: SHA-256 of its bytes, hexadecimal.
func CertificateID(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

func serial(random io.Reader) (*big.Int, error) {
	var raw [16]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	raw[0] = raw[0]&0x7f | 0x40 // positive, never zero, always 16 bytes
	return new(big.Int).SetBytes(raw[:]), nil
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("private key cannot be written as PKCS #8")
	}
	return encodePEM("PRIVATE KEY", der), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// decodePEM accepts one block of one kind and nothing beside it, and never echoes what it read: it may be a key.
func decodePEM(text []byte, kind string) ([]byte, error) {
	if len(text) > pemMax {
		return nil, fmt.Errorf("%s has %d bytes, at most %d", kind, len(text), pemMax)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("not one PEM block %q", kind)
	}
	return block.Bytes, nil
}

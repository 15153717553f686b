package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/crypto/ssh"
)

// stage is a treasury that is ready to sign, in a folder that stories copy: three keyholders' homes (a, b, c) with keys
// from published seeds, so that addresses and words are the same in every run and stories can name them; the wallet
// COLD-A of these keys, the wallet HOT-1 as a destination; an issuer, a roster of alice, bob and carol, and a policy,
// pinned by every keyholder.
//
//	pass              passphrase of every key
//	NAME.seed         24 words of key NAME
//	NAME.key.json     public record of key NAME
//	cold.json hot.json issuer.json roster policy.yaml
type stage struct {
	*desk
	hot    wallet.Wallet
	issuer ssh.Signer
	people map[string]ssh.Signer
}

const stageIssuer = "exchanged-1"

// seeds are vectors of BIP39; whoever pays to them gives his coins to everybody.
var seeds = map[string]string{
	"a":  "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
	"b":  "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
	"c":  "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
	"h1": "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
	"h2": "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol speed nation flash devote level hobby quick inner drive ghost inside",
	"h3": "all hour make first leader extend hole alien behind guard gospel lava path output census museum junior mass reopen famous sing advance salt reform",
}

// newStage makes the folder with the commands that people use.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{desk: &desk{t: t, dir: t.TempDir()}, issuer: staffKey(t, "issuer"), people: map[string]ssh.Signer{}}
	s.write("pass", []byte(deskPassphrase+"\n"))
	for _, name := range []string{"a", "b", "c", "h1", "h2", "h3"} {
		home := s.path(name)
		s.must("init", "--home", home, "--network", "regtest")
		s.write(name+".seed", []byte(seeds[name]+"\n"))
		s.must("key", "import", name, "--home", home, "--words-fd", s.secret(seeds[name]), "--passphrase-fd", s.secret(deskPassphrase))
		s.must("key", "export", name, "--home", home, "--out", s.path(name+".key.json"))
	}
	s.desk.wallet = s.compose("COLD-A", "cold.json", spend.Cold, "a", "b", "c")
	s.hot = s.compose("HOT-1", "hot.json", spend.Hot, "h1", "h2", "h3")
	issuer, err := bundle.Issuer{Name: stageIssuer, Network: spend.BitcoinRegtest, Key: s.issuer.PublicKey()}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s.write("issuer.json", issuer)
	s.write("roster", []byte(s.roster("alice", "bob", "carol")))
	for _, k := range []string{"a", "b", "c"} {
		s.pinAll(k)
	}
	return s
}

// staffKey is the file key of a person or of the issuer.
func staffKey(t *testing.T, name string) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("coldsign story " + name))
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// compose writes a 2-of-3 wallet file.
func (s *stage) compose(name, file string, tier spend.Tier, keys ...string) wallet.Wallet {
	s.t.Helper()
	args := []string{"wallet", "create", name, "--tier", string(tier), "--threshold", "2", "--out", s.path(file)}
	for _, k := range keys {
		args = append(args, s.path(k+".key.json"))
	}
	s.must(args...)
	raw, err := os.ReadFile(s.path(file))
	if err != nil {
		s.t.Fatal(err)
	}
	w, err := wallet.Parse(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

// roster has one file key for each person, which counts on test networks only.
func (s *stage) roster(people ...string) string {
	var b strings.Builder
	for _, name := range people {
		s.people[name] = staffKey(s.t, name)
		fmt.Fprintf(&b, "%s namespaces=\"coldsign-approve-v1\",valid-after=\"20200101Z\",valid-before=\"21000101Z\" %s role=approver site=zurich device=file\n",
			name, seal.KeyLine(s.people[name].PublicKey()))
	}
	return b.String()
}

// pinAll pins everything in one keyholder's home.
func (s *stage) pinAll(key string) {
	s.t.Helper()
	pin := func(args ...string) {
		s.t.Helper()
		s.must(append(args, "--home", s.path(key), "--passphrase-fd", s.secret(deskPassphrase))...)
	}
	words := func(file string) string { return strings.TrimSpace(s.must("words", s.path(file))) }
	pin("wallet", "add", s.path("cold.json"), "--words", words("cold.json"))
	pin("wallet", "add", s.path("hot.json"), "--destination", "--words", words("hot.json"))
	pin("trust", "add", s.path("issuer.json"), "--words", words("issuer.json"))
	if _, err := os.Stat(s.path("policy.yaml")); err != nil {
		s.must("policy", "template", "--home", s.path(key), "--out", s.path("policy.yaml"))
	}
	for file, kind := range map[string]string{"roster": "roster", "policy.yaml": "policy"} {
		pin(append([]string{"trust", "add", s.path(file), "--words", words(file)}, s.vouched(kind, file)...)...)
	}
}

// vouched has keyholders a and b, a quorum, sign a file, once, and returns the flags that hand their signatures over.
func (s *stage) vouched(kind, file string) (flags []string) {
	s.t.Helper()
	for _, key := range []string{"a", "b"} {
		signature := s.path(file + ".sig-" + key)
		if _, err := os.Stat(signature); err != nil {
			s.must(kind, "sign", s.path(file), "--home", s.path(key), "--out", signature, "--passphrase-fd", s.secret(deskPassphrase))
		}
		flags = append(flags, "--signature", signature)
	}
	return flags
}

// copyTo copies the folder, file modes included. Nothing in a home knows where it lies.
func (s *stage) copyTo(dir string) error {
	return filepath.WalkDir(s.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == s.dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if entry.IsDir() {
			return os.Mkdir(to, info.Mode().Perm())
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, raw, info.Mode().Perm())
	})
}

// order says what bundle to make, as a story writes it: "serial=2 amount=1.5 coins=0,1".
type order struct {
	serial    uint64
	amount    money.Amount
	toIndex   uint32
	coins     []uint32 // receive indexes of COLD-A; each holds 1 BTC
	approvals []string
	replaces  [32]byte
	counters  []bundle.Counter // receipts that the issuer says it has seen
	entry     string           // of the address book, with its address, where a wallet is not to be paid
	address   string
	age       time.Duration // of the intent
	lifetime  time.Duration
	network   spend.Network
	thief     string // what a thief with the issuer key does: lie, attacker, stranger
}

// readOrder reads key=value words. replaces=FILE names a bundle.
func (s *stage) readOrder(args []string, read func(name string) string) (order, error) {
	o := order{serial: 1, amount: money.Sats(150_000_000), coins: []uint32{0, 1}, approvals: []string{"alice", "bob"}, age: time.Minute,
		lifetime: 72 * time.Hour, network: spend.BitcoinRegtest}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		var err error
		switch name {
		case "serial":
			o.serial, err = strconv.ParseUint(value, 10, 64)
		case "amount":
			o.amount, err = money.Parse(value, money.BTC)
		case "to":
			_, err = fmt.Sscan(value, &o.toIndex)
		case "coins":
			o.coins = nil
			for _, index := range strings.Split(value, ",") {
				n, errIndex := strconv.ParseUint(index, 10, 31)
				o.coins, err = append(o.coins, uint32(n)), errIndex
			}
		case "approvals":
			o.approvals = slices.DeleteFunc(strings.Split(value, ","), func(s string) bool { return s == "" })
		case "replaces":
			opened, errOpen := bundle.Open([]byte(read(value)), anyIssuer{s.issuer.PublicKey()}, time.Now())
			o.replaces, err = opened.ID, errOpen
		case "counters":
			for _, pair := range strings.Split(value, ",") {
				var c bundle.Counter
				_, errPair := fmt.Sscanf(pair, "%d:%d", &c.Position, &c.Counter)
				o.counters, err = append(o.counters, c), errors.Join(err, errPair)
			}
		case "entry":
			o.entry, o.address, _ = strings.Cut(value, ":")
		case "age":
			o.age, err = time.ParseDuration(value)
		case "network":
			o.network = networks[value]
		case "thief":
			o.thief = value
		default:
			err = fmt.Errorf("no such word in an order")
		}
		if err != nil {
			return o, fmt.Errorf("%s: %w", arg, err)
		}
	}
	return o, nil
}

type anyIssuer struct{ key ssh.PublicKey }

func (i anyIssuer) Issuer(string) (ssh.PublicKey, bool) { return i.key, true }

// payment builds the unsigned transaction of an order, as the daemon does.
func (s *stage) payment(o order) (*bitcoin.Packet, error) {
	var coins []bitcoin.Coin
	for _, index := range o.coins {
		derived, err := s.wallet.Derive(wallet.Receive, index)
		if err != nil {
			return nil, err
		}
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{byte(index + 1)}, 0), nil, nil))
		tx.AddTxOut(wire.NewTxOut(100_000_000, derived.ScriptPubKey))
		var raw bytes.Buffer
		if err := tx.Serialize(&raw); err != nil {
			return nil, err
		}
		coins = append(coins, bitcoin.Coin{Outpoint: *wire.NewOutPoint(ptr(tx.TxHash()), 0), Value: 100_000_000,
			Branch: wallet.Receive, Index: index, PrevTx: raw.Bytes()})
	}
	p, _, err := bitcoin.Build(bitcoin.Request{From: s.wallet, To: s.hot, ToIndex: o.toIndex, Amount: int64(o.amount.Units().Lo), FeeRate: 2000,
		Coins: coins, Height: 100, Rand: bytes.NewReader(bytes.Repeat([]byte{7}, 4096))})
	return p, err
}

// bundle seals an order that people approved.
func (s *stage) bundle(o order) ([]byte, error) {
	p, err := s.payment(o)
	if err != nil {
		return nil, err
	}
	created := time.Now().Add(-o.age)
	asked := spend.Intent{Network: o.network, Purpose: spend.TopUp, Serial: o.serial, Issuer: stageIssuer,
		From: s.wallet.ID(), To: s.hot.ID(), ToIndex: o.toIndex, Amount: o.amount, Proposer: stageIssuer,
		CreatedAt: created.Unix(), ExpiresAt: created.Add(o.lifetime).Unix()}
	if o.entry != "" {
		asked.Purpose, asked.To, asked.ToIndex, asked.Entry = spend.Payment, spend.WalletID{}, 0, o.entry
	}
	intent, err := bundle.EncodeIntent(asked)
	if err != nil {
		return nil, err
	}
	body := bundle.Body{Intent: intent, PayloadKind: bundle.PSBT, Issuer: stageIssuer, SealedAt: created.Unix(), Replaces: o.replaces, Counters: o.counters}
	body.Payload, body.Proofs = p.Strip()
	for _, name := range o.approvals {
		armored, err := seal.Sign(s.people[name], seal.Approve, intent, rand.Reader)
		if err != nil {
			return nil, err
		}
		body.Approvals = append(body.Approvals, armored)
	}
	if o.entry != "" {
		o.thief = "address " + o.address
	}
	if body.Payload, err = s.tamper(o.thief, body.Payload); err != nil {
		return nil, err
	}
	issuer := s.issuer
	if o.thief == "stranger" {
		issuer = staffKey(s.t, "stranger")
	}
	return bundle.Seal(body, issuer, rand.Reader)
}

// tamper is what somebody with the daemon's machine, and without anybody's approval key, could do to the payment.
func (s *stage) tamper(how string, payload []byte) ([]byte, error) {
	if how == "" || how == "stranger" {
		return payload, nil
	}
	p, err := psbt.NewFromRawBytes(bytes.NewReader(payload), false)
	if err != nil {
		return nil, err
	}
	script := append([]byte{0, 20}, bytes.Repeat([]byte{0x66}, 20)...)
	if text, outside := strings.CutPrefix(how, "address "); outside { // no thief, but a payment to an entry of the book
		decoded, err := address.DecodeAddress(text, &chaincfg.RegressionNetParams)
		if err != nil {
			return nil, err
		}
		if script, err = txscript.PayToAddrScript(decoded); err != nil {
			return nil, err
		}
		how = "attacker"
	}
	switch how {
	case "lie":
		p.Inputs[0].WitnessUtxo.Value -= 1000
	case "attacker":
		for i := range p.UnsignedTx.TxOut {
			if len(p.Outputs[i].Bip32Derivation) == 0 { // not the change
				p.UnsignedTx.TxOut[i].PkScript = script
			}
		}
	default:
		return nil, fmt.Errorf("no thief does %q", how)
	}
	var out bytes.Buffer
	err = p.Serialize(&out)
	return out.Bytes(), err
}

package approvals_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/approvals"
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/seal"
	"github.com/coldsign/coldsign/internal/spend"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

const created = 1767225600 // 2026-01-01T00:00:00Z

var now = time.Unix(created+600, 0)

func secret(n int) ed25519.PrivateKey {
	seed := sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(n)))
	return ed25519.NewKeyFromSeed(seed[:])
}

func fileKey(t testing.TB, n int) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(secret(n))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// securityKey is an sk-ssh-ed25519 key in software, after OpenSSH's PROTOCOL.u2f.
type securityKey struct {
	secret  ed25519.PrivateKey
	flags   byte
	counter uint32
}

func skKey(t testing.TB, n int) *securityKey {
	t.Helper()
	return &securityKey{secret: secret(n), flags: 0x05, counter: 41}
}

func (k *securityKey) PublicKey() ssh.PublicKey {
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct{ Type, Key, Application string }{
		ssh.KeyAlgoSKED25519, string(k.secret.Public().(ed25519.PublicKey)), "ssh:"}))
	if err != nil {
		panic(err)
	}
	return key
}

func (k *securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	tail := binary.BigEndian.AppendUint32([]byte{k.flags}, k.counter)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Rest: tail,
		Blob: ed25519.Sign(k.secret, slices.Concat(application[:], tail, message[:]))}, nil
}

// question is an intent with its exact bytes.
type question struct {
	spend.Intent
	raw []byte
}

func intent(t testing.TB, changes ...func(*spend.Intent)) question {
	t.Helper()
	i := spend.Intent{Network: spend.BitcoinRegtest, Purpose: spend.TopUp, Serial: 41, Issuer: "exchanged-1", From: spend.WalletID{1}, To: spend.WalletID{2},
		Amount: money.Sats(1_250_000_000), Proposer: "exchanged-1", CreatedAt: created, ExpiresAt: created + 3600}
	for _, change := range changes {
		change(&i)
	}
	raw, err := bundle.EncodeIntent(i)
	if err != nil {
		t.Fatal(err)
	}
	return question{i, raw}
}

func approve(t testing.TB, signer ssh.Signer, message []byte) []byte {
	t.Helper()
	armored, err := seal.Sign(signer, seal.Approve, message, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

// roster: alice has a file key (2) and a token (4), bob a security key (3), carol a token (5), dave is an operator (6),
// erin left (7), frank has not begun (8).
func roster(t testing.TB) approvals.Roster {
	left := strings.Replace(years, "20280101Z", "202601010005Z", 1)
	begins := strings.Replace(years, "20250101Z", "202601010001Z", 1)
	other := func(name, options string, n int) string {
		return name + " " + options + " " + seal.KeyLine(fileKey(t, n).PublicKey()) + " role=approver site=zurich device=pkcs11\n"
	}
	return parse(t, line("alice", fileKey(t, 2).PublicKey(), "role=approver site=zurich device=file")+
		line("alice", fileKey(t, 4).PublicKey(), "role=approver site=zurich device=pkcs11")+
		line("bob", skKey(t, 3).PublicKey(), "role=approver site=lisbon device=fido2")+
		line("carol", fileKey(t, 5).PublicKey(), "role=approver site=lisbon device=pkcs11")+
		line("dave", fileKey(t, 6).PublicKey(), "role=operator site=zurich device=pkcs11")+
		other("erin", left, 7)+other("frank", begins, 8)+
		other("grace", strings.Replace(years, "coldsign-approve-v1", "coldsign-roster-v1", 1), 9))
}

// codes are the refusals of all checks.
func codes(checks []spend.Check) []string {
	var out []string
	for _, r := range (spend.Verdict{Checks: checks}).Refusals() {
		out = append(out, r.Code)
	}
	return out
}

func names(approvers []approvals.Approver) string {
	var out []string
	for _, a := range approvers {
		out = append(out, a.Person)
	}
	return strings.Join(out, " ")
}

func TestTwoDifferentPeopleApprove(t *testing.T) {
	asked := intent(t)
	sigs := [][]byte{approve(t, skKey(t, 3), asked.raw), approve(t, fileKey(t, 2), asked.raw)}
	approvers, checks := roster(t).Judge(asked.Intent, asked.raw, sigs, 2, now)
	if names(approvers) != "bob alice" || !(spend.Verdict{Checks: checks}).Clean() {
		t.Fatalf("%+v %v", approvers, codes(checks))
	}
	want := approvals.Approver{Person: "bob", Role: "approver", Site: "lisbon", Device: "fido2", Key: seal.Fingerprint(skKey(t, 3).PublicKey()), Counter: 41}
	if approvers[0] != want {
		t.Errorf("%+v, want %+v", approvers[0], want)
	}
	for _, c := range checks {
		if c.Name == "" || c.Detail == "" {
			t.Errorf("a check passed without saying what it saw: %+v", c)
		}
	}
}

// Attack 115: the same human twice, the initiator, an edited intent, a stale approval, somebody who left; and what is
// near to each of them.
func TestAttack115OnlyDifferentPeoplesFreshApprovalsOfThisIntentCount(t *testing.T) {
	asked := intent(t)
	edited := intent(t, func(i *spend.Intent) { i.Amount = money.Sats(9_999_000_000) })
	proposed := intent(t, func(i *spend.Intent) { i.Proposer = "alice" })
	mainnet := intent(t, func(i *spend.Intent) { i.Network = spend.BitcoinMainnet })
	nobody := intent(t, func(i *spend.Intent) { i.Proposer = "al1ce" })
	unverified := skKey(t, 3)
	unverified.flags = 0x01
	alice, aliceToken, bob, carol := fileKey(t, 2), fileKey(t, 4), skKey(t, 3), fileKey(t, 5)
	wrongPurpose, err := seal.Sign(alice, seal.Pin, asked.raw, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		asked     question
		sigs      [][]byte
		at        time.Time
		want      []string
		approvers string
	}{
		{"nobody", asked, nil, now, []string{"approvals-insufficient"}, ""},
		{"one", asked, [][]byte{approve(t, bob, asked.raw)}, now, []string{"approvals-insufficient"}, "bob"},
		{"one human, two keys", asked, [][]byte{approve(t, alice, asked.raw), approve(t, aliceToken, asked.raw)}, now,
			[]string{"approver-twice", "approvals-insufficient"}, "alice"},
		{"one approval, twice", asked, [][]byte{approve(t, bob, asked.raw), approve(t, bob, asked.raw)}, now,
			[]string{"approver-twice", "approvals-insufficient"}, "bob"},
		{"the initiator", proposed, [][]byte{approve(t, aliceToken, proposed.raw), approve(t, bob, proposed.raw)}, now,
			[]string{"approver-is-proposer", "approvals-insufficient"}, "bob"},
		{"the initiator beside enough others", proposed, [][]byte{approve(t, alice, proposed.raw), approve(t, bob, proposed.raw), approve(t, carol, proposed.raw)},
			now, []string{"approver-is-proposer"}, "bob carol"},
		{"an initiator who is nobody", nobody, [][]byte{approve(t, alice, nobody.raw), approve(t, bob, nobody.raw)}, now,
			[]string{"proposer-unknown"}, "alice bob"},
		{"an edited intent", edited, [][]byte{approve(t, alice, asked.raw), approve(t, bob, edited.raw)}, now,
			[]string{"approval-invalid", "approvals-insufficient"}, "bob"},
		{"another purpose", asked, [][]byte{wrongPurpose, approve(t, bob, asked.raw), approve(t, carol, asked.raw)}, now,
			[]string{"approval-invalid"}, "bob carol"},
		{"a stranger beside enough others", asked, [][]byte{approve(t, bob, asked.raw), approve(t, carol, asked.raw), approve(t, fileKey(t, 99), asked.raw)}, now,
			[]string{"approver-unknown"}, "bob carol"},
		{"garbage beside enough others", asked, [][]byte{approve(t, bob, asked.raw), nil, approve(t, carol, asked.raw)}, now,
			[]string{"approval-invalid"}, "bob carol"},
		{"an operator", asked, [][]byte{approve(t, bob, asked.raw), approve(t, fileKey(t, 6), asked.raw)}, now,
			[]string{"approver-role", "approvals-insufficient"}, "bob"},
		{"a key for something else", asked, [][]byte{approve(t, bob, asked.raw), approve(t, fileKey(t, 9), asked.raw)}, now,
			[]string{"approver-role", "approvals-insufficient"}, "bob"},
		{"somebody who left since", asked, [][]byte{approve(t, bob, asked.raw), approve(t, fileKey(t, 7), asked.raw)}, now,
			[]string{"approver-outside-validity", "approvals-insufficient"}, "bob"},
		{"somebody who began since", asked, [][]byte{approve(t, bob, asked.raw), approve(t, fileKey(t, 8), asked.raw)}, now,
			[]string{"approver-outside-validity", "approvals-insufficient"}, "bob"},
		{"stale", asked, [][]byte{approve(t, bob, asked.raw), approve(t, carol, asked.raw)}, time.Unix(created+3600, 0),
			[]string{"approvals-expired"}, "bob carol"},
		{"from the future", asked, [][]byte{approve(t, bob, asked.raw), approve(t, carol, asked.raw)}, time.Unix(created-301, 0),
			[]string{"approvals-not-yet-valid"}, "bob carol"},
		{"a file key on mainnet", mainnet, [][]byte{approve(t, alice, mainnet.raw), approve(t, bob, mainnet.raw)}, now,
			[]string{"approver-file-key", "approvals-insufficient"}, "bob"},
		{"tokens on mainnet", mainnet, [][]byte{approve(t, aliceToken, mainnet.raw), approve(t, bob, mainnet.raw)}, now, nil, "alice bob"},
		{"a touch without a PIN", asked, [][]byte{approve(t, carol, asked.raw), approve(t, unverified, asked.raw)}, now,
			[]string{"approver-unverified", "approvals-insufficient"}, "carol"},
	} {
		approvers, checks := roster(t).Judge(c.asked.Intent, c.asked.raw, c.sigs, 2, c.at)
		if !slices.Equal(codes(checks), c.want) || names(approvers) != c.approvers {
			t.Errorf("%s: refused with %v, approved by %q; want %v, %q", c.name, codes(checks), names(approvers), c.want, c.approvers)
		}
	}
}

func TestToAskNobodyIsRefused(t *testing.T) {
	asked := intent(t)
	for _, need := range []int{0, -1} {
		_, checks := roster(t).Judge(asked.Intent, asked.raw, [][]byte{approve(t, skKey(t, 3), asked.raw)}, need, now)
		if !slices.Equal(codes(checks), []string{"approvals-insufficient"}) {
			t.Errorf("need %d: %v", need, codes(checks))
		}
	}
	_, checks := approvals.Roster{}.Judge(asked.Intent, asked.raw, nil, 1, now)
	if !slices.Contains(codes(checks), "approvals-insufficient") {
		t.Errorf("the empty roster: %v", codes(checks))
	}
	_, checks = roster(t).Judge(asked.Intent, asked.raw, make([][]byte, 17), 1, now)
	if !slices.Contains(codes(checks), "approvals-too-many") {
		t.Errorf("17 approvals: %v", codes(checks))
	}
}

// Attack 124, as a person meets it: the operator gives an expired intent a longer life, and nobody's approval counts.
func TestAttack124ALongerLifeVoidsEveryApproval(t *testing.T) {
	asked := intent(t)
	longer := intent(t, func(i *spend.Intent) { i.ExpiresAt += 3600 })
	sigs := [][]byte{approve(t, skKey(t, 3), asked.raw), approve(t, fileKey(t, 5), asked.raw)}
	approvers, checks := roster(t).Judge(longer.Intent, longer.raw, sigs, 2, time.Unix(created+3700, 0))
	if len(approvers) != 0 || !slices.Equal(codes(checks), []string{"approval-invalid", "approval-invalid", "approvals-insufficient"}) {
		t.Errorf("%v %v", approvers, codes(checks))
	}
}

// Whatever is changed in an approval, it stops counting and is reported.
func TestEveryTurnedBitOfAnApprovalIsRefused(t *testing.T) {
	asked, good, people := intent(t), skKey(t, 3), roster(t)
	armored := approve(t, good, asked.raw)
	for bit := range len(armored) * 8 {
		changed := bytes.Clone(armored)
		changed[bit/8] ^= 1 << (bit % 8)
		approvers, checks := people.Judge(asked.Intent, asked.raw, [][]byte{changed}, 1, now)
		if len(approvers) != 0 || (spend.Verdict{Checks: checks}).Clean() {
			t.Fatalf("bit %d turned and the approval still counts", bit)
		}
	}
}

// However approvals are mixed, the verdict is clean only when each is good and the people differ.
func TestAnyMixOfApprovalsIsCountedByPeople(t *testing.T) {
	asked, people := intent(t), roster(t)
	pool := []struct {
		armored []byte
		person  string // empty when it must not count
	}{
		{approve(t, fileKey(t, 2), asked.raw), "alice"}, {approve(t, fileKey(t, 4), asked.raw), "alice"},
		{approve(t, skKey(t, 3), asked.raw), "bob"}, {approve(t, fileKey(t, 5), asked.raw), "carol"},
		{approve(t, fileKey(t, 6), asked.raw), ""}, {approve(t, fileKey(t, 99), asked.raw), ""}, {nil, ""},
		{approve(t, fileKey(t, 5), append([]byte{0}, asked.raw...)), ""},
	}
	rapid.Check(t, func(t *rapid.T) {
		var sigs [][]byte
		clean, counted := true, map[string]bool{}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(pool)-1), 0, 6).Draw(t, "approvals") {
			sigs = append(sigs, pool[i].armored)
			clean = clean && pool[i].person != "" && !counted[pool[i].person]
			if pool[i].person != "" {
				counted[pool[i].person] = true
			}
		}
		need := rapid.IntRange(1, 4).Draw(t, "need")
		approvers, checks := people.Judge(asked.Intent, asked.raw, sigs, need, now)
		if got := (spend.Verdict{Checks: checks}).Clean(); got != (clean && len(counted) >= need) || len(approvers) != len(counted) {
			t.Fatalf("clean %v with %s, need %d: %v", got, names(approvers), need, codes(checks))
		}
	})
}

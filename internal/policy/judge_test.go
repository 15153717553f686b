package policy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/coldsign/coldsign/internal/spend"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func id(b byte) spend.WalletID { return spend.WalletID{b} }

var (
	cold = policy.Wallet{ID: id(0xc0), Name: "cold-a", Tier: spend.Cold}
	warm = policy.Wallet{ID: id(0xa0), Name: "warm-a", Tier: spend.Warm}
	hot  = policy.Wallet{ID: id(0x40), Name: "hot-1", Tier: spend.Hot}
)

// rules are the template for mainnet, with consolidation of the cold wallet allowed.
func rules(t testing.TB) policy.Rules { return rulesWith(t, "# What", "# What") }

// rulesWith are the same with one edit.
func rulesWith(t testing.TB, old, new string) policy.Rules {
	t.Helper()
	raw := edit(t, policy.Template(spend.BitcoinMainnet, cold, warm, hot), "    transaction_max",
		fmt.Sprintf("      - \"%s\"\n    transaction_max", cold.ID))
	r, err := policy.Parse(edit(t, raw, old, new))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// story is an input under construction: 12.5 BTC from cold to hot, 3.20177412 BTC change, 6100 satoshi fee.
type story struct {
	policy.Input
	facts  chain.Facts
	forged bool // nobody proved the facts
	final  bool // the policy forbids replaceable transactions
	toBook bool // the policy allows payments to the address book
}

func topUp() *story {
	s := &story{}
	s.Intent = spend.Intent{Network: spend.BitcoinMainnet, Purpose: spend.TopUp, Serial: 412, Issuer: "exchanged-2", From: cold.ID, To: hot.ID,
		ToIndex: 187, Amount: money.Sats(1_250_000_000), Proposer: "a.lee", CreatedAt: now.Unix() - 3600, ExpiresAt: now.Unix() + 3600}
	s.facts = chain.Facts{Network: spend.BitcoinMainnet, From: cold.ID, FromName: "cold-a", FromTier: spend.Cold, Threshold: 2, Keys: 3,
		Inputs: []chain.Input{{Outpoint: "aa:0", Amount: money.Sats(1_000_000_000), Index: 7}, {Outpoint: "bb:1", Amount: money.Sats(570_183_512), Index: 9}},
		Outputs: []chain.Output{
			{Position: 0, Amount: money.Sats(1_250_000_000), Address: "bc1qhot", Role: chain.Destination, Wallet: hot.ID, WalletName: "hot-1", Index: 187},
			{Position: 1, Amount: money.Sats(320_177_412), Address: "bc1qcold", Role: chain.Change, Wallet: cold.ID, WalletName: "cold-a", Index: 220}},
		Fee: money.Sats(6100), VirtualBytes: 430, LockTime: 930_000, Replaceable: true}
	s.Approvals = []spend.Check{{Name: "approval of a.lee"}, {Name: "approval of r.sanz"}}
	s.ApproverCount, s.Now, s.LastSeen, s.KeyNumber = 2, now, now.Add(-time.Hour), 1
	return s
}

// consolidation moves two coins of the cold wallet into one: nothing leaves.
func consolidation() *story {
	s := topUp()
	s.Intent.To = cold.ID
	out := &s.facts.Outputs[0]
	out.Wallet, out.WalletName = cold.ID, "cold-a"
	return s
}

// pays sets what the destination gets, in the intent and the payload, and balances the inputs.
func (s *story) pays(sats int64) *story {
	s.Intent.Amount, s.facts.Outputs[0].Amount = money.Sats(sats), money.Sats(sats)
	return s.balance()
}

// costs sets the fee, and balances the inputs.
func (s *story) costs(sats int64) *story {
	s.facts.Fee = money.Sats(sats)
	return s.balance()
}

// balance makes the first input as large as it must be.
func (s *story) balance() *story {
	for i := range s.facts.Inputs[1:] {
		s.facts.Inputs[i+1].Amount = money.Sats(1)
	}
	sum := int64(0)
	for _, o := range s.facts.Outputs {
		n, _ := o.Amount.Int64()
		sum += n
	}
	fee, _ := s.facts.Fee.Int64()
	for _, i := range s.facts.Inputs[1:] {
		n, _ := i.Amount.Int64()
		sum -= n
	}
	s.facts.Inputs[0].Amount = money.Sats(sum + fee)
	return s
}

func (s *story) judge(t testing.TB) spend.Verdict {
	t.Helper()
	if !s.forged {
		s.Effects = chaintest.Effects(s.facts)
	}
	if s.final {
		return policy.Judge(rulesWith(t, "replaceable: true", "replaceable: false"), s.Input)
	}
	if s.toBook {
		return policy.Judge(rulesWith(t, "to_book: false", "to_book: true"), s.Input)
	}
	return policy.Judge(rules(t), s.Input)
}

func codes(v spend.Verdict) []string {
	var out []string
	for _, r := range v.Refusals() {
		if !slices.Contains(out, r.Code) {
			out = append(out, r.Code)
		}
	}
	return out
}

// tell is one sentence of a table: what is changed in a clean story, and every code that it must give.
type tell struct {
	attack string
	name   string
	change func(*story)
	codes  []string
}

func tells() []tell {
	return slices.Concat(tellsOfIdentity(), tellsOfTime(), tellsOfOutputs(), tellsOfFees(), tellsOfLimits(), tellsOfTimeLock(), tellsOfPayments())
}

func tellsOfIdentity() []tell {
	return []tell{
		{"033", "intent of another network", func(s *story) { s.Intent.Network = spend.BitcoinRegtest }, []string{"network-mismatch"}},
		{"033", "payload of another network", func(s *story) { s.facts.Network = spend.BitcoinTestnet }, []string{"network-mismatch"}},
		{"080", "wallet without a rule", func(s *story) { s.Intent.From = hot.ID }, []string{"wallet-not-in-policy"}},
		{"080", "unknown wallet", func(s *story) { s.Intent.From = id(9) }, []string{"wallet-not-in-policy"}},
		{"080", "payload spends another wallet", func(s *story) { s.facts.From = warm.ID }, []string{"wallet-mismatch"}},
		{"080", "pinned wallet of another tier", func(s *story) { s.facts.FromTier = spend.Hot }, []string{"tier-mismatch"}},
		{"", "unknown purpose", func(s *story) { s.Intent.Purpose = "sweep" }, []string{"purpose-unknown"}},
		{"", "no serial", func(s *story) { s.Intent.Serial = 0 }, []string{"intent-incomplete"}},
		{"", "no issuer", func(s *story) { s.Intent.Issuer = "" }, []string{"intent-incomplete"}},
		{"", "no proposer", func(s *story) { s.Intent.Proposer = "" }, []string{"intent-incomplete"}},
		{"", "nobody proved the effects", func(s *story) { s.forged = true }, []string{"effects-unproven"}},
		{"", "fee of another asset", func(s *story) { s.facts.Fee = money.New(money.Asset{Symbol: "ETH"}, money.U128{}) }, []string{"asset-mismatch"}},
		{"", "output without an asset", func(s *story) { s.facts.Outputs[1].Amount = money.Amount{} }, []string{"asset-mismatch"}},
		{"", "no approvals", func(s *story) { s.Approvals, s.ApproverCount = nil, 2 }, []string{"approvals-unjudged"}},
		{"", "one approval", func(s *story) { s.ApproverCount = 1 }, []string{"approvals-missing"}},
		{"", "a refused approval", func(s *story) { s.Approvals[0].Refusal = spend.Refuse("approver-unknown", "", "", "", "") }, []string{"approver-unknown"}},
		{"132", "one refusal below the lock", func(s *story) { s.Refusals = 4 }, nil},
		{"132", "as many refusals as lock", func(s *story) { s.Refusals = 5 }, []string{"refusals-locked"}},
		{"132", "a count that wrapped", func(s *story) { s.Refusals = -1 }, []string{"refusals-locked"}},
	}
}

func tellsOfTime() []tell {
	created := func(d time.Duration) func(*story) {
		return func(s *story) { s.Intent.CreatedAt = now.Add(d).Unix() }
	}
	lives := func(d time.Duration) func(*story) {
		return func(s *story) { s.Intent.ExpiresAt = s.Intent.CreatedAt + int64(d/time.Second) }
	}
	return []tell{
		{"078", "a second before the end", func(s *story) { s.Intent.ExpiresAt = now.Unix() + 1 }, nil},
		{"078", "at the end", func(s *story) { s.Intent.ExpiresAt = now.Unix() }, []string{"intent-expired"}},
		{"078", "as far ahead as is allowed", created(10 * time.Minute), nil},
		{"078", "a second further ahead", created(10*time.Minute + time.Second), []string{"intent-from-future"}},
		{"078", "as long as is allowed", lives(72 * time.Hour), nil},
		{"078", "a second longer", lives(72*time.Hour + time.Second), []string{"lifetime-too-long"}},
		{"078", "ends when it begins", lives(0), []string{"intent-expired", "lifetime-too-long"}},
		{"078", "times that wrap", func(s *story) { s.Intent.CreatedAt, s.Intent.ExpiresAt = -1<<63, 1<<63-1 }, []string{"lifetime-too-long"}},
		{"123", "clock at 1970", func(s *story) { s.Now, s.LastSeen = time.Unix(0, 0), time.Time{} }, []string{"clock-unset", "intent-from-future", "locktime-ahead"}},
		{"078", "clock as last seen", func(s *story) { s.LastSeen = now }, nil},
		{"078", "clock a nanosecond back", func(s *story) { s.LastSeen = now.Add(1) }, []string{"clock-rolled-back"}},
		{"078", "first day", func(s *story) { s.LastSeen = time.Time{} }, nil},
		{"051", "lock time none", func(s *story) { s.facts.LockTime = 0 }, nil},
		{"051", "lock time as far as is allowed", func(s *story) { s.Tip, s.facts.LockTime = 900_000, 900_006 }, nil},
		{"051", "lock time a block further", func(s *story) { s.Tip, s.facts.LockTime = 900_000, 900_007 }, []string{"locktime-ahead"}},
		{"051", "lock time a year ahead, no tip known", func(s *story) { s.facts.LockTime += 52_560 + 100_000 }, []string{"locktime-ahead"}},
		{"051", "lock time in seconds", func(s *story) { s.facts.LockTime = 500_000_000 }, []string{"locktime-is-time", "locktime-ahead"}},
	}
}

func tellsOfOutputs() []tell {
	external := chain.Output{Position: 2, Amount: money.Sats(2000), Address: "bc1qevil", Role: chain.External}
	add := func(o chain.Output) func(*story) {
		return func(s *story) { s.facts.Outputs = append(s.facts.Outputs, o); s.balance() }
	}
	second := chain.Output{Position: 2, Amount: money.Sats(2000), Address: "bc1qcold2", Role: chain.Change, Wallet: cold.ID, Index: 221}
	paid := chain.Output{Position: 2, Amount: money.Sats(2000), Address: "bc1qhot", Role: chain.Destination, Wallet: hot.ID, Index: 187}
	future := chain.Output{Position: 2, Amount: money.Sats(2000), Script: "5220aa", Role: chain.External}
	return []tell{
		{"040", "an external output", add(external), []string{"output-external"}},
		{"043", "a script without an address", add(future), []string{"output-external", "address-missing"}},
		{"040", "a role that nobody knows", func(s *story) { s.facts.Outputs[0].Role = "gift" }, []string{"output-external", "destination-count"}},
		{"040", "destination external", func(s *story) { s.facts.Outputs[0].Role = chain.External }, []string{"output-external", "destination-count"}},
		{"040", "destination in another pinned wallet", func(s *story) { s.facts.Outputs[0].Wallet = warm.ID }, []string{"destination-mismatch"}},
		{"040", "destination at another index", func(s *story) { s.facts.Outputs[0].Index++ }, []string{"destination-mismatch"}},
		{"040", "wallet that is not allowed", func(s *story) { s.Intent.To = id(9) }, []string{"destination-not-allowed", "tier-direction", "destination-mismatch"}},
		{"040", "destination paid twice", add(paid), []string{"destination-count", "amount-mismatch"}},
		{"047", "a satoshi more than approved", func(s *story) { s.Intent.Amount = money.Sats(1_249_999_999) }, []string{"amount-mismatch"}},
		{"047", "a satoshi less than approved", func(s *story) { s.Intent.Amount = money.Sats(1_250_000_001) }, []string{"amount-mismatch"}},
		{"", "nothing asked for", func(s *story) { s.Intent.Amount = money.Sats(0) }, []string{"amount-zero", "amount-mismatch"}},
		{"039", "two change outputs", add(second), []string{"change-count"}},
		{"039", "change to another wallet", func(s *story) { s.facts.Outputs[1].Wallet = warm.ID }, []string{"change-foreign"}},
		{"034", "change at the last index", func(s *story) { s.facts.Outputs[1].Index = 1000 }, nil},
		{"034", "change one further", func(s *story) { s.facts.Outputs[1].Index = 1001 }, []string{"index-gap"}},
		{"034", "change near one that was used", func(s *story) { s.facts.Outputs[1].Index, s.ChangeIndexSeen = 1001, 1 }, nil},
		{"034", "destination at the last index", func(s *story) { s.Intent.ToIndex, s.facts.Outputs[0].Index = 1000, 1000 }, nil},
		{"034", "destination one further", func(s *story) { s.Intent.ToIndex, s.facts.Outputs[0].Index = 1001, 1001 }, []string{"index-gap"}},
		{"034", "an index that wraps", func(s *story) { s.facts.Outputs[1].Index, s.ChangeIndexSeen = 1<<32-1, 1<<32-1 }, nil},
		{"046", "no change at all", func(s *story) {
			s.facts.Outputs = s.facts.Outputs[:1]
			s.facts.Inputs = s.facts.Inputs[:1]
			s.balance()
		}, nil},
		{"044", "change of exactly the least", func(s *story) { s.facts.Outputs[1].Amount = money.Sats(1000); s.balance() }, nil},
		{"044", "dust", func(s *story) { s.facts.Outputs[1].Amount = money.Sats(999); s.balance() }, []string{"output-dust"}},
		{"044", "an output of nothing", func(s *story) { s.facts.Outputs[1].Amount = money.Sats(0); s.balance() }, []string{"output-dust"}},
		{"018", "a coin twice", func(s *story) { s.facts.Inputs[1].Outpoint = "aa:0" }, []string{"input-duplicate"}},
		{"016", "no inputs", func(s *story) { s.facts.Inputs = nil }, []string{"inputs-missing", "sum-mismatch"}},
		{"017", "a satoshi from nowhere", func(s *story) { s.facts.Inputs[1].Amount = money.Sats(570_183_511) }, []string{"sum-mismatch"}},
		{"017", "sums that wrap", func(s *story) {
			s.facts.Inputs[0].Amount = money.New(money.BTC, money.U128{Hi: ^uint64(0), Lo: ^uint64(0)})
		}, []string{"sum-mismatch"}},
		{"015", "signed enough already", func(s *story) { s.facts.SignedBy = 2 }, []string{"already-signed"}},
		{"051", "replaceable, and the policy forbids it", func(s *story) { s.final = true }, []string{"replaceable"}},
		{"051", "final, and the policy asks for it", func(s *story) { s.final, s.facts.Replaceable = true, false }, nil},
		{"019", "fields that nobody knows", func(s *story) { s.facts.UnknownFields = 3 }, nil},
	}
}

func tellsOfFees() []tell {
	size := func(vbytes int64) func(*story) { return func(s *story) { s.facts.VirtualBytes = vbytes } }
	return []tell{
		{"049", "fee at the absolute cap", func(s *story) { s.costs(500_000); s.facts.VirtualBytes = 5000 }, nil},
		{"049", "a satoshi above the cap", func(s *story) { s.costs(500_001); s.facts.VirtualBytes = 5000 }, []string{"fee-above-cap"}},
		{"049", "fee rate at the cap", func(s *story) { s.costs(300 * 430) }, nil},
		{"049", "a satoshi above the rate", func(s *story) { s.costs(300*430 + 1) }, []string{"fee-rate-above-cap"}},
		{"049", "fee rate at the floor", func(s *story) { s.costs(430) }, nil},
		{"049", "a satoshi below the floor", func(s *story) { s.costs(429) }, []string{"fee-rate-below-floor"}},
		{"049", "percent at the cap", func(s *story) { s.pays(1_000_000).costs(10_000) }, nil},
		{"049", "a satoshi above the percent", func(s *story) { s.pays(1_000_000).costs(10_001) }, []string{"fee-above-percent"}},
		{"049", "every limit broken at once", func(s *story) { s.pays(1_000_000).costs(600_000) }, []string{"fee-above-cap", "fee-rate-above-cap", "fee-above-percent"}},
		{"125", "the largest standard size", func(s *story) { s.facts.VirtualBytes = 100_000; s.costs(100_000) }, nil},
		{"125", "a byte more", func(s *story) { s.facts.VirtualBytes = 100_001; s.costs(100_001) }, []string{"size-nonstandard", "fee-rate-above-cap", "fee-rate-below-floor"}},
		{"049", "no size", size(0), []string{"size-nonstandard", "fee-rate-above-cap", "fee-rate-below-floor"}},
		{"049", "a negative size", size(-430), []string{"size-nonstandard", "fee-rate-above-cap", "fee-rate-below-floor"}},
	}
}

func tellsOfLimits() []tell {
	moved := func(ago time.Duration, sats int64) func(*story) {
		return func(s *story) {
			s.History = append(s.History, policy.Movement{At: now.Add(-ago), Amount: money.Sats(sats)})
		}
	}
	const btc = 100_000_000
	return []tell{
		{"114", "transaction at its limit", func(s *story) { s.pays(20 * btc) }, nil},
		{"114", "a satoshi more", func(s *story) { s.pays(20*btc + 1) }, []string{"limit-transaction"}},
		{"114", "window filled exactly", moved(2*time.Hour, 37.5*btc), nil},
		{"114", "window exceeded by a satoshi", moved(2*time.Hour, 37.5*btc+1), []string{"limit-window"}},
		{"114", "exactly a window ago still counts", moved(24*time.Hour, 40*btc), []string{"limit-window"}},
		{"114", "older than the window", moved(24*time.Hour+1, 40*btc), nil},
		{"114", "the short window", moved(time.Minute, 12.5*btc+1), []string{"limit-window"}},
		{"114", "many small parts", func(s *story) {
			for i := range 38 {
				moved(2*time.Hour+time.Duration(i)*time.Minute, btc)(s)
			}
		}, []string{"limit-window"}},
		{"114", "movements from the future count", moved(-time.Hour, 40*btc), []string{"limit-window"}},
		{"114", "sums that wrap", func(s *story) {
			s.History = []policy.Movement{{At: now, Amount: money.New(money.BTC, money.U128{Hi: ^uint64(0), Lo: ^uint64(0)})}}
		}, []string{"limit-window"}},
	}
}

func TestJudgeTellsEveryReason(t *testing.T) {
	for _, c := range tells() {
		t.Run(c.attack+" "+c.name, func(t *testing.T) {
			s := topUp()
			c.change(s)
			v := s.judge(t)
			if got := codes(v); !slices.Equal(got, c.codes) {
				t.Errorf("codes %q, want %q", got, c.codes)
				for _, r := range v.Refusals() {
					t.Log(r)
				}
			}
			if v.Clean() != (c.codes == nil) {
				t.Errorf("clean %v", v.Clean())
			}
			for _, r := range v.Refusals() {
				if r.Code != "approver-unknown" && (r.Where == "" || r.Expected == "" || r.Fix == "") {
					t.Errorf("%s does not explain itself: %+v", r.Code, r)
				}
			}
		})
	}
}

// attacked runs the sentences of one attack, so that the attack has a test of its name.
func attacked(t *testing.T, number string) {
	t.Helper()
	ran := 0
	for _, c := range tells() {
		if c.attack == number {
			s := topUp()
			c.change(s)
			if got := codes(s.judge(t)); !slices.Equal(got, c.codes) {
				t.Errorf("%s: codes %q, want %q", c.name, got, c.codes)
			}
			ran++
		}
	}
	if ran == 0 {
		t.Errorf("no sentence about attack %s", number)
	}
}

func TestAttack033NetworksMustAgree(t *testing.T)                   { attacked(t, "033") }
func TestAttack034IndexesBeyondTheGapAreRefused(t *testing.T)       { attacked(t, "034") }
func TestAttack039ChangeIsOneAndOurs(t *testing.T)                  { attacked(t, "039") }
func TestAttack040DestinationIsDerivedOrRefused(t *testing.T)       { attacked(t, "040") }
func TestAttack043UnknownScriptsAreRefused(t *testing.T)            { attacked(t, "043") }
func TestAttack044DustIsRefused(t *testing.T)                       { attacked(t, "044") }
func TestAttack046NoChangeIsAllowedAndShown(t *testing.T)           { attacked(t, "046") }
func TestAttack047AmountsAgreeToTheSatoshi(t *testing.T)            { attacked(t, "047") }
func TestAttack049AllFeeLimitsHoldAtOnce(t *testing.T)              { attacked(t, "049") }
func TestAttack051LockTimeIsNoneOrAHeightAboutReached(t *testing.T) { attacked(t, "051") }
func TestAttack078ExpiryLifetimeAndClock(t *testing.T)              { attacked(t, "078") }
func TestAttack080OtherWalletsBundlesAreRefused(t *testing.T)       { attacked(t, "080") }
func TestAttack114SplittingDoesNotEvadeLimits(t *testing.T)         { attacked(t, "114") }
func TestAttack123AnUnsetClockIsRefused(t *testing.T)               { attacked(t, "123") }
func TestAttack125NonstandardSizesAreRefused(t *testing.T)          { attacked(t, "125") }
func TestAttack132ManyRefusalsLockTheWallet(t *testing.T)           { attacked(t, "132") }

func TestACleanTopUpListsEveryCheckItPassed(t *testing.T) {
	v := topUp().judge(t)
	if !v.Clean() || len(v.Checks) < 40 {
		t.Errorf("%d checks, refusals %q", len(v.Checks), codes(v))
	}
	for _, c := range v.Checks {
		if c.Name == "" {
			t.Errorf("a check without a name: %+v", c)
		}
	}
}

// Jade#162: a percentage of what is moved within a wallet says nothing about a loss. Absolute fee and rate still hold.
func TestAttack049AConsolidationHasNoPercentButTheOtherFeeLimits(t *testing.T) {
	small := func() *story { return consolidation().pays(10_000) }
	if got := codes(small().costs(430 * 300).judge(t)); got != nil {
		t.Errorf("a fee above 1 %% of what is moved: %q", got)
	}
	if got := codes(small().costs(430*300 + 1).judge(t)); !slices.Equal(got, []string{"fee-rate-above-cap"}) {
		t.Errorf("rate: %q", got)
	}
	s := small().costs(500_001)
	s.facts.VirtualBytes = 5000
	if got := codes(s.judge(t)); !slices.Equal(got, []string{"fee-above-cap"}) {
		t.Errorf("absolute: %q", got)
	}
	large := consolidation().pays(2_000_000_000_000)
	if got := codes(large.judge(t)); got != nil {
		t.Errorf("nothing leaves, so no limit is used: %q", got)
	}
}

func TestTheZeroRulesRefuseEverything(t *testing.T) {
	s := topUp()
	s.Effects = chaintest.Effects(s.facts)
	if v := policy.Judge(policy.Rules{}, s.Input); v.Clean() || !slices.Equal(codes(v), []string{"wallet-not-in-policy"}) {
		t.Errorf("codes %q", codes(v))
	}
}

func TestLimitsSayHowMuchOfThemIsUsed(t *testing.T) {
	s := topUp()
	s.History = []policy.Movement{{At: now.Add(-2 * time.Hour), Amount: money.Sats(750_000_000)}}
	s.Effects = chaintest.Effects(s.facts)
	want := []string{"this transaction 12.5 of 20 BTC", "1 h 12.5 of 25 BTC", "24 h 20 of 50 BTC"}
	if got := policy.Limits(rules(t), s.Input); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	s.Effects = chain.Effects{}
	if got := policy.Limits(rules(t), s.Input); got != nil {
		t.Errorf("of unproven effects: %q", got)
	}
}

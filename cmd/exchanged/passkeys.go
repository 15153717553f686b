package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

// beginning is what is decided once, when an exchange is made: it belongs to the journal's beginning.
type beginning struct {
	delay  time.Duration
	site   string
	factor string
}

// The second factors of customers.
const (
	factorPasskey = "passkey" // withdrawal keys and addresses need one
	factorEither  = "either"
	factorCode    = "code" // no passkeys
)

// localSite is where the gateway of a new exchange listens, as browsers on this machine say it. Only there does a page
// without TLS get passkeys.
const localSite = "http://localhost:8080"

func (o *beginning) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.DurationVar(&o.delay, "cool-down", 24*time.Hour, "until a new withdrawal address or key counts; fixed for ever, at least 1h on mainnet")
	f.StringVar(&o.site, "site", "", "address of customers' page, such as https://exchange.example; fixed for ever, as passkeys are bound to it (test networks: "+localSite+")")
	f.StringVar(&o.factor, "second-factor", factorPasskey, "what makes withdrawal keys and addresses: passkey, either (or a one-time code), code; fixed for ever")
}

// rules are those that the journal begins with.
func (o beginning) rules(network spend.Network) (accounts.Rules, error) {
	rules := accounts.DefaultRules()
	if o.delay < 0 || o.delay < delayMin && !network.IsTest() {
		return rules, console.Fail(console.Usage, fmt.Errorf("--cool-down %s is too short for %s, at least %s", o.delay, network, delayMin))
	}
	rules.AddressDelay, rules.KeyDelay = exchange.Millis(o.delay.Milliseconds()), exchange.Millis(o.delay.Milliseconds())
	switch o.factor {
	case factorPasskey, factorEither:
	case factorCode:
		if o.site != "" {
			return rules, console.Fail(console.Usage, fmt.Errorf("--site is for passkeys, and --second-factor code has none"))
		}
		return rules, nil
	default:
		return rules, console.Fail(console.Usage, fmt.Errorf("--second-factor %q is not passkey, either or code", console.Printable(o.factor)))
	}
	if o.site == "" && network.IsTest() {
		o.site = localSite
	}
	host, origin, ok := accounts.Site(o.site)
	if !ok || host == "localhost" && !network.IsTest() {
		return rules, console.Fail(console.Usage, fmt.Errorf("customers' passkeys are bound to the page's address: --site %q is not like https://exchange.example", console.Printable(o.site)),
			"exchanged init --exchange --site https://exchange.example ...")
	}
	rules = rules.DefaultPasskeys(host, origin)
	rules.PasskeyRequired = o.factor == factorPasskey
	return rules, nil
}

// rulesFile is what belongs to the journal's beginning: replaying it under other rules would give another history.
type rulesFile struct {
	AddressDelay int64         `json:"address_delay_ms"`
	KeyDelay     int64         `json:"key_delay_ms"`
	Passkeys     *passkeyRules `json:"passkeys,omitempty"` // none: an exchange without them
}

type passkeyRules struct {
	RP         string `json:"rp"`
	Origins    string `json:"origins"`
	Required   bool   `json:"required"`
	EnrolLife  int64  `json:"enrol_life_ms"`
	ResetDelay int64  `json:"reset_delay_ms"`
}

func rulesFileOf(r accounts.Rules) rulesFile {
	f := rulesFile{AddressDelay: int64(r.AddressDelay), KeyDelay: int64(r.KeyDelay)}
	if r.PasskeyRP != "" {
		f.Passkeys = &passkeyRules{r.PasskeyRP, r.PasskeyOrigins, r.PasskeyRequired, int64(r.EnrolLife), int64(r.ResetDelay)}
	}
	return f
}

// rules are what the file says, and whether a book can go by them.
func (f rulesFile) rules() (accounts.Rules, bool) {
	r := accounts.DefaultRules()
	r.AddressDelay, r.KeyDelay = exchange.Millis(f.AddressDelay), exchange.Millis(f.KeyDelay)
	if p := f.Passkeys; p != nil {
		r.PasskeyRP, r.PasskeyOrigins, r.PasskeyRequired = p.RP, p.Origins, p.Required
		r.EnrolLife, r.ResetDelay = exchange.Millis(p.EnrolLife), exchange.Millis(p.ResetDelay)
	}
	return r, r.Valid()
}

func newEnrolCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "enrol ACCOUNT",
		Short: "Let a customer register the first passkey, and show the code for it once",
		Long: "Prints a code that lets the account register its first passkey on the gateway's page /security, once and within a day.\n" +
			"The page asks for a one-time code of the customer as well, which nobody here has. An account that has a passkey\n" +
			"registers more with that one; when all are lost, see `exchanged account reset`.",
		Example: "  exchanged account enrol 17 --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runEnrol(a, args[0]) },
	}
}

func runEnrol(a *app, account string) error {
	n, err := number(account)
	if err != nil {
		return err
	}
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	made, err := client.EnrolAccount(context.Background(), uint64(n))
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaEnrolment, withoutSchema(made))
	}
	a.Say("account %d may register its first passkey until %s, with this code, shown once:", made.Account, made.Expires.Format(time.RFC3339))
	_, err = fmt.Fprintln(a.Out, made.Code)
	if made.Page != "" {
		a.Hint("the customer opens " + made.Page)
	}
	return err
}

func newResetCmd(a *app) *cobra.Command {
	var codes bool
	var note string
	cmd := &cobra.Command{Use: "reset ACCOUNT", Short: "Propose to take every passkey from an account whose customer lost them",
		Long: "Afterwards `exchanged account enrol` lets the customer register a new one. Until a longer cool-down ends (three times the\n" +
			"usual), nothing is paid to an address that is new or waits, and no new key withdraws: so long does the customer have\n" +
			"to notice that somebody else asked for this." + twoPeople,
		Example: "  exchanged account reset 17 --note 'lost phone, seen in person, ticket 4711' --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			return a.proposeNow(exchange.ChangeIntent{Note: note, Reset: &exchange.FactorReset{Account: n, Codes: codes}})
		}}
	cmd.Flags().BoolVar(&codes, "codes", false, "the secret of one-time codes is lost too")
	cmd.Flags().StringVar(&note, "note", "", "why, in a few words; people read it when they approve")
	return cmd
}

package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

func newAccountCmd(a *app) *cobra.Command {
	create := &cobra.Command{
		Use:   "create NAME",
		Short: "Open a customer's account, and show its one-time-code secret once",
		Long: "NAME is how your own books call the customer; it is unique. The secret goes into the customer's authenticator app and is\n" +
			"stored sealed; it cannot be shown again.",
		Example: "  exchanged account create customer-17 --data /srv/coldsign",
		Args:    command.Arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return runAccountCreate(a, args[0]) },
	}
	list := &cobra.Command{Use: "list", Short: "List accounts", Example: "  exchanged account list --data /srv/coldsign", Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runAccountList(a) }}
	return command.Group("account", "Customers' accounts", create, list, freezeCmd(a, "freeze", "Propose that an account can only cancel and read", exchange.AccountFrozen),
		freezeCmd(a, "thaw", "Propose that a frozen account can act again", exchange.AccountActive), feesCmd(a), adjustCmd(a), newAPIKeyCmd(a), newAddressCmd(a), newEnrolCmd(a), newResetCmd(a))
}

// number reads an account's number.
func number(text string) (exchange.Account, error) {
	n, err := strconv.ParseUint(text, 10, 53)
	if err != nil || n == 0 {
		return 0, console.Fail(console.Usage, fmt.Errorf("account %q is not a number such as 7", console.Printable(text)), "exchanged account list")
	}
	return exchange.Account(n), nil
}

func runAccountCreate(a *app, name string) error {
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	made, err := client.OpenAccount(context.Background(), admin.AccountOpening{Name: name})
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaAccount, withoutSchema(made))
	}
	a.Say("account %d opened for %s", made.ID, console.Printable(made.Name))
	a.Say("one-time-code secret (SHA-1, 6 digits, 30 s), shown once:")
	_, err = fmt.Fprintln(a.Out, made.TOTP)
	a.Hint(fmt.Sprintf("exchanged account key add %d --scope read,trade", made.ID))
	return err
}

func runAccountList(a *app) error {
	client, now, err := a.engineNow()
	if err != nil {
		return err
	}
	list, err := client.Accounts(context.Background())
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaAccounts, withoutSchema(list))
	}
	rows := [][]string{}
	for _, one := range list.Accounts {
		state := "active"
		if one.Frozen {
			state = "frozen"
		}
		whose := "exchange's"
		if one.Own {
			whose = "its own"
		}
		rows = append(rows, []string{strconv.FormatUint(one.ID, 10), one.Name, state, fmt.Sprintf("%d/%d", one.Maker, one.Taker), whose})
	}
	if err := console.Table(a.Out, []string{"ACCOUNT", "NAME", "STATE", "MAKER/TAKER PPM", "FEES"}, rows); err != nil {
		return err
	}
	if now.Maker == 0 && now.Taker == 0 {
		a.Hint("accounts without fees of their own pay nothing: exchanged account fees default --maker 500 --taker 1000")
	}
	return nil
}

func freezeCmd(a *app, verb, short string, state exchange.AccountState) *cobra.Command {
	var note string
	cmd := &cobra.Command{Use: verb + " ACCOUNT", Short: short, Long: short + "." + twoPeople, Example: "  exchanged account " + verb + " 17 --data /srv/coldsign",
		Args: command.Arguments(1, 1), RunE: func(_ *cobra.Command, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			return a.proposeNow(exchange.ChangeIntent{Note: note, Freeze: &exchange.StateChange{Account: n, State: state}})
		}}
	cmd.Flags().StringVar(&note, "note", "", "why, in a few words")
	cmd.ValidArgsFunction = a.completesAccounts()
	return cmd
}

// proposeNow proposes a change that needs to know nothing of the exchange.
func (a *app) proposeNow(draft exchange.ChangeIntent) error {
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	return a.propose(client, draft)
}

// everybody names the accounts that have no fees of their own.
const everybody = "default"

func feesCmd(a *app) *cobra.Command {
	var f exchange.FeesChange
	var usual bool
	var note string
	cmd := &cobra.Command{Use: "fees ACCOUNT", Short: "Propose an account's fees, or those of every account that has none of its own",
		Long: "Fees are parts per million of what the account receives; 1000 is 0.1 %. For the account named default they are those of\n" +
			"every account, old or new, that has none of its own; with --default an account has none of its own any more." + twoPeople,
		Example: "  exchanged account fees default --maker 500 --taker 1000 --data /srv/coldsign\n" +
			"  exchanged account fees 17 --maker 0 --taker 250 --data /srv/coldsign\n  exchanged account fees 17 --default --data /srv/coldsign", Args: command.Arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed("maker") && cmd.Flags().Changed("taker")
			if f.MakerPPM > accounts.FeeMax || f.TakerPPM > accounts.FeeMax {
				return console.Fail(console.Usage, fmt.Errorf("a fee is at most %d parts per million, which is %d %%", accounts.FeeMax, accounts.FeeMax/10_000), "0.1 % is 1000 parts per million")
			}
			if args[0] == everybody && given && !usual {
				return a.proposeNow(exchange.ChangeIntent{Note: note, Default: &exchange.DefaultFees{MakerPPM: f.MakerPPM, TakerPPM: f.TakerPPM}})
			}
			if given == usual || args[0] == everybody {
				return console.Fail(console.Usage, errors.New("--maker and --taker are needed, or --default for an account by its number"), "exchanged account fees --help")
			}
			n, err := number(args[0])
			if err != nil {
				return err
			}
			f.Account, f.Free = n, given && f.MakerPPM == 0 && f.TakerPPM == 0
			return a.proposeNow(exchange.ChangeIntent{Note: note, Fees: &f})
		}}
	cmd.Flags().Uint32Var(&f.MakerPPM, "maker", 0, "parts per million for orders that rest")
	cmd.Flags().Uint32Var(&f.TakerPPM, "taker", 0, "parts per million for orders that take")
	cmd.Flags().BoolVar(&usual, "default", false, "take the account's own fees back")
	cmd.ValidArgsFunction = a.completesAccounts(everybody)
	cmd.Flags().StringVar(&note, "note", "", "why, in a few words")
	return cmd
}

func adjustCmd(a *app) *cobra.Command {
	var take bool
	var note string
	cmd := &cobra.Command{Use: "adjust ACCOUNT AMOUNT ASSET", Short: "Propose to move an amount between an account and the house",
		Long: "Gives the account the amount from the house, or takes it with --take. It is a correction, never a deposit. The house gives\n" +
			"only what it has; for the account named house, the amount comes from outside into its reserve, or leaves." + twoPeople,
		Example: "  exchanged account adjust house 100000 USDT --note 'bank transfer 4711' --data /srv/coldsign\n" +
			"  exchanged account adjust 17 250.00 USDT --note 'refund, ticket 4711' --data /srv/coldsign", Args: command.Arguments(3, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := exchange.Account(0), error(nil)
			if args[0] != "house" {
				n, err = number(args[0])
			}
			if err != nil {
				return err
			}
			client, now, err := a.engineNow()
			if err != nil {
				return err
			}
			asset, err := assetNamed(now, args[2])
			if err != nil {
				return err
			}
			amount, err := money.Parse(args[1], money.Asset{Symbol: asset.Symbol, Decimals: asset.Decimals})
			if err != nil || amount.IsZero() {
				return console.Fail(console.Usage, errors.Join(errors.New("an amount above zero is needed"), err))
			}
			return a.propose(client, exchange.ChangeIntent{Note: note, Balance: &exchange.Adjustment{Account: n, Asset: exchange.Asset(asset.ID), Amount: amount.Units(), Debit: take}})
		}}
	cmd.Flags().BoolVar(&take, "take", false, "take from the account instead")
	cmd.ValidArgsFunction = a.completesAdjustment()
	cmd.Flags().StringVar(&note, "note", "", "why, in a few words; people read it when they approve")
	return cmd
}

func newAPIKeyCmd(a *app) *cobra.Command {
	var k admin.KeyAdding
	var public string
	add := &cobra.Command{
		Use:   "add ACCOUNT",
		Short: "Make an API key, and show its secret once",
		Long: "An hmac key's secret is drawn by the exchange, stored sealed, and shown once. Of an ed25519 key only the public half comes\n" +
			"here, and there is no secret to lose: openssl pkey -in KEY.pem -pubout -outform DER | tail -c 32 | base64. A key with scope\n" +
			"withdraw is made by the customer, with a passkey on the gateway's page /security; only an exchange that takes one-time\n" +
			"codes too makes it here, with --from and --code.",
		Example: "  exchanged account key add 17 --scope read,trade --data /srv/coldsign\n" +
			"  exchanged account key add 17 --kind ed25519 --public BASE64 --scope read,trade --from 198.51.100.7 --data /srv/coldsign",
		Args: command.Arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return runKeyAdd(a, args[0], k, public) },
	}
	f := add.Flags()
	f.StringVar(&k.Kind, "kind", "hmac", "hmac or ed25519")
	f.StringVar(&public, "public", "", "public key of ed25519, 32 bytes in base64")
	f.StringSliceVar(&k.Scopes, "scope", []string{"read"}, "read, trade, withdraw")
	f.StringSliceVar(&k.Allowed, "from", nil, "addresses or blocks that may use it; all unless given")
	f.StringVar(&k.Code, "code", "", "one-time code of the customer; for scope withdraw")
	f.StringVar(&k.Label, "label", "", "what the customer calls it")
	revoke := &cobra.Command{Use: "revoke ACCOUNT KEY", Short: "End an API key at once", Example: "  exchanged account key revoke 17 KEY --data /srv/coldsign",
		Args: command.Arguments(2, 2), RunE: func(_ *cobra.Command, args []string) error { return runKeyRevoke(a, args[0], args[1]) }}
	return command.Group("key", "API keys of an account", add, revoke)
}

func runKeyAdd(a *app, account string, k admin.KeyAdding, public string) error {
	n, err := number(account)
	if err != nil {
		return err
	}
	if slices.Contains(k.Scopes, "withdraw") && (len(k.Allowed) == 0 || k.Code == "") {
		return console.Fail(console.Usage, errors.New("a key that may withdraw is made by its customer, with a passkey on the gateway's page /security; where one-time codes count too, it needs --from with the addresses that may use it, and --code"),
			fmt.Sprintf("exchanged account enrol %d", n), fmt.Sprintf("exchanged account key add %d --scope read,withdraw --from 198.51.100.7 --code 123456", n))
	}
	if public != "" {
		if k.Public, err = base64.StdEncoding.DecodeString(public); err != nil || len(k.Public) != 32 {
			return console.Fail(console.Usage, errors.New("--public takes 32 bytes in base64"))
		}
	}
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	made, err := client.AddKey(context.Background(), uint64(n), k)
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaKey, withoutSchema(made))
	}
	if made.Secret == "" {
		a.Say("API key of account %d made; its private half stays where it is:", made.Account)
	} else {
		a.Say("API key of account %d made; its secret is shown once:", made.Account)
	}
	_, err = fmt.Fprintf(a.Out, "key     %s\n", made.Key)
	if made.Secret != "" && err == nil {
		_, err = fmt.Fprintf(a.Out, "secret  %s\n", made.Secret)
	}
	return err
}

func runKeyRevoke(a *app, account, key string) error {
	n, err := number(account)
	if err != nil {
		return err
	}
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	done, err := client.RevokeKey(context.Background(), uint64(n), key)
	if err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON(admin.SchemaKey, withoutSchema(done))
	}
	a.Say("API key of account %d revoked", n)
	return nil
}

func newAddressCmd(a *app) *cobra.Command {
	var label, code string
	add := &cobra.Command{Use: "add ACCOUNT ASSET ADDRESS", Short: "Put an address into an account's withdrawal book",
		Long: "The customer adds addresses with a passkey on the gateway's page /security; only an exchange that takes one-time codes too\n" +
			"adds them here, with --code. An address can be paid to only after its cool-down.",
		Example: "  exchanged account address add 17 BTC bcrt1q... --code 123456 --data /srv/coldsign", Args: command.Arguments(3, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			return runAddress(a, args[0], admin.AddressChanging{Asset: args[1], Address: args[2], Label: label, Code: code})
		}}
	add.Flags().StringVar(&label, "label", "", "what the customer calls it")
	add.Flags().StringVar(&code, "code", "", "one-time code of the customer")
	remove := &cobra.Command{Use: "remove ACCOUNT ASSET ADDRESS", Short: "Take an address out of an account's withdrawal book",
		Example: "  exchanged account address remove 17 BTC bcrt1q... --data /srv/coldsign", Args: command.Arguments(3, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			return runAddress(a, args[0], admin.AddressChanging{Asset: args[1], Address: args[2], Remove: true})
		}}
	return command.Group("address", "Withdrawal book of an account", add, remove)
}

func runAddress(a *app, account string, c admin.AddressChanging) error {
	n, err := number(account)
	if err != nil {
		return err
	}
	client, _, err := a.engineNow()
	if err != nil {
		return err
	}
	if _, err := client.ChangeAddress(context.Background(), uint64(n), c); err != nil {
		return explained(err)
	}
	if a.json {
		return a.JSON("coldsign.address/v1", map[string]any{"account": n, "asset": c.Asset, "address": c.Address, "removed": c.Remove})
	}
	a.Say("withdrawal book of account %d changed", n)
	return nil
}

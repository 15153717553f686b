package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/signing"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/internal/words"
	"github.com/spf13/cobra"
)

// walletFileMax bounds a wallet file or key record, in bytes; fifteen keys with their proofs take about 15 kB, three full
// pools of token keys 235 kB.
const walletFileMax = 256 << 10

func newWalletCmd(a *app) *cobra.Command {
	return command.Group("wallet", "Compose, import, pin, list and export wallets, derive their addresses",
		newWalletCreateCmd(a), newWalletImportCmd(a), newWalletAddCmd(a), newWalletListCmd(a), newWalletAddressCmd(a), newWalletExportCmd(a))
}

func newWalletCreateCmd(a *app) *cobra.Command {
	var tier, out string
	var threshold int
	cmd := &cobra.Command{
		Use: "create NAME RECORD...", Short: "Compose a wallet file from the key records of all cosigners", Args: command.Arguments(4, 16),
		Long: "Composes a wallet file from exported key records. Every record's proof of possession is verified. The same records in\n" +
			"the same order give the same file; in another order they are another wallet. One keyholder composes, and everybody\nadds that file, comparing the twelve words.",
		Example: "  coldsign wallet create COLD-BTC-A a.key.json b.key.json c.key.json --threshold 2 --out cold.wallet.json",
		RunE: func(_ *cobra.Command, args []string) error {
			records, err := readRecords(args[1:])
			if err != nil {
				return err
			}
			w, err := wallet.New(args[0], spend.Tier(tier), threshold, records)
			if err != nil {
				return namedBy(err)
			}
			if err := a.give(out, w.Marshal()); err != nil {
				return err
			}
			if a.json && out != "-" {
				return a.JSON("coldsign.wallet/v1", viewWallet(w, ""))
			}
			a.Say("%s %d of %d, words: %s", w.Name(), w.Threshold(), len(w.Keys()), w.Words())
			return nil
		},
	}
	cmd.Flags().StringVar(&tier, "tier", string(spend.Cold), "hot, warm or cold")
	cmd.Flags().IntVar(&threshold, "threshold", 0, "how many keys must sign")
	cmd.Flags().StringVar(&out, "out", "-", "file to write; - is standard output")
	return cmd
}

// namedBy makes a bad name wrong usage, because a person typed it here. In a file it makes a file that nobody can read.
func namedBy(err error) error {
	var refusal *spend.Refusal
	if errors.As(err, &refusal) && refusal.Code == "wallet-name" {
		return console.Fail(console.Usage, err)
	}
	return err
}

func readRecords(paths []string) ([]wallet.KeyRecord, error) {
	var out []wallet.KeyRecord
	for _, path := range paths {
		raw, err := console.ReadFile(path, walletFileMax)
		if err != nil {
			return nil, err
		}
		record, err := wallet.ParseKeyRecord(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, record)
	}
	return out, nil
}

type walletAddOptions struct {
	unlockFlags
	file        string
	words       string
	destination bool
	acceptRisk  []string
}

// unprovenRisk must be named to pin a wallet with keys whose holders gave no proof of possession.
const unprovenRisk = "unproven-keys"

func newWalletAddCmd(a *app) *cobra.Command {
	var o walletAddOptions
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Pin a wallet: check it, compare its twelve words, seal it with a key of this home", Args: command.Arguments(1, 1),
		Long: "Pins a wallet. Everything in the file is verified; then its twelve words are compared with the other keyholders'\n" +
			"screens, and the file is sealed with a key of this home. A wallet that this home has no key of can be pinned only as\na destination, with --destination: it can receive, and never be signed for.",
		Example: "  coldsign wallet add cold.wallet.json --key a\n  coldsign wallet add hot.wallet.json --key a --destination",
		RunE: func(_ *cobra.Command, args []string) error {
			o.file = args[0]
			return runWalletAdd(a, o)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.words, "words", "", "the twelve words as another keyholder read them, instead of the question on the terminal")
	cmd.Flags().BoolVar(&o.destination, "destination", false, "pin a wallet that this home has no key of, to pay to")
	cmd.Flags().StringSliceVar(&o.acceptRisk, "accept-risk", nil, "accept a named risk: "+unprovenRisk)
	return cmd
}

func runWalletAdd(a *app, o walletAddOptions) error {
	raw, err := console.ReadFile(o.file, walletFileMax)
	if err != nil {
		return err
	}
	w, err := o.read(raw)
	if err != nil {
		return err
	}
	u, err := a.unlock(o.unlockFlags)
	if err != nil {
		return err
	}
	defer u.close()
	if err := mayPin(u, w, o); err != nil {
		return err
	}
	describe(a, w)
	if err := a.compareWords(w.ID(), o.words); err != nil {
		return err
	}
	if err := a.pin(u, home.Pin{Kind: home.WalletPin, Name: w.Name(), Data: w.Marshal()}); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.wallet/v1", viewWallet(w, u.info.Name))
	}
	a.Say("wallet %s is pinned by key %s", w.Name(), u.info.Name)
	a.Hint("coldsign wallet address " + w.Name() + " 0")
	return nil
}

// read accepts keys without proof only from somebody who named that risk.
func (o walletAddOptions) read(raw []byte) (wallet.Wallet, error) {
	var consent []wallet.Option
	for _, risk := range o.acceptRisk {
		if risk != unprovenRisk {
			return wallet.Wallet{}, console.Fail(console.Usage, fmt.Errorf("no risk is named %q", console.Printable(risk)), "the one that can be accepted here is "+unprovenRisk)
		}
		consent = append(consent, wallet.AcceptUnproven())
	}
	w, err := wallet.Parse(raw, consent...)
	var refusal *spend.Refusal
	if errors.As(err, &refusal) && refusal.Code == "key-unproven" && len(consent) == 0 {
		err = console.Fail(console.CodeOf(err), err, "if its holder's device cannot prove it, compare the key on that device's own screen, then: coldsign wallet add "+o.file+" --accept-risk "+unprovenRisk)
	}
	if err != nil {
		return w, fmt.Errorf("%s: %w", o.file, err)
	}
	return w, nil
}

// mayPin refuses a wallet of another network, one without an own key, and one that would take the place of another.
func mayPin(u *unlocked, w wallet.Wallet, o walletAddOptions) error {
	if w.Network() != u.home.Network() {
		return spend.Refuse("network-mismatch", "wallet "+w.Name(), string(u.home.Network()), string(w.Network()), "add it to a home of its network")
	}
	if _, ours := signing.Position(w, u.info.Record); !ours && !o.destination {
		found, fix := "other keys", "if it is only to be paid to: coldsign wallet add "+o.file+" --destination"
		if _, there := w.KeyPosition(u.info.Record); there {
			found, fix = "that key with another record, or without its proof", "import the wallet again in this home, which knows the record: coldsign wallet import"
		}
		return spend.Refuse("own-key-missing", "wallet "+w.Name(), "key "+u.info.Name+" of this home among its keys", found, fix)
	}
	beliefs, err := signing.Load(u.home, u.ledger, u.info.Name, u.key.Receipt().PublicKey())
	if err != nil {
		return err
	}
	for _, known := range beliefs.Wallets {
		if (known.Name() == w.Name()) != (known.ID() == w.ID()) {
			return spend.Refuse("wallet-replaced", "wallet "+w.Name(), known.Name()+" as it was pinned, "+known.ID().Short(), w.Name()+", "+w.ID().Short(),
				"a wallet is never renamed or replaced: give a new wallet a new name")
		}
		if known.ID() == w.ID() {
			return mayPinAgain(known, w)
		}
	}
	return nil
}

// mayPinAgain lets a file take the place of the pinned one of the same wallet only to add proofs. The identity does not
// cover the tier, nor whose receipts are believed, so neither may change under it, and a proof that was there may not
// get lost.
func mayPinAgain(known, w wallet.Wallet) error {
	refuse := func(expected, found string) error {
		return spend.Refuse("wallet-replaced", "wallet "+w.Name(), expected, found, "keep the file that is pinned; a key or tier that changed needs a new wallet")
	}
	if known.Tier() != w.Tier() {
		return refuse("the tier "+string(known.Tier())+", as it was pinned", string(w.Tier()))
	}
	for i, before := range known.Keys() {
		now := w.Keys()[i]
		if !bytes.Equal(before.Marshal(), now.Marshal()) && (!before.Unproven() || now.Unproven()) {
			return refuse("the record of key "+before.Name+" as it was pinned", "another, or none, for key "+now.Name)
		}
	}
	return nil
}

func describe(a *app, w wallet.Wallet) {
	a.Say("wallet %s, %s tier, %s, %d of %d keys must sign", w.Name(), w.Tier(), w.Network(), w.Threshold(), len(w.Keys()))
	for i, k := range w.Keys() {
		proof := "possession proven"
		if k.Unproven() {
			proof = "WITHOUT proof of possession"
		}
		a.Say("  key %d  %-12s %x  %-6s %s", i+1, k.Name, k.Fingerprint, k.Kind, proof)
	}
	if template, ok := w.Policy(); ok {
		a.Say("  policy %s", template)
	}
	if limited(w) {
		a.Say("  %d addresses and %d changes, then its pool of token keys is used up", w.Indexes(), w.Indexes())
	}
	if n := len(w.Unproven()); n > 0 {
		a.Say("nobody has shown to hold %d of its %d keys; coins that need them may be out of reach", n, len(w.Keys()))
	}
}

// limited reports whether a pool of token keys ends the wallet's indexes.
func limited(w wallet.Wallet) bool {
	return slices.ContainsFunc(w.Keys(), func(k wallet.KeyRecord) bool { return k.Kind == wallet.Pool })
}

// compareWords has a person confirm that the twelve words are the same on the other screens: in scripts by giving them
// all, at a terminal by typing the last one.
func (a *app) compareWords(digest [32]byte, given string) error {
	line := words.Line(digest)
	if given != "" {
		if !words.Match(given, digest) {
			return spend.Refuse("words-differ", "words", line, console.Printable(given), "stop: you and the other keyholder hold different files")
		}
		return nil
	}
	if a.TTY == nil {
		return console.Fail(console.Declined, errors.New("nobody compared the twelve words"), `give them as the other keyholder reads them: --words "`+line[:strings.IndexByte(line, ' ')]+` ..."`)
	}
	a.Say("words: %s", line)
	last := words.Of(digest)[words.Count-1]
	prompt := "They must equal the words on every other keyholder's screen. Type the last one when they do: "
	return a.Confirm(prompt, 3, func(s string) bool { return strings.TrimSpace(s) == last })
}

type walletView struct {
	Name       string   `json:"name"`
	ID         string   `json:"id"`
	Words      string   `json:"words"`
	Tier       string   `json:"tier"`
	Network    string   `json:"network"`
	Threshold  int      `json:"threshold"`
	Keys       int      `json:"keys"`
	KeyNames   []string `json:"key_names"`
	Unproven   int      `json:"unproven_keys"`
	Descriptor string   `json:"descriptor"`
	PinnedBy   string   `json:"pinned_by,omitempty"`       // not of a file that is only written
	Policy     string   `json:"policy_template,omitempty"` // BIP388; a wallet with a token key has none
	NoProof    []string `json:"keys_without_proof,omitempty"`
	Indexes    uint32   `json:"indexes,omitempty"` // of a wallet with a pool of token keys
}

func viewWallet(w wallet.Wallet, key string) walletView {
	v := walletView{Name: w.Name(), ID: w.ID().String(), Words: w.Words(), Tier: string(w.Tier()), Network: string(w.Network()),
		Threshold: w.Threshold(), Keys: len(w.Keys()), Unproven: len(w.Unproven()), Descriptor: w.Descriptor(), PinnedBy: key}
	v.Policy, _ = w.Policy()
	if limited(w) {
		v.Indexes = w.Indexes()
	}
	for _, k := range w.Keys() {
		v.KeyNames = append(v.KeyNames, k.Name)
		if k.Unproven() {
			v.NoProof = append(v.NoProof, k.Name)
		}
	}
	return v
}

// keysText is "2 of 3", and says for ever after when a key was taken without proof.
func keysText(w wallet.Wallet) string {
	text := fmt.Sprintf("%d of %d", w.Threshold(), len(w.Keys()))
	if n := len(w.Unproven()); n > 0 {
		text += fmt.Sprintf(", %d WITHOUT PROOF", n)
	}
	return text
}

func newWalletListCmd(a *app) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "list", Short: "List the pinned wallets", Args: command.Arguments(0, 0), Example: "  coldsign wallet list --key a",
		RunE: func(*cobra.Command, []string) error {
			info, beliefs, err := a.beliefs(key)
			if err != nil {
				return err
			}
			views := []walletView{}
			rows := [][]string{{"NAME", "TIER", "KEYS", "ID", "WORDS"}}
			for _, w := range beliefs.Wallets {
				views = append(views, viewWallet(w, info.Name))
				rows = append(rows, []string{w.Name(), string(w.Tier()), keysText(w), w.ID().Short(), w.Words()})
			}
			if a.json {
				return a.JSON("coldsign.wallet-list/v1", map[string]any{"wallets": views})
			}
			return a.table(rows)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "name of the key whose pins to read (default: the only one of this home)")
	return cmd
}

func newWalletAddressCmd(a *app) *cobra.Command {
	var key string
	var change bool
	cmd := &cobra.Command{
		Use: "address WALLET INDEX", Short: "Derive an address of a pinned wallet", Args: command.Arguments(2, 2),
		Example: "  coldsign wallet address COLD-BTC-A 0\n  coldsign wallet address COLD-BTC-A 3 --change",
		RunE: func(_ *cobra.Command, args []string) error {
			index, err := strconv.ParseUint(args[1], 10, 31)
			if err != nil {
				return console.Fail(console.Usage, fmt.Errorf("index %q is not a number from 0 to 2147483647", args[1]))
			}
			_, beliefs, err := a.beliefs(key)
			if err != nil {
				return err
			}
			return a.address(beliefs, args[0], uint32(index), change)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "name of the key whose pins to read (default: the only one of this home)")
	cmd.Flags().BoolVar(&change, "change", false, "on the change branch")
	return cmd
}

func (a *app) address(beliefs signing.Beliefs, name string, index uint32, change bool) error {
	i := slices.IndexFunc(beliefs.Wallets, func(w wallet.Wallet) bool { return w.Name() == name })
	if i < 0 {
		return console.Fail(console.Failed, fmt.Errorf("no wallet %q is pinned", console.Printable(name)), "coldsign wallet list")
	}
	branch := wallet.Receive
	if change {
		branch = wallet.ChangeBranch
	}
	derived, err := beliefs.Wallets[i].Derive(branch, index)
	if err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.address/v1", map[string]any{"wallet": name, "branch": uint32(branch), "index": index, "address": derived.Address})
	}
	_, err = fmt.Fprintln(a.Out, derived.Address)
	return err
}

// beliefs reads what a key has pinned, without unlocking it.
func (a *app) beliefs(key string) (info keyInfo, b signing.Beliefs, err error) {
	h, err := a.open()
	if err != nil {
		return info, b, err
	}
	store, err := a.keys(h)
	if err != nil {
		return info, b, err
	}
	if info, err = pickKey(store, key); err != nil {
		return info, b, err
	}
	ledger, err := a.ledger(h, false)
	if err != nil {
		return info, b, err
	}
	receipt, err := receiptOf(info)
	if err != nil {
		return info, b, err
	}
	b, err = signing.Load(h, ledger, info.Name, receipt)
	return info, b, err
}

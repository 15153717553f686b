package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
)

// version is what --version prints; a release build sets it with -ldflags "-X main.version=...".
var version = "development"

// app is what every command of coldsign shares: the console and the two flags that all commands have.
type app struct {
	*console.Console
	homeDir string
	json    bool
	confine func() error // bounds the whole process, for good
}

// execute runs one command line and returns its exit code. Errors become exit codes here and nowhere else.
func (a *app) execute(args []string) console.Code {
	return command.Execute(a.Console, newRootCmd(a), args, &a.json, nil)
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:     "coldsign",
		Short:   "Open bundles offline, see what they really do, and sign or refuse",
		Long:    "coldsign signs treasury bundles on a machine that never touches a network.\n\nIt believes only what its keyholder has pinned: wallets, issuers, the roster and the policy.",
		Example: "  coldsign scan --images frames --out request.bundle\n  coldsign inspect request.bundle\n  coldsign sign request.bundle --key a --out answer.cbor\n  coldsign show answer.cbor",
		Version: version,
	}
	root.PersistentFlags().StringVar(&a.homeDir, "home", defaultHome(), "folder with this keyholder's keys, pins and signer ledger")
	root.PersistentFlags().Lookup("home").DefValue = "$COLDSIGN_HOME, or ~/.coldsign" // help is the same on every machine
	root.PersistentFlags().BoolVar(&a.json, "json", false, "one JSON object on standard output, errors as JSON on standard error")
	return command.Root(root, newInitCmd(a), newKeyCmd(a), newWalletCmd(a), newTrustCmd(a), newPolicyCmd(a), newRosterCmd(a), newBookCmd(a), newInspectCmd(a),
		newSignCmd(a), newRefuseCmd(a), newHeedCmd(a), newShowCmd(a), newScanCmd(a), newWordsCmd(a), newLedgerCmd(a))
}

// defaultHome is the only place where the environment says anything to coldsign.
func defaultHome() string {
	if dir := os.Getenv("COLDSIGN_HOME"); dir != "" {
		return dir
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return ".coldsign"
	}
	return filepath.Join(user, ".coldsign")
}

// open reads the home. A folder that is none gets the command that makes one.
func (a *app) open() (*home.Home, error) {
	h, err := home.Open(a.homeDir)
	if errors.Is(err, home.ErrNone) {
		return nil, console.Fail(console.Failed, err, "coldsign init --home "+a.homeDir+" --network regtest")
	}
	return h, err
}

// keys opens the key store of a home, wired to PKCS#11 where this build has it.
func (a *app) keys(h *home.Home) (*keystore.Store, error) {
	return keystore.Open(h.KeysDir(), openToken)
}

// pickKey returns the named key, or the only one.
func pickKey(store *keystore.Store, name string) (keystore.Info, error) {
	if name != "" {
		return store.Info(name)
	}
	infos, err := store.List()
	if err != nil {
		return keystore.Info{}, err
	}
	if len(infos) == 1 {
		return infos[0], nil
	}
	hint := "coldsign key new a"
	if len(infos) > 1 {
		hint = "say which with --key NAME (coldsign key list)"
	}
	return keystore.Info{}, console.Fail(console.Usage, fmt.Errorf("this home has %d keys", len(infos)), hint)
}

// unlockFlags say where the passphrase or PIN of a key comes from when not from the terminal.
type unlockFlags struct {
	key          string
	passphraseFD int
	pinFD        int
}

func (u *unlockFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.key, "key", "", "name of the key (default: the only one of this home)")
	cmd.Flags().IntVar(&u.passphraseFD, "passphrase-fd", -1, "read the passphrase from this file descriptor, not the terminal")
	cmd.Flags().IntVar(&u.pinFD, "pin-fd", -1, "read the token's PIN from this file descriptor, not the terminal")
}

// keyed is a home with its ledger locked for writing and one of its keys chosen, still sealed.
type keyed struct {
	app    *app
	flags  unlockFlags
	home   *home.Home
	store  *keystore.Store
	ledger *home.Ledger
	info   keystore.Info
	key    *keystore.Key // once unlocked
}

// choose takes the ledger's lock first, so that a second coldsign is refused before anybody types a passphrase.
func (a *app) choose(f unlockFlags) (*keyed, error) {
	h, err := a.open()
	if err != nil {
		return nil, err
	}
	store, err := a.keys(h)
	if err != nil {
		return nil, err
	}
	info, err := pickKey(store, f.key)
	if err != nil {
		return nil, err
	}
	ledger, err := a.ledger(h, true)
	if err != nil {
		return nil, err
	}
	return &keyed{app: a, flags: f, home: h, store: store, ledger: ledger, info: info}, nil
}

func (k *keyed) close() {
	if k.key != nil {
		k.key.Close()
	}
	k.ledger.Close()
}

// passphraseTries is how often a passphrase may be mistyped at a terminal. A PIN is asked for once: tokens count.
const passphraseTries = 3

// unlock asks for the passphrase or PIN and opens the key.
func (k *keyed) unlock(context.Context) (*keystore.Key, error) {
	prompt, fd, tries := "passphrase of key "+k.info.Name, k.flags.passphraseFD, passphraseTries
	if k.info.Kind == keystore.InToken {
		prompt, fd, tries = "PIN of token "+k.info.Token.Label+" for key "+k.info.Name, k.flags.pinFD, 1
	}
	if fd >= 0 {
		tries = 1
	}
	for ; ; tries-- {
		key, err := k.app.unlockWith(k.store, k.info.Name, prompt, fd)
		if err == nil {
			k.key = key
			return key, nil
		}
		if tries <= 1 || console.CodeOf(err) != console.KeyUnavailable {
			return nil, err
		}
		// Said in the prompt itself: what is typed before the terminal hides it again would be shown.
		prompt = fmt.Sprintf("not that (%d more tries); passphrase of key %s", tries-1, k.info.Name)
	}
}

// unlocked is a home with one of its keys unlocked and its ledger locked for writing.
type unlocked struct{ *keyed }

func (a *app) unlock(f unlockFlags) (*unlocked, error) {
	k, err := a.choose(f)
	if err != nil {
		return nil, err
	}
	if _, err := k.unlock(context.Background()); err != nil {
		k.close()
		return nil, err
	}
	return &unlocked{k}, nil
}

func (u *unlocked) signatory() home.Signatory {
	return home.Signatory{Key: u.info.Name, Receipt: u.key.Receipt()}
}

// pin seals a file with the unlocked key.
func (a *app) pin(u *unlocked, p home.Pin) error {
	return u.home.Pin(u.ledger, a.Now(), p, u.signatory(), rand.Reader)
}

// ledger reads the signer ledger, and with write takes its lock.
func (a *app) ledger(h *home.Home, write bool) (*home.Ledger, error) {
	ledger, err := h.Ledger(write)
	switch {
	case errors.Is(err, home.ErrLocked):
		return nil, console.Fail(console.Failed, err, "wait until the other coldsign of this home has ended")
	case errors.Is(err, home.ErrBroken):
		return nil, console.Fail(console.NotAuthentic, err, "do not repair it by hand: restore the home from its backup")
	}
	return ledger, err
}

func (a *app) unlockWith(store *keystore.Store, name, prompt string, fd int) (*keystore.Key, error) {
	secret, err := a.Secret(prompt, fd)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	key, err := store.Unlock(name, keystore.NewSecret(secret.Bytes()))
	return key, keyError(err)
}

// receiptOf is the public receipt key of a key file, for commands that read pins without unlocking anything.
func receiptOf(info keystore.Info) (ssh.PublicKey, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(info.Record.Receipt))
	if err != nil {
		return nil, fmt.Errorf("receipt key of %s: %w", info.Name, err)
	}
	return key, nil
}

// networks are the names that --network takes.
var networks = map[string]spend.Network{"mainnet": spend.BitcoinMainnet, "testnet": spend.BitcoinTestnet,
	"signet": spend.BitcoinSignet, "regtest": spend.BitcoinRegtest}

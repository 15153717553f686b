package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"

	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/cmd/coldsign/internal/keystore"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

type keyNewOptions struct {
	name         string
	token        string
	module       string
	pool         int  // keys of a pool, or 0 for one key
	resume       bool // a pool whose making was interrupted
	passphraseFD int
	pinFD        int
	backupFD     int
	wordsFD      int
}

func newKeyNewCmd(a *app) *cobra.Command {
	var o keyNewOptions
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Make a key: an encrypted seed, or with --token a key inside a PKCS#11 token", Args: command.Arguments(1, 1),
		Long: "Makes a key for this home's network.\n\nWithout --token it is a seed of 24 words, encrypted under a passphrase. The words are shown once, on the terminal, for\n" +
			"copying to paper; they are the backup. With --token the key is made inside the token and can never leave it: it has\nno words, and its backup is the token maker's own.\n\n" +
			"A token has one key for every address of a wallet, or with --pool many: receive index i uses key 2i, change index i key\n2i+1, and a wallet ends with its pool. --pool 100 serves 50 addresses and 50 changes.",
		Example: "  coldsign key new a\n  coldsign key new b --token treasury\n  coldsign key new d --token treasury --pool 100",
		RunE: func(_ *cobra.Command, args []string) error {
			o.name = args[0]
			return runKeyNew(a, o)
		},
	}
	cmd.Flags().StringVar(&o.token, "token", "", "label of the PKCS#11 token to make the key in")
	cmd.Flags().IntVar(&o.pool, "pool", 0, "make this many keys in the token, an even number, instead of one")
	cmd.Flags().BoolVar(&o.resume, "resume", false, "take up a pool whose making was interrupted: keep the keys that are in the token")
	cmd.Flags().StringVar(&o.module, "module", "", "path of the PKCS#11 module (default: SoftHSM where it is usually installed)")
	cmd.Flags().IntVar(&o.passphraseFD, "passphrase-fd", -1, "read the new passphrase from this file descriptor")
	cmd.Flags().IntVar(&o.pinFD, "pin-fd", -1, "read the token's PIN from this file descriptor")
	cmd.Flags().IntVar(&o.backupFD, "backup-fd", -1, "write the 24 backup words to this file descriptor instead of the terminal")
	return cmd
}

func newKeyImportCmd(a *app) *cobra.Command {
	var o keyNewOptions
	cmd := &cobra.Command{
		Use: "import NAME", Short: "Restore a key from its 12 or 24 backup words", Args: command.Arguments(1, 1),
		Long:    "Restores a key from its backup words, typed on the terminal. The passphrase is a new one; it need not be the old one.",
		Example: "  coldsign key import a",
		RunE: func(_ *cobra.Command, args []string) error {
			o.name = args[0]
			return runKeyImport(a, o)
		},
	}
	cmd.Flags().IntVar(&o.passphraseFD, "passphrase-fd", -1, "read the new passphrase from this file descriptor")
	cmd.Flags().IntVar(&o.wordsFD, "words-fd", -1, "read the backup words from this file descriptor")
	return cmd
}

func runKeyNew(a *app, o keyNewOptions) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	store, err := a.keys(h)
	if err != nil {
		return err
	}
	if err := unused(store, o.name); err != nil {
		return err
	}
	if err := o.checkPool(); err != nil {
		return err
	}
	if o.token != "" {
		return a.newTokenKey(h, store, o)
	}
	if o.backupFD < 0 && a.TTY == nil {
		return console.Fail(console.Usage, errors.New("there is no terminal to show the backup words on"),
			"give a place for them: coldsign key new "+o.name+" --backup-fd 4 4>words.txt (and guard that file)")
	}
	creation, wipe, err := a.creation(h, o)
	if err != nil {
		return err
	}
	defer wipe()
	device, err := os.Open("/dev/random")
	if err != nil {
		return err
	}
	defer device.Close()
	record, mnemonic, err := store.Create(creation, keystore.Entropy{Kernel: rand.Reader, Device: device})
	if err != nil {
		return keyError(err)
	}
	if err := a.backup(mnemonic.Words(), o.backupFD); err != nil {
		return fmt.Errorf("key %s is made, and its words were not all confirmed: %w", o.name, err)
	}
	return a.keyMade(o.name, record)
}

func runKeyImport(a *app, o keyNewOptions) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	store, err := a.keys(h)
	if err != nil {
		return err
	}
	if err := unused(store, o.name); err != nil {
		return err
	}
	typed, err := a.Secret("backup words, separated by spaces", o.wordsFD)
	if err != nil {
		return err
	}
	defer typed.Wipe()
	creation, wipe, err := a.creation(h, o)
	if err != nil {
		return err
	}
	defer wipe()
	record, err := store.Import(creation, keystore.ParseMnemonic(string(typed.Bytes())))
	if err != nil {
		return keyError(err)
	}
	return a.keyMade(o.name, record)
}

// unused refuses a name that a key of this home has, or that no key may have, before a secret is asked for and before a
// token makes a key that no file would name.
func unused(store *keystore.Store, name string) error {
	_, err := store.Info(name)
	var refusal *spend.Refusal
	switch {
	case err == nil:
		return spend.Refuse("key-exists", "key "+name, "a name that no key has", "a key of that name", "choose another name; key files are never overwritten")
	case errors.As(err, &refusal) && refusal.Code == "key-missing":
		return nil
	}
	return err
}

// Passphrases guard real money on mainnet alone; drills on test networks may use short ones and cheap derivation.
const (
	passphraseMin     = 12
	passphraseMinTest = 4
)

// creation asks for the new passphrase.
func (a *app) creation(h *home.Home, o keyNewOptions) (keystore.Creation, func(), error) {
	least, params := passphraseMin, keystore.DefaultParams()
	if h.Network().IsTest() {
		least, params = passphraseMinTest, keystore.TestParams()
	}
	secret, err := a.SecretConfirm("new passphrase for key "+o.name, o.passphraseFD, least)
	if err != nil {
		return keystore.Creation{}, nil, err
	}
	return keystore.Creation{Name: o.name, Network: h.Network(), Passphrase: keystore.NewSecret(secret.Bytes()), Params: params, Rand: rand.Reader}, secret.Wipe, nil
}

// clearScreen empties the screen and, where the terminal knows it (xterm), what was scrolled away.
const clearScreen = "\x1b[2J\x1b[3J\x1b[H"

// backup shows the words once and has two of them typed back, or writes them to a file descriptor.
func (a *app) backup(words []string, fd int) error {
	if fd >= 0 {
		line := []byte(strings.Join(words, " ") + "\n")
		defer clear(line)
		n, err := unix.Write(fd, line)
		if err == nil && n < len(line) {
			err = io.ErrShortWrite
		}
		return err
	}
	lines := "Copy these words to paper, in order. They are the key: whoever has them can sign.\n\n" + columns(words) + "\n"
	if _, err := io.WriteString(a.TTY, lines); err != nil {
		return err
	}
	if _, err := a.TTY.ReadLine(console.Line{Prompt: "press enter when they are on paper; the screen is cleared ", Max: 8}); err != nil {
		return err
	}
	if _, err := io.WriteString(a.TTY, clearScreen); err != nil {
		return err
	}
	for range 2 {
		pick, err := rand.Int(rand.Reader, big.NewInt(int64(len(words))))
		if err != nil {
			return err
		}
		n := int(pick.Int64())
		if err := a.Confirm(fmt.Sprintf("word %d from the paper: ", n+1), 3, func(s string) bool { return strings.TrimSpace(s) == words[n] }); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) keyMade(name string, record wallet.KeyRecord) error {
	if a.json {
		return a.JSON("coldsign.key/v1", viewKey(keystore.Info{Name: name, Kind: keystore.Software, Record: record}))
	}
	a.Say("key %s, fingerprint %x, on %s", name, record.Fingerprint, record.Network)
	a.Hint("coldsign key export " + name + " --out " + name + ".key.json")
	return nil
}

// newTokenKey makes a secp256k1 key and a P-256 receipt key in the token, and pins both.
func (a *app) newTokenKey(h *home.Home, store *keystore.Store, o keyNewOptions) error {
	secret, err := a.Secret("PIN of token "+o.token, o.pinFD)
	if err != nil {
		return err
	}
	defer secret.Wipe()
	token, module, err := openHSM(o.module, o.token, secret.Bytes())
	if err != nil {
		return keyError(err)
	}
	defer token.Close()
	where := keystore.TokenKey{Module: module, Label: o.token, Key: o.name, Receipt: o.name + "-receipt"}
	creation := keystore.TokenCreation{Name: o.name, Network: h.Network(), Where: where}
	if o.pool > 0 {
		creation.Pool, err = a.generatePool(context.Background(), token, where, o)
	} else {
		creation.Public, err = generate(context.Background(), token, where)
	}
	if err != nil {
		return keyError(err)
	}
	record, err := store.AddToken(context.Background(), creation, token)
	if err != nil {
		return keyError(err)
	}
	if a.json {
		return a.JSON("coldsign.key/v1", viewKey(keystore.Info{Name: o.name, Kind: keystore.InToken, Record: record, Token: where}))
	}
	a.Say("key %s, fingerprint %x, on %s, inside token %s", o.name, record.Fingerprint, record.Network, o.token)
	a.Hint("coldsign key export " + o.name + " --out " + o.name + ".key.json")
	return nil
}

// keyError gives errors of keys and tokens their exit code.
func keyError(err error) error {
	var refusal *spend.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal) && refusal.Code == "key-locked":
		return console.Fail(console.KeyUnavailable, err)
	case isTokenError(err):
		return console.Fail(console.KeyUnavailable, err)
	}
	return err
}

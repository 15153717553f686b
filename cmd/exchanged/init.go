package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
)

// operator is the person of the certificate that `exchanged status` itself uses.
const operator = "operator"

type initOptions struct {
	network, name, listen   string
	nodeURL, nodeCredential string
	hosts                   []string
	exchange                bool
	beginning
}

func newInitCmd(a *app) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the daemon's folder: certificate authority, issuer key, database key, configuration",
		Long: "Makes a new folder with everything that exchanged needs, and never touches one that holds something already.\n" +
			"The issuer key seals bundles; signers pin it from `exchanged issuer export`. It can move nothing.",
		Example: "  exchanged init --data /srv/coldsign --network regtest\n" +
			"  exchanged init --data /srv/coldsign --network mainnet --name exchanged-1 --listen 10.0.4.2:7443 --host admin.internal",
		Args: command.Arguments(0, 0),
		RunE: func(*cobra.Command, []string) error { return runInit(a, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.network, "network", "", "mainnet, testnet, signet or regtest")
	flags.StringVar(&o.name, "name", "exchanged-1", "name of this daemon as issuer of bundles")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:7443", "loopback or private address of the admin listener")
	flags.StringArrayVar(&o.hosts, "host", nil, "further host name or IP address for the server certificate; may be repeated")
	flags.StringVar(&o.nodeURL, "node-url", "http://127.0.0.1:8332", "RPC address of the Bitcoin node")
	flags.StringVar(&o.nodeCredential, "node-credentials", "node.credentials", "file with one line user:password for the node, relative to the folder")
	flags.BoolVar(&o.exchange, "exchange", false, "make the keys of an exchange too, and its section in the configuration")
	o.beginning.flags(cmd)
	return cmd
}

func runInit(a *app, o initOptions) error {
	network, err := networkNamed(o.network)
	if err != nil {
		return console.Fail(console.Usage, err, "exchanged init --data DIR --network regtest")
	}
	if err := errors.Join(admin.CheckPerson(o.name), admin.CheckListen(o.listen)); err != nil {
		return console.Fail(console.Usage, err)
	}
	at, err := a.folder()
	if err != nil {
		return err
	}
	if err := makeFolder(at); err != nil {
		return err
	}
	if err := writeKeys(at, network, o, a); err != nil {
		return err
	}
	config := configFor(o)
	if o.exchange {
		if err := makeExchange(at, network, o.beginning); err != nil {
			return err
		}
		config += exchangeSection
	}
	// The configuration comes last: a folder without one is an init that did not finish, and is never used.
	if err := console.WriteNew(at.path("exchanged.yaml"), []byte(config), 0o600); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.daemon-init/v1", map[string]any{"data": string(at), "network": network, "issuer": o.name,
			"config": at.path("exchanged.yaml"), "authority": at.path("tls", "ca.crt")})
	}
	a.Say("folder for %s made in %s", network, at)
	a.Say("staff pin the authority in %s", at.path("tls", "ca.crt"))
	a.Hint("exchanged issuer export --data " + string(at) + "   (for every signer)")
	a.Hint("exchanged wallet add FILE --data " + string(at))
	a.Hint("exchanged roster set FILE --data " + string(at))
	return nil
}

// makeFolder makes the folder, or takes an empty one.
func makeFolder(at folder) error {
	entries, err := os.ReadDir(string(at))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return console.Fail(console.Failed, fmt.Errorf("%s is not empty; nothing was changed", at), "exchanged status --data "+string(at))
	}
	for _, dir := range []string{"", "tls", "staff", "wallets", "rosters", "records"} {
		if err := os.MkdirAll(at.path(dir), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// keyFile is one file that init writes.
type keyFile struct {
	name string
	data []byte
	mode fs.FileMode
}

func writeKeys(at folder, network spend.Network, o initOptions, a *app) error {
	now := a.Now()
	authority, err := admin.NewAuthority("coldsign "+network.Name()+" "+o.name, now, rand.Reader)
	if err != nil {
		return err
	}
	authorityKey, err := authority.KeyPEM()
	if err != nil {
		return err
	}
	files, err := certificates(at, authority, o.listen, o.hosts, now)
	if err != nil {
		return err
	}
	_, issuer, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(issuer, o.name)
	if err != nil {
		return err
	}
	var records [32]byte
	if _, err := rand.Read(records[:]); err != nil {
		return err
	}
	files = append(files, keyFile{at.path("tls", "ca.crt"), authority.CertPEM(), 0o644}, keyFile{at.path("tls", "ca.key"), authorityKey, 0o600},
		keyFile{at.path("issuer.key"), pem.EncodeToMemory(block), 0o600},
		keyFile{at.path("records.key"), []byte(hex.EncodeToString(records[:]) + "\n"), 0o600})
	for _, file := range files {
		if err := console.WriteNew(file.name, file.data, file.mode); err != nil {
			return err
		}
	}
	return nil
}

// configFor writes the configuration of a new daemon, with every key and its meaning.
func configFor(o initOptions) string {
	confirmations := 6
	if o.network == "regtest" {
		confirmations = 1
	}
	return fmt.Sprintf(`# Configuration of exchanged. Unknown keys are refused. Files are relative to this file's folder.
network: %s
issuer: %s                   # our name in the signers' trust files
node:
  url: %q
  credentials: %q            # one line user:password, mode 0600
  ca: ""                     # PEM file, for an https node
  start: 0                   # no wallet of ours was used in a block before this one
admin:
  listen: "%s"               # loopback or private address
tiers: []
# tiers:
#   - wallet: HOT-BTC-1      # below the floor, a top-up up to the target is proposed
#     floor: "1.0"
#     target: "3.0"
#     from: COLD-BTC-A
fee:
  floor: 1000                # satoshi per 1000 vB
  cap: 100000                # of the estimate, and of what a bump may ask for
  blocks: 6
bundle:
  inputs_max: 500            # coins that one bundle spends at most
  frames_max: 600            # frames of its QR series at most, 5 a second; 0 when bundles travel as files
# veto_above: "100.0"        # from this amount on, one keyholder's signed refusal cancels
intent_lifetime: 72h
confirmations: %d
approvals_needed: 2
poll: 1s
`, o.network, o.name, o.nodeURL, o.nodeCredential, o.listen, confirmations)
}

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// botFiles are the programs of a bot's author.
//
//go:embed bot/*.mjs
var botFiles embed.FS

// clientsDir has ccxt, at the version of its lock file.
var clientsDir = filepath.Join("scripts", "clients", "node_modules")

// shell founds the exchange, has the maker offer coins, and opens a shell in which the commands of the README's second
// tour work as they stand there.
func (b *bourse) shell(ctx context.Context) error {
	if err := b.found(ctx); err != nil {
		return err
	}
	if err := b.quote(); err != nil {
		return err
	}
	b.tell("The maker offers 0.1 BTC at each of three prices from %d USDT upwards.", firstAsk)
	if err := b.writeBot(clientsDir); err != nil {
		return err
	}
	readme, err := os.ReadFile(b.path("README"))
	if err != nil {
		return err
	}
	fmt.Fprintf(b.say, "\nThe exchange answers at http://%s. This shell has the programs on its path and starts in\n%s. Its README:\n\n%s\n", b.public, b.dir, readme)
	cmd := exec.CommandContext(ctx, shellPath(), "--rcfile", b.path("tour.env"), "-i")
	cmd.Dir = b.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = cleanEnv()
	if err := cmd.Run(); err != nil {
		if _, exited := err.(*exec.ExitError); !exited {
			return err
		}
	}
	fmt.Fprintln(b.say, "The exchange and its node end.")
	return b.stopDaemon(false)
}

// writeBot writes the programs of the bot's author, the keys, and the environment. modules is the folder of ccxt.
func (b *bourse) writeBot(modules string) error {
	modules, err := filepath.Abs(modules)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(modules, "ccxt")); err != nil {
		return fmt.Errorf("ccxt is not installed; type: make exchange-shell (%w)", err)
	}
	if err := os.Symlink(modules, b.path("node_modules")); err != nil {
		return err
	}
	programs, err := botFiles.ReadDir("bot")
	if err != nil {
		return err
	}
	for _, p := range programs {
		text, err := botFiles.ReadFile("bot/" + p.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(b.path(p.Name()), text, 0o600); err != nil {
			return err
		}
	}
	if err := b.writeKeys(); err != nil {
		return err
	}
	return errors.Join(b.writeMine(), b.writeEnvironment())
}

// writeKeys writes a file for each key that customers have, 0600. The bot's account gets one that may withdraw, to one address, from
// this machine: its customer consents to both with one-time codes.
func (b *bourse) writeKeys() error {
	account := fmt.Sprint(b.bot.account)
	now, err := b.bot.code(-1)
	if err != nil {
		return err
	}
	next, err := b.bot.code(0)
	if err != nil {
		return err
	}
	if _, err := b.must(b.exchanged("account", "address", "add", account, "BTC", b.miner.address, "--code", now, "--label", "own wallet")); err != nil {
		return err
	}
	payer := b.bot
	if err := b.newKey(&payer, "--scope", "read,withdraw", "--from", "127.0.0.1/32", "--code", next); err != nil {
		return err
	}
	if err := os.MkdirAll(b.path("keys"), 0o700); err != nil {
		return err
	}
	for name, c := range map[string]customer{"maker": b.maker, "bot": b.bot, "withdraw": payer} {
		text, err := c.keyFile()
		if err != nil {
			return err
		}
		if err := os.WriteFile(b.path("keys", name+".json"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeEnvironment writes what the shell reads, and the few lines that say what to type.
func (b *bourse) writeEnvironment() error {
	env := fmt.Sprintf("export PATH=%q:\"$PATH\"\nexport EXCHANGE=http://%s\nexport ADDRESS=%s\nexport PS1='exchange$ '\ncd %q\n", b.bin, b.public, b.miner.address, b.dir)
	readme := strings.Join([]string{
		"node bot.mjs                              a bot in ccxt: buys a little, leaves an order",
		"node orders.mjs                           its open orders",
		"node withdraw.mjs 0.005 $ADDRESS          asks for a withdrawal, to the one address in its book",
		"exchanged status --data exchanged         how the exchange is, and its processes",
		"exchanged --help                          what an operator can do",
		"./mine                                    mines a block on regtest",
		"exit                                      ends everything", ""}, "\n")
	return errors.Join(os.WriteFile(b.path("tour.env"), []byte(env), 0o600), os.WriteFile(b.path("README"), []byte(readme), 0o600))
}

package main

import (
	"crypto/sha256"
	"fmt"

	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
	"github.com/coldsign/coldsign/internal/words"
	"github.com/spf13/cobra"
)

func newWordsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "words FILE", Short: "Print the twelve words of a wallet, issuer, roster or policy file, to read aloud", Args: command.Arguments(1, 1),
		Long:    "Prints the twelve words that name a file, so that two people can compare what they hold. A wallet file is named by the\nwallet's identity; every other file by the SHA-256 of its bytes.",
		Example: "  coldsign words cold.wallet.json",
		RunE: func(_ *cobra.Command, args []string) error {
			raw, err := console.ReadFile(args[0], trustFileMax)
			if err != nil {
				return err
			}
			line, err := fileWords(args[0], raw)
			if err != nil {
				return err
			}
			if a.json {
				return a.JSON("coldsign.words/v1", map[string]any{"file": args[0], "words": line})
			}
			_, err = fmt.Fprintln(a.Out, line)
			return err
		},
	}
}

// fileWords are the words that wallet add and trust add compare.
func fileWords(path string, raw []byte) (string, error) {
	if kind := bundle.Sniff(raw); kind != bundle.KindUnknown && kind != bundle.KindBase64PSBT {
		return "", spend.Refuse("words-elsewhere", path, "a wallet, issuer, roster or policy file", "a bundle, an answer or a PSBT",
			"a bundle's words are on its review screen: coldsign inspect "+path)
	}
	if w, err := wallet.Parse(raw, wallet.AcceptUnproven()); err == nil {
		return w.Words(), nil
	}
	return words.Line(sha256.Sum256(raw)), nil
}

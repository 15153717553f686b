package main

import (
	"github.com/coldsign/coldsign/cmd/coldsign/internal/home"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/policy"
	"github.com/spf13/cobra"
)

func newPolicyCmd(a *app) *cobra.Command {
	return command.Group("policy", "Write a policy to begin with, and stand behind one as a keyholder", newPolicyTemplateCmd(a), newVouchCmd(a, home.PolicyPin))
}

func newPolicyTemplateCmd(a *app) *cobra.Command {
	var key, out string
	cmd := &cobra.Command{
		Use: "template", Short: "Write a commented policy for the pinned wallets, to edit and pin", Args: command.Arguments(0, 0),
		Long: "Writes a policy file with cautious limits for the wallets that a key has pinned. Read it, change what must differ, then\n" +
			"have the keyholders sign it and pin it with `coldsign trust add`. Nothing is signed while no policy is pinned.",
		Example: "  coldsign policy template --out policy.yaml\n  coldsign policy sign policy.yaml --key a --out policy.sig-a\n  coldsign trust add policy.yaml --signature policy.sig-a --signature policy.sig-b",
		RunE: func(*cobra.Command, []string) error {
			_, beliefs, err := a.beliefs(key)
			if err != nil {
				return err
			}
			var wallets []policy.Wallet
			for _, w := range beliefs.Wallets {
				wallets = append(wallets, policy.Wallet{ID: w.ID(), Name: w.Name(), Tier: w.Tier()})
			}
			return a.handOver(out, policy.Template(beliefs.Network, wallets...))
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "name of the key whose pinned wallets to use (default: the only one of this home)")
	cmd.Flags().StringVar(&out, "out", "-", "file to write; - is standard output")
	return cmd
}

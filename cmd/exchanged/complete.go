package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/coldsign/coldsign/internal/admin"
)

// completes offers what the running exchange knows. A daemon that does not answer offers nothing: a shell that waits for
// a completion is no place for an error.
func (a *app) completes(names func(admin.EngineStatus) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if _, now, err := a.engineNow(); err == nil {
			return names(now), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completesAccounts offers accounts by number, with their names; and what else may stand in their place.
func (a *app) completesAccounts(others ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out := others
		client, _, err := a.engineNow()
		if err != nil {
			return out, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := client.Accounts(context.Background())
		for _, one := range list.Accounts {
			out = append(out, strconv.FormatUint(one.ID, 10)+"\t"+one.Name)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completesAdjustment offers accounts first, and assets behind the amount.
func (a *app) completesAdjustment() cobra.CompletionFunc {
	accounts, assets := a.completesAccounts("house"), a.completes(assetSymbols)
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 2 {
			return assets(cmd, args, begun)
		}
		return accounts(cmd, args, begun)
	}
}

func assetSymbols(now admin.EngineStatus) (out []string) {
	for _, one := range now.Assets {
		out = append(out, one.Symbol)
	}
	return out
}

func marketSymbols(now admin.EngineStatus) (out []string) {
	for _, one := range now.Markets {
		out = append(out, one.Symbol+"\t"+one.State)
	}
	return out
}

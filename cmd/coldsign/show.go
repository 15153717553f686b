package main

import (
	"github.com/coldsign/coldsign/internal/bundle"
	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
	"github.com/spf13/cobra"
)

func newShowCmd(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "show FILE", Short: "Show a bundle, an answer or a PSBT as animated QR, or write the frames as pictures", Args: command.Arguments(1, 1),
		Long: "Shows a file as a series of QR symbols (BBQr) on this terminal, over and over until q is pressed. With --png the frames are\n" +
			"written as pictures into a folder instead, after each was read back from its pixels.",
		Example: "  coldsign show a.answer\n  coldsign show a.answer --png frames",
		RunE: func(_ *cobra.Command, args []string) error {
			raw, err := console.ReadFile(args[0], bundleFileMax)
			if err != nil {
				return err
			}
			fileType := transport.CBOR
			switch bundle.Sniff(raw) {
			case bundle.KindPSBT:
				fileType = transport.PSBT
			case bundle.KindUnknown, bundle.KindBase64PSBT:
				return &spend.Refusal{Kind: spend.Unreadable, Code: "not-showable", Where: args[0], Expected: "a bundle, an answer or a binary PSBT",
					Found: "something else", Fix: "name the file that coldsign or warmctl wrote"}
			}
			if dir != "" {
				return a.writeFrames(fileType, raw, dir)
			}
			return a.ShowFrames(fileType, raw)
		},
	}
	cmd.Flags().StringVar(&dir, "png", "", "new folder to write the frames to as PNG")
	return cmd
}

func (a *app) writeFrames(t transport.FileType, raw []byte, dir string) error {
	symbols, err := transport.Symbols(t, raw, transport.Options{})
	if err != nil {
		return err
	}
	if err := a.WriteFrames(dir, symbols); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.show/v1", map[string]any{"frames": len(symbols), "folder": dir})
	}
	return nil
}

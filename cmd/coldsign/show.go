package main

import (
	"fmt"
	"os"
	"path/filepath"

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
			return a.Slides(func(cols, rows int) ([]string, error) { return slides(fileType, raw, cols, rows) })
		},
	}
	cmd.Flags().StringVar(&dir, "png", "", "new folder to write the frames to as PNG")
	return cmd
}

// slides draws the series for a terminal of that size.
func slides(t transport.FileType, raw []byte, cols, rows int) ([]string, error) {
	version := transport.VersionFor(cols, rows)
	if version == 0 {
		return nil, fmt.Errorf("a terminal of %d columns and %d rows is too small for a QR symbol", cols, rows+1)
	}
	symbols, err := transport.Symbols(t, raw, transport.Options{VersionMax: version})
	if err != nil {
		return nil, err
	}
	out := make([]string, len(symbols))
	for i, symbol := range symbols {
		out[i] = symbol.Half(2)
	}
	return out, nil
}

func (a *app) writeFrames(t transport.FileType, raw []byte, dir string) error {
	symbols, err := transport.Symbols(t, raw, transport.Options{})
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return console.Fail(console.Failed, err, "name a folder that does not exist yet; nothing is overwritten")
	}
	for i, symbol := range symbols {
		picture, err := symbol.PNG(transport.PNGScale)
		if err != nil {
			return err
		}
		if err := console.WriteNew(filepath.Join(dir, fmt.Sprintf("frame-%04d.png", i+1)), picture, 0o600); err != nil {
			return err
		}
	}
	if a.json {
		return a.JSON("coldsign.show/v1", map[string]any{"frames": len(symbols), "folder": dir})
	}
	a.Say("wrote %d frames to %s; each was read back from its pixels", len(symbols), dir)
	return nil
}

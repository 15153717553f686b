package main

import (
	"errors"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/spf13/cobra"
)

func newScanCmd(a *app) *cobra.Command {
	var images, out string
	cmd := &cobra.Command{
		Use: "scan --images DIR --out FILE", Short: "Read a series of QR pictures into a file", Args: command.Arguments(0, 0),
		Long: "Reads every PNG and JPEG picture of a folder, decodes the QR symbols from their pixels, and joins them to the file they\n" +
			"carry. Pictures may come in any order and more than once. A live camera is not read yet; photograph the frames and scan\nthe folder.",
		Example: "  coldsign scan --images /media/stick/frames --out request.bundle",
		RunE: func(*cobra.Command, []string) error {
			if images == "" || out == "" {
				return console.Fail(console.Usage, errors.New("scan needs --images and --out"), "coldsign scan --help")
			}
			return runScan(a, images, out)
		},
	}
	cmd.Flags().StringVar(&images, "images", "", "folder of pictures, one symbol each")
	cmd.Flags().StringVar(&out, "out", "", "file to write; it must not exist")
	return cmd
}

func runScan(a *app, dir, out string) error {
	if err := a.confine(); err != nil {
		return err
	}
	series, err := a.ReadFrames(dir)
	if err != nil {
		return err
	}
	if err := console.WriteNew(out, series.Data, 0o600); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.scan/v1", map[string]any{"frames": series.Frames, "bytes": len(series.Data), "out": out})
	}
	a.Say("%d frames, %d bytes; wrote %s", series.Frames, len(series.Data), out)
	a.Hint("coldsign inspect " + out)
	return nil
}

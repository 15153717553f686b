package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/coldsign/coldsign/internal/command"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/transport"
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

// pictureName is what a picture on a stick may be called. Everything else in the folder is left alone and said.
var pictureName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,100}\.(png|PNG|jpg|JPG|jpeg|JPEG)$`)

func runScan(a *app, dir, out string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	joiner := transport.NewJoiner()
	for _, entry := range entries {
		if !pictureName.MatchString(entry.Name()) {
			a.Say("left alone: %s is no picture", entry.Name())
			continue
		}
		if err := addPicture(joiner, filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
		if joiner.Complete() {
			break
		}
	}
	have, need := joiner.Progress()
	if need == 0 {
		return console.Fail(console.Failed, fmt.Errorf("%s holds no picture of a frame", dir), "coldsign scan --images DIR --out FILE")
	}
	if !joiner.Complete() {
		return console.Fail(console.Failed, fmt.Errorf("%d of %d frames read; missing %v", have, need, joiner.Missing()), "take pictures of the missing frames into the same folder, and scan again")
	}
	_, data, err := joiner.Payload()
	if err != nil {
		return err
	}
	if err := console.WriteNew(out, data, 0o600); err != nil {
		return err
	}
	if a.json {
		return a.JSON("coldsign.scan/v1", map[string]any{"frames": need, "bytes": len(data), "out": out})
	}
	a.Say("%d frames, %d bytes; wrote %s", need, len(data), out)
	a.Hint("coldsign inspect " + out)
	return nil
}

// addPicture adds the symbol of one picture. A picture without a readable frame is passed over, because one blurred
// photograph must not spoil a series; the list of missing frames says what to take again. A frame of another series stops.
func addPicture(joiner *transport.Joiner, path string) error {
	raw, err := console.ReadFile(path, transport.PictureBytesMax)
	if err != nil {
		return err
	}
	text, err := transport.ReadPicture(raw)
	if err != nil {
		return nil
	}
	if _, err := joiner.Add(text); err != nil {
		var refusal *spend.Refusal
		if errors.As(err, &refusal) {
			refusal.Where = filepath.Base(path)
		}
		return err
	}
	return nil
}

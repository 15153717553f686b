// Program demo plays Coldsign's main job, and then a short day of the exchange, on real parts: a btcd node on regtest,
// SoftHSM, and the three programs as they are built, driven the way people drive them.
//
// It builds nothing and holds no rule: what it shows is what the programs do. With --shell it stops where the money is
// in the wallets, and opens a shell in which the README's tour can be typed; with --exchange-shell it does the same for
// the tour of the exchange. What may never happen here: a network other
// than regtest, a secret on a command line, a process that outlives the demo.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	dir := flag.String("dir", filepath.Join("out", "demo"), "folder for pictures and transcript; an old one is moved aside")
	bin := flag.String("bin", filepath.Join("build", "bin"), "folder with coldsign, warmctl, exchanged and btcd")
	shell := flag.Bool("shell", false, "open a shell for the README's tour instead of playing the story")
	market := flag.Bool("exchange-shell", false, "open a shell for the README's tour of the exchange; it needs ccxt in scripts/clients")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	play := (*story).whole
	switch {
	case *shell:
		play = (*story).shell
	case *market:
		play = func(s *story, ctx context.Context) error { return newBourse(s).shell(ctx) }
	}
	if err := run(ctx, *dir, *bin, play); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, bin string, play func(*story, context.Context) error) (err error) {
	s, err := newStory(dir, bin, os.Stdout)
	if err != nil {
		return err
	}
	defer s.close()
	if err := play(s, ctx); err != nil {
		return fmt.Errorf("after %.1f s: %w", time.Since(s.began).Seconds(), err)
	}
	return nil
}

// whole plays the main job, and then the exchange on the same chain.
func (s *story) whole(ctx context.Context) error {
	if err := s.play(ctx); err != nil {
		return err
	}
	b, err := s.after()
	if err != nil {
		return err
	}
	defer b.stopDaemon(true)
	if err := b.play(ctx); err != nil {
		return fmt.Errorf("the exchange: %w", err)
	}
	fmt.Printf("\nDone in %.1f s. Pictures and transcript: %s\n", time.Since(s.began).Seconds(), s.dir)
	return nil
}

// newStory makes the folder. What an earlier run left is moved aside, not removed.
func newStory(dir, bin string, say io.Writer) (*story, error) {
	dir, errDir := filepath.Abs(dir)
	bin, errBin := filepath.Abs(bin)
	if err := errors.Join(errDir, errBin); err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err == nil {
		if err := os.Rename(dir, fmt.Sprintf("%s.%s", dir, time.Now().UTC().Format("20060102T150405.000"))); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	transcript, err := os.Create(filepath.Join(dir, "transcript.txt"))
	if err != nil {
		return nil, err
	}
	return &story{dir: dir, bin: bin, say: say, transcript: transcript, began: time.Now()}, nil
}

// endWithParent has the kernel end a child when the demo itself is killed.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

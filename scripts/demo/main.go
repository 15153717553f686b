// Program demo plays Coldsign's main job on real parts: a btcd node on regtest, SoftHSM, and the three programs as they
// are built, driven the way people drive them.
//
// It builds nothing and holds no rule: what it shows is what the programs do. With --shell it stops where the money is
// in the wallets, and opens a shell in which the README's tour can be typed. What may never happen here: a network other
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
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *bin, *shell); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, bin string, shell bool) (err error) {
	s, err := newStory(dir, bin, os.Stdout)
	if err != nil {
		return err
	}
	defer s.close()
	if shell {
		return s.shell(ctx)
	}
	if err := s.play(ctx); err != nil {
		return fmt.Errorf("after %.1f s: %w", time.Since(s.began).Seconds(), err)
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

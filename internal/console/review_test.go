package console_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/chain/chaintest"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/console/ptytest"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/review"
	"github.com/coldsign/coldsign/internal/spend"
)

// actEnv makes the test binary play a command instead of running tests, so that the command has a real terminal.
const actEnv = "CONSOLE_TEST_ACT"

func TestMain(m *testing.M) {
	act := os.Getenv(actEnv)
	if act == "" {
		os.Exit(m.Run())
	}
	c := console.New("coldsign")
	err := play(c, act)
	c.Report(err, false)
	os.Exit(int(console.CodeOf(err)))
}

// play is what a command does: it reviews, and turns the outcome into an error.
func play(c *console.Console, act string) error {
	if act == "secret" {
		secret, err := c.SecretConfirm("passphrase", -1, console.NewSecretMin)
		if err == nil {
			fmt.Fprintf(c.Out, "length %d\n", len(secret.Bytes()))
		}
		return err
	}
	session := review.NewSession(request())
	if err := c.Run(session); err != nil {
		return err
	}
	if session.State() != review.Approved {
		return console.Fail(console.Declined, fmt.Errorf("state %d, %s", session.State(), session.Reason()))
	}
	fmt.Fprintln(c.Out, "approved")
	return nil
}

// request pays 12.5 BTC from cold to hot.
func request() review.Request {
	from, to := spend.WalletID{1}, spend.WalletID{2}
	facts := chain.Facts{Network: spend.BitcoinRegtest, From: from, Threshold: 2, Keys: 3, Fee: money.Sats(6100), VirtualBytes: 430,
		Inputs: []chain.Input{{Outpoint: strings.Repeat("a1", 32) + ":0", Amount: money.Sats(1_250_006_100)}},
		Outputs: []chain.Output{{Amount: money.Sats(1_250_000_000), Role: chain.Destination, Wallet: to, Index: 7,
			Address: "bcrt1qwqdg6squsna38e46795at95yu9atm8azzmyvckulcc7kytlcckxswvvzej"}}}
	return review.Request{Intent: spend.Intent{Network: spend.BitcoinRegtest, Serial: 1, Issuer: "exchanged-2", Proposer: "a.lee", From: from, To: to, ExpiresAt: 4e9},
		Effects: chaintest.Effects(facts), Verdict: spend.Verdict{Checks: []spend.Check{{Name: "all"}}}, FromName: "cold-a", ToName: "hot-1", Need: 2, Now: time.Unix(39e8, 0)}
}

// acting starts the test binary as a command on a terminal.
func acting(t *testing.T, act string, cols, rows int) (*ptytest.Driver, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), actEnv+"="+act, "TERM=xterm")
	return ptytest.Drive(t, cmd, cols, rows), cmd
}

func TestAReviewOnARealTerminal(t *testing.T) {
	d, _ := acting(t, "review", 80, 24)
	d.SeeScreen("SEND         12.500 000 00 BTC -> hot-1 /0/7")
	d.SeeScreen("CHANGE    NONE")
	d.Type("s")
	d.SeeScreen("1 of 1 outputs were not on the screen yet")
	d.Type("o")
	d.SeeScreen("outputs 1/1 seen")
	d.Type("s")
	d.SeeScreen("Retype the amount in BTC and the last 6 characters of the address:")
	d.Type("12.5 wvvzei\x7fj")
	d.SeeScreen("> 12.5 wvvzej_")
	d.Type("\r")
	d.See("approved")
	d.Exits(0)
	if raw := d.Transcript(); !strings.Contains(raw, "\x1b[?25h\x1b[?1049l") || strings.Count(raw, "\x1b[?2004h") != 1 || strings.Count(raw, "\x1b[?2004l") != 1 {
		t.Errorf("the screen was not given back: %q", raw[max(0, len(raw)-200):])
	}
}

func TestAttack093TypedAheadOrPastedKeysDoNotApproveOnATerminal(t *testing.T) {
	d, _ := acting(t, "review", 80, 24)
	d.SeeScreen("Read every output first")
	d.Type("os12.5 wvvzej\r") // in one piece: all but the first two are thrown away when the prompt begins
	d.SeeScreen("> _  (3 tries left")
	d.Type("\x1b[200~12.5 wvvzej\r\x1b[201~")
	d.SeeScreen("> _  (pasted text is no answer; 2 tries left")
	d.Type("12.5 wvvzej\r")
	d.Exits(0)
}

func TestAttack092ASmallTerminalShowsNothingUntilItIsEnlarged(t *testing.T) {
	d, _ := acting(t, "review", 70, 24)
	d.SeeScreen("the review needs 80 and 24")
	if strings.Contains(d.Screen(), "12.5") {
		t.Errorf("shown: %s", d.Screen())
	}
	d.Type("os")
	if err := d.Resize(80, 24); err != nil {
		t.Fatal(err)
	}
	d.SeeScreen("outputs 0/1 seen")
	d.Type("r")
	d.SeeScreen("Why is this refused?")
	d.Type("2")
	d.See("coldsign: state 4, wrong-destination")
	d.Exits(int(console.Declined))
}

func TestInterruptsLeaveTheTerminalAsItWas(t *testing.T) {
	for name, interrupt := range map[string]func(*ptytest.Driver, *exec.Cmd) error{
		"ctrl-c":  func(d *ptytest.Driver, _ *exec.Cmd) error { return d.Send("\x03") },
		"SIGTERM": func(_ *ptytest.Driver, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) },
	} {
		d, cmd := acting(t, "review", 80, 24)
		d.SeeScreen("Read every output first")
		if err := interrupt(d, cmd); err != nil {
			t.Fatal(err)
		}
		d.See("coldsign: interrupted")
		d.Exits(int(console.Interrupted))
		if !strings.Contains(d.Transcript(), "\x1b[?25h\x1b[?1049l") {
			t.Errorf("%s: the screen was not given back", name)
		}
	}
}

func TestASecretIsNeverOnTheTerminal(t *testing.T) {
	d, _ := acting(t, "secret", 80, 24)
	d.See("passphrase: ")
	d.Type("correct horse battery\r")
	d.See("passphrase, again: ")
	d.Type("correct horse battery\r")
	d.See("length 21")
	d.Exits(0)
	if strings.Contains(d.Transcript(), "horse") {
		t.Error("echoed")
	}
}

// Keys come from the terminal, whatever standard input is; without a terminal nothing is confirmed.
func TestAttack093OnlyATerminalConfirms(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), actEnv+"=review")
	cmd.Stdin = strings.NewReader("os12.5 wvvzej\r")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no controlling terminal
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != int(console.Refused) || !strings.Contains(string(out), "terminal-missing") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTheDriverAndTheReviewAgreeOnMarksAndEscapes(t *testing.T) {
	styled := strings.Join(review.NewSession(request()).Screen(80, 24), "")
	for _, c := range styled {
		known := c == console.MarkPlain || c == console.MarkBright || c == console.MarkDim || c == console.MarkAlarm
		if c < ' ' && !known || c > '~' {
			t.Errorf("character %q", c)
		}
	}
	for _, text := range []string{"\x1b[2J", "\u202e", "\xff", `\`, "a\rb", "\ufffd", "é"} {
		req := request()
		req.Claim = text
		if want := `"` + console.Printable(text) + `"`; !strings.Contains(review.Plain(req), want) {
			t.Errorf("%q is escaped in two ways", text)
		}
	}
}

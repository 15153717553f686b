package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/console"
	"github.com/coldsign/coldsign/internal/wallet"
	"golang.org/x/sys/unix"
)

// desk is a table with three keyholders' homes (a, b, c), all software keys on regtest, and one wallet pinned in each.
type desk struct {
	t      *testing.T
	dir    string
	wallet wallet.Wallet
}

const deskPassphrase = "correct horse battery staple"

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	for _, k := range []string{"a", "b", "c"} {
		d.must("init", "--home", d.path(k), "--network", "regtest")
		d.must("key", "new", k, "--home", d.path(k), "--passphrase-fd", d.secret(deskPassphrase), "--backup-fd", d.sink(k+".words"))
		d.must("key", "export", k, "--home", d.path(k), "--out", d.path(k+".key.json"))
	}
	d.must("wallet", "create", "COLD-A", d.path("a.key.json"), d.path("b.key.json"), d.path("c.key.json"), "--threshold", "2", "--out", d.path("cold.json"))
	raw, err := os.ReadFile(d.path("cold.json"))
	if err != nil {
		t.Fatal(err)
	}
	if d.wallet, err = wallet.Parse(raw); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a", "b", "c"} {
		d.must("wallet", "add", d.path("cold.json"), "--home", d.path(k), "--passphrase-fd", d.secret(deskPassphrase), "--words", d.wallet.Words())
	}
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

// write makes a file and returns its path.
func (d *desk) write(name string, data []byte) string {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), data, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.path(name)
}

// secret returns the number of a file descriptor that holds one line.
func (d *desk) secret(text string) string {
	d.t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.WriteString(write, text+"\n"); err != nil {
		d.t.Fatal(err)
	}
	write.Close()
	return strconv.Itoa(detach(d.t, read))
}

// sink returns the number of a file descriptor that writes to a file of the desk.
func (d *desk) sink(name string) string {
	d.t.Helper()
	file, err := os.Create(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return strconv.Itoa(detach(d.t, file))
}

// outcome is what one command gave.
type outcome struct {
	out, errs string
	code      console.Code
}

// run runs one command line in this process, without a terminal.
func (d *desk) run(args ...string) outcome {
	var out, errs bytes.Buffer
	c := &console.Console{Name: "coldsign", In: strings.NewReader(""), Out: &out, Err: &errs, Now: time.Now, NoStyle: true}
	a := &app{Console: c, confine: func() error { return nil }} // the tests go on in this process
	code := a.execute(args)
	return outcome{out.String(), errs.String(), code}
}

func (d *desk) must(args ...string) string {
	d.t.Helper()
	o := d.run(args...)
	if o.code != console.Done {
		d.t.Fatalf("coldsign %s: exit %d\n%s", strings.Join(args, " "), o.code, o.errs)
	}
	return o.out
}

// refused runs a command that must be refused with the code among its refusals, and returns the exit code.
func (d *desk) refused(code string, args ...string) console.Code {
	d.t.Helper()
	o := d.run(append(args, "--json")...)
	var report struct {
		Code     console.Code
		Refusals []struct{ Code, Where, Expected, Found, Fix string }
	}
	if err := json.Unmarshal([]byte(o.errs), &report); err != nil || o.code == console.Done {
		d.t.Fatalf("coldsign %s: exit %d, %v\n%s", strings.Join(args, " "), o.code, err, o.errs)
	}
	for _, r := range report.Refusals {
		if r.Code == code {
			return o.code
		}
	}
	d.t.Fatalf("coldsign %s was not refused with %s:\n%s", strings.Join(args, " "), code, o.errs)
	return o.code
}

// packet builds an unsigned payment of the desk's wallet to itself from two coins.
func (d *desk) packet() *bitcoin.Packet {
	d.t.Helper()
	var coins []bitcoin.Coin
	for i := range uint32(2) {
		derived, err := d.wallet.Derive(wallet.Receive, i)
		if err != nil {
			d.t.Fatal(err)
		}
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&chainhash.Hash{byte(i + 1)}, 0), nil, nil))
		tx.AddTxOut(wire.NewTxOut(5_000_000_000, derived.ScriptPubKey))
		var raw bytes.Buffer
		if err := tx.Serialize(&raw); err != nil {
			d.t.Fatal(err)
		}
		coins = append(coins, bitcoin.Coin{Outpoint: *wire.NewOutPoint((*chainhash.Hash)(ptr(tx.TxHash())), 0), Value: 5_000_000_000,
			Branch: wallet.Receive, Index: i, PrevTx: raw.Bytes()})
	}
	p, _, err := bitcoin.Build(bitcoin.Request{From: d.wallet, To: d.wallet, ToIndex: 7, Amount: 7_000_000_000, ChangeIndex: 0, FeeRate: 2000,
		Coins: coins, Height: 100, Rand: bytes.NewReader(bytes.Repeat([]byte{7}, 4096))})
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

func ptr[T any](v T) *T { return &v }

// detach gives a descriptor of its own, which the test closes at its end; commands only borrow descriptors.
func detach(t *testing.T, file *os.File) int {
	t.Helper()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

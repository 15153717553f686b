package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/coldsign/coldsign/hsm/hsmtest"
)

// wordsOf asks coldsign for the twelve words of a file, as the first keyholder reads them aloud.
func (s *story) wordsOf(path string) (string, error) {
	out, err := s.must(call{program: "coldsign", args: []string{"words", path}})
	return strings.TrimSpace(out), err
}

func (s *story) staffHome(name string) string { return s.path("staff", name) }

// warmctl is a call of warmctl by one of the treasury staff.
func (s *story) warmctl(person string, args ...string) call {
	return call{program: "warmctl", args: append(args, "--home", s.staffHome(person)), env: []string{s.tokens[0].Env()}}
}

// makeStaff enrols Alice (approval key in a token), Bob and Carol (OpenSSH key files, which test networks allow).
func (s *story) makeStaff(context.Context) error {
	var roster strings.Builder
	for _, name := range []string{"alice", "bob", "carol"} {
		if err := s.enroll(name); err != nil {
			return err
		}
		line, err := s.approvalKey(name)
		if err != nil {
			return err
		}
		roster.WriteString(line + "\n")
	}
	if err := os.WriteFile(s.path("records", "roster"), []byte(roster.String()), 0o600); err != nil {
		return err
	}
	if _, err := s.must(call{program: "exchanged", args: []string{"roster", "set", s.path("records", "roster"), "--data", s.path(daemonData)}}); err != nil {
		return err
	}
	s.tell("Treasury staff were enrolled: Alice approves with a key in a token, Bob with an OpenSSH key. Their terminals hold no chain key.")
	return nil
}

// enroll gives a person a certificate for the admin listener: the key is made at the person's side and stays there.
func (s *story) enroll(name string) error {
	cert := s.path("staff", name+".crt")
	for _, c := range []call{
		s.warmctl(name, "init", "--name", name, "--server", "https://"+s.server, "--ca", s.path(daemonData, "tls", "ca.crt")),
		{program: "exchanged", args: []string{"staff", "enroll", name, "--csr", s.path("staff", name, "tls.csr"), "--out", cert, "--data", s.path(daemonData)}},
		s.warmctl(name, "enroll", "--cert", cert),
		s.warmctl(name, "wallet", "add", s.walletFile(coldName)),
		s.warmctl(name, "wallet", "add", s.walletFile(hotName)),
	} {
		if _, err := s.must(c); err != nil {
			return err
		}
	}
	return nil
}

// approvalKey makes the key that a person approves with and returns its line for the roster.
func (s *story) approvalKey(name string) (string, error) {
	if name == "alice" {
		c := s.warmctl(name, "key", "new", "alice-1", "--token", tokenAlice, "--site", "zurich", "--pin-fd", "3")
		c.secret = hsmtest.UserPIN
		var made struct {
			RosterLine string `json:"roster_line"`
		}
		err := s.mustJSON(c, &made)
		return made.RosterLine, err
	}
	path := s.path("staff", name+".ed25519")
	if text, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path).CombinedOutput(); err != nil {
		return "", fmt.Errorf("ssh-keygen: %w\n%s", err, text)
	}
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		return "", err
	}
	kind, rest, _ := strings.Cut(string(public), " ")
	key, _, _ := strings.Cut(rest, " ")
	return fmt.Sprintf(`%s namespaces="coldsign-approve-v1",valid-after="20260101Z",valid-before="20300101Z" %s %s role=approver site=lisbon device=file`, name, kind, key), nil
}

// writePolicy begins with the template, and edits it where the story asks for it.
func (s *story) writePolicy(path string) error {
	if _, err := s.must(s.coldsign(holders[0], "policy", "template", "--out", path)); err != nil || s.edit == nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(s.edit(string(text))), 0o600)
}

// pinTrust has every keyholder pin the issuer, the roster and a policy, each compared by words. Roster and policy are
// signed by a quorum of the keyholders before.
func (s *story) pinTrust(context.Context) error {
	files := []string{s.path("records", "issuer.json"), s.path("records", "roster"), s.path("records", "policy.yaml")}
	if _, err := s.must(call{program: "exchanged", args: []string{"issuer", "export", "--data", s.path(daemonData), "--out", files[0]}}); err != nil {
		return err
	}
	if err := s.writePolicy(files[2]); err != nil {
		return err
	}
	for i, kind := range []string{"", "roster", "policy"} {
		flags, err := s.vouched(kind, files[i])
		if err != nil {
			return err
		}
		if err := s.trusted(files[i], flags); err != nil {
			return err
		}
	}
	s.tell("Each keyholder pinned what it will believe: the daemon's seal, the people who may approve, and its own limits.")
	s.detail("Roster and limits count only because A and B, as many as the wallet's threshold, signed them; A alone was refused.")
	return nil
}

// vouched has keyholders A and B sign a file that needs a quorum, shows that A alone is not enough, and returns the
// flags that hand the signatures over.
func (s *story) vouched(kind, file string) (flags []string, err error) {
	if kind == "" {
		return nil, nil
	}
	for i, h := range holders[:2] {
		signature := file + ".sig-" + h.key
		if _, err := s.must(s.unlocked(h, kind, "sign", file, "--out", signature)); err != nil {
			return nil, err
		}
		if flags = append(flags, "--signature", signature); i > 0 {
			continue
		}
		r, err := s.run(s.unlocked(h, append([]string{"trust", "add", file, "--words", "any"}, flags...)...))
		if err != nil {
			return nil, err
		}
		if r.code != 3 || !strings.Contains(r.errs, kind+"-quorum") {
			return nil, fmt.Errorf("a %s by one keyholder: exit %d\n%s", kind, r.code, r.errs)
		}
	}
	return flags, nil
}

// trusted has every keyholder pin a file, after comparing its words.
func (s *story) trusted(file string, flags []string) error {
	line, err := s.wordsOf(file)
	if err != nil {
		return err
	}
	for _, h := range holders {
		if _, err := s.must(s.unlocked(h, append([]string{"trust", "add", file, "--words", line}, flags...)...)); err != nil {
			return err
		}
	}
	return nil
}

// fund pays deposits into both wallets.
func (s *story) fund(ctx context.Context) error {
	cold, err := s.must(s.coldsign(holders[0], "wallet", "address", coldName, "0"))
	if err != nil {
		return err
	}
	second, err := s.must(s.coldsign(holders[1], "wallet", "address", coldName, "1"))
	if err != nil {
		return err
	}
	hot, err := s.must(s.coldsign(holders[2], "wallet", "address", hotName, "0"))
	if err != nil {
		return err
	}
	txid, err := s.miner.pay(ctx, payment{strings.TrimSpace(cold), coldStart - coldSecond}, payment{strings.TrimSpace(second), coldSecond},
		payment{strings.TrimSpace(hot), hotStart})
	if err != nil {
		return err
	}
	s.tell("Customers paid in: %d BTC lie in the cold wallet, 0.4 BTC in the hot wallet, which should hold at least %s.", coldStart/btc, hotFloor)
	s.detail("deposit %s", txid)
	return nil
}

const coldSecond = 2 * btc // the part of the deposit that lies at the cold wallet's second address

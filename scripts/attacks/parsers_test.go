package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parsers are the functions that read bytes from outside, each with the fuzz target that asserts it never panics and
// reads one meaning.
func parsers() map[string][2]string {
	return map[string][2]string{
		"bundle.Open": {"internal/bundle", "FuzzOpen"}, "bundle.OpenAnswer": {"internal/bundle", "FuzzOpenAnswer"},
		"bundle.DecodeIntent": {"internal/bundle", "FuzzDecodeIntent"}, "bundle.Sniff": {"internal/bundle", "FuzzSniff"},
		"bundle.ParseIssuer": {"internal/bundle", "FuzzParseIssuer"}, "bitcoin.Read": {"internal/chain/bitcoin", "FuzzRead"},
		"bitcoin.Prove": {"internal/chain/bitcoin", "FuzzProve"}, "wallet.Parse": {"internal/wallet", "FuzzParse"},
		"wallet.ParseDescriptor": {"internal/wallet", "FuzzParseDescriptor"}, "wallet.ParseKeyRecord": {"internal/wallet", "FuzzParseKeyRecord"},
		"wallet imports": {"internal/wallet", "FuzzForeignFiles"}, "policy.Parse": {"internal/policy", "FuzzParse"},
		"approvals.ParseRoster": {"internal/approvals", "FuzzParseRoster"}, "seal.Verify": {"internal/seal", "FuzzVerify"},
		"seal.ParseKey": {"internal/seal", "FuzzParseKey"}, "transport.Joiner": {"internal/transport", "FuzzJoiner"},
		"transport.ReadImage": {"internal/transport", "FuzzReadPicture"}, "keystore files": {"cmd/coldsign/internal/keystore", "FuzzKeyFile"},
		"keystore words": {"cmd/coldsign/internal/keystore", "FuzzMnemonic"}, "home ledger": {"cmd/coldsign/internal/home", "FuzzLedger"},
		"node answers": {"internal/node", "FuzzReadAnswer"}, "node blocks": {"internal/node", "FuzzReadBlock"},
		"node amounts": {"internal/node", "FuzzSatoshi"}, "admin requests": {"internal/admin", "FuzzRequest"},
		"hsm signatures": {"hsm", "FuzzFinishSignature"}, "hsm points": {"hsm", "FuzzPoint"}, "keys of a terminal": {"internal/console", "FuzzDecodeTakesEveryByteOnce"},
	}
}

// Attack 120: every parser of bytes from outside has its fuzz target beside it; its seeds run with every test.
func TestAttack120EveryParserIsFuzzed(t *testing.T) {
	for parser, where := range parsers() {
		files, err := filepath.Glob(filepath.Join(root, where[0], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(text), "\nfunc "+where[1]+"(f *testing.F) {")
		}
		if !found {
			t.Errorf("%s has no %s in %s", parser, where[1], where[0])
		}
	}
}

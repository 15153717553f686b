package wallet_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// BIP380, "The following tests cover the checksum and character set". raw() is no function of ours, so a good checksum
// shows by the refusal that comes after it.
func TestAttack061ChecksumsOfBIP380(t *testing.T) {
	for text, code := range map[string]string{
		"raw(deadbeef)#89f8spxm":  "descriptor-unreadable", // valid: only the function is unknown
		"raw(deadbeef)":           "descriptor-checksum",
		"raw(deadbeef)#":          "descriptor-checksum",
		"raw(deadbeef)#89f8spxmx": "descriptor-checksum",
		"raw(deadbeef)#89f8spx":   "descriptor-checksum",
		"raw(deedbeef)#89f8spxm":  "descriptor-checksum",
		"raw(deedbeef)##9f8spxm":  "descriptor-checksum",
		"raw(Ü)#00000000":         "descriptor-unreadable",
	} {
		_, err := wallet.ParseDescriptor(text)
		refused(t, err, code)
	}
}

const (
	pubA  = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd" // BIP380 to BIP386
	pubB  = "0260b2003c386519fc9eadf2b5cf124dd8eea4c4e68d5e154050a9346ea98ce600" // BIP380
	xpubA = "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL"
	xpubB = "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y"
	xpubC = "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH"
	xpubD = "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"
	xpubE = "xpub661MyMwAqRbcGDZQUKLqmWodYLcoBQnQH33yYkkF3jjxeLvY8qr2wWGEWkiKFaaQfJCoi3HeEq3Dc5DptfbCyjD38fNhSqtKc1UHaP4ba3t"
)

// keys16 are the keys of BIP383's sixteen-key vector.
func keys16() []string {
	return strings.Fields(`03669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0 ` + pubB + `
0362a74e399c39ed5593852a30147f2959b56bb827dfa3e60e464b02ccf87dc5e8 0261345b53de74a4d721ef877c255429961b7e43714171ac06168d7e08c542a8b8
02da72e8b46901a65d4374fe6315538d8f368557dda3a1dcf9ea903f3afe7314c8 0318c82dd0b53fd3a932d16e0ba9e278fcc937c582d5781be626ff16e201f72286
0297ccef1ef99f9d73dec9ad37476ddb232f1238aff877af19e72ba04493361009 02e502cfd5c3f972fe9a3e2a18827820638f96b6f347e54d63deb839011fd5765d
03e687710f0e3ebe81c1037074da939d409c0025f17eb86adb9427d28f0f7ae0e9 02c04d3a5274952acdbc76987f3184b346a483d43be40874624b29e3692c1df5af
02ed06e0f418b5b43a7ec01d1d7d27290fa15f75771cb69b642a51471c29c84acd 036d46073cbb9ffee90473f3da429abc8de7f8751199da44485682a989a4bebb24
02f5d1ff7c9029a80a4e36b9a5497027ef7f3e73384a4a94fbfe7c4e9164eec8bc 02e41deffd1b7cce11cde209a781adcffdabd1b91c0ba0375857a2bfd9302419f3
02d76625f7956a7fc505ab02556c23ee72d832f1bac391bcd2d3abce5710a13d06 0399eb0a5487515802dc14544cf10b3666623762fbed2ec38a3975716e2c29c232`)
}

// The vectors of BIP381, BIP382, BIP383 and BIP386 that have public keys and functions of ours.
func TestScriptsOfBIP381To386(t *testing.T) {
	for text, scripts := range map[string][]string{
		"pk(" + pubA + ")":                        {"2103a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bdac"},
		"pkh([deadbeef/1/2'/3/4']" + pubA + ")":   {"76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"},
		"pkh([deadbeef/1/2h/3/4h]" + pubA + ")":   {"76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"},
		"sh(pk(" + pubA + "))":                    {"a9141857af51a5e516552b3086430fd8ce55f7c1a52487"},
		"sh(pkh(" + pubA + "))":                   {"a9141a31ad23bf49c247dd531a623c2ef57da3c400c587"},
		"pk(" + xpubB + "/0)":                     {"210379e45b3cf75f9c5f9befd8e9506fb962f6a9d185ac87001ec44a8d3df8d4a9e3ac"},
		"wpkh(" + pubA + ")":                      {"00149a1c78a507689f6f54b847ad1cef1e614ee23f1e"},
		"wpkh([ffffffff/13']" + xpubC + "/1/2/*)": {"0014326b2249e3a25d5dc60935f044ee835d090ba859", "0014af0bd98abc2f2cae66e36896a39ffe2d32984fb7", "00141fa798efd1cbf95cebf912c031b8a4a6e9fb9f27"},
		"wsh(pkh(" + pubA + "))":                  {"0020338e023079b91c58571b20e602d7805fb808c22473cbc391a41b1bd3a192e75b"},
		"wsh(pk(" + pubA + "))":                   {"00202e271faa2325c199d25d22e1ead982e45b64eeb4f31e73dbdf41bd4b5fec23fa"},
		"sh(wsh(pkh(" + pubA + ")))":              {"a914b61b92e2ca21bac1e72a3ab859a742982bea960a87"},
		"sortedmulti(2," + xpubA + "/*," + xpubB + "/0/0/*)": {
			"5221025d5fc65ebb8d44a5274b53bac21ff8307fec2334a32df05553459f8b1f7fe1b62102fbd47cc8034098f0e6a94c6aeee8528abf0a2153a5d8e46d325b7284c046784652ae",
			"52210264fd4d1f5dea8ded94c61e9641309349b62f27fbffe807291f664e286bfbe6472103f4ece6dfccfa37b211eb3d0af4d0c61dba9ef698622dc17eecdf764beeb005a652ae",
			"5221022ccabda84c30bad578b13c89eb3b9544ce149787e5b538175b1d1ba259cbb83321024d902e1a2fc7a8755ab5b694c575fce742c48d9ff192e63df5193e4c7afe1f9c52ae"},
		"sh(wsh(multi(16," + strings.Join(keys16(), ",") + ")))": {"a9147fc63e13dc25e8a95a3cee3d9a714ac3afd96f1e87"},
		"tr(" + pubA[2:] + ")": {"512077aab6e066f8a7419c5ab714c12c67d25007ed55a43cadcacb4d7a970a093f11"},
	} {
		d, err := wallet.ParseUnchecked(text)
		must(t, err)
		for i, want := range scripts {
			got, err := d.Derive(spend.BitcoinMainnet, 0, uint32(i))
			must(t, err)
			if hex.EncodeToString(got.ScriptPubKey) != want {
				t.Errorf("%s at %d gives %x, want %s", text, i, got.ScriptPubKey, want)
			}
		}
	}
}

// Referee: bitcoinjs-lib 7.0.5 payments over the account of seed 01.. at 0/5, and the multisig of wallet_test.go at 0/0.
// BIP383 counts to 20 keys in wsh; above 16 the numbers are pushed. txscript, btcd's own reader, must read them back.
func TestScriptsOfMoreThanSixteenKeys(t *testing.T) {
	keys := append(keys16(), pubA)
	d, err := wallet.ParseUnchecked("wsh(multi(17," + strings.Join(keys, ",") + "))")
	must(t, err)
	s, err := d.Derive(spend.BitcoinMainnet, 0, 0)
	must(t, err)
	want := txscript.NewScriptBuilder().AddInt64(17)
	for _, key := range keys {
		raw, err := hex.DecodeString(key)
		must(t, err)
		want.AddData(raw)
	}
	script, err := want.AddInt64(17).AddOp(txscript.OP_CHECKMULTISIG).Script()
	must(t, err)
	if !bytes.Equal(s.WitnessScript, script) {
		t.Errorf("witness script %x, want %x", s.WitnessScript, script)
	}
}

func TestAddressesOfEachShape(t *testing.T) {
	key := strings.SplitN(strings.SplitN(regtestDescriptor, "2,", 2)[1], ",", 2)[0]
	body := strings.TrimSuffix(strings.TrimPrefix(strings.Split(regtestDescriptor, "#")[0], "wsh("), ")")
	for text, want := range map[string]string{
		"pkh(" + key + ")":      "mzrZaWfqZQS71f1tG4MrGR3hWsK7ysSaEA",
		"wpkh(" + key + ")":     "bcrt1q6s0m78e89zvnqhr6rd9hm0v44fyphqhvlhx70m",
		"sh(wpkh(" + key + "))": "2MuihXHbZvzKxZ86NEsKziHGyj9LMpbTTiS",
		"tr(" + key + ")":       "bcrt1p6ztw5k2xsur2ac9te35l4yw3rmvxltqtwecfycwhumve9z9jq2sqxd7hpz",
		"pk(" + key + ")":       "",
		"sh(wsh(" + body + "))": "2N7gVQ3a58dzBWKcmA21NGford8BA3DoCaP",
	} {
		d, err := wallet.ParseUnchecked(text)
		must(t, err)
		index := uint32(5)
		if strings.Contains(text, "multi") {
			index = 0
		}
		got, err := d.Derive(spend.BitcoinRegtest, 0, index)
		must(t, err)
		if got.Address != want {
			t.Errorf("%s gives %q, want %q", d.Shape(), got.Address, want)
		}
		_, err = d.Derive(spend.BitcoinMainnet, 0, index)
		refused(t, err, "key-network")
		_, err = d.Derive(spend.BitcoinRegtest, 2, index)
		refused(t, err, "wallet-index")
		_, err = d.Derive(spend.BitcoinRegtest, 0, 1<<31)
		refused(t, err, "wallet-index")
	}
}

// BIP389's valid vectors with public keys, each with the descriptors that it stands for.
func TestMultipathsOfBIP389(t *testing.T) {
	for text, branches := range map[string][]string{
		"pk(" + xpubB + "/<0;1>)":                                {"pk(" + xpubB + "/0)", "pk(" + xpubB + "/1)"},
		"wpkh([ffffffff/13h]" + xpubC + "/<1;3>/2/*)":            {"wpkh([ffffffff/13h]" + xpubC + "/1/2/*)", "wpkh([ffffffff/13h]" + xpubC + "/3/2/*)"},
		"pkh(" + xpubD + "/<0;1;2>)":                             {"pkh(" + xpubD + "/0)", "pkh(" + xpubD + "/1)", "pkh(" + xpubD + "/2)"},
		"multi(2," + xpubA + "/<1;2>/*," + xpubB + "/<3;4>/0/*)": {"multi(2," + xpubA + "/1/*," + xpubB + "/3/0/*)", "multi(2," + xpubA + "/2/*," + xpubB + "/4/0/*)"},
		"sh(multi(2," + xpubA + "/<1;2;3>/0/*," + xpubB + "/0/*," + xpubE + "/0/0/<3;4;5>/*))": {
			"sh(multi(2," + xpubA + "/1/0/*," + xpubB + "/0/*," + xpubE + "/0/0/3/*))",
			"sh(multi(2," + xpubA + "/2/0/*," + xpubB + "/0/*," + xpubE + "/0/0/4/*))",
			"sh(multi(2," + xpubA + "/3/0/*," + xpubB + "/0/*," + xpubE + "/0/0/5/*))"},
	} {
		d, err := wallet.ParseUnchecked(text)
		must(t, err)
		if body, _, _ := strings.Cut(d.String(), "#"); body != text || d.Branches() != len(branches) {
			t.Errorf("%s prints as %s with %d branches", text, body, d.Branches())
		}
		if d.Ranged() != strings.Contains(text, "*") {
			t.Errorf("%s ranged: %v", text, d.Ranged())
		}
		for i, want := range branches {
			one, err := d.Branch(i)
			must(t, err)
			if body, _, _ := strings.Cut(one.String(), "#"); body != want {
				t.Errorf("branch %d of %s is %s", i, text, body)
			}
			a, err := d.Derive(spend.BitcoinMainnet, i, 9)
			must(t, err)
			b, err := one.Derive(spend.BitcoinMainnet, 0, 9)
			must(t, err)
			if hex.EncodeToString(a.ScriptPubKey) != hex.EncodeToString(b.ScriptPubKey) {
				t.Errorf("branch %d of %s derives another script than its own descriptor", i, text)
			}
		}
		if _, err := d.Branch(len(branches)); err == nil {
			t.Errorf("%s has a branch too many", text)
		}
	}
}

// BIP380: the key expressions that are valid, public and need no hardened derivation.
func TestKeyExpressionsOfBIP380(t *testing.T) {
	for text, printed := range map[string]string{
		pubB:                               pubB,
		"[deadbeef/0h/0h/0h]" + pubB:       "[deadbeef/0h/0h/0h]" + pubB,
		"[deadbeef/0'/0'/0']" + pubB:       "[deadbeef/0h/0h/0h]" + pubB,
		"[deadbeef/0'/0h/0']" + pubB:       "[deadbeef/0h/0h/0h]" + pubB,
		strings.ToUpper(pubB):              pubB,
		"[DEADBEEF]" + pubB:                "[deadbeef]" + pubB,
		xpubA:                              xpubA,
		"[deadbeef/0h/1h/2h]" + xpubA:      "[deadbeef/0h/1h/2h]" + xpubA,
		xpubA + "/3/4/5":                   xpubA + "/3/4/5",
		"[deadbeef/0h]" + xpubA + "/3/4/*": "[deadbeef/0h]" + xpubA + "/3/4/*",
	} {
		d, err := wallet.ParseUnchecked("wpkh(" + text + ")")
		must(t, err)
		if body, _, _ := strings.Cut(d.String(), "#"); body != "wpkh("+printed+")" {
			t.Errorf("%s prints as %s", text, body)
		}
		again, err := wallet.ParseDescriptor(d.String())
		must(t, err)
		if again.String() != d.String() {
			t.Errorf("%s does not print the same twice", text)
		}
	}
}

// Invalid vectors of BIP380 to BIP389, and what a strict reader refuses beyond them. Attack 061: hardened wildcards.
func TestAttack061InvalidDescriptors(t *testing.T) {
	const uncompressed = "04a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235"
	seventeen := append(keys16(), pubA)
	for code, texts := range map[string][]string{
		"descriptor-hardened": {
			"wpkh(" + xpubA + "/3h/4h/5h/*)", "wpkh(" + xpubA + "/3/*h)", "wpkh(" + xpubA + "/*')", "wpkh([deadbeef/0h/1h/2]" + xpubA + "/3h/4h/5h/*h)",
			"pkh(" + xpubD + "/<2147483647h;0>/0)", "wsh(sortedmulti(1," + xpubA + "/<0;1>/*h))",
		},
		"key-uncompressed": {"pk(" + uncompressed + ")", "wpkh(" + uncompressed + ")", "sh(wpkh(" + uncompressed + "))", "wsh(pk(" + uncompressed + "))", "tr(" + uncompressed + ")"},
		"key-encoding":     {"wpkh()", "wpkh([deadbeef])", "wpkh(" + pubA[2:] + ")", "wpkh(" + pubA + "))", "wpkh(aaaaaaaa]" + xpubA + ")", "wpkh([aaaaaaaa][aaaaaaaa]" + xpubA + ")", "pk(pk(" + pubA + "))", "wpkh(wsh(pkh(" + pubA + ")))"},
		"key-off-curve":    {"tr(" + strings.Repeat("00", 31) + "05)", "wpkh(02" + strings.Repeat("00", 31) + "05)"},
		"descriptor-unreadable": {
			"", "wpkh", "wpkh(", "wpkh)" + pubA + "(", "wpkh(" + pubA, " wpkh(" + pubA + ")", "combo(" + pubA + ")", "addr(x)", "musig(x)",
			"wpkh([deadbeef/0h/0h/0h/*]" + pubB + ")", "wpkh([deadbeef/0h/0h/0h/]" + pubB + ")", "wpkh([deadbef/0h]" + pubB + ")", "wpkh([deadbeeef/0h]" + pubB + ")",
			"wpkh([deadbeef/0f]" + pubB + ")", "wpkh([deadbeef/0H]" + pubB + ")", "wpkh([deadbeef/-0]" + pubB + ")", "wpkh([gaaaaaaa]" + xpubA + ")", "wpkh([deadbeef" + pubB + ")",
			"wpkh([deadbeef/<0;1>]" + pubB + ")", "wpkh(" + xpubA + "/2147483648)", "wpkh(" + xpubA + "/1aa)", "wpkh(" + xpubA + "/)", "wpkh(" + xpubA + "//0)", "wpkh(" + xpubA + "/00)",
			"wpkh(" + xpubA + "/+1)", "wpkh(" + xpubA + "/*/0)", "wpkh(" + xpubA + "/**)", "wpkh(" + xpubA + strings.Repeat("/0", 17) + ")", "wpkh(" + pubA + "/0)",
			"pkh(" + xpubD + "/<0;1>/<2;3>)", "wpkh(" + xpubD + "/<>/*)", "wpkh(" + xpubD + "/0>/*)", "wpkh(" + xpubD + "/<0/*)", "wpkh(" + xpubD + "/<0;>/*)", "wpkh(" + xpubD + "/<0>/*)", "wpkh(" + xpubD + "/<0;0>/*)",
			"sh(multi(2," + xpubA + "/<1;2;3>/0/*," + xpubB + "/0/*," + xpubE + "/0/0/<3;4>/*))",
			"sh(" + pubA + ")", "sh(sh(pkh(" + pubA + ")))", "wsh(wpkh(" + pubA + "))", "wsh(wsh(pkh(" + pubA + ")))", "sh(wsh(wsh(pkh(" + pubA + "))))", "sh(wsh(wpkh(" + pubA + ")))", "wsh(sh(pk(" + pubA + ")))",
			"wsh(" + pubA + ")", "wsh(tr(" + pubA[2:] + "))", "sh(tr(" + pubA[2:] + "))", "tr(" + pubA[2:] + ",pk(" + pubA[2:] + "))", "tr(" + pubA[2:] + ",{pk(x),pk(y)})", "wpkh(" + pubA + "," + pubB + ")",
			"multi(a," + pubA + "," + pubB + ")", "multi(0," + pubA + "," + pubB + ")", "multi(3," + pubA + "," + pubB + ")", "multi(02," + pubA + "," + pubB + ")", "multi(2)", "multi(1,)extra",
			"multi(1," + strings.Join(keys16()[:4], ",") + ")", "sh(multi(1," + strings.Join(keys16(), ",") + "))",
			"wsh(multi(1," + strings.Join(append(seventeen, seventeen[:4]...), ",") + "))", "wpkh(" + strings.Repeat("a", 9000) + ")",
		},
	} {
		for _, text := range texts {
			_, err := wallet.ParseUnchecked(text)
			if r := refused(t, err, code); r.Code != code {
				t.Errorf("  that was %.80q", text)
			}
		}
	}
}

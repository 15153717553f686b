package bitcoin_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/spend"
)

func TestTmp(t *testing.T) {
	raw, err := os.ReadFile("../../../../shared/vectors/psbt/hwi_test_psbt.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Invalid, Valid []string }
	json.Unmarshal(raw, &v)
	for i, s := range v.Invalid {
		_, err := bitcoin.Read([]byte(s))
		if err == nil {
			t.Errorf("invalid %d accepted: %s", i, s)
			b, _ := base64.StdEncoding.DecodeString(s)
			t.Logf("%x", b)
		} else {
			t.Logf("%d %v", i, err)
		}
	}
	for i, s := range v.Valid {
		_, err := bitcoin.Read([]byte(s))
		var r *spend.Refusal
		if err != nil && errors.As(err, &r) {
			t.Logf("valid %d: %v", i, err)
		}
	}
}

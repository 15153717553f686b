package accounts

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 as every authenticator app speaks it; HMAC does not lean on collisions
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/coldsign/coldsign/internal/exchange"
)

const (
	// TOTPName is the name under which an account's one-time-code secret is sealed.
	TOTPName = "totp"
	// TOTPBytes is the length of such a secret: what RFC 4226 recommends for SHA-1.
	TOTPBytes  = 20
	totpPeriod = 30_000 // milliseconds
	totpDigits = 6
	// wrongMax codes in a row may be wrong; after that none is taken for lockPeriod. With three steps open a guess is
	// right three times in a million, so a thief of everything else has a day's chance of about 1 in 350.
	wrongMax   = 10
	lockPeriod = 15 * minute
)

// OneTimeCode returns the code of RFC 6238 (SHA-1, 30 seconds, 6 digits) for a time.
func OneTimeCode(secret []byte, at exchange.Millis) string {
	return codeOf(secret, uint64(at/totpPeriod))
}

func codeOf(secret []byte, step uint64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, step))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 15
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0"+strconv.Itoa(totpDigits)+"d", number%1_000_000)
}

// spendCode takes a one-time code of the account, once. The step before and the one after count as well, because
// clocks differ; a step that was taken, and every older one, never counts again.
func (b *Book) spendCode(a *account, code string, now exchange.Millis) bool {
	sealed := a.totp()
	if b.opener == nil || len(sealed) == 0 || len(code) != totpDigits || now < totpPeriod {
		return false
	}
	h := a.holdings()
	if h.wrong >= wrongMax {
		if now-h.wrongSince < lockPeriod {
			return false
		}
		h.wrong = 0
	}
	secret, err := b.opener.Open(a.id, TOTPName, sealed)
	if err != nil {
		return false
	}
	middle := uint64(now / totpPeriod)
	for step := middle - 1; step <= middle+1; step++ {
		if subtle.ConstantTimeCompare([]byte(codeOf(secret, step)), []byte(code)) == 1 && step > uint64(a.step) {
			a.step, h.wrong, h.wrongSince = uint32(step), 0, 0
			return true
		}
	}
	h.wrong++
	h.wrongSince = now
	return false
}

package review

import (
	"fmt"
	"strings"

	"github.com/coldsign/coldsign/internal/money"
)

// tailLength is how many characters at the end of the address are retyped. It tests attention, not the address: six
// characters can be ground by an attacker. What protects the address is that it was derived.
const tailLength = 6

// Confirmation is what must be retyped. The zero Confirmation accepts nothing.
type Confirmation struct {
	Prompt string
	amount money.Amount
	tail   string // empty accepts nothing
}

// Confirm says what must be retyped for a request: the amount and the end of the address; for a consolidation, where
// nothing leaves, the fee and the number of inputs. For a refused request it accepts nothing.
func Confirm(req Request) Confirmation {
	s := newSheet(req)
	return s.confirmation()
}

func (s *sheet) confirmation() Confirmation {
	switch {
	case !s.clean():
		return Confirmation{Prompt: "Refused: there is nothing to confirm."}
	case s.consolidates():
		return Confirmation{"Nothing leaves. Retype the fee in BTC and the number of inputs:", s.facts.Fee, fmt.Sprint(len(s.facts.Inputs))}
	}
	address := s.paid[0].Address
	return Confirmation{"Retype the amount in BTC and the last 6 characters of the address:", s.paid[0].Amount,
		address[max(0, len(address)-tailLength):]}
}

// Check reports whether text is the amount as a plain decimal ("12.5", zeros at its end do not matter), spaces, and the
// rest exactly. Signs, grouping, leading zeros, commas and digits that are not ASCII are wrong.
func (c Confirmation) Check(text string) bool {
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return false
		}
	}
	parts := strings.Fields(text)
	if c.tail == "" || len(parts) != 2 {
		return false
	}
	if strings.HasPrefix(parts[0], "0") && !strings.HasPrefix(parts[0], "0.") && parts[0] != "0" {
		return false
	}
	amount, err := money.Parse(parts[0], c.amount.Asset())
	return err == nil && amount == c.amount && parts[1] == c.tail
}

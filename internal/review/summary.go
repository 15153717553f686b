package review

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/words"
)

// Names of wallets and people are cut to these widths on the first page; the page of hashes has them in full.
const (
	headWide   = 24
	nameWide   = 17
	personWide = 16
	noteWide   = 3 * textWide
)

// header returns the two lines above every page: what machine and wallet this is, and what is asked.
func (s *sheet) header() []string {
	network := strings.ToUpper(printable(s.Intent.Network.Name(), 8))
	first := fmt.Sprintf("%sCOLDSIGN  %s%s  wallet %s", markBright, network, markPlain, printable(s.FromName, headWide))
	if s.proven {
		first += fmt.Sprintf(" %d-of-%d", s.facts.Threshold, s.facts.Keys)
	}
	first += fmt.Sprintf(" | policy %s", short(s.Policy))
	second := fmt.Sprintf("intent %d of %s | proposed by %s | %s", s.Intent.Serial, printable(s.Intent.Issuer, personWide),
		printable(s.Intent.Proposer, personWide), s.validity())
	if len(stripped(first)) > columns {
		first = cut(stripped(first), columns)
	}
	return []string{first, cutTo(second, columns)}
}

// short returns the first eight digits of a digest in two groups.
func short(digest [32]byte) string {
	digits := hex.EncodeToString(digest[:4])
	return digits[:4] + " " + digits[4:]
}

// validity says how long the intent still lives.
func (s *sheet) validity() string {
	left := s.Intent.ExpiresAt - s.Now.Unix()
	switch {
	case left <= 0:
		return "expired"
	case left < 2*3600:
		return fmt.Sprintf("valid %d min", left/60)
	}
	return fmt.Sprintf("valid %d h", left/3600)
}

// summary is the first page.
func (s *sheet) summary() []block {
	if !s.clean() {
		return s.refused()
	}
	out := []block{s.send(), s.back(), s.fee()}
	if len(s.Limits) > 0 {
		var limits []string
		for _, l := range s.Limits {
			limits = append(limits, printable(l, textWide))
		}
		out = append(out, labelled("LIMITS", flow(limits, textWide)...))
	}
	approved := []string{fmt.Sprintf("%d of %d", len(s.Approvers), s.Need)}
	for _, a := range s.Approvers {
		approved = append(approved, printable(a, textWide))
	}
	out = append(out, labelled("APPROVED", flow(approved, textWide)...), s.words(),
		labelled("CHECKS", fmt.Sprintf("%d passed, 0 refused", len(s.Verdict.Checks))))
	return append(out, s.remarks()...)
}

// remarks are the notes of the signer, and the claims of others.
func (s *sheet) remarks() []block {
	var out []block
	for _, note := range s.Notes {
		out = append(out, labelled("NOTE", wrap(printable(note, noteWide), textWide)...))
	}
	if s.Claim != "" {
		out = append(out, labelled("CLAIMED", markDim+quote(s.Claim, textWide-20)+" (nobody verified)"+markPlain))
	}
	return out
}

// send says how much leaves, to whom, and why that is known.
func (s *sheet) send() block {
	out := s.paid[0] // a clean sheet has exactly one
	label, why := "SEND", fmt.Sprintf("derived from the pinned wallet %s", out.Wallet.Short())
	if s.consolidates() {
		label, why = "STAYS", "NOTHING LEAVES: derived from the wallet's own pinned keys"
	}
	if out.Role == chain.External {
		label, why = "PAY", markAlarm+"OUTSIDE OUR WALLETS"+markPlain+": an entry of the book that the keyholders signed"
	}
	tag := "[verified]"
	if out.Role == chain.External {
		tag = "[from the book]"
	}
	lines := []string{tagged(amountLine(out.Amount)+" -> "+place(s.ToName, out), tag)}
	lines = append(lines, grouped(out.Address)...)
	return labelled(label, append(lines, why)...)
}

// amountLine right-aligns an amount, so that those of a page stand under each other.
func amountLine(a money.Amount) string {
	return fmt.Sprintf("%16s %s", a.Grouped(), printable(a.Asset().Symbol, 8))
}

// place names a wallet and where in it an output lies, or an entry of the address book.
func place(name string, out chain.Output) string {
	if out.Role == chain.External {
		return printable(name, headWide)
	}
	branch := 0
	if out.Role == chain.Change {
		branch = 1
	}
	return fmt.Sprintf("%s /%d/%d", printable(name, nameWide), branch, out.Index)
}

// back says what returns. That nothing does is said as loudly.
func (s *sheet) back() block {
	if len(s.change) == 0 {
		return labelled("CHANGE", markAlarm+"NONE: nothing returns; all goes to the destination and the fee"+markPlain)
	}
	var lines []string
	for _, out := range s.change {
		lines = append(lines, tagged(amountLine(out.Amount)+" -> "+place(s.FromName, out), "[verified]"))
	}
	return labelled("CHANGE", lines...)
}

// fee gives the fee in every measure, and what else the payload has in it.
func (s *sheet) fee() block {
	percent := "nothing leaves"
	if !s.consolidates() {
		percent = ratio(s.facts.Fee, s.leaving.Units(), 1_000_000, 4) + " %"
	}
	rate := ratio(s.facts.Fee, money.U128{Lo: uint64(max(s.facts.VirtualBytes, 0))}, 10, 1)
	parts := []string{fmt.Sprintf("%d/%d inputs proven", len(s.facts.Inputs), len(s.facts.Inputs)), fmt.Sprintf("%d vB", s.facts.VirtualBytes)}
	if s.facts.Replaceable {
		parts = append(parts, "replaceable")
	}
	if s.facts.LockTime != 0 {
		parts = append(parts, fmt.Sprintf("not before block %d", s.facts.LockTime))
	}
	if s.facts.UnknownFields > 0 {
		parts = append(parts, fmt.Sprintf("%d unknown fields", s.facts.UnknownFields))
	}
	return labelled("FEE", append([]string{tagged(amountLine(s.facts.Fee)+"    "+rate+" sat/vB | "+percent, "[within limits]")},
		flow(parts, textWide)...)...)
}

// ratio writes amount*scale/by with some decimals, rounded up: what is shown is never less than what is paid.
func ratio(amount money.Amount, by money.U128, scale uint64, decimals uint8) string {
	product, fits := amount.Units().Mul64(scale)
	if !fits || by == (money.U128{}) {
		return "?"
	}
	// A divisor beyond 64 bits does not exist in bitcoin; shifting both keeps the ratio to 64 bits exactly enough.
	shift := uint(64 - bits.LeadingZeros64(by.Hi))
	for ; shift > 0; shift-- {
		product, _ = product.DivMod64(2)
		by, _ = by.DivMod64(2)
	}
	quotient, rest := product.DivMod64(by.Lo)
	if rest > 0 {
		quotient, _ = quotient.Add(money.U128{Lo: 1})
	}
	return money.New(money.Asset{Decimals: decimals}, quotient).Decimal()
}

// words are read aloud and compared with the other machines.
func (s *sheet) words() block {
	w := words.Of(s.Bundle)
	half := len(w) / 2
	return labelled("WORDS", strings.Join(w[:half], " "), strings.Join(w[half:], " "),
		markDim+"must equal the words on warmctl and on the other signers"+markPlain)
}

// refused is the first page when there is any reason against signing.
func (s *sheet) refused() []block {
	count := fmt.Sprintf("%d reasons", len(s.refusals))
	if len(s.refusals) == 1 {
		count = "1 reason"
	}
	out := []block{labelled("REFUSED", markAlarm+count+" against signing; nothing was signed, and nothing can be"+markPlain)}
	for i, r := range s.refusals {
		head := fmt.Sprintf("%d  %s", i+1, printable(r.Code, 40))
		if r.Where != "" {
			head += " at " + printable(r.Where, 60)
		}
		b := block{" " + markBright + cutTo(head, columns-1) + markPlain}
		for _, part := range [][2]string{{"expected", r.Expected}, {"found", r.Found}, {"fix", r.Fix}} {
			for n, line := range wrap(printable(part[1], 4*(textWide-5)), textWide-5) {
				if n > 0 {
					part[0] = ""
				}
				b = append(b, fmt.Sprintf("    %-11s %s", part[0], line))
			}
		}
		out = append(out, b)
	}
	out = append(out, labelled("NEXT", "tell treasury staff why, in a signed refusal:",
		"coldsign refuse FILE --out FILE --reason "+printable(s.refusals[0].Code, 28)), s.words())
	return append(out, s.remarks()...)
}

// cutTo shortens a line that is too long.
func cutTo(line string, width int) string {
	if len(line) > width {
		return cut(line, width)
	}
	return line
}

// utc writes a time of the intent.
func utc(seconds int64) string { return time.Unix(seconds, 0).UTC().Format("2006-01-02 15:04:05 UTC") }

package review

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/coldsign/coldsign/internal/chain"
	"github.com/coldsign/coldsign/internal/money"
	"github.com/coldsign/coldsign/internal/spend"
)

// The pages, in the order of Plain.
const (
	pageSummary = iota
	pageOutputs
	pageInputs
	pageChecks
	pageHashes
	pageCount
)

// title names a page.
func title(page int) string {
	return [pageCount]string{"summary", "outputs", "inputs", "checks", "hashes"}[page]
}

// blocks returns the content of a page. A block that would not fit the smallest terminal is torn after all, and a line
// goes on in the next one without style: what is too large is never cut off.
func (s *sheet) blocks(page int) []block {
	var out []block
	for _, b := range s.content(page) {
		var fitting block
		for _, line := range b {
			if text := stripped(line); len(text) > columns {
				for part := range slices.Chunk([]byte(text), columns) {
					fitting = append(fitting, string(part))
				}
				continue
			}
			fitting = append(fitting, line)
		}
		out = slices.AppendSeq(out, slices.Chunk(fitting, rowsMin-frame))
	}
	return out
}

func (s *sheet) content(page int) []block {
	switch page {
	case pageOutputs:
		return s.outputs()
	case pageInputs:
		return s.inputs()
	case pageChecks:
		return s.checks()
	case pageHashes:
		return s.hashes()
	}
	return s.summary()
}

// unproven stands where facts would, when there are none.
func unproven() []block { return []block{{" nothing was proven, so nothing is shown"}} }

// outputs lists every output, one block each, in the order of the payload, and ends with the sum.
func (s *sheet) outputs() []block {
	if !s.proven {
		return unproven()
	}
	var out []block
	for i, o := range s.facts.Outputs {
		b := block{fmt.Sprintf(" %soutput %d of %d%s  %s  %s", markBright, i+1, len(s.facts.Outputs), markPlain, amountLine(o.Amount), s.why(o))}
		for _, line := range grouped(o.Address) {
			b = append(b, "    "+line)
		}
		if o.Address == "" {
			b = append(b, "    no address; script "+printable(o.Script, 56))
		}
		out = append(out, append(b, "    "+s.whose(o)))
	}
	return append(out, s.sum())
}

// why names the role of an output.
func (s *sheet) why(o chain.Output) string {
	switch {
	case o.Role == chain.Change:
		return "change"
	case o.Role == chain.Destination && o.Wallet == s.facts.From:
		return "stays in this wallet"
	case o.Role == chain.Destination:
		return "destination"
	case s.wanted(o):
		return markAlarm + "PAYMENT OUTSIDE" + markPlain
	}
	return markAlarm + "EXTERNAL" + markPlain
}

// whose says which pinned wallet derives an output, or that none does.
func (s *sheet) whose(o chain.Output) string {
	switch o.Role {
	case chain.Change:
		return place(s.FromName, o) + ", rebuilt from our keys" + s.largest(o)
	case chain.Destination:
		return place(s.ToName, o) + ", derived from the pinned wallet " + o.Wallet.Short()
	}
	if s.wanted(o) {
		return "entry " + place(s.ToName, o) + " of the address book that the keyholders signed"
	}
	return "no pinned wallet derives this output"
}

// largest remarks on change that exceeds every input: coins were merged that did not have to be.
func (s *sheet) largest(o chain.Output) string {
	for _, in := range s.facts.Inputs {
		if in.Amount.Asset() != o.Amount.Asset() || in.Amount.Cmp(o.Amount) >= 0 {
			return ""
		}
	}
	return ", exceeds every input"
}

// sum shows that nothing is missing between what goes in and what comes out.
func (s *sheet) sum() block {
	in, out := money.Sats(0), money.Sats(0)
	var err error
	for _, i := range s.facts.Inputs {
		if err == nil {
			in, err = in.Add(i.Amount)
		}
	}
	for _, o := range s.facts.Outputs {
		if err == nil {
			out, err = out.Add(o.Amount)
		}
	}
	if err != nil {
		return labelled("SUM", markAlarm+"cannot be computed: "+printable(err.Error(), 40)+markPlain)
	}
	return labelled("SUM", amountLine(in)+"  all inputs", amountLine(out)+"  all outputs", amountLine(s.facts.Fee)+"  fee, what is left")
}

// inputs lists the coins that are spent.
func (s *sheet) inputs() []block {
	if !s.proven {
		return unproven()
	}
	var out []block
	for i, in := range s.facts.Inputs {
		branch := 0
		if in.Change {
			branch = 1
		}
		out = append(out, block{
			fmt.Sprintf(" input %d of %d  %s  %s /%d/%d", i+1, len(s.facts.Inputs), amountLine(in.Amount), printable(s.FromName, nameWide), branch, in.Index),
			"    " + markDim + printable(in.Outpoint, 76) + markPlain})
	}
	return append(out, block{" Every amount is proven by the previous transaction, every coin by our keys."})
}

// checks lists everybody who approved and every rule that was evaluated.
func (s *sheet) checks() []block {
	var out []block
	for _, a := range s.Approvers {
		out = append(out, hanging(" who  ", printable(a, 200)))
	}
	for _, c := range s.Verdict.Checks {
		text := printable(c.Name, 100)
		if c.Refusal != nil {
			out = append(out, hanging(" "+markAlarm+"NO"+markPlain+"   ", text+": "+printable(c.Refusal.Code, 60)))
			continue
		}
		if c.Detail != "" {
			text += ": " + printable(c.Detail, 200)
		}
		out = append(out, hanging(" ok   ", text))
	}
	return out
}

// hanging puts a six-column head before the first line and indents the rest.
func hanging(head, text string) block {
	const wide = 6
	var b block
	for i, line := range wrap(text, columns-wide) {
		if i > 0 {
			head = "      "
		}
		b = append(b, head+line)
	}
	if len(b) == 0 {
		b = block{head + "(no name)"}
	}
	return b
}

// hashes lists every identity and digest in full, and the names that the first page may have cut.
func (s *sheet) hashes() []block {
	full := func(name, value string) block {
		b := block{" " + markBright + name + markPlain}
		for _, line := range wrap(value, 64) {
			b = append(b, "    "+line)
		}
		return b
	}
	digest := func(d [32]byte) string { return hex.EncodeToString(d[:]) }
	out := []block{full("bundle", digest(s.Bundle)), full("policy", digest(s.Policy))}
	if s.proven {
		out = append(out, full("txid", printable(s.facts.TxID, 64)))
		for _, h := range s.facts.Hashes {
			out = append(out, full(printable(h.Name, 40), printable(h.Value, 256)))
		}
	}
	in := s.Intent
	return append(out,
		full("from "+printable(s.FromName, 64), in.From.String()), s.to(full),
		full("network and purpose", printable(string(in.Network), 40)+" "+printable(string(in.Purpose), 20)),
		full("issuer and serial", fmt.Sprintf("%s %d", printable(in.Issuer, 64), in.Serial)), full("proposer", printable(in.Proposer, 128)),
		full("created and expires", utc(in.CreatedAt)+" to "+utc(in.ExpiresAt)))
}

// to is the destination in full.
func (s *sheet) to(full func(name, value string) block) block {
	if s.Intent.Purpose == spend.Payment {
		return full("to entry "+printable(s.Intent.Entry, 64), printable(s.Payee, addressMax))
	}
	return full("to "+printable(s.ToName, 64), s.Intent.To.String())
}

package bitcoin

import (
	"errors"
	"fmt"
)

// Survey checks everything about a packet that needs no wallet: each coin is spent once, each amount is proven by its
// previous transaction, nothing but SIGHASH_ALL is asked for. Whose coins they are, only Prove can say. The error joins
// every *spend.Refusal that was found.
func Survey(p *Packet) error {
	v := &prover{packet: p}
	v.timing()
	seen := map[string]bool{}
	for i, in := range p.tx.inputs {
		where := fmt.Sprintf("input %d", i)
		if seen[string(in.outpoint)] {
			v.refuse("input-duplicate", where, "each coin once", "a coin of an earlier input again")
		}
		seen[string(in.outpoint)] = true
		v.inputFields(i, where)
		v.previousOutput(i, where)
	}
	v.totals()
	return errors.Join(v.refusals...)
}

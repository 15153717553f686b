package engine

import (
	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
)

// passkey carries out what is about an account's passkeys, or was approved with one. Room accounts verifies it; who
// brought it does not count.
func (s *State) passkey(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	switch c.Kind {
	case exchange.PasskeyOffer:
		body, err := exchange.DecodeBody[exchange.EnrolBody](c.Body)
		if err != nil {
			return malformed(o, err)
		}
		return s.accounts.OfferEnrolment(c.Account, body, s.now)
	case exchange.PasskeyEnrol:
		body, err := exchange.DecodeBody[exchange.PasskeyBody](c.Body)
		if err != nil {
			return malformed(o, err)
		}
		info, no := s.accounts.Enrol(c.Account, body, s.now)
		if no != nil {
			return denied(o, no)
		}
		s.tellRecord(exchange.PasskeyRecord, info)
		return exchange.Done
	}
	return s.approved(c, o)
}

func (s *State) approved(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.ApprovalBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	intent, err := exchange.DecodeBody[exchange.CustomerIntent](body.Intent)
	if err != nil {
		return malformed(o, err)
	}
	if intent.Address != nil {
		if code := s.payable(intent.Address, o); code != exchange.Done {
			return code
		}
	}
	done, no := s.accounts.Approve(c.Account, body, s.now)
	switch {
	case no != nil:
		return denied(o, no)
	case done.Key != nil:
		s.tellRecord(exchange.KeyRecord, *done.Key)
	case done.Address != nil:
		s.tellRecord(exchange.AddressRecord, *done.Address)
	case done.Passkey != nil:
		s.tellRecord(exchange.PasskeyRecord, *done.Passkey)
	}
	return exchange.Done
}

func denied(o *exchange.Outcome, no *accounts.Refusal) exchange.Code {
	o.Reason = no.Why
	return no.Code
}

// payable reports whether an address is one of its asset's network.
func (s *State) payable(body *exchange.AddressBody, o *exchange.Outcome) exchange.Code {
	if body.Asset == 0 || int(body.Asset) >= len(s.assets) || s.assets[body.Asset].Network == "" {
		return exchange.UnknownAsset
	}
	if _, err := bitcoin.AddressScript(spend.Network(s.assets[body.Asset].Network), body.Address); err != nil {
		return malformed(o, err)
	}
	return exchange.Done
}

// withPasskeys says why a code was not enough, where a passkey is needed.
func (s *State) withPasskeys(o *exchange.Outcome, code exchange.Code) exchange.Code {
	if code == exchange.EvidenceRefused {
		o.Reason = accounts.NeedsPasskey
	}
	return code
}

// resetFactors takes an account's passkeys away, as people granted.
func (s *State) resetFactors(c exchange.FactorReset) exchange.Code {
	done, code := s.accounts.ResetFactors(c, s.now)
	if code != exchange.Done {
		return code
	}
	s.tellRecord(exchange.AccountRecord, done.Account)
	for _, one := range done.Passkeys {
		s.tellRecord(exchange.PasskeyRecord, one)
	}
	for _, one := range done.Keys {
		s.tellRecord(exchange.KeyRecord, one)
	}
	for _, one := range done.Addresses {
		s.tellRecord(exchange.AddressRecord, one)
	}
	return exchange.Done
}

// security answers what the rules of passkeys are, whether an approval would count or an enrolment is open, and to whom a
// passkey of the account approved it, what the account has.
func (s *State) security(q *exchange.SecurityQuestion, a *exchange.Answer) {
	rules := s.accounts.Security()
	a.Security = &rules
	switch {
	case q.Approval != nil:
		s.checked(q, a)
	case q.Enrol != nil && !s.accounts.Offered(q.Account, q.Enrol, s.now):
		a.Code, rules.Refused = exchange.EvidenceRefused, accounts.WrongEnrolment
	}
}

func (s *State) checked(q *exchange.SecurityQuestion, a *exchange.Answer) {
	look, no := s.accounts.Check(q.Account, *q.Approval, s.now)
	if no != nil {
		a.Code, a.Security.Refused = no.Code, no.Why
		return
	}
	if !look {
		return
	}
	a.Passkeys, a.Book = s.accounts.Passkeys(q.Account), s.accounts.Addresses(q.Account)
	for _, k := range s.accounts.Keys(q.Account) {
		if !k.Revoked {
			k.Secret = nil
			a.Keys = append(a.Keys, k)
		}
	}
}

package main

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/coldsign/coldsign/internal/accounts"
	"github.com/coldsign/coldsign/internal/admin"
	"github.com/coldsign/coldsign/internal/exchange"
)

// EnrolAccount draws the code with which an account registers its first passkey. The engine keeps its hash.
func (k *exchangeDesk) EnrolAccount(ctx context.Context, by admin.Actor, account uint64) (admin.Enrolment, error) {
	rules, err := k.ask(ctx, exchange.Question{Security: &exchange.SecurityQuestion{}})
	if err != nil {
		return admin.Enrolment{}, err
	}
	if rules.Security == nil || rules.Security.RP == "" {
		return admin.Enrolment{}, admin.NewProblem(admin.Refused, "passkeys-none", "this exchange was made without passkeys (--second-factor code), and that is fixed for ever")
	}
	code, err := accounts.NewEnrolmentCode(rand.Reader)
	if err != nil {
		return admin.Enrolment{}, err
	}
	hash := accounts.EnrolmentHash(exchange.Account(account), code)
	body, err := exchange.EncodeBody(exchange.EnrolBody{Hash: hash[:]})
	if err != nil {
		return admin.Enrolment{}, err
	}
	out, err := k.command(ctx, exchange.Command{ID: exchange.RandomID(), Kind: exchange.PasskeyOffer, Account: exchange.Account(account), Body: body})
	switch {
	case err != nil:
		return admin.Enrolment{}, err
	case out.Code == exchange.WrongState:
		return admin.Enrolment{}, admin.NewProblem(admin.Refused, "passkey-present", "the account has a passkey, which alone lets it register more",
			"exchanged account reset ACCOUNT, when all of them are lost")
	}
	if err := outcomeProblem(out); err != nil {
		return admin.Enrolment{}, err
	}
	k.log.Info("enrolment offered", "account", account, "by", by.Person)
	return admin.Enrolment{Account: account, Code: code, Expires: timeOf(out.At + exchange.Millis(rules.Security.EnrolLife)),
		Page: strings.Join(rules.Security.Origins[:1], "") + "/security"}, nil
}

// sealForGateway seals the secret of an API key for a gateway, which has it in clear anyway, and no other secret.
func (e *engineSegment) sealForGateway(q *exchange.SealQuestion) (exchange.Answer, error) {
	if len(q.Name) != 64 || len(q.Secret) != 64 || q.Account == 0 {
		return exchange.Answer{Code: exchange.Malformed}, nil
	}
	sealed, err := e.sealer.Seal(rand.Reader, q.Account, q.Name, q.Secret)
	return exchange.Answer{Sealed: sealed}, err
}

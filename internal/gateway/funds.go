package gateway

import (
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/money"
)

// networkName is the short name that clients of Binance know for a chain, and whether the asset can move on it.
func networkName(a exchange.AssetInfo) (name, long string, known bool) {
	chain, _, _ := strings.Cut(a.Network, ":")
	if chain == "bitcoin" {
		return "BTC", "Bitcoin", true
	}
	return "", "", false
}

// asset returns the asset that coin names; needed says that it has to be there, and be one that moves on a chain.
func (c *call) asset(needed bool) exchange.AssetInfo {
	if !c.q.has(pCoin) && !needed {
		return exchange.AssetInfo{}
	}
	a, known := c.cat.coin[c.q.must(pCoin)]
	if !known {
		c.q.fail(refuse(-4018, "We don't have this asset."))
		return a
	}
	network, _, moves := networkName(a)
	if needed && !moves {
		c.q.fail(refuse(-4019, "The current asset is not open for deposits or withdrawals."))
	}
	if c.q.has(pNetwork) && c.q.text[pNetwork] != network {
		c.q.fail(invalid(pNetwork))
	}
	return a
}

func (s *Server) coins(c *call) *problem {
	answer, p := s.ask(c, exchange.Question{Account: &exchange.AccountQuestion{Account: c.key.account}})
	if p != nil {
		return p
	}
	balances := map[exchange.Asset]exchange.BalanceRecord{}
	for _, b := range answer.Balances {
		balances[b.Asset] = b
	}
	w := &c.w
	w.open('[')
	for _, a := range c.cat.assets {
		name, long, moves := networkName(a)
		b := balances[a.ID]
		w.open('{')
		w.text("coin", a.Symbol)
		w.flag("depositAllEnable", moves)
		w.flag("withdrawAllEnable", moves)
		w.text("name", a.Symbol)
		w.units("free", b.Available, int(a.Decimals))
		w.units("locked", b.Held, int(a.Decimals))
		for _, none := range [...]string{"freeze", "withdrawing", "ipoing", "ipoable", "storage"} {
			w.scaled(none, 0, 8)
		}
		w.flag("isLegalMoney", false)
		w.flag("trading", true)
		w.array("networkList")
		if moves {
			w.network(a, name, long)
		}
		w.close(']')
		w.close('}')
	}
	w.close(']')
	return nil
}

func (w *writer) network(a exchange.AssetInfo, name, long string) {
	w.open('{')
	w.text("network", name)
	w.text("coin", a.Symbol)
	w.units("withdrawIntegerMultiple", money.U128{Lo: 1}, int(a.Decimals))
	w.flag("isDefault", true)
	w.flag("depositEnable", true)
	w.flag("withdrawEnable", true)
	w.text("depositDesc", "")
	w.text("withdrawDesc", "")
	w.text("specialTips", "")
	w.text("name", long)
	w.flag("resetAddressStatus", false)
	w.text("addressRegex", "")
	w.text("addressRule", "")
	w.text("memoRegex", "")
	w.units("withdrawFee", a.WithdrawFee, int(a.Decimals))
	w.units("withdrawMin", a.WithdrawMin, int(a.Decimals))
	w.units("withdrawMax", a.WithdrawDayMax, int(a.Decimals))
	w.flag("sameAddress", false)
	w.flag("busy", false)
	w.close('}')
}

// depositAddress returns the account's newest address, and asks the engine for the first one when there is none.
func (s *Server) depositAddress(c *call) *problem {
	a := c.asset(true)
	if c.q.has(pAmount) {
		c.q.fail(refuse(-1106, "Parameter 'amount' sent when not required: it belongs to the Lightning network."))
	}
	question := exchange.HistoryQuestion{Account: c.key.account, Asset: a.ID, Limit: 1}
	answer, p := s.ask(c, exchange.Question{Addresses: &question})
	if p != nil {
		return p
	}
	if len(answer.Addresses) == 0 {
		if p := s.assignAddress(c, a); p != nil {
			return p
		}
		if answer, p = s.ask(c, exchange.Question{Addresses: &question}); p != nil {
			return p
		}
	}
	if len(answer.Addresses) == 0 {
		return unknownError()
	}
	c.w.depositAddress(a, answer.Addresses[0].Address)
	return nil
}

func (s *Server) assignAddress(c *call, a exchange.AssetInfo) *problem {
	body, err := exchange.EncodeBody(exchange.DepositAssignBody{Asset: a.ID})
	if err != nil {
		return unknownError()
	}
	o := &c.command[0]
	o.Kind, o.Account, o.Body = exchange.DepositAssign, c.key.account, body
	copy(o.ID[:], c.digest[:16])
	p := s.do(c)
	if p != nil && c.outcome[0].Code == exchange.WrongState {
		return refuse(-4019, "The current asset is not open for deposits: no deposit wallet is registered.")
	}
	return p
}

func (w *writer) depositAddress(a exchange.AssetInfo, address string) {
	w.open('{')
	w.text("coin", a.Symbol)
	w.text("address", address)
	w.text("tag", "")
	w.text("url", "")
	w.close('}')
}

func (s *Server) depositAddresses(c *call) *problem {
	a := c.asset(true)
	answer, p := s.ask(c, exchange.Question{Addresses: &exchange.HistoryQuestion{Account: c.key.account, Asset: a.ID, Limit: 100}})
	if p != nil {
		return p
	}
	c.w.open('[')
	for i, info := range answer.Addresses {
		c.w.open('{')
		c.w.text("coin", a.Symbol)
		c.w.text("address", info.Address)
		c.w.text("tag", "")
		c.w.number("isDefault", int64(b2i(i == 0)))
		c.w.close('}')
	}
	c.w.close(']')
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// historyQuestion reads what deposits and withdrawals are asked by. status is looked at by the caller.
func (c *call) historyQuestion() exchange.HistoryQuestion {
	q := &c.q
	question := exchange.HistoryQuestion{Account: c.key.account, Asset: c.asset(false).ID, Limit: q.limit(1000, 1000),
		Offset: int(q.whole(pOffset, 0, 0, 1<<31))}
	question.Since, question.Until = q.times()
	const ninetyDays = 90 * 24 * 3600 * 1000
	if question.Since != 0 && question.Until != 0 && question.Until-question.Since > ninetyDays {
		q.fail(refuse(-1127, "Lookup interval is too big."))
	}
	return question
}

func (s *Server) deposits(c *call) *problem {
	question := c.historyQuestion()
	wanted := c.q.whole(pStatus, 1, 0, 9) // 1 is "success": a deposit is known here once it is credited
	tx := c.q.text[pTxID]
	c.q.truth(pIncludeSource)
	answer, p := s.ask(c, exchange.Question{Deposits: &question})
	if p != nil {
		return p
	}
	w := &c.w
	w.open('[')
	for _, d := range answer.Deposits {
		a := c.cat.asset[d.Asset]
		if wanted != 1 || tx != "" && tx != d.TxID {
			continue
		}
		network, _, _ := networkName(a)
		w.open('{')
		w.text("id", string(appendNumber(nil, d.Number)))
		w.units("amount", d.Amount, int(a.Decimals))
		w.text("coin", a.Symbol)
		w.text("network", network)
		w.number("status", 1)
		w.text("address", d.Address)
		w.text("addressTag", "")
		w.text("txId", d.TxID)
		w.number("insertTime", int64(d.At))
		w.number("completeTime", int64(d.At))
		w.number("transferType", 0)
		w.number("unlockConfirm", 0)
		w.number("walletType", 0)
		w.close('}')
	}
	w.close(']')
	return nil
}

// withdraw asks for a withdrawal. It is held, and waits for the treasury.
func (s *Server) withdraw(c *call) *problem {
	q := &c.q
	a := c.asset(true)
	address := q.must(pAddress)
	if len(address) > 128 || strings.ContainsAny(address, ` "'<>\`) {
		q.fail(invalid(pAddress))
	}
	if q.whole(pWalletType, 0, 0, 1) != 0 || q.truth(pFeeFlag) {
		q.fail(refuse(-1128, "Combination of optional parameters invalid."))
	}
	if q.has(pName) {
		q.fail(refuse(-1106, "Parameter 'name' sent when not required: addresses are named in the address book."))
	}
	name := q.client(pWithdrawOrderID)
	amount := q.amount(pAmount, int(a.Decimals))
	if q.fault == nil && amount.Cmp(a.WithdrawMin) < 0 {
		q.fail(refuse(-4022, "Not less than the minimum pick-up quantity "+string(appendUnits(nil, a.WithdrawMin, int(a.Decimals)))+"."))
	}
	if q.fault == nil && amount.Cmp(a.WithdrawFee) <= 0 {
		q.fail(refuse(-4028, "The amount must be greater than the Commission."))
	}
	if q.fault != nil {
		return q.fault
	}
	body, err := exchange.EncodeBody(exchange.WithdrawBody{Asset: a.ID, Amount: amount, Address: address, Client: name.String(),
		Key: c.key.name, From: c.addr.String()})
	if err != nil {
		return unknownError()
	}
	o := &c.command[0]
	o.Kind, o.Account, o.Body = exchange.WithdrawRequest, c.key.account, body
	copy(o.ID[:], c.digest[:16])
	if p := s.do(c); p != nil {
		return withdrawWords(c.outcome[0].Code, p)
	}
	c.w.open('{')
	c.w.text("id", string(appendNumber(nil, c.outcome[0].Number)))
	c.w.close('}')
	return nil
}

// withdrawWords words what the engine says of orders for withdrawals.
func withdrawWords(code exchange.Code, p *problem) *problem {
	switch code {
	case exchange.InsufficientFunds:
		return refuse(-4026, "The user has insufficient balance available.")
	case exchange.BelowMin:
		return refuse(-4022, "Not less than the minimum pick-up quantity.")
	case exchange.NotAllowed, exchange.WrongState:
		return refuse(-4019, "The account or the asset is not open for withdrawal.")
	}
	return p
}

// withdrawalStatus is Binance's number: 4 processing, 6 completed, 1 cancelled.
func withdrawalStatus(s exchange.WithdrawalState) int64 {
	switch s {
	case exchange.WithdrawalSettled:
		return 6
	case exchange.WithdrawalCancelled:
		return 1
	}
	return 4
}

func (s *Server) withdrawals(c *call) *problem {
	question := c.historyQuestion()
	wanted := c.q.whole(pStatus, -1, 0, 9)
	question.Client = c.q.client(pWithdrawOrderID).String()
	answer, p := s.ask(c, exchange.Question{Withdraws: &question})
	if p != nil {
		return p
	}
	w := &c.w
	w.open('[')
	for _, v := range answer.Withdraws {
		a, status := c.cat.asset[v.Asset], withdrawalStatus(v.State)
		if wanted >= 0 && wanted != status {
			continue
		}
		network, _, _ := networkName(a)
		net, ok := v.Amount.Sub(v.Fee)
		if !ok {
			net = v.Amount
		}
		w.open('{')
		w.text("id", string(appendNumber(nil, v.Number)))
		w.units("amount", net, int(a.Decimals))
		w.units("transactionFee", v.Fee, int(a.Decimals))
		w.text("coin", a.Symbol)
		w.number("status", status)
		w.text("address", v.Address)
		w.text("txId", v.TxID)
		w.text("applyTime", time.UnixMilli(int64(v.Created)).UTC().Format(time.DateTime))
		w.text("network", network)
		w.number("transferType", 0)
		w.text("withdrawOrderId", v.Client)
		w.text("info", v.Reason)
		w.number("confirmNo", 0)
		w.number("walletType", 0)
		if v.State == exchange.WithdrawalSettled {
			w.text("completeTime", time.UnixMilli(int64(v.Changed)).UTC().Format(time.DateTime))
		}
		w.close('}')
	}
	w.close(']')
	return nil
}

package engine

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/coldsign/coldsign/internal/chain/bitcoin"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/ledger"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/coldsign/coldsign/internal/wallet"
)

// funds is what came in and what wants to go out.
type funds struct {
	addresses   []addressList     // by asset
	owned       map[addressee]int // how many an account has
	deposits    uint64            // how many were credited
	waiting     map[uint64]*exchange.WithdrawalInfo
	withdrawals uint64 // number of the last one
	names       map[name]struct{}
	namesInLine []name // those of names, oldest first
}

// addressList is the deposit addresses of an asset: the receive index is the place.
type addressList []depositAddress

type depositAddress struct {
	account exchange.Account
	at      exchange.Millis
	wallet  uint32 // in catalogue.wallets
}

// addressee is an account and the asset of its deposit addresses.
type addressee struct {
	account exchange.Account
	asset   exchange.Asset
}

// name is a client's name of a withdrawal, with its account, hashed: it may be used once for ever.
type name [16]byte

// Limits of what waits.
const (
	addressesOwnMax = 20      // deposit addresses that an account may ask for, of an asset
	waitingMax      = 1 << 20 // withdrawals
	reasonMax       = 200
)

func newFunds() funds {
	return funds{owned: map[addressee]int{}, waiting: map[uint64]*exchange.WithdrawalInfo{}, names: map[name]struct{}{}}
}

// ConfirmationsMin is how many blocks have to hold a deposit at least, the first included.
func ConfirmationsMin(n spend.Network) int {
	switch n {
	case spend.BitcoinMainnet:
		return 6
	case spend.BitcoinRegtest:
		return 1
	}
	return 3
}

// assign gives an account its next deposit address.
func (s *State) assign(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.DepositAssignBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	if body.Asset == 0 || int(body.Asset) >= len(s.assets) {
		return exchange.UnknownAsset
	}
	terms, known := s.accounts.Terms(c.Account)
	current := s.depositWallet(body.Asset)
	switch {
	case !known:
		return exchange.UnknownAccount
	case terms.State != exchange.AccountActive:
		return exchange.NotAllowed
	case current < 0:
		return exchange.WrongState
	case s.owned[addressee{c.Account, body.Asset}] >= addressesOwnMax:
		return exchange.OverLimit
	}
	index := uint32(len(s.addressesOf(body.Asset)))
	d, err := s.wallets[current].Derive(wallet.Receive, index)
	if err != nil {
		o.Reason = sentence(err)
		return exchange.WrongState
	}
	s.addresses[body.Asset] = append(s.addresses[body.Asset], depositAddress{c.Account, s.now, uint32(current)})
	s.owned[addressee{c.Account, body.Asset}]++
	o.Number = uint64(index)
	s.tellRecord(exchange.DepositAddressRecord, exchange.DepositAddressInfo{Account: c.Account, Asset: body.Asset, Index: index, Address: d.Address, At: s.now})
	return exchange.Done
}

// depositWallet is the newest wallet of an asset's network, or -1.
func (s *State) depositWallet(a exchange.Asset) int {
	for i := len(s.wallets) - 1; i >= 0; i-- {
		if string(s.wallets[i].Network()) == s.assets[a].Network {
			return i
		}
	}
	return -1
}

func (s *State) addressesOf(a exchange.Asset) addressList {
	for int(a) >= len(s.addresses) {
		s.addresses = append(s.addresses, nil)
	}
	return s.addresses[a]
}

// deposit credits what its evidence proves.
func (s *State) deposit(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.DepositBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	if body.Asset == 0 || int(body.Asset) >= len(s.assets) {
		return exchange.UnknownAsset
	}
	list := s.addressesOf(body.Asset)
	if uint64(body.Index) >= uint64(len(list)) {
		o.Reason = "no account has the deposit address of that index"
		return exchange.EvidenceRefused
	}
	to := list[body.Index]
	w := s.wallets[to.wallet]
	proven, err := bitcoin.ProveDeposit(w.Wallet, bitcoin.DepositClaim{Raw: body.Raw, Output: body.Output, Index: body.Index, Height: body.Height,
		Place: body.Place, Branch: body.Branch, Headers: body.Headers})
	if err != nil {
		o.Reason = sentence(err)
		return exchange.EvidenceRefused
	}
	facts := proven.Facts()
	if facts.Confirmations < ConfirmationsMin(facts.Network) {
		o.Reason = "too few headers confirm the deposit"
		return exchange.EvidenceRefused
	}
	p, code := s.ledger.Credit(proven, to.account, body.Asset)
	if code != exchange.Done {
		return code
	}
	s.touch(p)
	s.deposits++
	o.Number = s.deposits
	s.tellRecord(exchange.DepositRecord, exchange.DepositInfo{Number: s.deposits, Account: to.account, Asset: body.Asset, Amount: facts.Amount.Units(),
		TxID: facts.TxID, Output: facts.Output, Address: facts.Address, Height: facts.Height, At: s.now})
	return exchange.Done
}

// withdraw puts an amount on hold for the treasury.
func (s *State) withdraw(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.WithdrawBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	if body.Asset == 0 || int(body.Asset) >= len(s.assets) || s.assets[body.Asset].Network == "" {
		return exchange.UnknownAsset
	}
	// The attempt counts whatever else is wrong with it: who asks too often is stopped.
	freeze, code := s.accounts.CheckWithdraw(c.Account, body, s.assets[body.Asset].WithdrawDayMax, s.now)
	if freeze != nil {
		s.tellRecord(exchange.KeyRecord, freeze.Key)
		s.tellRecord(exchange.TicketRecord, freeze.Ticket)
	}
	if code != exchange.Done {
		return code
	}
	asset := &s.assets[body.Asset]
	client, named := exchange.NewClient(body.Client)
	key := nameOf(c.Account, client)
	_, used := s.names[key]
	switch {
	case !named:
		return exchange.Malformed
	case used && !client.IsZero():
		return exchange.AlreadyExists
	case body.Amount.Cmp(asset.WithdrawMin) < 0 || body.Amount.Cmp(asset.WithdrawFee) <= 0:
		return exchange.BelowMin
	case len(s.waiting) >= waitingMax:
		return exchange.OverLimit
	}
	p := s.ledger.Find(c.Account, body.Asset)
	if !s.ledger.Hold(p, body.Amount) {
		return exchange.InsufficientFunds
	}
	s.touch(p)
	s.accounts.Withdrew(c.Account, body.Asset, body.Amount, s.now)
	if !client.IsZero() {
		s.names[key] = struct{}{}
		s.namesInLine = append(s.namesInLine, key)
	}
	s.withdrawals++
	w := &exchange.WithdrawalInfo{Number: s.withdrawals, Account: c.Account, Asset: body.Asset, Amount: body.Amount, Fee: asset.WithdrawFee,
		Address: body.Address, Client: body.Client, Created: s.now, Changed: s.now}
	s.waiting[w.Number] = w
	o.Number = w.Number
	s.tellRecord(exchange.WithdrawalRecord, w)
	return exchange.Done
}

// nameOf hashes an account's name of a withdrawal.
func nameOf(a exchange.Account, client exchange.Client) name {
	sum := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, uint64(a)), client.String()...))
	return name(sum[:16])
}

// withdrawn ends a withdrawal: paid, or its hold released.
func (s *State) withdrawn(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.WithdrawResult](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	o.Number = body.Number
	w := s.waiting[body.Number]
	settles := c.Kind == exchange.WithdrawSettle
	switch {
	case w == nil && body.Number != 0 && body.Number <= s.withdrawals:
		return exchange.WrongState
	case w == nil:
		return exchange.UnknownWithdrawal
	case settles != (body.TxID != "") || settles && !isTxID(body.TxID) || len(body.Reason) > reasonMax:
		return exchange.Malformed
	}
	p := s.ledger.Find(w.Account, w.Asset)
	if settles {
		if code := s.ledger.Pay(p, w.Number, w.Amount, w.Fee); code != exchange.Done {
			return code
		}
		w.State = exchange.WithdrawalSettled
	} else {
		s.ledger.Release(p, w.Amount)
		w.State = exchange.WithdrawalCancelled
	}
	s.touch(p)
	w.TxID, w.Reason, w.Changed = body.TxID, body.Reason, s.now
	delete(s.waiting, w.Number)
	s.tellRecord(exchange.WithdrawalRecord, w)
	return exchange.Done
}

// isTxID reports whether text is 64 lower-case hexadecimal digits.
func isTxID(text string) bool {
	for i := range len(text) {
		if c := text[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return len(text) == 64
}

// customer carries out what is about an account's own keys and addresses.
func (s *State) customer(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	switch c.Kind {
	case exchange.AccountOpen:
		return s.openAccount(c, o)
	case exchange.DepositAssign:
		return s.assign(c, o)
	case exchange.KeyAdd, exchange.KeyRevoke:
		return s.key(c, o)
	}
	body, err := exchange.DecodeBody[exchange.AddressBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	if c.Kind == exchange.AddressRemove {
		info, code := s.accounts.RemoveAddress(c.Account, body)
		return s.toldIf(code, exchange.AddressRecord, info)
	}
	if code := s.payable(&body, o); code != exchange.Done {
		return code
	}
	info, code := s.accounts.AddAddress(c.Account, body, s.now)
	return s.toldIf(s.withPasskeys(o, code), exchange.AddressRecord, info)
}

func (s *State) openAccount(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.AccountBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	if exchange.Account(body.Number) > ledger.AccountMax {
		return exchange.Malformed
	}
	info, code := s.accounts.Open(body, s.now)
	if code == exchange.Done {
		o.Number = uint64(info.ID)
	}
	return s.settled(code, info)
}

func (s *State) key(c *exchange.Command, o *exchange.Outcome) exchange.Code {
	body, err := exchange.DecodeBody[exchange.KeyBody](c.Body)
	if err != nil {
		return malformed(o, err)
	}
	if c.Kind == exchange.KeyRevoke {
		info, code := s.accounts.RevokeKey(c.Account, body.Key)
		return s.toldIf(code, exchange.KeyRecord, info)
	}
	info, code := s.accounts.AddKey(c.Account, body, s.now)
	return s.toldIf(s.withPasskeys(o, code), exchange.KeyRecord, info)
}

package exchange

import (
	"bytes"
	"testing"
)

// again decodes a body as a type and holds what was taken to one spelling, and returns whether it was.
func again[T any](t *testing.T, raw []byte) bool {
	v, err := DecodeBody[T](raw)
	if err != nil {
		return false
	}
	once, err := EncodeBody(v)
	if err != nil {
		t.Fatalf("%T is taken and cannot be written: %v", v, err)
	}
	back, err := DecodeBody[T](once)
	if err != nil {
		t.Fatalf("%T is written and not taken: %v", v, err)
	}
	if twice, err := EncodeBody(back); err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("%T has two spellings: %x and %x (%v)", v, once, twice, err)
	}
	return true
}

// Every body that a command, a record or a question carries.
func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []any{ChangeIntent{Serial: 1, Unban: "203.0.113.7"}, WithdrawBody{Asset: 1, Address: "a"}, KeyBody{Key: "k"}, Question{Status: &struct{}{}},
		TicketInfo{Number: 1, Key: "k", Why: "w", At: 5}, DepositBody{Asset: 1, Raw: []byte{1}, Headers: [][]byte{{2}}}} {
		raw, err := EncodeBody(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, read := range []func(*testing.T, []byte) bool{again[AccountBody], again[AccountInfo], again[KeyBody], again[KeyInfo], again[AddressBody], again[AddressInfo],
			again[DepositAssignBody], again[DepositAddressInfo], again[DepositBody], again[DepositInfo], again[WithdrawBody], again[WithdrawalInfo], again[WithdrawResult],
			again[ChangeBody], again[ChangeIntent], again[ChangeInfo], again[TicketInfo], again[MarketInfo], again[AssetInfo], again[EnrolBody], again[PasskeyBody],
			again[PasskeyInfo], again[CustomerIntent], again[ApprovalBody], again[Question]} {
			read(t, raw)
		}
	})
}

//go:build cgo && !nopkcs11

package hsmtest

import (
	"fmt"

	"github.com/miekg/pkcs11"
)

// initialise makes one token per label. The module is not unloaded: SoftHSM with OpenSSL 3 can crash at exit when it was.
func initialise(module string, labels []string) error {
	context := pkcs11.New(module)
	if context == nil {
		return fmt.Errorf("%s cannot be loaded", module)
	}
	if err := context.Initialize(); err != nil {
		return fmt.Errorf("module start (is a token still open in this process?): %w", err)
	}
	defer func() { _ = context.Finalize() }()
	for _, label := range labels {
		if err := initialiseToken(context, label); err != nil {
			return fmt.Errorf("token %s: %w", label, err)
		}
	}
	return nil
}

func initialiseToken(context *pkcs11.Ctx, label string) error {
	slots, err := context.GetSlotList(true)
	if err != nil {
		return err
	}
	if len(slots) == 0 {
		return fmt.Errorf("no slot")
	}
	slot := slots[len(slots)-1] // SoftHSM always shows one free slot, the last
	if err := context.InitToken(slot, OwnerPIN, label); err != nil {
		return err
	}
	session, err := context.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return err
	}
	defer func() { _ = context.CloseSession(session) }()
	if err := context.Login(session, pkcs11.CKU_SO, OwnerPIN); err != nil {
		return err
	}
	if err := context.InitPIN(session, UserPIN); err != nil {
		return err
	}
	return context.Logout(session)
}

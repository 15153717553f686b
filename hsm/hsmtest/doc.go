// Package hsmtest makes SoftHSM tokens in a given directory, for tests and for the demo.
//
// It exists because a test of room hsm against anything but a real PKCS#11 module proves little, and because SoftHSM
// needs a configuration file and an initialised token first. Everything goes through the PKCS#11 interface; no SoftHSM
// tool is called. Without the module it fails, it never skips: a contract that was not tested must not look green.
//
//	token := hsmtest.New(t, "treasury")                  // for this process; SOFTHSM2_CONF is set for the test
//	opened, err := hsm.Open(token.Config())
//
//	tokens, err := hsmtest.Provision(dir, "treasury")    // for children: start them with tokens[0].Env()
//
// SoftHSM reads SOFTHSM2_CONF when the module starts, so tests that use different directories cannot run in parallel,
// and nothing may hold a token open while another is provisioned. A real token is initialised with its maker's tool
// instead (see the package comment of hsm); then only the PIN and the label matter.
//
// What may never happen here: an import by product code, or a token with coins on it. The PINs are constants.
package hsmtest

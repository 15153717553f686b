// Package referees has software that nobody here wrote judge what Coldsign does with Bitcoin.
//
// It exists because a program that checks itself agrees with itself. bitcoinjs-lib, @scure/btc-signer, Caravan and
// bitcoinerlab's descriptors come from npm at the exact versions of package-lock.json, Electrum comes from Debian, btcd
// is the node. Each runs in a process of its own and answers JSON lines: one object in, one object out (wire.mjs).
// `make referees` installs them and runs the tests, which need the build tag referees; without the tag only the pins are
// checked.
//
// What may never happen here: an import by product code, a test that is skipped because a referee is missing, a network
// other than regtest, a file outside the test's own folder, code of a referee copied into this folder.
package referees

#!/usr/bin/python3
"""Electrum, as Debian packages it: the same JSON lines as wire.mjs says, answered by Electrum's own code.

Electrum's command line cannot make a multisig wallet, so this writes the wallet file, with Electrum's own key stores.
The folder for everything that Electrum writes is the first argument.
"""
import json
import sys

from electrum import bip32, constants, keystore, transaction, util, version
from electrum.simple_config import SimpleConfig
from electrum.storage import WalletStorage
from electrum.wallet import Wallet
from electrum.wallet_db import WalletDB

constants.set_regtest()
LOOP, STOP, _ = util.create_and_start_event_loop()
CONFIG = SimpleConfig({"electrum_path": sys.argv[1], "regtest": True, "offline": True})
WALLETS = {}


def segwit(xkey):
    """A tpub or tprv with the version bytes that tell Electrum the script (SLIP-132)."""
    node = bip32.BIP32Node.from_xkey(xkey)._replace(xtype="p2wsh")
    return node.to_xprv() if node.is_private() else node.to_xpub()


def plain(xkey):
    return bip32.BIP32Node.from_xkey(xkey)._replace(xtype="standard").to_xpub()


def store(key):
    """A key store of its own for a seed or for backup words, and a watching one for a public key."""
    if "words" in key:
        return keystore.from_bip43_rootseed(keystore.bip39_to_seed(key["words"], ""), key["path"], xtype="p2wsh")
    if "seed" in key:
        return keystore.from_bip43_rootseed(bytes.fromhex(key["seed"]), key["path"], xtype="p2wsh")
    watching = keystore.from_xpub(segwit(key["key"]))
    watching.add_key_origin(derivation_prefix=key["path"], root_fingerprint=key["fingerprint"])
    return watching


def account(request):
    """The account key that Electrum derives from backup words."""
    made = store(request)
    return {"key": plain(made.xpub), "fingerprint": made.get_root_fingerprint()}


def wallet(request):
    """Write a wallet file and open it."""
    keys = request["keys"]
    db = WalletDB("", manual_upgrades=False)
    db.put("wallet_type", "%dof%d" % (request["threshold"], len(keys)))
    for i, key in enumerate(keys):
        db.put("x%d/" % (i + 1), store(key).dump())
    opened = Wallet(db, WalletStorage(request["file"]), config=CONFIG)
    opened.synchronize()
    opened.save_db()
    WALLETS[request["file"]] = opened
    return {"version": version.ELECTRUM_VERSION}


def address(request):
    opened = WALLETS[request["file"]]
    derived = opened.derive_address(request["branch"], request["index"])
    script = opened.pubkeys_to_scriptcode(opened.derive_pubkeys(request["branch"], request["index"]))
    return {"address": derived, "script": script}


def sign(request):
    """What Electrum's signtransaction command does."""
    tx = transaction.tx_from_any(request["psbt"])
    if not isinstance(tx, transaction.PartialTransaction):
        raise ValueError("taken for a finished transaction")
    before = [len(txin.part_sigs) for txin in tx.inputs()]
    WALLETS[request["file"]].sign_transaction(tx, None)
    for i, txin in enumerate(tx.inputs()):
        if len(txin.part_sigs) == before[i]:
            raise ValueError("input %d was not signed" % i)
    return {"psbt": tx.serialize()}


def combine(request):
    """What Electrum's window does with a cosigner's file."""
    first, *others = [transaction.tx_from_any(text) for text in request["psbts"]]
    for other in others:
        first.combine_with_other_psbt(other)
    first.add_info_from_wallet(WALLETS[request["file"]])  # Electrum finalises only what a wallet of its own explains
    first.finalize_psbt()
    if not first.is_complete():
        raise ValueError("not complete")
    final = transaction.Transaction(first.serialize())
    return {"txid": final.txid(), "raw": final.serialize()}


ACTS = {"account": account, "wallet": wallet, "address": address, "sign": sign, "combine": combine}

for line in sys.stdin:
    request = json.loads(line)
    act = ACTS[request["do"]]  # an unknown request ends the process: it is a mistake in a test
    try:
        answer = {"gives": act(request)}
    except Exception as error:  # whatever a library says about hostile bytes is its refusal
        answer = {"refuses": "%s: %s" % (type(error).__name__, error)}
    print(json.dumps(answer), flush=True)

LOOP.call_soon_threadsafe(STOP.set_result, 1)  # otherwise its thread keeps the process alive

#!/usr/bin/python3
"""Electrum, as Debian packages it, signs the packets that the Go benchmark wrote.

    electrum.py FOLDER REPEATS

prints the same JSON lines as peers.mjs. What is timed as signing is PartialTransaction.sign with the private keys at
hand, which Electrum's wallet calls; derivation, passphrase and wallet file are outside, to Electrum's favour.
"""
import json
import os
import statistics
import sys
import time

from electrum import constants
from electrum.transaction import PartialTransaction

constants.set_regtest()


def read(packet):
    tx = PartialTransaction.from_raw_psbt(bytes.fromhex(packet["psbt"]))
    for txin in tx.inputs():  # what a wallet of Electrum knows of its own coins
        txin.script_type, txin.num_sig, txin.pubkeys = "p2wsh", 3, sorted(txin.bip32_paths)
    return tx


def timed(act):
    cpu, wall = time.process_time(), time.perf_counter()
    gives = act()
    return gives, 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)


def run(packets):
    txs, read_cpu, read_wall = timed(lambda: [read(p) for p in packets])
    keys = [{public: (bytes.fromhex(key), True) for key, public in zip(p["keys"], p["publicKeys"])} for p in packets]
    _, sign_cpu, sign_wall = timed(lambda: [tx.sign(k) for tx, k in zip(txs, keys)])
    if any(len(txin.part_sigs) != 1 for tx in txs for txin in tx.inputs()):
        raise SystemExit("an input was not signed")
    return {"readCPU": read_cpu, "readWall": read_wall, "signCPU": sign_cpu, "signWall": sign_wall}


folder, repeats = sys.argv[1], int(sys.argv[2])
for inputs in sorted(int(name.split(".")[0]) for name in os.listdir(folder)):
    with open(os.path.join(folder, "%d.json" % inputs), encoding="ascii") as file:
        packets = json.load(file)
    runs = [run(packets) for _ in range(max(1, repeats))]
    print(json.dumps({"inputs": inputs, **{k: statistics.median(r[k] for r in runs) for k in runs[0]}}), flush=True)

// @scure/btc-signer, with @scure/bip32 for derivation and noble's curves under both.
import { HDKey } from '@scure/bip32';
import { PSBTCombine, TEST_NETWORK, Transaction, p2ms, p2wsh } from '@scure/btc-signer';
import { fromBase64, fromHex, serve, sorted, toBase64, toHex, versions } from './wire.mjs';

const network = { ...TEST_NETWORK, bech32: 'bcrt' };

function publicKey({ key, fixed }, branch, index) {
  return fixed ? fromHex(key) : HDKey.fromExtendedKey(key, versions).deriveChild(branch).deriveChild(index).publicKey;
}

await serve({
  combine({ psbts }) {
    const tx = Transaction.fromPSBT(PSBTCombine(psbts.map(fromBase64)));
    tx.finalize();
    return { txid: tx.id, raw: toHex(tx.extract()) };
  },
  sign({ psbt, keys }) {
    const tx = Transaction.fromPSBT(fromBase64(psbt));
    keys.forEach((key, i) => {
      if (!tx.signIdx(fromHex(key), i)) throw new Error(`input ${i} was not signed`);
    });
    return { psbt: toBase64(tx.toPSBT()) };
  },
  // version2 writes the packet in the form of BIP370.
  version2: ({ psbt }) => ({ psbt: toBase64(Transaction.fromPSBT(fromBase64(psbt), { unknown: 'ignore' }).toPSBT(2)) }),
  address({ threshold, keys, branch, index }) {
    const multi = p2ms(threshold, sorted(keys.map((key) => publicKey(key, branch, index))));
    return { address: p2wsh(multi, network).address, script: toHex(multi.script) };
  },
});

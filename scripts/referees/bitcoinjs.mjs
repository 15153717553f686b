// bitcoinjs-lib, with bip32 for derivation and bitcoinerlab's secp256k1 under both.
import * as ecc from '@bitcoinerlab/secp256k1';
import { BIP32Factory } from 'bip32';
import { Psbt, initEccLib, networks, payments } from 'bitcoinjs-lib';
import { fromBase64, fromHex, serve, sorted, toBase64, toHex } from './wire.mjs';

initEccLib(ecc);
const bip32 = BIP32Factory(ecc);
const network = networks.regtest;

const load = (text) => Psbt.fromBuffer(fromBase64(text), { network });
const verify = (key, digest, signature) => ecc.verify(digest, key, signature);

function signer(secret) {
  const key = fromHex(secret);
  return { publicKey: ecc.pointFromScalar(key, true), sign: (digest) => ecc.sign(digest, key) };
}

function publicKey({ key, fixed }, branch, index) {
  return fixed ? fromHex(key) : bip32.fromBase58(key, network).derive(branch).derive(index).publicKey;
}

await serve({
  // combine merges packets, verifies every signature, finalises and extracts.
  combine({ psbts }) {
    const psbt = load(psbts[0]);
    psbt.combine(...psbts.slice(1).map(load));
    if (!psbt.validateSignaturesOfAllInputs(verify)) throw new Error('a signature does not verify');
    psbt.finalizeAllInputs();
    const tx = psbt.extractTransaction();
    return { txid: tx.getId(), raw: tx.toHex() };
  },
  // sign signs every input with the key of that input.
  sign({ psbt, keys }) {
    const packet = load(psbt);
    keys.forEach((key, i) => packet.signInput(i, signer(key)));
    return { psbt: toBase64(packet.toBuffer()) };
  },
  address({ threshold, keys, branch, index }) {
    const pubkeys = sorted(keys.map((key) => publicKey(key, branch, index)));
    const redeem = payments.p2ms({ m: threshold, pubkeys, network });
    return { address: payments.p2wsh({ redeem, network }).address, script: toHex(redeem.output) };
  },
});

// Unchained's Caravan: a coordinator, so it has no key and signs nothing. It reads, checks signatures, combines.
import { Network, P2WSH, deriveChildPublicKey, deriveMultisigByIndex, generateBraid, generateMultisigFromPublicKeys,
  multisigAddress, multisigWitnessScript } from '@caravan/bitcoin';
import { braidDetailsToWalletConfig } from '@caravan/multisig';
import { PsbtV2, autoLoadPSBT, translatePSBT, validateMultisigPsbtSignature } from '@caravan/psbt';
import { serve, sorted, toHex } from './wire.mjs';

const network = Network.REGTEST;

// verify has Caravan translate the packet for the device that holds a key of the wallet, which takes the amounts from
// the previous transactions, and say for every signature whose it is.
function verify(psbt, { path, fingerprint }) {
  const { unchainedInputs } = translatePSBT(network, P2WSH, psbt, { path, xfp: fingerprint });
  const sats = unchainedInputs.map((input) => String(input.amountSats));
  autoLoadPSBT(psbt).data.inputs.forEach(({ partialSig = [] }, i) => {
    for (const { pubkey, signature } of partialSig) {
      const key = validateMultisigPsbtSignature(psbt, i, signature, sats[i]);
      if (key !== toHex(pubkey)) throw new Error(`input ${i}: the signature of ${toHex(pubkey)} does not verify`);
    }
  });
}

// described is the shape in which Caravan keeps extended public keys.
const described = (keys) => keys.map(({ key, path, fingerprint }) => ({ base58String: key, path, rootFingerprint: fingerprint }));

await serve({
  combine({ psbts, cosigner }) {
    psbts.forEach((psbt) => verify(psbt, cosigner));
    const [first, ...others] = psbts.map((psbt) => PsbtV2.FromV0(psbt));
    first.combine(others);
    const packet = autoLoadPSBT(first.toV0('base64'));
    packet.finalizeAllInputs();
    const tx = packet.extractTransaction();
    return { txid: tx.getId(), raw: tx.toHex() };
  },
  // read is everything that Caravan does with a packet before it asks a device to sign it.
  read({ psbt, cosigner }) {
    if (!autoLoadPSBT(psbt)) throw new Error('not loaded');
    PsbtV2.FromV0(psbt);
    verify(psbt, cosigner);
    return {};
  },
  // version2 writes the packet in the form of BIP370.
  version2: ({ psbt }) => ({ psbt: PsbtV2.FromV0(psbt).serialize('base64') }),
  address({ threshold, keys, branch, index }) {
    if (keys.some((key) => key.fixed)) {
      const pubkeys = keys.map(({ key, fixed }) => (fixed ? key : deriveChildPublicKey(key, `m/${branch}/${index}`, network)));
      const multisig = generateMultisigFromPublicKeys(network, P2WSH, threshold,
        ...sorted(pubkeys.map((key) => Buffer.from(key, 'hex'))).map(toHex));
      return { address: multisigAddress(multisig), script: toHex(multisigWitnessScript(multisig).output) };
    }
    const braid = generateBraid(network, P2WSH, described(keys), threshold, String(branch));
    const multisig = deriveMultisigByIndex(braid, index);
    return { address: multisigAddress(multisig), script: toHex(multisigWitnessScript(multisig).output) };
  },
  // config writes the wallet file that Caravan would export for these keys.
  config({ threshold, keys }) {
    return braidDetailsToWalletConfig({ network, addressType: P2WSH, extendedPublicKeys: described(keys), requiredSigners: threshold });
  },
});

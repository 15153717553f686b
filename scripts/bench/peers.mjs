// bitcoinjs-lib and @scure/btc-signer sign the packets that the Go benchmark wrote, in a process that has warmed up.
//
//   node peers.mjs PEER FOLDER REPEATS
//
// REPEATS 0 means once and cold. It prints one JSON line for each case: the medians of processor and wall time of reading the packets, and of the sign
// calls alone, in milliseconds. Every input gets its own private key, derived beforehand: that is the quickest way
// through both libraries, which otherwise derive six steps for each input.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const peers = {
  // The library takes its curve from outside; this is the JavaScript one that its authors' descriptors package uses.
  async bitcoinjs() {
    const ecc = await import('@bitcoinerlab/secp256k1');
    const { Psbt, initEccLib } = await import('bitcoinjs-lib');
    initEccLib(ecc);
    const signer = (key) => ({ publicKey: ecc.pointFromScalar(key, true), sign: (digest) => ecc.sign(digest, key) });
    return {
      read: (bytes) => Psbt.fromBuffer(bytes),
      prepare: (keys) => keys.map(signer),
      sign: (psbt, signers) => signers.forEach((s, i) => psbt.signInput(i, s)),
      signed: (psbt) => psbt.data.inputs.every((input) => input.partialSig?.length === 1),
    };
  },
  async scure() {
    const { Transaction } = await import('@scure/btc-signer');
    return {
      read: (bytes) => Transaction.fromPSBT(bytes),
      prepare: (keys) => keys,
      sign: (tx, keys) => keys.forEach((key, i) => tx.signIdx(key, i)),
      signed: (tx) => [...Array(tx.inputsLength).keys()].every((i) => tx.getInput(i).partialSig?.length === 1),
    };
  },
};

const fromHex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));

function timed(act) {
  const cpu = process.cpuUsage(), start = performance.now();
  const gives = act();
  const wall = performance.now() - start, { user, system } = process.cpuUsage(cpu);
  return { gives, wall, cpu: (user + system) / 1000 };
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}

function run(peer, packets) {
  const read = timed(() => packets.map(({ bytes }) => peer.read(bytes)));
  const sign = timed(() => read.gives.forEach((tx, i) => peer.sign(tx, packets[i].signers)));
  if (!read.gives.every(peer.signed)) throw new Error('an input was not signed');
  return { read, sign };
}

const [name, folder, repeats] = process.argv.slice(2);
const peer = await peers[name]();
const cases = readdirSync(folder).map((file) => parseInt(file)).sort((a, b) => a - b).map((inputs) => ({
  inputs,
  packets: JSON.parse(readFileSync(join(folder, `${inputs}.json`))).map(({ psbt, keys }) => ({
    bytes: Buffer.from(psbt, 'hex'), signers: peer.prepare(keys.map(fromHex)),
  })),
}));
const warm = cases.find(({ inputs }) => inputs > 1) ?? cases[0];
for (let i = 0; i < (repeats > 0 ? 10 : 0); i++) run(peer, warm.packets);
for (const { inputs, packets } of cases) {
  const runs = [];
  for (let i = 0; i < Math.max(1, inputs > 100 ? repeats : 10 * repeats); i++) runs.push(run(peer, packets));
  const of = (act, clock) => median(runs.map((r) => r[act][clock]));
  console.log(JSON.stringify({
    inputs, readCPU: of('read', 'cpu'), readWall: of('read', 'wall'), signCPU: of('sign', 'cpu'), signWall: of('sign', 'wall'),
  }));
}

// JSON lines between the Go tests and a referee: one request a line on standard input, one answer a line on standard
// output, in the same order. A request is {"do": "combine", ...}; an answer is
//
//   {"gives": {...}}       what the referee's library made
//   {"refuses": "why"}     the library threw; what it said
//
// A request that no function answers ends the process, so that a mistake in a test is not taken for a refusal.
import { createInterface } from 'node:readline';

export async function serve(judge) {
  console.error = () => {}; // Caravan prints what it also throws
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const act = judge[request.do];
    if (!act) throw new Error(`no function ${request.do}`);
    process.stdout.write(JSON.stringify(answer(act, request)) + '\n');
  }
}

function answer(act, request) {
  try {
    return { gives: act(request) };
  } catch (error) {
    return { refuses: String(error?.message || error) };
  }
}

export const fromBase64 = (text) => Uint8Array.from(Buffer.from(text, 'base64'));
export const toBase64 = (bytes) => Buffer.from(bytes).toString('base64');
export const fromHex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
export const toHex = (bytes) => Buffer.from(bytes).toString('hex');

// BIP67: the keys of sortedmulti in the order of their bytes.
export const sorted = (keys) => [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

// Version bytes of regtest, which libraries take for testnet.
export const versions = { private: 0x04358394, public: 0x043587cf };

// bitcoinerlab's output descriptors.
import { Output, checksum, networks } from '@bitcoinerlab/descriptors';
import { serve, toHex } from './wire.mjs';

await serve({
  // address parses the whole descriptor, multipath steps and checksum included.
  address({ descriptor, branch, index }) {
    const output = new Output({ descriptor, change: branch, index, checksumRequired: true, network: networks.regtest });
    return { address: output.getAddress(), script: toHex(output.getWitnessScript()) };
  },
  checksum: ({ body }) => ({ checksum: checksum(body) }),
});

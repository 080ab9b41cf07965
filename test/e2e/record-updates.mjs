// Preloaded into a training client (`node --import`): appends what the client has before masks are on it, and what it
// sends, to the file that FOEDUS_TEST_UPDATES names: one letter, length u32, bytes. What goes through is not changed.
import { registerHooks } from 'node:module';

const file = process.env['FOEDUS_TEST_UPDATES'];
if (file !== undefined) {
  const recording = `
import { appendFileSync } from 'node:fs';
import { encode as encodeUnrecorded } from './secure-aggregation/encoding.ts';
import { maskInput as maskUnrecorded } from './secure-aggregation/client.ts';
import { pack } from './secure-aggregation/packing.ts';
import { encodeUpdate as encodeUpdateUnrecorded } from './update/codec.ts';
const record = (letter, values) => {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const head = Buffer.alloc(5, letter);
  head.writeUInt32LE(bytes.length, 1);
  appendFileSync(${JSON.stringify(file)}, Buffer.concat([head, bytes]));
};
export const encode = (update, encoding, ...rest) => {
  const words = encodeUnrecorded(update, encoding, ...rest);
  record('u', update);
  record('w', words);
  record('w', pack(words, encoding.bits));
  return words;
};
export const maskInput = (...given) => {
  const masked = maskUnrecorded(...given);
  record('m', masked.message);
  return masked;
};
export const encodeUpdate = (header, values) => {
  record('c', values);
  return encodeUpdateUnrecorded(header, values);
};
`;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith('/fl-core/src/index.ts')) return loaded;
      // A module's own exports come before what it passes on by `export *`.
      return { ...loaded, source: `${Buffer.from(loaded.source ?? '').toString()}\n${recording}` };
    },
  });
}

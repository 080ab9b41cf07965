/**
 * The arithmetic of an upload apart from the network: chunks of 16 KiB, as TLS gives them, read, hashed, checked and
 * copied into a staging buffer, which is added to the sum.
 */
import { randomFillSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { encodeMaskedInput, encodeUpdate, packedBytes, readMaskedInput, readUpdateInto } from '@foedus/fl-core';
import { passingChunksOf } from '../../fl-coordinator/src/protocol/body.ts';
import { createRunningSum } from '../../fl-coordinator/src/strategy/aggregate.ts';
import { addPacked } from '../../fl-core/src/secure-aggregation/packing.ts';
import { cpuMs } from './process-memory.ts';

export interface Arithmetic {
  readonly kind: 'clear' | 'masked';
  readonly bytes: number;
  /** CPU time of one upload in ms, the best of several: of the chunks alone, and of all. */
  readonly chunksMs: number;
  readonly allMs: number;
}

const CHUNK = 16_384;
const BITS = 24;
const RUNS = 6;
const sessionId = '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90';
const hash = 'ab'.repeat(32);
const never = new AbortController().signal;

function* chunksOf(encoded: Uint8Array): Generator<Uint8Array> {
  // Copies: whoever reads them gives their memory back.
  for (let at = 0; at < encoded.length; at += CHUNK) yield encoded.slice(at, at + CHUNK);
}

async function bestOf(work: () => Promise<void>): Promise<number> {
  let best = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const start = cpuMs();
    await work();
    best = Math.min(best, cpuMs() - start);
  }
  return best;
}

export async function measureArithmetic(parameters: number): Promise<Arithmetic[]> {
  const update = Float32Array.from({ length: parameters }, (_, i) => Math.sin(i));
  const words = randomFillSync(new Uint8Array(packedBytes(parameters, BITS)));
  const clear = encodeUpdate({ sessionId, planHash: hash, round: 1, kind: 'update' }, update);
  const masked = encodeMaskedInput({ sessionId, round: 1, termsHash: hash, privacy: null }, words);
  const source = (encoded: Uint8Array) =>
    passingChunksOf(Readable.from(chunksOf(encoded), { objectMode: false }), 60_000, never);
  const drain = async (encoded: Uint8Array): Promise<void> => {
    for await (const _ of source(encoded));
  };

  const values = new Float32Array(parameters);
  const sum = createRunningSum(parameters);
  const addClear = async (): Promise<void> => {
    await readUpdateInto(source(clear), { maxCount: parameters }, values);
    sum.add(values);
  };
  const into = new Uint8Array(words.length);
  const ring = new Uint32Array(parameters);
  const addMasked = async (): Promise<void> => {
    await readMaskedInput(source(masked), { sessionId, round: 1, termsHash: hash }, into);
    addPacked(ring, into, BITS);
  };
  return [
    {
      kind: 'clear',
      bytes: clear.length,
      chunksMs: await bestOf(() => drain(clear)),
      allMs: await bestOf(addClear),
    },
    {
      kind: 'masked',
      bytes: masked.length,
      chunksMs: await bestOf(() => drain(masked)),
      allMs: await bestOf(addMasked),
    },
  ];
}

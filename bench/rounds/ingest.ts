/**
 * The coordinator's way of an upload, in a process of its own: chunks as they come from a connection, decoded, hashed
 * and checked into a staging buffer, added to the sum; then the new parameters, stored in SQLite. The network is
 * replaced by chunks of 64 KiB that are in memory already, so that what is measured is the coordinator's part.
 *
 *     node ingest.ts clear|masked CLIENTS PARAMETERS
 */
import { randomFillSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@foedus/connector/store';
import {
  decode,
  encodeMaskedInput,
  encodeUpdate,
  planEncoding,
  readMaskedInput,
  readUpdateInto,
} from '@foedus/fl-core';
import { addPacked, packedBytes } from '../../fl-core/src/secure-aggregation/packing.ts';
import { createStaging } from '../../fl-coordinator/src/protocol/staging.ts';
import { migrations } from '../../fl-coordinator/src/store/migrations.ts';
import { createModelRegistry, partsOf } from '../../fl-coordinator/src/store/model-registry.ts';
import { createRunningSum, release, type Aggregate } from '../../fl-coordinator/src/strategy/aggregate.ts';
import { nextModel, strategyOf } from '../../fl-coordinator/src/strategy/strategy.ts';

const [kind = 'clear', clientsText = '5', parametersText = '10000000'] = process.argv.slice(2);
const [clients, parameters] = [Number(clientsText), Number(parametersText)];
const sessionId = '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90';
const hash = 'ab'.repeat(32);
const CHUNK = 65_536;
const BITS = 24;
const never = new AbortController().signal;

const peakBytes = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1_024;

/** CPU time in ms: others may be at work on this machine, too. */
const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

/** GB/s that are read and written when one large array is copied into another. */
function memoryBandwidth(): number {
  const [from, to] = [new Uint8Array(2 ** 27).fill(1), new Uint8Array(2 ** 27).fill(2)];
  const runs = 8;
  const start = cpu();
  for (let run = 0; run < runs; run++) to.set(from);
  return (runs * 2 * from.length) / (cpu() - start) / 1e6;
}

async function* chunksOf(encoded: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < encoded.length; at += CHUNK) yield encoded.subarray(at, at + CHUNK);
}

const folder = await mkdtemp(join(tmpdir(), 'foedus-ingest-'));
try {
  // What a sender holds and what only measures is not the coordinator's: it is left out of the peak below.
  const memoryGigabytesPerSecond = memoryBandwidth();
  const update = Float32Array.from({ length: parameters }, (_, i) => Math.sin(i));
  const words = kind === 'masked' ? randomFillSync(new Uint8Array(packedBytes(parameters, BITS))) : null;
  const encoded =
    words === null
      ? encodeUpdate({ sessionId, planHash: hash, round: 1, kind: 'update' }, update)
      : encodeMaskedInput({ sessionId, round: 1, termsHash: hash, privacy: null }, words);
  await using db = openDatabase(join(folder, 'coordinator.sqlite'), migrations);
  const models = createModelRegistry(db);
  db.sql
    .prepare(
      `INSERT INTO sessions (id, plan, plan_hash, initial_hash, parameters, state, seq, rounds_target, rounds_done, created_at, updated_at)
       VALUES (?, '{}', ?, ?, ?, 'running', 1, 1, 0, '', '')`,
    )
    .run(sessionId, hash, hash, parameters);
  db.transaction(() => models.put(sessionId, 0, partsOf(update)));
  // From here on it is a round's: the highest mark of the memory begins anew.
  globalThis.gc?.();
  writeFileSync('/proc/self/clear_refs', '5');
  const idleBytes = process.memoryUsage().rss;
  const staging = createStaging(1);
  const start = cpu();
  let aggregate: Aggregate;
  let uploadMs: number;
  if (words === null) {
    const sum = createRunningSum(parameters);
    for (let client = 0; client < clients; client++) {
      await staging.use(sessionId, 4 * parameters, never, async ({ buffer }) => {
        const values = new Float32Array(buffer);
        await readUpdateInto(chunksOf(encoded), { maxCount: parameters }, values);
        sum.add(values);
      });
    }
    uploadMs = cpu() - start;
    aggregate = sum;
  } else {
    const sum = new Uint32Array(parameters);
    for (let client = 0; client < clients; client++) {
      await staging.use(sessionId, words.length, never, async (into) => {
        await readMaskedInput(chunksOf(encoded), { sessionId, round: 1, termsHash: hash }, into);
        addPacked(sum, into, BITS);
      });
    }
    uploadMs = cpu() - start;
    const clipNorm = 10;
    const planned = { length: parameters, clipNorm, scale: 2 ** 10, cohort: clients, rotationSeed: hash };
    aggregate = { sum: decode(sum, { ...planEncoding(planned), bits: BITS }), updates: clients };
    sum.buffer.transfer(0);
  }
  const strategy = strategyOf({ name: 'fedavg', serverLearningRate: 1 });
  db.transaction(() => models.put(sessionId, 1, nextModel(strategy, models.parts(sessionId, 0), aggregate)));
  release(aggregate);
  console.log(
    JSON.stringify({
      msPerUpload: uploadMs / clients,
      endMs: cpu() - start - uploadMs,
      // Bytes that came, against bytes that a copy reads and writes.
      gigabytesPerSecond: (clients * encoded.length) / uploadMs / 1e6,
      memoryGigabytesPerSecond,
      peakBytes: peakBytes(),
      idleBytes,
      modelBytes: 4 * parameters,
    }),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}

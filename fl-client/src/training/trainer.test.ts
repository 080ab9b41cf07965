import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FoedusError } from '@foedus/connector/errors';
import { initialParameters, parameterCount, type SessionPlan, sessionPlanSchema } from '@foedus/fl-core';
import { startTrainer } from './trainer.ts';

function planOf(change: Partial<SessionPlan> = {}): SessionPlan {
  const plan = sessionPlanSchema.parse({
    version: 1,
    sessionId: '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90',
    title: 'Late departures',
    coordinator: 'did:web:coordinator.example',
    purpose: 'https://w3id.org/dpv#ServiceOptimisation',
    label: { column: 'delay', atLeast: 15 },
    features: [
      { kind: 'time-part', column: 'date', part: 'hour' },
      { kind: 'hashed-category', column: 'destination', buckets: 16 },
    ],
    model: { kind: 'mlp', hidden: [8], activation: 'relu', seed: '07'.repeat(32) },
    rounds: 5,
    local: { steps: 60, samplingRate: 0.1, learningRate: 1 },
    privacy: {
      unit: 'record',
      adjacency: 'add-remove',
      noiseMultiplier: 1,
      clipNorm: 1,
      delta: 1e-5,
    },
    strategy: { name: 'fedavg' },
    minimumCohort: 2,
    roundTimeoutSeconds: 60,
    earlyStop: null,
    evaluation: { holdOut: 0.25, salt: 'salt', metrics: ['auc', 'logLoss'] },
  });
  return { ...plan, ...change };
}

let folder: string;
let morning: string;
let evening: string;

/** 3,000 flights; those after the hour are late. */
async function writeFlights(path: string, lateAfter: number): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(
    `COPY (SELECT TIMESTAMP '2001-01-01' + INTERVAL (i * 7) MINUTE AS date, 'D' || (i % 9) AS destination,
       CASE WHEN hour(date) >= ${lateAfter} THEN 20 ELSE 0 END AS delay FROM range(3000) t(i)) TO '${path}'`,
  );
  connection.closeSync();
  instance.closeSync();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-trainer-'));
  morning = join(folder, 'morning.parquet');
  evening = join(folder, 'evening.parquet');
  await writeFlights(morning, 8);
  await writeFlights(evening, 16);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a trainer learns round by round in its own thread and evaluates on the rows held out', async () => {
  const plan = planOf();
  await using trainer = await startTrainer({ engine: 'jax-wasm', parquetPath: morning, plan });
  expect(trainer.engine.name).toBe('jax-wasm');
  expect(trainer.rows.train + trainer.rows.heldOut).toBe(3_000);
  expect(trainer.rows.heldOut).toBeGreaterThan(600);
  const before = await trainer.evaluate(initialParameters(plan));

  let parameters = initialParameters(plan);
  for (let round = 1; round <= 3; round++) {
    const steps: number[] = [];
    const result = await trainer.trainRound(parameters, round, { onStep: (done) => steps.push(done) });
    expect(steps).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(result.update).toHaveLength(parameterCount(plan));
    for (const [i, value] of result.update.entries()) {
      expect(value).toBeCloseTo((result.parameters[i] ?? 0) - (parameters[i] ?? 0), 6);
    }
    parameters = result.parameters;
  }
  const after = await trainer.evaluate(parameters);
  expect(after.auc).toBeGreaterThan(0.9);
  expect(after.logLoss ?? 1).toBeLessThan(before.logLoss ?? 0);
});

test('several files train as one, each held out as it is alone', async () => {
  const plan = planOf();
  await using alone = await startTrainer({ engine: 'jax-wasm', parquetPath: morning, plan });
  await using pooled = await startTrainer({ engine: 'jax-wasm', parquetPath: [morning, evening], plan });
  // Both files have the same row numbers, so the same of them are held out.
  expect(pooled.rows.train).toBe(2 * alone.rows.train);
  expect(pooled.rows.heldOut).toBe(2 * alone.rows.heldOut);
});

test('a signal stops a round between two steps, and the trainer goes on to serve', async () => {
  const plan = planOf({ local: { steps: 50_000, samplingRate: 0.1, learningRate: 0.1 } });
  await using trainer = await startTrainer({ engine: 'jax-wasm', parquetPath: morning, plan });
  const control = new AbortController();
  const round = trainer.trainRound(initialParameters(plan), 1, {
    signal: control.signal,
    onStep: (done) => {
      if (done === 5) control.abort();
    },
  });
  // Asked for meanwhile: waits for its turn and is not stopped with the round.
  const evaluation = trainer.evaluate(initialParameters(plan));
  await expect(round).rejects.toMatchObject({ code: 'aborted' });
  expect((await evaluation).auc).toBeGreaterThan(0);
  const late = trainer.trainRound(initialParameters(plan), 2, { signal: control.signal });
  await expect(late).rejects.toMatchObject({ code: 'aborted' });
});

test('what is wrong with the data comes out of the thread with its code and its words', async () => {
  const plan = planOf({ label: { column: 'tardiness', atLeast: 15 } });
  const error = await startTrainer({ engine: 'jax-wasm', parquetPath: morning, plan }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(FoedusError);
  expect(error).toMatchObject({ code: 'missing-column', details: { column: 'tardiness' } });
  const missing = startTrainer({ engine: 'jax-wasm', parquetPath: join(folder, 'nothing.parquet'), plan: planOf() });
  await expect(missing).rejects.toMatchObject({ code: 'unreadable-data' });
});

test('parameters of another model are refused', async () => {
  const plan = planOf();
  await using trainer = await startTrainer({ engine: 'jax-wasm', parquetPath: morning, plan });
  await expect(trainer.evaluate(new Float32Array(7))).rejects.toThrow(/parameter vector has 7 values/);
});

test('disposing of a trainer ends what it is doing', async () => {
  const plan = planOf({ local: { steps: 100_000, samplingRate: 0.1, learningRate: 0.1 } });
  const trainer = await startTrainer({ engine: 'jax-wasm', parquetPath: morning, plan });
  const started = Promise.withResolvers<void>();
  const round = trainer.trainRound(initialParameters(plan), 1, { onStep: () => started.resolve() });
  const outcome = expect(round).rejects.toMatchObject({ code: 'trainer-stopped' });
  await started.promise;
  await trainer[Symbol.asyncDispose]();
  await outcome;
});

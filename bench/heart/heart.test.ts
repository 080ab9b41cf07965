import { selectEngine } from '@foedus/fl-client/engine';
import { epsilonOf, subsampledGaussian } from '@foedus/fl-core';
import { describe, expect, test } from 'vitest';
import { DATA_FOLDER, readHeart, WIDTH } from './data.ts';
import { differenceOf, isWithinPublished, privateTraining, runAll, settings, spreadOf } from './experiment.ts';
import { createLaboratory, ROUNDS } from './training.ts';

const heart = readHeart();
if (heart === undefined) {
  if (process.env['CI']) throw new Error(`The rows of Fed-Heart-Disease are not in ${DATA_FOLDER}.`);
  console.log('skipped: ../shared/data/fed-heart-disease is not here');
}

describe.skipIf(heart === undefined)('Fed-Heart-Disease', () => {
  test('has the benchmark’s rows: 199/104, 172/89, 30/16 and 85/45, scaled by training rows alone', () => {
    expect(heart!.centres.map(({ train, test: held }) => [train.length, held.length])).toEqual([
      [199, 104],
      [172, 89],
      [30, 16],
      [85, 45],
    ]);
    for (const { dataset, train } of [...heart!.centres, heart!.pooled]) {
      for (let column = 0; column < WIDTH; column++) {
        const { mean, deviation } = spreadOf([...train].map((row) => dataset.values[row * WIDTH + column]!));
        expect(mean).toBeCloseTo(0, 5);
        // Serum cholesterol was never recorded in Switzerland.
        expect(deviation === 0 || Math.abs(deviation - 1) < 1e-5).toBe(true);
      }
    }
  });

  test('FedAvg and FedAdam come out as published, and secure aggregation changes nothing but the last digits', async () => {
    using laboratory = createLaboratory(await selectEngine('jax-wasm'), heart!);
    const wanted = new Set(['FedAvg', 'FedAdam', 'FedAdam, secure aggregation']);
    const rows = await runAll(
      laboratory,
      settings(heart!).filter(({ name }) => wanted.has(name)),
      3,
    );
    const [fedAvg, fedAdam, secure] = rows;
    // Means of three seeds; the bench runs ten and asks for one deviation.
    expect(isWithinPublished(fedAvg!, 2)).toBe(true);
    expect(isWithinPublished(fedAdam!, 2)).toBe(true);
    const { parameter, auc } = differenceOf(secure!, fedAdam!);
    expect(parameter).toBeGreaterThan(0);
    expect(parameter).toBeLessThan(1e-3);
    expect(auc).toBeLessThan(1e-3);
  }, 60_000);

  test('a seed gives the same model to the last bit, also under secure aggregation and with noise', async () => {
    using laboratory = createLaboratory(await selectEngine('jax-wasm'), heart!);
    const privacy = privateTraining(3);
    const setting = {
      strategy: { name: 'fedavg', serverLearningRate: 1 },
      clientLearningRate: 0.1,
      schedule: 'foedus',
      isSecure: true,
      privacy,
    } as const;
    const first = await laboratory.federated(setting, 5);
    expect(await laboratory.federated(setting, 5)).toEqual(first);
    expect((await laboratory.federated(setting, 6)).parameters).not.toEqual(first.parameters);
  }, 60_000);

  test('the noise is the least that keeps the budget over all rounds', () => {
    const { noiseMultiplier, samplingRate, steps, delta, epsilon } = privateTraining(3);
    const epsilonWith = (sigma: number): number =>
      epsilonOf([subsampledGaussian({ noiseMultiplier: sigma, samplingRate, steps: steps * ROUNDS })], delta).epsilon;
    expect(epsilon).toBe(epsilonWith(noiseMultiplier));
    expect(epsilon).toBeLessThanOrEqual(3);
    expect(epsilonWith(noiseMultiplier - 2e-3)).toBeGreaterThan(3);
  });
});

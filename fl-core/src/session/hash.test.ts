import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { initialParameters, inputWidth, parameterCount, parametersHash, parameterShapes, planHash } from './hash.ts';
import { type SessionPlan, sessionPlanSchema } from './plan.ts';

function plan(hidden: number[] = [4]): SessionPlan {
  return sessionPlanSchema.parse({
    version: 1,
    sessionId: '4e6ad5b2-7a0c-4f6b-9d3e-2f1c5a8b7e90',
    title: 'Late departures',
    coordinator: 'did:web:coordinator.example',
    purpose: 'https://w3id.org/dpv#ServiceOptimisation',
    label: { column: 'delay', atLeast: 15 },
    features: [
      { kind: 'time-part', column: 'date', part: 'hour' },
      { kind: 'time-part', column: 'date', part: 'weekday' },
      { kind: 'time-part', column: 'date', part: 'month' },
      { kind: 'number', column: 'distance', center: 700, scale: 500 },
      { kind: 'hashed-category', column: 'destination', buckets: 16 },
    ],
    model: { kind: 'mlp', hidden, activation: 'relu', seed: '07'.repeat(32) },
    rounds: 20,
    local: { steps: 10, samplingRate: 0.01, learningRate: 0.1 },
    privacy: null,
    strategy: { name: 'fedavg' },
    minimumCohort: 2,
    roundTimeoutSeconds: 60,
    earlyStop: null,
    evaluation: { holdOut: 0.2, salt: 'salt', metrics: ['auc'] },
  });
}

describe('the plan hash', () => {
  test('does not depend on the order of keys', () => {
    const reversed = Object.fromEntries(Object.entries(plan()).toReversed()) as SessionPlan;
    expect(planHash(reversed)).toBe(planHash(plan()));
  });

  test('changes with any number of the plan', () => {
    const other = { ...plan(), local: { ...plan().local, learningRate: 0.1000001 } };
    expect(planHash(other)).not.toBe(planHash(plan()));
  });

  test('is that of the RFC 8785 form, computed once by hand', () => {
    const small = { b: 1e21, a: '€' } as unknown as SessionPlan;
    // printf '{"a":"€","b":1e+21}' | sha256sum
    expect(planHash(small)).toBe('ca289cba53185105aac7b5367ef5dcea77828b819204b816c1bda2d034b38cfc');
  });
});

describe('the model of a plan', () => {
  test('has as many inputs as its features have places', () => {
    expect(inputWidth(plan().features)).toBe(24 + 7 + 12 + 1 + 16);
  });

  test('lies layer by layer, weights before biases', () => {
    expect(parameterShapes(plan([4, 3]))).toEqual([
      { name: 'layer0.weights', shape: [60, 4] },
      { name: 'layer0.bias', shape: [4] },
      { name: 'layer1.weights', shape: [4, 3] },
      { name: 'layer1.bias', shape: [3] },
      { name: 'layer2.weights', shape: [3, 1] },
      { name: 'layer2.bias', shape: [1] },
    ]);
    expect(parameterCount(plan([4, 3]))).toBe(240 + 4 + 12 + 3 + 3 + 1);
    expect(parameterCount(plan([]))).toBe(61);
  });

  test('that no update could carry is refused before memory is taken', () => {
    const wide = plan(Array.from({ length: 8 }, () => 8192));
    wide.features = Array.from({ length: 256 }, () => ({
      kind: 'hashed-category' as const,
      column: 'c',
      buckets: 4096,
    }));
    expect(() => initialParameters(wide)).toThrow(/parameters/);
  });
});

describe('initial parameters', () => {
  test('are these bits on every platform', () => {
    expect(parametersHash(initialParameters(plan()))).toBe(
      '0ecb96586b33fcefedad40d027fab3a3605c388e4ac9b361ce567797819144cd',
    );
  });

  test('depend on the seed alone and lie within ±1/√fan-in, biases 0', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
        const seeded = { ...plan(), model: { ...plan().model, seed: Buffer.from(seed).toString('hex') } };
        const parameters = initialParameters(seeded);
        expect(parameters).toEqual(initialParameters(seeded));
        const weights = parameters.subarray(0, 240);
        expect(weights.every((w) => Math.abs(w) <= 1 / Math.sqrt(60))).toBe(true);
        expect(parameters.subarray(240, 244).every((b) => b === 0)).toBe(true);
        expect(new Set(weights).size).toBeGreaterThan(235);
      }),
      { numRuns: 20 },
    );
  });

  test('are spread evenly', () => {
    // Mean of 64,000 uniform values: standard deviation 1/√(3·64000) of the bound; 5 of them: false alarm below 10⁻⁶
    // once, and never again, because the values are fixed.
    const weights = initialParameters(plan([1000])).subarray(0, 60_000);
    const scaled = weights.map((w) => w * Math.sqrt(60));
    const mean = scaled.reduce((a, b) => a + b, 0) / scaled.length;
    const square = scaled.reduce((a, b) => a + b * b, 0) / scaled.length;
    expect(Math.abs(mean)).toBeLessThan(0.012);
    expect(Math.abs(square - 1 / 3)).toBeLessThan(0.007);
  });
});

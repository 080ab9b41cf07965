import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRunningSum } from './aggregate.ts';
import { fedAdam, initialFedAdamState } from './fedadam.ts';
import { fedAvg } from './fedavg.ts';
import { strategyOf } from './strategy.ts';

const floats = (length: number) =>
  fc
    .array(fc.float({ min: -1e3, max: 1e3, noNaN: true }), { minLength: length, maxLength: length })
    .map((values) => Float32Array.from(values));
const updates = fc.array(floats(5), { minLength: 1, maxLength: 12 });
const sumOf = (all: readonly Float32Array[]) => {
  const sum = createRunningSum(5);
  for (const update of all) sum.add(update);
  return sum;
};

describe('the running sum', () => {
  test('does not depend on the order in which updates arrive, beyond float64 rounding', () => {
    fc.assert(
      fc.property(
        updates.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          const [one, other] = [sumOf(all), sumOf(shuffled)];
          expect(other.updates).toBe(one.updates);
          for (let i = 0; i < 5; i++) expect(other.sum[i]).toBeCloseTo(one.sum[i]!, 9);
        },
      ),
    );
  });

  test('refuses an update of another length', () => {
    expect(() => createRunningSum(3).add(new Float32Array(2))).toThrow(RangeError);
  });

  test('keeps what float32 would lose', () => {
    const sum = createRunningSum(1);
    sum.add(Float32Array.of(16_777_216));
    for (let i = 0; i < 4; i++) sum.add(Float32Array.of(0.25));
    expect(sum.sum[0]).toBe(16_777_217);
  });
});

describe('FedAvg', () => {
  test('with η = 1 gives the plain mean of the participants’ models', () => {
    fc.assert(
      fc.property(floats(5), updates, (x, all) => {
        const after = fedAvg(x, sumOf(all), { serverLearningRate: 1 });
        for (let i = 0; i < 5; i++) {
          const mean = all.reduce((sum, update) => sum + x[i]! + update[i]!, 0) / all.length;
          expect(after[i]).toBeCloseTo(mean, 2);
        }
      }),
    );
  });

  test('moves η times as far with another η', () => {
    const after = fedAvg(
      Float32Array.of(1, 2),
      { sum: Float64Array.of(4, -4), updates: 2 },
      { serverLearningRate: 0.5 },
    );
    expect([...after]).toEqual([2, 1]);
  });
});

describe('FedAdam', () => {
  const options = { serverLearningRate: 0.1, beta1: 0.5, beta2: 0.75, tau: 0.5 };

  test('follows Algorithm 2 step by step, computed by hand', () => {
    // Δ₀ = 0.5·0 + 0.5·(4/2) = 1; v₀ = 0.75·0.25 + 0.25·1 = 0.4375; x₁ = 1 + 0.1·1/(√0.4375 + 0.5)
    const first = fedAdam(
      Float32Array.of(1),
      { sum: Float64Array.of(4), updates: 2 },
      initialFedAdamState(1, options),
      options,
    );
    expect(first.state.delta[0]).toBe(1);
    expect(first.state.v[0]).toBe(0.4375);
    expect(first.parameters[0]).toBeCloseTo(1 + 0.1 / (Math.sqrt(0.4375) + 0.5), 6);
    // Δ₁ = 0.5·1 + 0.5·(−3) = −1; v₁ = 0.75·0.4375 + 0.25·1 = 0.578125
    const second = fedAdam(first.parameters, { sum: Float64Array.of(-3), updates: 1 }, first.state, options);
    expect(second.state.delta[0]).toBe(-1);
    expect(second.state.v[0]).toBe(0.578125);
    expect(second.parameters[0]).toBeCloseTo(first.parameters[0]! - 0.1 / (Math.sqrt(0.578125) + 0.5), 6);
  });

  test('begins with v = τ², as the algorithm asks for at least', () => {
    expect(initialFedAdamState(1, options).v[0]).toBe(0.25);
  });

  test('goes on from its stored state exactly as if it had not stopped', () => {
    const strategy = strategyOf({ name: 'fedadam', ...options });
    const x = Float32Array.of(0.5, -0.5);
    const round = { sum: Float64Array.of(1, -2), updates: 3 };
    const first = strategy({ parameters: x, optimizer: null }, round);
    const stored = { parameters: first.parameters.slice(), optimizer: first.optimizer!.slice() };
    expect(strategy(stored, round)).toEqual(strategy(first, round));
    expect([...x]).toEqual([0.5, -0.5]);
  });
});

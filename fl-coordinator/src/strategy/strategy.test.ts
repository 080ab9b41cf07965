import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRunningSum } from './aggregate.ts';
import { fedAdam, initialFedAdamState } from './fedadam.ts';
import { fedAvg } from './fedavg.ts';
import { NotFiniteError, nextModel, strategyOf } from './strategy.ts';

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
        const after = x.slice();
        fedAvg(after, sumOf(all), { serverLearningRate: 1 });
        for (let i = 0; i < 5; i++) {
          const mean = all.reduce((sum, update) => sum + x[i]! + update[i]!, 0) / all.length;
          expect(after[i]).toBeCloseTo(mean, 2);
        }
      }),
    );
  });

  test('moves η times as far with another η', () => {
    const x = Float32Array.of(1, 2);
    fedAvg(x, { sum: Float64Array.of(4, -4), updates: 2 }, { serverLearningRate: 0.5 });
    expect([...x]).toEqual([2, 1]);
  });
});

describe('FedAdam', () => {
  const options = { serverLearningRate: 0.1, beta1: 0.5, beta2: 0.75, tau: 0.5 };

  test('follows Algorithm 2 step by step, computed by hand', () => {
    // Δ₀ = 0.5·0 + 0.5·(4/2) = 1; v₀ = 0.75·0.25 + 0.25·1 = 0.4375; x₁ = 1 + 0.1·1/(√0.4375 + 0.5)
    const x = Float32Array.of(1);
    const state = initialFedAdamState(1, options);
    fedAdam(x, { sum: Float64Array.of(4), updates: 2 }, state, options);
    expect(state.delta[0]).toBe(1);
    expect(state.v[0]).toBe(0.4375);
    expect(x[0]).toBeCloseTo(1 + 0.1 / (Math.sqrt(0.4375) + 0.5), 6);
    // Δ₁ = 0.5·1 + 0.5·(−3) = −1; v₁ = 0.75·0.4375 + 0.25·1 = 0.578125
    const [before] = x;
    fedAdam(x, { sum: Float64Array.of(-3), updates: 1 }, state, options);
    expect(state.delta[0]).toBe(-1);
    expect(state.v[0]).toBe(0.578125);
    expect(x[0]).toBeCloseTo(before! - 0.1 / (Math.sqrt(0.578125) + 0.5), 6);
  });

  test('begins with v = τ², as the algorithm asks for at least', () => {
    expect(initialFedAdamState(1, options).v[0]).toBe(0.25);
  });

  test('goes on from its stored state exactly as if it had not stopped', () => {
    const strategy = strategyOf({ name: 'fedadam', ...options });
    const round = { sum: Float64Array.of(1, -2), updates: 3 };
    const first = strategy({ parameters: Float32Array.of(0.5, -0.5), optimizer: [] }, round);
    const stored = {
      parameters: first.parameters.slice(),
      optimizer: first.optimizer.map((values) => values.slice()),
    };
    expect(strategy(stored, round)).toEqual(strategy(first, round));
  });
});

describe('a model in parts', () => {
  const plans = [
    { name: 'fedavg', serverLearningRate: 0.5 },
    { name: 'fedadam', serverLearningRate: 0.1, beta1: 0.5, beta2: 0.75, tau: 0.5 },
  ] as const;

  test('becomes, bit by bit, what it would become as a whole', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...plans),
        floats(7),
        updates,
        fc.integer({ min: 1, max: 7 }),
        (plan, x, all, size) => {
          const sum = Float64Array.from({ length: 7 }, (_, i) => all.reduce((total, one) => total + one[i % 5]!, 0));
          const strategy = strategyOf(plan);
          const aggregate = { sum, updates: all.length };
          const whole = strategy({ parameters: x.slice(), optimizer: [] }, aggregate);
          const starts = Array.from({ length: Math.ceil(7 / size) }, (_, part) => part * size);
          const parts = starts.map((at) => ({ parameters: x.slice(at, at + size), optimizer: [] }));
          const made = [...nextModel(strategy, parts, aggregate)];
          for (const [slot, values] of [whole.parameters, ...whole.optimizer].entries()) {
            const joined = made.flatMap(({ parameters, optimizer }) => [...[parameters, ...optimizer][slot]!]);
            expect(Float32Array.from(joined)).toEqual(values);
          }
        },
      ),
    );
  });

  test('ends where a parameter would not be finite any more', () => {
    const parts = [1, 3e38, 1].map((value) => ({ parameters: Float32Array.of(value), optimizer: [] }));
    const made = nextModel(strategyOf(plans[0]), parts, { sum: Float64Array.of(1, 3e38, 1), updates: 1 });
    expect(made.next().value.parameters).toEqual(Float32Array.of(1.5));
    expect(() => made.next()).toThrow(NotFiniteError);
  });

  test('is not taken for one of another length', () => {
    const parts = [{ parameters: new Float32Array(2), optimizer: [] }];
    const made = nextModel(strategyOf(plans[0]), parts, { sum: new Float64Array(3), updates: 1 });
    expect(() => [...made]).toThrow(RangeError);
  });
});

import type { SessionPlan } from '@foedus/fl-core';
import { describe, expect, test } from 'vitest';
import { isEvaluated, metricsReported } from './evaluation.ts';

const noise = { bins: 4, noiseMultiplier: 5 };
const planOf = (changes: Partial<SessionPlan['evaluation']> = {}) =>
  ({
    evaluation: { holdOut: 0.2, salt: 's', metrics: ['auc', 'logLoss'], every: 3, noise, ...changes },
  }) as SessionPlan;
const histogram = { negatives: [0, 3, 1, 0], positives: [0, 1, 3, 0] };

describe('the model after a round', () => {
  test('is evaluated after every so many rounds with output', () => {
    const evaluated = [0, 1, 2, 3, 4, 5].map((roundsDone) => isEvaluated({ plan: planOf(), roundsDone }));
    expect(evaluated).toEqual([false, false, true, false, false, true]);
    expect(isEvaluated({ plan: planOf({ metrics: [] }), roundsDone: 2 })).toBe(false);
  });
});

describe('what partners report', () => {
  test('is made of the histogram, as far as the plan asks for it', () => {
    const whole = metricsReported(planOf(), { metrics: {}, histogram });
    expect(whole.auc).toBeCloseTo(0.75, 12);
    expect(whole.logLoss).toBeCloseTo(-0.75 * Math.log(0.625) - 0.25 * Math.log(0.375), 12);
    expect(metricsReported(planOf({ metrics: ['auc'] }), { metrics: {}, histogram })).toEqual({
      auc: whole.auc,
      logLoss: null,
    });
  });

  test('is nothing where a partner keeps it to itself', () => {
    expect(metricsReported(planOf(), { metrics: {}, reason: 'No budget.' })).toEqual({ auc: null, logLoss: null });
  });

  test('is exact without noise', () => {
    const plan = planOf({ noise: null });
    expect(metricsReported(plan, { metrics: { auc: 0.7 } })).toEqual({ auc: 0.7, logLoss: null });
  });

  test.each([
    ['an exact metric where noise is planned', planOf(), { metrics: { auc: 0.7 }, histogram }],
    ['a histogram of other bins', planOf({ noise: { ...noise, bins: 5 } }), { metrics: {}, histogram }],
    ['a histogram that nobody asked for', planOf({ noise: null }), { metrics: {}, histogram }],
    ['what is no AUC', planOf({ noise: null }), { metrics: { auc: 1.1 } }],
    ['what is no log loss', planOf({ noise: null }), { metrics: { logLoss: -1 } }],
  ])('is refused if it is %s', (_, plan, reported) => {
    expect(() => metricsReported(plan, reported)).toThrow(expect.objectContaining({ code: 'bad-request' }) as Error);
  });
});

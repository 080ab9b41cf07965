import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandomBits } from '../noise/random-bits.ts';
import { epsilonOf } from '../privacy/accountant.ts';
import { subsampledGaussian } from '../privacy/event.ts';
import { areaUnderRoc } from './area-under-roc.ts';
import { logLoss } from './log-loss.ts';
import {
  binningBounds,
  histogramEvent,
  metricsOfHistogram,
  noisedHistogram,
  type ScoreHistogram,
  scoreHistogram,
  scoreHistogramSchema,
} from './score-histogram.ts';

const row = fc.record({ label: fc.constantFrom(0, 1), p: fc.double({ min: 0, max: 1, noNaN: true }) });
const rowsOf = fc.array(row, { minLength: 1, maxLength: 60 });
const binsOf = fc.integer({ min: 2, max: 80 });
const of = (rows: readonly { label: number; p: number }[], bins: number): ScoreHistogram =>
  scoreHistogram(
    rows.map(({ label }) => label),
    rows.map(({ p }) => p),
    bins,
  );
const cells = ({ negatives, positives }: ScoreHistogram): number[] => [...negatives, ...positives];

describe('a histogram of scores', () => {
  test('changes by one in one cell with every row that is added or removed', () => {
    fc.assert(
      fc.property(rowsOf, row, binsOf, (rows, one, bins) => {
        const before = cells(of(rows, bins));
        const changes = cells(of([...rows, one], bins)).map((count, i) => count - before[i]!);
        expect(changes.filter((change) => change !== 0)).toEqual([1]);
      }),
    );
  });

  test('puts a score at the bin it lies in, and 1 into the last', () => {
    expect(scoreHistogram([0, 0, 1, 1, 1], [0, 0.2499, 0.25, 0.5, 1], 4)).toEqual({
      negatives: [2, 0, 0, 0],
      positives: [0, 1, 1, 1],
    });
  });

  test('gives the AUC of the scores, but for pairs that its bins cannot tell apart', () => {
    fc.assert(
      fc.property(rowsOf, binsOf, (rows, bins) => {
        const exact = areaUnderRoc(
          rows.map(({ label }) => label),
          rows.map(({ p }) => p),
        );
        const histogram = of(rows, bins);
        const { auc } = metricsOfHistogram(histogram);
        if (exact === null) expect(auc).toBeNull();
        else expect(Math.abs(auc! - exact)).toBeLessThanOrEqual(binningBounds(histogram).auc + 1e-12);
      }),
    );
  });

  test('gives the log loss of the scores within its bound, those near 0 and 1 taken as 1/2B from there', () => {
    fc.assert(
      fc.property(rowsOf, binsOf, (rows, bins) => {
        const edge = 0.5 / bins;
        const exact = logLoss(
          rows.map(({ label }) => label),
          rows.map(({ p }) => Math.min(Math.max(p, edge), 1 - edge)),
        );
        const histogram = of(rows, bins);
        const metrics = metricsOfHistogram(histogram);
        expect(Math.abs(metrics.logLoss! - exact!)).toBeLessThanOrEqual(binningBounds(histogram).logLoss + 1e-12);
        expect(metrics.rows).toBe(rows.length);
      }),
    );
  });

  test('is exact where every bin has scores of its middle alone', () => {
    const labels = [0, 1, 0, 1, 1, 0];
    const scores = [1, 3, 5, 5, 7, 3].map((eighths) => eighths / 8);
    const { auc, logLoss: loss } = metricsOfHistogram(scoreHistogram(labels, scores, 4));
    expect(auc).toBeCloseTo(areaUnderRoc(labels, scores)!, 12);
    expect(loss).toBeCloseTo(logLoss(labels, scores)!, 12);
  });

  test('stays within the ranges of its metrics whatever the noise makes of it', () => {
    const counts = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(counts, counts, (negatives, positives) => {
        const { auc, logLoss: loss } = metricsOfHistogram({ negatives, positives });
        if (auc !== null) expect(auc >= 0 && auc <= 1).toBe(true);
        if (loss !== null) expect(loss >= 0 && Number.isFinite(loss)).toBe(true);
      }),
    );
  });

  test.each([
    ['lists of different lengths', { negatives: [1, 2, 3], positives: [1, 2] }],
    ['halves of rows', { negatives: [0.5, 1], positives: [1, 2] }],
    ['counts beyond what sums exactly', { negatives: [2 ** 50, 1], positives: [1, 2] }],
    ['anything else beside', { negatives: [1, 2], positives: [1, 2], rows: 6 }],
  ])('from outside is refused with %s', (_, value) => {
    expect(scoreHistogramSchema.safeParse(value).success).toBe(false);
  });

  test('of what is no probability, or of too many bins, is refused', () => {
    expect(() => scoreHistogram([1], [1.1], 4)).toThrow(RangeError);
    expect(() => scoreHistogram([1], [Number.NaN], 4)).toThrow(RangeError);
    expect(() => scoreHistogram([1], [0.5, 0.5], 4)).toThrow(RangeError);
    expect(() => scoreHistogram([1], [0.5], 1025)).toThrow(RangeError);
  });
});

describe('its noise', () => {
  test('is independent of the counts, whole, and of the variance that is paid for', () => {
    const bins = 1000;
    const sigma = 3;
    const random = createRandomBits();
    const histogram = { negatives: Array(bins).fill(7) as number[], positives: Array(bins).fill(0) as number[] };
    const noised = noisedHistogram(histogram, sigma, random);
    const noise = cells(noised).map((count, i) => count - cells(histogram)[i]!);
    expect(noise.every(Number.isSafeInteger)).toBe(true);
    // 2,000 draws: variance 9 ± 9·√(2/2000)·6, mean 0 ± 6·3/√2000; either is missed once in 10⁸ runs.
    const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
    const variance = noise.reduce((sum, value) => sum + value * value, 0) / noise.length;
    expect(Math.abs(mean)).toBeLessThan(0.41);
    expect(Math.abs(variance - sigma ** 2)).toBeLessThan(1.8);
    // Empty cells get it as well.
    expect(noised.positives.filter((count) => count !== 0).length).toBeGreaterThan(bins / 2);
  });

  test('costs as much as a Gaussian on one row in each, and composes with rounds', () => {
    const noise = { bins: 32, noiseMultiplier: 8 };
    const gaussian = subsampledGaussian({ noiseMultiplier: 8, samplingRate: 1, steps: 1 });
    const [one, all] = [epsilonOf([histogramEvent(noise)], 1e-5), epsilonOf([gaussian], 1e-5)];
    expect(one.epsilon).toBeCloseTo(all.epsilon, 9);
    const round = subsampledGaussian({ noiseMultiplier: 1, samplingRate: 0.02, steps: 100 });
    expect(epsilonOf([round, histogramEvent(noise)], 1e-5).epsilon).toBeGreaterThan(epsilonOf([round], 1e-5).epsilon);
  });
});

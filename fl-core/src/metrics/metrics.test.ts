import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { areaUnderRoc } from './area-under-roc.ts';
import { logLoss } from './log-loss.ts';

/** Few different scores, so that ties are common. */
const examples = fc.array(fc.record({ label: fc.constantFrom(0, 1), score: fc.integer({ min: -3, max: 3 }) }), {
  minLength: 1,
  maxLength: 40,
});
const split = (rows: readonly { label: number; score: number }[]) => ({
  labels: rows.map((row) => row.label),
  scores: rows.map((row) => row.score),
});

describe('the area under the ROC curve', () => {
  test('is the share of pairs of a positive and a negative in the right order, ties half', () => {
    fc.assert(
      fc.property(examples, (rows) => {
        const { labels, scores } = split(rows);
        let pairs = 0;
        let right = 0;
        for (const positive of rows.filter((row) => row.label === 1)) {
          for (const negative of rows.filter((row) => row.label === 0)) {
            pairs++;
            if (positive.score > negative.score) right++;
            else if (positive.score === negative.score) right += 0.5;
          }
        }
        const auc = areaUnderRoc(labels, scores);
        if (pairs === 0) expect(auc).toBeNull();
        else expect(auc).toBeCloseTo(right / pairs, 12);
      }),
    );
  });

  test('does not change with an increasing function of the scores, and turns with their sign', () => {
    fc.assert(
      fc.property(examples, (rows) => {
        const { labels, scores } = split(rows);
        const auc = areaUnderRoc(labels, scores);
        expect(
          areaUnderRoc(
            labels,
            scores.map((s) => Math.exp(s)),
          ),
        ).toBe(auc);
        const turned = areaUnderRoc(
          labels,
          scores.map((s) => -s),
        );
        if (auc !== null) expect(turned).toBeCloseTo(1 - auc, 12);
      }),
    );
  });

  test('of scores that are not numbers is refused', () => {
    expect(() => areaUnderRoc([0, 1], [0.5, Number.NaN])).toThrow(RangeError);
    expect(() => areaUnderRoc([0, 1], [0.5])).toThrow(RangeError);
  });
});

describe('log loss', () => {
  test('is the mean of −log of the probability of what happened', () => {
    expect(logLoss([1, 0], [0.8, 0.4])).toBeCloseTo(-(Math.log(0.8) + Math.log(0.6)) / 2, 12);
    expect(logLoss([], [])).toBeNull();
  });

  test('is least at the share of positives among constant predictions', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 1), { minLength: 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (y, p) => {
          const share = y.filter((label) => label === 1).length / y.length;
          const best =
            logLoss(
              y,
              y.map(() => share),
            ) ?? 0;
          expect(best).toBeLessThanOrEqual(
            (logLoss(
              y,
              y.map(() => p),
            ) ?? 0) + 1e-9,
          );
        },
      ),
    );
  });

  test('of a confident mistake is large but finite', () => {
    expect(logLoss([1], [0])).toBeCloseTo(-Math.log(1e-15), 9);
  });

  test('of what is no probability is refused', () => {
    expect(() => logLoss([1], [1.1])).toThrow(RangeError);
    expect(() => logLoss([1], [Number.NaN])).toThrow(RangeError);
  });
});

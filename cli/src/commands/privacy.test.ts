import { epsilonOf, histogramEvent, subsampledGaussian } from '@foedus/fl-core';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { planPrivacy } from './privacy.ts';
import { type PlanQuestion, tradeOffOf } from './privacy-trade-off.ts';

const question: PlanQuestion = {
  epsilon: 3,
  delta: 1e-5,
  rows: 10_000,
  batch: 100,
  stepsPerRound: 10,
  rounds: 20,
  clipNorm: 1,
  mostNoise: 1_000,
  evaluation: null,
};
const typed = { epsilon: '3', delta: '1e-5', rows: '10000', batch: '100', steps: '10', rounds: '20', clip: '1' };

describe('a privacy plan', { timeout: 120_000 }, () => {
  test('keeps the budget with the noise it finds, and would not with less', () => {
    const { choice, spent, isShortened } = tradeOffOf(question);
    const epsilonWith = (noiseMultiplier: number): number =>
      epsilonOf([subsampledGaussian({ noiseMultiplier, samplingRate: 0.01, steps: 200 })], 1e-5).epsilon;
    expect(isShortened).toBe(false);
    expect(epsilonWith(choice.noiseMultiplier)).toBeLessThanOrEqual(3);
    expect(epsilonWith(choice.noiseMultiplier - 2e-3)).toBeGreaterThan(3);
    expect(spent.map(({ round }) => round)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(spent.at(-1)!.epsilon).toBeCloseTo(choice.epsilon, 9);
  });

  test('keeps the budget with evaluations on top, whose ε is in every round’s', () => {
    const evaluation = { every: 5, noiseMultiplier: 8 };
    const { choice, spent } = tradeOffOf({ ...question, evaluation });
    expect(choice.noiseMultiplier).toBeGreaterThan(tradeOffOf(question).choice.noiseMultiplier);
    const updates = subsampledGaussian({ noiseMultiplier: choice.noiseMultiplier, samplingRate: 0.01, steps: 200 });
    const all = [updates, { ...histogramEvent(evaluation), steps: 4 }];
    expect(epsilonOf(all, 1e-5).epsilon).toBeLessThanOrEqual(3);
    expect(spent.at(-1)!.epsilon).toBeCloseTo(epsilonOf(all, 1e-5).epsilon, 9);
    // Of lengths whose evaluations alone would be too much there is nothing to show.
    const loud = tradeOffOf({ ...question, evaluation: { every: 1, noiseMultiplier: 8 } });
    expect(loud.byRounds.at(-1)!.rounds).toBeLessThan(4 * question.rounds);
    expect(loud.choice.rounds).toBe(question.rounds);
  });

  test('gives up rounds where more noise is not wanted, and says so when none is left', () => {
    const { choice, isShortened } = tradeOffOf({ ...question, mostNoise: 0.75, rounds: 400 });
    expect(isShortened).toBe(true);
    expect(choice.rounds).toBeGreaterThan(0);
    expect(choice.noiseMultiplier).toBeLessThanOrEqual(0.75);
    expect(() => tradeOffOf({ ...question, epsilon: 0.01, mostNoise: 1 })).toThrow(/Not even one round/);
  });

  test('shows that longer training takes more noise, and larger batches less of it in the average', () => {
    const { byRounds, byBatch } = tradeOffOf(question);
    const isAscending = (values: readonly number[]): boolean => values.every((v, i) => i === 0 || v >= values[i - 1]!);
    expect(isAscending(byRounds.map((c) => c.noiseMultiplier))).toBe(true);
    expect(isAscending(byBatch.map((c) => -c.noisePerStep))).toBe(true);
  });

  test('is printed, and drawn into a page or a drawing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'foedus-plan-'));
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      for (const name of ['plan.svg', 'plan.html']) {
        await planPrivacy({ ...typed, mostNoise: '1000', out: join(folder, name) });
        const drawn = await readFile(join(folder, name), 'utf8');
        expect(drawn).toContain('<svg');
        expect(drawn).not.toContain('NaN');
        expect(drawn.startsWith('<!doctype')).toBe(name.endsWith('.html'));
      }
      expect(write.mock.calls.map(([text]) => String(text)).join('')).toContain('noise multiplier σ');
      const lines = write.mock.calls.flatMap(([text]) => String(text).split('\n'));
      expect(
        Math.max(...lines.filter((line) => !line.includes(folder)).map((line) => line.length)),
      ).toBeLessThanOrEqual(80);
      // What is printed for the session's plan is what was found.
      const { noiseMultiplier } = tradeOffOf(question).choice;
      expect(lines).toContainEqual(expect.stringContaining(`"noiseMultiplier": ${noiseMultiplier},`));
    } finally {
      write.mockRestore();
      await rm(folder, { recursive: true });
    }
  });

  test('names every value that is out of range', async () => {
    await expect(planPrivacy({ ...typed, mostNoise: '1000', epsilon: '-1', rows: 'many' })).rejects.toThrow(
      /--epsilon: [^]*--rows: /,
    );
    await expect(planPrivacy({ ...typed, mostNoise: '0.1', evaluationNoise: 'loud', steps: '2.5' })).rejects.toThrow(
      [
        '  --steps: is not a whole number',
        '  --most-noise: must be 0.3 or more',
        '  --evaluation-noise: is not a number',
      ].join('\n'),
    );
    await expect(planPrivacy({ ...typed, mostNoise: '1000', rows: '50' })).rejects.toThrow(/more than there are rows/);
  });
});

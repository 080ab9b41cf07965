import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawCurve } from './terminal-chart.ts';

describe('a curve in a terminal', () => {
  test('rises to the right, begins at 0, and shows the choice on it', () => {
    const points = [4, 9, 21, 50, 120].map((rounds) => [rounds, Math.sqrt(rounds)] as const);
    const lines = drawCurve({ title: 'Noise', points, mark: [21, Math.sqrt(21)], isLogarithmic: true }).split('\n');
    expect(lines[0]).toBe(' Noise');
    expect(lines.at(-2)!.trim().split(/\s+/)).toEqual(['4', '9', '21', '50', '120']);
    expect(lines.map((line) => /^ *(\d+)┤/.exec(line)?.[1]).filter((label) => label !== undefined)).toEqual([
      '15',
      '10',
      '5',
      '0',
    ]);
    // In the middle of the axis: equal factors are equally far apart.
    const mark = lines.find((line) => line.includes('●'))!;
    const label = lines.at(-2)!.indexOf('21');
    expect(Math.abs(mark.indexOf('●') - label)).toBeLessThanOrEqual(1);
    const columns = lines.map((line) => line.indexOf('━')).filter((column) => column >= 0);
    expect(columns).toEqual(columns.toSorted((a, b) => b - a));
  });

  test('fits into 80 columns and has no other numbers than its own, whatever the values', () => {
    const value = fc.double({ min: 1e-6, max: 1e9, noNaN: true });
    const rounds = fc.uniqueArray(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(rounds, value, fc.boolean(), (all, scale, isLogarithmic) => {
        const points = all.toSorted((a, b) => a - b).map((x, i) => [x, scale * (i + 1)] as const);
        const drawn = drawCurve({ title: 'ε', points, mark: points[0]!, isLogarithmic });
        for (const line of drawn.split('\n')) {
          expect(line.length).toBeLessThanOrEqual(80);
          expect(line).toBe(line.trimEnd());
        }
        expect(drawn).toContain('●');
        expect(drawn).not.toMatch(/NaN|Infinity|undefined/);
      }),
      { numRuns: 50 },
    );
  });
});

import { expect, test } from 'vitest';
import { killSpenders } from './kills.ts';
import { raceForUses } from './uses.ts';

test('of 64 clients at two connectors over one store exactly as many are served as there are uses left', async () => {
  const report = await raceForUses({ rounds: 4, clients: 64, uses: 3 });
  expect(report).toMatchObject({ served: 12, refused: 4 * 61, faults: [] });
}, 120_000);

test('a ledger whose processes are killed at any moment has charged what has left, and its chain is good', async () => {
  const report = await killSpenders({ kills: 6, longest: 30 });
  expect(report.faults).toEqual([]);
  expect(report.received).toBeGreaterThan(0);
  expect(report.charged).toBeGreaterThanOrEqual(report.received);
}, 120_000);

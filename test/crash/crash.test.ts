import { expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';

it('nothing is lost or doubled when both connectors are killed in the middle of their work', async () => {
  const report = await runCampaign({ trades: 20, kills: 2, inFlight: 8, seed: 7 });
  expect(report.faults).toEqual([]);
  expect(report.kills).toBe(4);
  // A call whose answer was lost is made again, and both have their effect: never fewer than were asked for.
  expect(report.agreements).toBeGreaterThanOrEqual(20);
  expect(report.transfers).toBeGreaterThanOrEqual(20);
}, 120_000);

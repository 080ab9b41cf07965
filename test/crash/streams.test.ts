import { expect, it } from 'vitest';
import { runStreamCampaign } from './streams.ts';

it('nothing is served that is not charged when the provider is killed while it sends, and pushes are charged once', async () => {
  const { received, charged, pushed, chargedForPushes, pushes } = await runStreamCampaign({
    kills: 2,
    streams: 4,
    seed: 11,
  });
  expect(received.bytes).toBeGreaterThan(0);
  expect(charged.uses).toBeGreaterThanOrEqual(received.uses);
  expect(charged.rows).toBeGreaterThanOrEqual(received.rows);
  expect(charged.bytes).toBeGreaterThanOrEqual(received.bytes);
  expect(pushed.uses).toBe(pushes);
  expect(chargedForPushes).toEqual(pushed);
}, 120_000);

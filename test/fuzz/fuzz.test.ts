import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadDspSchemas } from '../src/dsp-schemas.ts';
import { hasGrown, runCampaign } from './campaign.ts';
import { createStage, type Stage } from './stage.ts';
import { knock } from './wire.ts';

const schemas = loadDspSchemas();
let stage: Stage;
beforeAll(async () => {
  stage = await createStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

describe('a connector', () => {
  it('lets nobody in without a certificate, or with an old TLS', async () => {
    expect(await knock(stage.bystander.identity, stage.connector.protocolUrl)).toEqual({
      'without a certificate': 'refused',
      'over TLS 1.2': 'refused',
    });
  });

  // `npm run test:fuzz` does the same with 100,000 messages.
  it.skipIf(!schemas)(
    'answers 2,000 mutated messages without an error of its own, without a change that it has not accepted, in the same memory',
    async () => {
      const report = await runCampaign(stage, {
        messages: 2_000,
        seed: 20_261_121,
        concurrency: 16,
        batch: 500,
        schemas: schemas!,
      });
      expect(report.findings, JSON.stringify(report.findings, null, 2)).toEqual([]);
      expect(report.sent).toBe(2_000);
      // What it is not: a campaign that nothing gets through to, or everything.
      expect(report.accepted).toBeGreaterThan(20);
      expect(report.statuses['400']).toBeGreaterThan(1_000);
      expect(hasGrown(report.memory)).toBe(false);
    },
    60_000,
  );
});

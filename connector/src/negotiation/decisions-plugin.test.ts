import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Negotiation } from '../management/model.ts';
import { loadDecisions, type DecisionContext } from './decisions-plugin.ts';

const negotiation: Negotiation = {
  id: 'urn:n',
  role: 'provider',
  state: 'REQUESTED',
  counterPartyId: 'did:web:partner.example',
  counterPartyAddress: 'https://partner.example',
  datasetId: 'flights',
  initiatedBy: 'consumer',
  offer: { '@id': 'o' },
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
};
const context: DecisionContext = {
  defaults: { onRequest: () => ({ kind: 'agree' }), onOffer: () => ({ kind: 'accept' }) },
  participantId: 'did:web:us.example',
  logger: pino({ level: 'silent' }),
};
let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'foedus-plugin-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = async (source: string) => {
  const file = join(folder, `${(count += 1)}.mjs`);
  writeFileSync(file, source);
  return await loadDecisions(file, context);
};

describe('a decision plugin', () => {
  it('decides, and leaves the rest to the defaults', async () => {
    const decisions = await load(`export default ({ defaults, participantId }) => ({
      onRequest: async ({ counterPartyId, ...rest }) =>
        counterPartyId === 'did:web:partner.example'
          ? { kind: 'offer', offer: { '@id': 'by-' + participantId } }
          : defaults.onRequest({ counterPartyId, ...rest }),
    })`);
    expect(await decisions.onRequest(negotiation)).toEqual({
      kind: 'offer',
      offer: { '@id': 'by-did:web:us.example' },
    });
    expect(await decisions.onRequest({ ...negotiation, counterPartyId: 'x' })).toEqual({ kind: 'agree' });
    expect(await decisions.onOffer(negotiation)).toEqual({ kind: 'accept' });
    expect(Object.keys(decisions)).not.toContain('onStep');
  });

  it.each([
    ['throws', `() => { throw new Error('out of order') }`, /out of order/],
    ['rejects', `async () => { throw new Error('out of order') }`, /out of order/],
    ['answers nothing', `() => undefined`, /no decision/],
    ['answers what only the other side could', `() => ({ kind: 'accept' })`, /no decision/],
    ['answers more than it may', `() => ({ kind: 'agree', offer: 'all' })`, /no decision/],
  ])('that %s has a person asked', async (_what, onRequest, why) => {
    const decisions = await load(`export default () => ({ onRequest: ${onRequest} })`);
    expect(await decisions.onRequest(negotiation)).toEqual({ kind: 'ask', why: expect.stringMatching(why) });
  });

  it('cannot change the record', async () => {
    const decisions = await load(
      `export default () => ({ onRequest: (n) => { n.offer['@id'] = 'other'; return { kind: 'agree' } } })`,
    );
    await decisions.onRequest(negotiation);
    expect(negotiation.offer).toEqual({ '@id': 'o' });
  });

  it('that fails at a step has it tried again', async () => {
    const decisions = await load(`export default () => ({ onStep: () => ({ kind: 'agree' }) })`);
    await expect(decisions.onStep!(negotiation)).rejects.toThrow(/no decision/);
  });

  it.each([
    ['is not there', undefined],
    ['does not parse', 'export default ('],
    ['exports nothing', 'export const onRequest = () => {}'],
    ['returns no functions', 'export default () => ({ onRequest: 1 })'],
    ['throws at its start', `export default () => { throw new Error('no') }`],
  ])('that %s is told as a fault of the configuration', async (_what, source) => {
    const loaded = source === undefined ? loadDecisions(join(folder, 'none.mjs'), context) : load(source);
    await expect(loaded).rejects.toMatchObject({
      code: 'bad-config',
      message: expect.stringMatching(/negotiation\.decisions/),
    });
  });
});

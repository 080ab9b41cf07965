import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { createOperatorClient } from '../operator-client/client.ts';
import { serveOperators } from '../identity/index.ts';
import type { SignedAgreement } from '../management/model.ts';
import { decisionView } from '../management/decision.ts';
import { mount } from '../management/operation.ts';
import { openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { usageOperations } from './routes.ts';
import { createUsageControl } from './usage-control.ts';

const id = 'urn:agreement:1';
const agreement: SignedAgreement = {
  id,
  role: 'provider',
  assigner: 'did:web:bdl.example',
  assignee: 'did:web:pvd.example',
  target: 'urn:flights',
  agreement: {
    '@type': 'Agreement',
    '@id': id,
    assigner: 'did:web:bdl.example',
    assignee: 'did:web:pvd.example',
    target: 'urn:flights',
    permission: [{ action: 'use', constraint: [{ leftOperand: 'count', operator: 'lteq', rightOperand: '1' }] }],
  },
  signatures: {},
  finalized: true,
  negotiationId: 'urn:negotiation:1',
  counterPartyId: 'did:web:pvd.example',
  counterPartyAddress: 'https://pvd.example',
  createdAt: '2026-01-01T00:00:00Z',
};

const routes = () =>
  mount(
    usageOperations(
      createUsageControl({
        database: openDatabase(':memory:', migrations),
        agreements: { get: (wanted) => (wanted === id ? agreement : undefined) },
        clock: () => new Date(),
      }),
      (_agreementId, decision) => decisionView(decision, agreement.assignee, new Set()),
    ),
    { access: { admit: () => 'operate' }, logger: pino({ level: 'silent' }) },
  );

describe('the usage API', () => {
  test('is what the operator client calls', async () => {
    await using server = await serveOperators({ host: '127.0.0.1', port: 0, app: routes() });
    const client = createOperatorClient({ url: server.url, token: 'unused' });
    const request = { action: 'use' };
    expect(await client.decide(id, request)).toMatchObject({
      permit: true,
      plan: { columns: 'all', masks: {}, rowFilter: null, minimumGroupSize: null },
      charges: [{ meter: 'uses', amount: 1, limit: 1 }],
      duties: [],
    });
    const first = await client.reserve({ agreementId: id, key: 'a', request, basis: { mechanism: 'none' } });
    expect((await client.commit(first.entry.id)).state).toBe('committed');
    await expect(client.refund(first.entry.id)).rejects.toMatchObject({ code: 'conflict' });
    await expect(client.reserve({ agreementId: id, key: 'b', request })).rejects.toMatchObject({
      code: 'budget-exhausted',
      details: { decision: { permit: false } },
    });
    expect(await client.account(id)).toMatchObject({ spent: { uses: 1 }, entries: [{ basis: { mechanism: 'none' } }] });
    await expect(client.account('urn:unknown/with a slash')).rejects.toMatchObject({ code: 'not-found' });
  });

  test('answers what it cannot read with 400 and the place', async () => {
    const post = (path: string, body: string) => routes().request(path, { method: 'POST', body });
    for (const body of [
      '',
      'no JSON',
      '[]',
      '{"agreementId":"x"}',
      '{"agreementId":"x","key":"k","request":{"at":"now","action":"use"}}',
    ]) {
      const response = await post('/usage/reservations', body);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ code: 'bad-request', message: expect.any(String) });
    }
    expect((await post('/usage/decisions', ' '.repeat(300_000))).status).toBe(413);
    expect((await post('/usage/reservations/none/commit', '{}')).status).toBe(404);
  });
});

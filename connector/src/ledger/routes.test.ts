import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOperatorClient } from '../operator-client/client.ts';
import { serveOperators, type Identity } from '../identity/index.ts';
import { agreementOf, countAtMost, may } from '../../../test/src/agreements.ts';
import { decisionView } from '../management/decision.ts';
import { mount } from '../management/operation.ts';
import { openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { headOperations } from './head-routes.ts';
import { createLedgerHeads } from './heads.ts';
import { issueIdentity } from '../../../test/src/identity.ts';
import { createLedgerReader } from './ledger-reader.ts';
import { usageOperations } from './routes.ts';
import { createPartnerHeads } from './partner-heads.ts';
import { createUsageControl } from './usage-control.ts';
import { verifyHead } from './verify-head.ts';

const id = 'urn:agreement:1';
const agreement = agreementOf([may('use', countAtMost(1))], { id });

let folder: string;
let identity: Identity;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-usage-api-'));
  identity = await issueIdentity(folder, agreement.assigner);
});
afterAll(() => rm(folder, { recursive: true }));

const routes = () => {
  const shared = {
    database: openDatabase(':memory:', migrations),
    agreements: { get: (wanted: string) => (wanted === id ? agreement : undefined) },
    clock: () => new Date(),
    logger: pino({ level: 'silent' }),
  };
  const heads = createLedgerHeads({ ...shared, identity });
  return mount(
    [
      ...usageOperations(createUsageControl(shared), heads, (_agreementId, decision) =>
        decisionView(decision, agreement, new Set()),
      ),
      ...headOperations({
        heads,
        partnerHeads: createPartnerHeads({ ...shared, identity }),
        ledgerReader: createLedgerReader(shared.database),
      }),
    ],
    { access: { admit: () => 'administer' }, logger: shared.logger },
  );
};

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
    const committed = await client.commit(first.entry.id);
    expect(committed).toMatchObject({ state: 'committed', head: { head: { sequence: 2, spent: { uses: 1 } } } });
    expect(first.head.head).toMatchObject({ agreementId: id, sequence: 1, spent: { uses: 1 } });
    for (const head of [first.head, committed.head]) {
      verifyHead(head, { agreementId: id, signer: agreement.assigner, trust: identity.trust });
      expect((await client.presentHead(id, head)).head).toEqual(committed.head.head);
    }
    expect((await client.ledgerHead(id)).head).toEqual(committed.head.head);
    expect(await client.verifyLedger()).toMatchObject([{ agreementId: id, elements: 2, disputed: [] }]);
    await expect(client.reconcileLedger(id, { reason: 'none' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(client.refund(first.entry.id)).rejects.toMatchObject({ code: 'conflict' });
    await expect(client.reserve({ agreementId: id, key: 'b', request })).rejects.toMatchObject({
      code: 'budget-exhausted',
      details: { decision: { permit: false } },
    });
    expect(await client.account(id)).toMatchObject({ spent: { uses: 1 }, entries: [{ basis: { mechanism: 'none' } }] });
    await expect(client.account('urn:unknown/with a slash')).rejects.toMatchObject({ code: 'not-found' });
  });

  test('reserves nothing by the keys of the node itself', async () => {
    await using server = await serveOperators({ host: '127.0.0.1', port: 0, app: routes() });
    const client = createOperatorClient({ url: server.url, token: 'unused' });
    for (const key of ['push/urn:uuid:1', 'pull/urn:uuid:1/2']) {
      const use = { agreementId: id, key, request: { action: 'use' } };
      await expect(client.reserve(use)).rejects.toMatchObject({ code: 'bad-request' });
    }
    expect((await client.account(id)).spent.uses).toBe(0);
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

/** What holds for every call of the operator's API, gone through by its table. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDataSpace,
  policyTemplate,
  publish,
  type DataSpace,
  type Participant,
} from '../../../test/src/connectors.ts';
import { createOperatorClient, type OperatorClient } from '../operator-client/client.ts';
import { openDatabase } from '../store/index.ts';
import { migrations } from '../store/migrations/index.ts';
import { allows, createAccess } from './access.ts';
import { operatorApi, type OperatorApiParts } from './api.ts';
import { scopes, type Scope } from './model.ts';
import { openApiDocument } from './openapi.ts';
import { createTokenStore } from './token-store.ts';

/** The table as it is, without anything behind it: nothing of it is called. */
const table = operatorApi({
  database: openDatabase(':memory:', migrations),
  publications: {},
  negotiations: {},
  transfers: {},
  usageControl: {},
  dutyKeeping: {},
} as unknown as OperatorApiParts);
const document = openApiDocument(table, '1.0.0') as unknown as {
  paths: Record<
    string,
    Record<string, { responses: Record<string, { content?: Record<string, { schema: object }> }> }>
  >;
  components: { schemas: Record<string, object> };
};
const templated = (path: string) => path.replaceAll(/:(\w+)/g, '{$1}');

let space: DataSpace;
let node: Participant;
let other: Participant;
const tokens = new Map<Scope, string>();
beforeAll(async () => {
  space = await createDataSpace();
  node = await space.join('node');
  other = await space.join('other');
  for (const scope of scopes) tokens.set(scope, (await node.operator.createToken({ name: scope, scope })).token);
});
afterAll(async () => {
  await space[Symbol.asyncDispose]();
});
const url = () => node.connector.managementUrl;
const call = async (method: string, path: string, token: string | undefined, body?: unknown): Promise<Response> =>
  await fetch(url() + path, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(5_000),
  });

describe('each call', () => {
  const calls = table.map(({ method, path, scope }) => [method, path, scope] as const);

  it('has a name, a method and a path of its own', () => {
    expect(new Set(table.map(({ id }) => id)).size).toBe(table.length);
    expect(new Set(calls.map(([method, path]) => `${method} ${path}`)).size).toBe(table.length);
  });

  it('is open only where it is about health', () => {
    expect(calls.filter(([, , scope]) => scope === 'open').map(([, path]) => path)).toEqual(['/health', '/ready']);
    for (const { method, browsable } of table) if (browsable) expect(method).toBe('get');
  });

  it.each(calls)('%s %s (%s) lets in who may, and nobody else', async (method, path, needed) => {
    // Nothing has this id, and a body is missing: whoever is let in gets no further than the first check.
    const at = path.replaceAll(/:\w+/g, 'urn:nothing');
    const attempts = [
      [undefined, undefined],
      ['wrong', undefined],
      ...scopes.map((scope) => [tokens.get(scope), scope] as const),
    ] as const;
    for (const [token, scope] of attempts) {
      const response = await call(method, at, token);
      const { status } = response;
      await response.body?.cancel();
      const expected = needed === 'open' ? 200 : scope === undefined ? 401 : !allows(scope, needed) ? 403 : 'in';
      if (expected === 'in') expect([401, 403, 500]).not.toContain(status);
      else expect({ scope, status }).toEqual({ scope, status: expected });
    }
  });

  it.each(calls.filter(([, , scope]) => scope !== 'open'))(
    '%s %s refuses a query that it does not know',
    async (method, path) => {
      const { query } = table.find((one) => one.method === method && one.path === path)!;
      if (query === undefined) return;
      const response = await call(method, `${path.replaceAll(/:\w+/g, 'x')}?stat=FINALIZED`, node.token);
      expect(response.status).toBe(400);
      expect(((await response.json()) as { message: string }).message).toContain('stat');
    },
  );
});

describe('a token', () => {
  it('lets nobody in after it was revoked or has expired, and is not shown again', async () => {
    const made = await node.operator.createToken({ name: 'short', scope: 'operate' });
    const client = createOperatorClient({ url: url(), token: made.token });
    expect(await client.caller()).toEqual({ scope: 'operate' });
    expect(made.token).toMatch(/^foedus_operate_[\w-]{43}$/);
    const listed = (await node.operator.tokens()).find(({ id }) => id === made.id);
    expect(listed).toMatchObject({ name: 'short', scope: 'operate', lastUsedAt: expect.any(String) });
    expect(JSON.stringify(await node.operator.tokens())).not.toContain(made.token);
    await node.operator.revokeToken(made.id);
    await expect(client.caller()).rejects.toMatchObject({ code: 'not-authenticated' });
    const revoked = (await node.operator.tokens()).find(({ id }) => id === made.id);
    expect(revoked).toEqual({ ...listed, revokedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) });
    await expect(node.operator.revokeToken('urn:none')).rejects.toMatchObject({ code: 'not-found' });
    const past = node.operator.createToken({ name: 'x', scope: 'read', expiresAt: '2020-01-01T00:00:00Z' });
    await expect(past).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('expires by the clock, is stored as a hash, and has its use noted once an hour', () => {
    let now = new Date('2026-01-01T00:00:00Z');
    const database = openDatabase(':memory:', migrations);
    const store = createTokenStore(database, 'configured', () => now);
    const { token } = store.create({ name: 'n', scope: 'read', expiresAt: '2026-01-02T00:00:00+00:00' });
    expect(JSON.stringify(database.sql.prepare('SELECT * FROM access_token').all())).not.toContain(token);
    expect(store.scopeOf(token)).toBe('read');
    now = new Date('2026-01-01T00:59:00Z');
    store.scopeOf(token);
    expect(store.list()[0]?.lastUsedAt).toBe('2026-01-01T00:00:00.000Z');
    now = new Date('2026-01-01T01:01:00Z');
    store.scopeOf(token);
    expect(store.list()[0]?.lastUsedAt).toBe('2026-01-01T01:01:00.000Z');
    now = new Date('2026-01-02T00:00:00Z');
    expect(store.scopeOf(token)).toBeUndefined();
    expect(store.scopeOf('configured')).toBe('administer');
    expect(store.scopeOf('')).toBeUndefined();
  });

  it('as HTTP Basic opens documents, and nothing else', async () => {
    const basic = { authorization: `Basic ${btoa(`anybody:${tokens.get('read')}`)}` };
    for (const path of ['/openapi.json', '/docs', '/docs/', '/docs/start.js', '/docs/swagger-ui-bundle.js']) {
      const response = await fetch(url() + path, { headers: basic });
      await response.body?.cancel();
      expect([path, response.status]).toEqual([path, 200]);
    }
    const refused = await fetch(`${url()}/assets`, { headers: basic });
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const asked = await fetch(`${url()}/docs`);
    expect(asked.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
    expect(() =>
      createAccess({ scopeOf: () => undefined } as never).admit(
        { req: { header: () => 'Basic !!!' }, header: () => undefined } as never,
        'read',
        { browsable: true },
      ),
    ).toThrow(/needs a token/);
  });
});

describe('the OpenAPI document', () => {
  it('is valid by the schema of OpenAPI 3.1, and is what /openapi.json serves', async () => {
    const served = (await (await call('get', '/openapi.json', tokens.get('read'))).json()) as object;
    const { valid, errors } = await new Validator().validate(structuredClone(served) as Record<string, unknown>);
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
    expect(served).toEqual({ ...document, info: expect.anything() });
  });

  it('names every call with its scope, and every name that it refers to', () => {
    for (const { method, path, id, scope } of table) {
      expect(document.paths[templated(path)]?.[method]).toMatchObject({
        operationId: id,
        security: scope === 'open' ? [] : [{ token: scope === 'any' ? [] : [scope] }],
      });
    }
    const text = JSON.stringify(document);
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(Object.keys(document.components.schemas)).toContain(name);
    }
    expect(text).not.toContain('"$id"');
  });
});

describe('answers', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'api');
  /** Checks an answer against what the document says about it. */
  const check = async (method: string, response: Response): Promise<void> => {
    const { pathname } = new URL(response.url);
    const found = table.find(
      (one) =>
        one.method === method.toLowerCase() && new RegExp(`^${one.path.replaceAll(/:\w+/g, '[^/]+')}$`).test(pathname),
    );
    const [template, responses] = [
      templated(found!.path),
      document.paths[templated(found!.path)]![found!.method]!.responses,
    ];
    expect(Object.keys(responses), `${method} ${pathname}: ${response.status}`).toContain(String(response.status));
    const pointer = (text: string) => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));
    if (responses[response.status]?.content?.['application/json'] === undefined) return;
    const at = `api#/paths/${pointer(template)}/${found!.method}/responses/${response.status}/content/application~1json/schema`;
    const validate = ajv.getSchema(at)!;
    const body: unknown = await response.clone().json();
    expect(validate(body), `${method} ${pathname}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body)}`).toBe(
      true,
    );
  };
  /** A client whose every answer is checked. */
  const checked = (participant: Participant): OperatorClient => {
    const client = createOperatorClient({
      url: participant.connector.managementUrl,
      token: participant.token,
      exchange: async (target, init) => {
        const response = await fetch(target, init);
        await check(init.method, response);
        return response;
      },
    });
    return client;
  };

  it('are what the document says, through a whole trade and its failures', async () => {
    const [provider, consumer] = [checked(node), checked(other)];
    const published = await publish({ operator: provider }, space.file, {
      formats: ['HttpData-PULL', 'AzureStorage-PUSH'],
    });
    await Promise.all([
      provider.assets(),
      provider.asset('flights'),
      provider.policies(),
      provider.policy('flights-policy'),
      provider.contractDefinitions(),
      provider.contractDefinition('flights-contract'),
      consumer.requestCatalog(node.connector.protocolUrl),
      provider.dataFlows(),
      provider.tokens(),
      provider.caller(),
    ]);
    const { id } = await consumer.negotiate({ counterPartyAddress: node.connector.protocolUrl, ...published });
    const { agreementId = '' } = await consumer.negotiationUntil(id, ['FINALIZED']);
    await Promise.all([provider.negotiations(), provider.agreements(), consumer.agreement(agreementId)]);
    const pull = await consumer.requestTransfer({ agreementId, format: 'HttpData-PULL' });
    const started = await consumer.transferUntil(pull.id, ['STARTED']);
    expect(await consumer.dataAddress(pull.id)).toEqual(started.dataAddress);
    expect(await consumer.dataAddresses({ agreementId })).toMatchObject([{ transferId: pull.id, state: 'STARTED' }]);
    expect(await provider.dataAddresses()).toEqual([]);
    await consumer.suspendTransfer(pull.id, { reason: 'lunch' });
    await consumer.startTransfer(pull.id);
    await consumer.completeTransfer(pull.id);
    const { entry } = await provider.reserve({
      agreementId,
      key: 'k',
      request: { action: 'use', columns: ['DISTANCE'] },
    });
    await provider.commit(entry.id);
    await provider.account(agreementId);
    await provider.decide(agreementId, { action: 'use' });
    await Promise.all([provider.duties(), provider.dutyDeliveries(), provider.useNotices(), provider.receivedFiles()]);

    const offered = await provider.offer({
      counterPartyAddress: other.connector.protocolUrl,
      counterPartyId: other.participantId,
      datasetId: 'flights',
      offer: { permission: policyTemplate.permission },
    });
    await provider.terminateNegotiation(offered.id, { reason: 'enough' });
    const failures = [
      () => provider.asset('none'),
      () => provider.putAsset({ id: 'a', title: '', source: { type: 'parquet', path: 'x' }, formats: [] }),
      () => provider.deletePolicy('flights-policy'),
      () => consumer.negotiate({ counterPartyAddress: 'https://localhost:1', datasetId: 'd', offerId: 'o' }),
      () => consumer.decideNegotiation(id, { decision: 'accept' }),
      () => consumer.completeTransfer(pull.id),
      () => consumer.dataAddress('urn:none'),
      () => provider.refund(entry.id),
      () => consumer.reserve({ agreementId, key: 'k', request: { action: 'sell' } }),
      () => consumer.duty('urn:none'),
      () => consumer.fulfilDuty('urn:none', 'x'),
      () => provider.recordReceivedFile(agreementId, '/none'),
      () => provider.revokeToken('urn:none'),
    ];
    for (const failure of failures) await expect(failure()).rejects.toMatchObject({ code: expect.any(String) });
  });

  it('let an enforcement point decide, charge and see an account, and nothing else', async () => {
    const [agreement] = await node.operator.agreements({ finalized: true });
    const agreementId = agreement!.id;
    const { token } = await node.operator.createToken({ name: 'point', scope: 'use' });
    const point = createOperatorClient({ url: url(), token });
    const { entry } = await point.reserve({ agreementId, key: 'point', request: { action: 'use' } });
    await point.commit(entry.id);
    expect((await point.account(agreementId)).entries.map(({ key }) => key)).toContain('point');
    expect((await call('GET', '/openapi.json', token)).status).toBe(200);
    for (const refused of [
      () => point.agreements(),
      () => point.duties(),
      () => point.putPolicy({ id: 'p', policy: {} }),
    ]) {
      await expect(refused()).rejects.toMatchObject({ code: 'not-permitted' });
    }
  });

  it('say what an agreement asks of training to a token that may only look', async () => {
    const { token } = await node.operator.createToken({ name: 'planner', scope: 'read' });
    const planner = createOperatorClient({ url: url(), token });
    const [agreement] = await planner.agreements({ finalized: true });
    const limits = await planner.trainingLimits(agreement!.id);
    expect(limits).toMatchObject({ permitted: false, budget: null, privacyUnit: null, problems: [] });
    await expect(planner.trainingLimits('urn:none')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('do not show a data address to a token that may only look', async () => {
    const reader = createOperatorClient({
      url: other.connector.managementUrl,
      token: (await other.operator.createToken({ name: 'r', scope: 'read' })).token,
    });
    const [transfer] = await other.operator.transfers();
    expect(transfer?.dataAddress).toMatchObject({
      endpointType: expect.any(String),
      endpoint: expect.stringContaining('https://'),
    });
    expect((await reader.transfers())[0]).toEqual({ ...transfer, dataAddress: undefined });
    expect((await reader.transfer(transfer!.id)).dataAddress).toBeUndefined();
    await expect(reader.dataAddress(transfer!.id)).rejects.toMatchObject({ code: 'not-permitted' });
  });

  it('say of a format that nothing moves here that its transfers wait', async () => {
    const [agreement] = await other.operator.agreements({ finalized: true });
    const dataAddress = { endpointType: 'AmazonS3', properties: { bucketName: 'b', region: 'eu' } };
    const { id } = await other.operator.requestTransfer({
      agreementId: agreement!.id,
      format: 'AzureStorage-PUSH',
      dataAddress,
    });
    const seen = async () => (await node.operator.transfers({ format: 'AzureStorage-PUSH' }))[0];
    await node.operator.flowTransfers('AzureStorage-PUSH', 0);
    expect(await seen()).toMatchObject({ state: 'REQUESTED', consumerPid: id, dataAddress });
    expect(await node.operator.dataFlows()).toContainEqual({
      format: 'AzureStorage-PUSH',
      runs: 'nowhere',
      open: 1,
      waiting: 1,
    });
    await expect(node.operator.startTransfer((await seen())!.id)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('AzureStorage-PUSH'),
    });
    await node.operator.registerDataFlow('AzureStorage-PUSH');
    await other.operator.transferUntil(id, ['STARTED']);
    expect(await node.operator.dataFlows()).toContainEqual({
      format: 'AzureStorage-PUSH',
      runs: 'outside',
      open: 1,
      waiting: 0,
    });
  });
});

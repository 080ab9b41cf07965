import { join } from 'node:path';
import { createScanner, type Scanner } from '@foedus/connector/data-plane';
import { FOEDUS } from '@foedus/usage-policies';
import { writeFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';
import { constraint } from '../src/agreements.ts';
import { agree, writeParquet } from '../src/contract.ts';

const RESEARCH = 'https://w3id.org/dpv#ResearchAndDevelopment';

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let scanner: Scanner;
let now = new Date();
let path: string;

beforeAll(async () => {
  space = await createDataSpace();
  [provider, consumer] = await Promise.all([space.join('bdl'), space.join('pvd', { clock: () => now })]);
  scanner = createScanner({ folder: join(space.folder, 'scanner') });
  path = join(space.folder, 'flights.parquet');
  await writeParquet(
    path,
    `SELECT i AS flight, (i % 60)::INTEGER AS delay, 'tail-' || i AS tail, 'secret-' || i AS pilot FROM range(1000) t(i)`,
  );
}, 30_000);
afterAll(async () => {
  await scanner[Symbol.asyncDispose]();
  await space[Symbol.asyncDispose]();
});

const rules = (...more: object[]) => [
  constraint('purpose', 'eq', RESEARCH),
  constraint(`${FOEDUS}columns`, 'isPartOf', ['flight', 'delay', 'tail']),
  constraint(`${FOEDUS}masks`, 'eq', { tail: { method: 'hash' } }),
  constraint(`${FOEDUS}rowFilter`, 'eq', { column: 'delay', operator: 'lt', value: 30 }),
  ...more,
];

let data = 0;
/** A contract, and a profile to read under it. */
async function shared(...more: object[]) {
  const assetId = `flights-${(data += 1)}`;
  const source = { type: 'parquet' as const, path };
  const agreementId = await agree(provider, consumer, { assetId, source, constraints: rules(...more) });
  const made = await consumer.operator.createShareProfile({ agreements: [agreementId], purpose: RESEARCH });
  const [table] = made.tables;
  const address = `/shares/${table!.share}/schemas/${table!.schema}/tables/${table!.name}`;
  const { endpoint, bearerToken } = made.profile;
  const authorization = `Bearer ${bearerToken}`;
  const ask = (at: string, init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {}) =>
    fetch(endpoint + at, { ...init, headers: { authorization, ...init.headers } });
  const query = (body: unknown = {}): Promise<Response> =>
    ask(`${address}/query`, { method: 'POST', body: JSON.stringify(body) });
  const uses = async (): Promise<number> => (await provider.operator.account(agreementId)).spent.uses;
  return { agreementId, profileId: made.id, endpoint, bearerToken, table: table!, address, ask, query, uses };
}

const linesOf = async (response: Response): Promise<Record<string, Record<string, never>>[]> =>
  (await response.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, Record<string, never>>);
const urlOf = async (response: Response): Promise<string> => (await linesOf(response))[2]!['file']!['url']!;

describe('the Delta Sharing endpoint', () => {
  test('lists shares, schemas and tables, describes a table, and charges nothing for it', async () => {
    const { ask, address, table, agreementId, uses } = await shared();
    const { share, schema, name } = table;
    expect([share, schema, name]).toEqual(['bdl_example', 'default', `flights_${data}`]);
    expect(await (await ask('/shares')).json()).toEqual({ items: [{ name: share, id: share }] });
    expect(await (await ask(`/shares/${share}`)).json()).toEqual({ share: { name: share, id: share } });
    expect(await (await ask(`/shares/${share}/schemas`)).json()).toEqual({ items: [{ name: schema, share }] });
    const tables = { items: [{ name, schema, share, shareId: share, id: agreementId }] };
    expect(await (await ask(`/shares/${share}/schemas/${schema}/tables`)).json()).toEqual(tables);
    expect(await (await ask(`/shares/${share}/all-tables`)).json()).toEqual(tables);
    expect(await (await ask(`/shares/${share}/all-tables?maxResults=0`)).json()).toEqual({
      items: [],
      nextPageToken: '0',
    });
    const version = await ask(`${address}/version`);
    expect([version.status, version.headers.get('delta-table-version')]).toEqual([200, '0']);

    const metadata = await ask(`${address}/metadata`);
    expect(metadata.headers.get('delta-sharing-capabilities')).toBe('responseformat=parquet');
    const [protocol, described] = await linesOf(metadata);
    expect(protocol).toEqual({ protocol: { minReaderVersion: 1 } });
    expect(described!['metaData']).toMatchObject({ id: agreementId, name, format: { provider: 'parquet' } });
    expect(JSON.parse(described!['metaData']!['schemaString']!)).toEqual({
      type: 'struct',
      fields: [
        { name: 'flight', type: 'long', nullable: true, metadata: {} },
        { name: 'delay', type: 'integer', nullable: true, metadata: {} },
        { name: 'tail', type: 'string', nullable: true, metadata: { comment: 'masked: hash' } },
      ],
    });
    expect(await uses()).toBe(0);
  });

  test('answers a query with a file of the granted rows and columns, charged once however often it is read', async () => {
    const { query, uses } = await shared();
    const answer = await query();
    expect(answer.headers.get('delta-table-version')).toBe('0');
    const lines = await linesOf(answer);
    const file = lines[2]!['file']!;
    const url: string = file['url']!;
    const response = await fetch(url);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect([bytes.length, file['partitionValues'], Object.keys(lines[3] ?? {})]).toEqual([file['size'], {}, []]);
    const saved = join(space.folder, 'answer.parquet');
    await writeFile(saved, bytes);
    await using rows = await scanner.scan({ type: 'parquet', path: saved });
    expect(rows.schema.fields.map(({ name }) => name)).toEqual(['flight', 'delay', 'tail']);
    let count = 0;
    for await (const batch of rows.batches) {
      for (const row of batch) {
        expect(row['delay']).toBeLessThan(30);
        expect(row['tail']).toMatch(/^[0-9a-f]{24}$/);
        count += 1;
      }
    }
    expect(count).toBe(510);
    for (const hidden of ['secret-', 'tail-1', 'pilot']) expect(bytes.includes(hidden)).toBe(false);

    const part = await fetch(url, { headers: { range: 'bytes=-4' } });
    expect([part.status, await part.text()]).toEqual([206, 'PAR1']);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
    expect((await fetch(url, { headers: { range: `bytes=${bytes.length}-` } })).status).toBe(416);
    expect(await uses()).toBe(1);
  });

  test('takes a limit as a narrowing, passes predicates over, and charges nothing for no rows', async () => {
    const { query, uses } = await shared();
    const rowsOf = async (body: object): Promise<number> => {
      const saved = join(space.folder, 'limited.parquet');
      await writeFile(saved, Buffer.from(await (await fetch(await urlOf(await query(body)))).arrayBuffer()));
      await using rows = await scanner.scan({ type: 'parquet', path: saved });
      let count = 0;
      for await (const batch of rows.batches) count += batch.numRows;
      return count;
    };
    expect(await linesOf(await query({ limitHint: 0 }))).toHaveLength(2);
    expect(await uses()).toBe(0);
    expect(await rowsOf({ limitHint: 7 })).toBe(7);
    // The rows that a limit counts beside a predicate are those that the client keeps.
    expect(await rowsOf({ limitHint: 7, predicateHints: ["tail = 'tail-1'"] })).toBe(510);
    expect(await uses()).toBe(2);
  });

  test('keeps the head of the provider’s ledger, and shows it with the next read', async () => {
    const { query, agreementId } = await shared();
    await query();
    const first = (await consumer.operator.partnerHead(agreementId)).head;
    await query();
    const second = (await consumer.operator.partnerHead(agreementId)).head;
    expect(second.sequence).toBeGreaterThan(first.sequence);
    expect([first.spent.uses, second.spent.uses]).toEqual([1, 2]);
  });

  test('says in words that a budget is used up, and that a purpose is not agreed', async () => {
    const { query, ask, address, agreementId } = await shared(constraint('count', 'lteq', '1'));
    expect((await query()).status).toBe(200);
    for (const refused of [await query(), await ask(`${address}/metadata`)]) {
      expect(refused.status).toBe(403);
      const problem = (await refused.json()) as { errorCode: string; message: string };
      expect(problem.errorCode).toBe('BUDGET_EXHAUSTED');
      expect(problem.message).toMatch(/^The provider refuses: .*1/);
    }
    const other = await consumer.operator.createShareProfile({ agreements: [agreementId] });
    const { endpoint, bearerToken } = other.profile;
    const headers = { authorization: `Bearer ${bearerToken}` };
    const refused = await fetch(`${endpoint}${address}/metadata`, { headers });
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringMatching(/NOT_PERMITTED.*purpose/i)]);
  });

  test('refuses versions, change feeds and the response format delta', async () => {
    const { query, ask, address, uses } = await shared();
    for (const body of [{ version: 1 }, { timestamp: '2026-01-01T00:00:00Z' }, { startingVersion: 0 }]) {
      expect((await query(body)).status).toBe(400);
    }
    expect((await ask(`${address}/changes?startingVersion=0`)).status).toBe(400);
    expect((await ask(`${address}/version?startingTimestamp=2026-01-01T00:00:00Z`)).status).toBe(400);
    const headers = { 'delta-sharing-capabilities': 'responseformat=delta;readerfeatures=deletionvectors' };
    expect((await ask(`${address}/query`, { method: 'POST', body: '{}', headers })).status).toBe(400);
    expect(await uses()).toBe(0);
  });

  test('closes to a revoked profile at once, its files included', async () => {
    const { query, ask, profileId } = await shared();
    const url = await urlOf(await query());
    await consumer.operator.revokeShareProfile(profileId);
    expect((await ask('/shares')).status).toBe(401);
    expect((await fetch(url)).status).toBe(403);
    const listed = await consumer.operator.shareProfiles();
    expect(listed.find(({ id }) => id === profileId)?.revokedAt).toMatch(/^20/);
  });

  test('gives nothing more while the provider has suspended the transfer, and goes on when it resumes', async () => {
    const { query, agreementId } = await shared();
    const url = await urlOf(await query());
    const [transfer] = await provider.operator.transfers({ agreementId, state: 'STARTED' });
    await provider.operator.suspendTransfer(transfer!.id, { reason: 'An audit.' });
    await vi.waitFor(async () => expect((await fetch(url)).status).toBe(403), 10_000);
    const refused = await query();
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringMatching(/SUSPENDED.*An audit/)]);
    await provider.operator.startTransfer(transfer!.id);
    await vi.waitFor(async () => expect((await fetch(url)).status).toBe(200), 10_000);
  });

  test('asks for a transfer anew where the one before was terminated', async () => {
    const { query, agreementId } = await shared();
    const url = await urlOf(await query());
    const [transfer] = await provider.operator.transfers({ agreementId });
    await provider.operator.terminateTransfer(transfer!.id);
    await vi.waitFor(async () => expect((await fetch(url)).status).toBe(403), 10_000);
    expect((await query()).status).toBe(200);
    expect(await provider.operator.transfers({ agreementId })).toHaveLength(2);
  });

  test('opens a file by its own address only, and for minutes', async () => {
    const { query, bearerToken, endpoint } = await shared();
    const [first, second] = [new URL(await urlOf(await query())), new URL(await urlOf(await query()))];
    const token = first.searchParams.get('token')!;
    const refused = [
      `${second.origin}${second.pathname}?token=${token}`,
      `${first.origin}${first.pathname}?token=${token.slice(0, -6)}AAAAAA`,
      `${first.origin}${first.pathname}?token=${bearerToken}`,
      `${first.origin}${first.pathname}`,
      `${endpoint}/files/..%2Ffiles.secret?token=${token}`,
    ];
    for (const url of refused) expect([url, (await fetch(url)).status]).toEqual([url, 401]);
    now = new Date(now.getTime() + 901_000);
    expect((await fetch(first)).status).toBe(401);
    now = new Date();
  });

  test('lets nobody in without a good token, and makes profiles for agreements of its own only', async () => {
    const { endpoint, address, agreementId } = await shared();
    for (const authorization of ['', 'Bearer ', 'Bearer x', 'Basic eDp5', `Bearer ${consumer.token}`]) {
      const response = await fetch(`${endpoint}${address}/metadata`, { headers: { authorization } });
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    }
    const asked = [
      [consumer, 'urn:none', 'not-found'],
      [provider, agreementId, 'conflict'],
    ] as const;
    for (const [who, id, code] of asked) {
      await expect(who.operator.createShareProfile({ agreements: [id] })).rejects.toMatchObject({ code });
    }
  });

  test('answers whatever is asked without failing, and charges nothing for nonsense', async () => {
    const { endpoint, bearerToken, address, uses } = await shared();
    const nasty = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constantFrom('..', '%00', '%2e%2e', "' OR 1=1 --", '%E0%A4%A', '__proto__', 'a'.repeat(3000)),
    );
    const segment = nasty.map((text) => (text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80'));
    const paths = fc.oneof(
      fc.array(segment, { maxLength: 8 }).map((parts) => `/shares/${parts.join('/')}`),
      segment.map((name) => `/shares/bdl_example/schemas/default/tables/${name}/metadata`),
      fc.tuple(segment, segment).map(([id, token]) => `/files/${id}?token=${token}`),
      segment.map((text) => `/shares?maxResults=${text}&pageToken=${text}`),
    );
    const bodies = fc.oneof(
      nasty,
      fc.json({ maxDepth: 3 }),
      fc.constantFrom('[]', 'null', '{"limitHint":-1}', '{"limitHint":1e99}', '['.repeat(5000), '{"predicateHints":1}'),
      fc.constantFrom('{"version":"x"}', '{"limitHint":0,"predicateHints":[""]}', '{"jsonPredicateHints":{}}'),
    );
    await fc.assert(
      fc.asyncProperty(paths, bodies, fc.boolean(), async (at, body, known) => {
        const headers = { authorization: `Bearer ${known ? bearerToken : encodeURIComponent(body.slice(0, 50))}` };
        const got = await fetch(endpoint + at, { headers });
        expect(got.status).toBeLessThan(500);
        await got.arrayBuffer();
        // Only what asks for no rows is right among the bodies.
        const limitless = `{"limitHint":0,"nonsense":${JSON.stringify(body)}`;
        const posted = await fetch(`${endpoint}${address}/query`, { method: 'POST', headers, body: limitless });
        expect(posted.status).toBeLessThan(500);
        expect(posted.status).toBeGreaterThanOrEqual(400);
      }),
      { numRuns: 60 },
    );
    const headers = { authorization: `Bearer ${bearerToken}` };
    for (const body of [
      '[]',
      'null',
      '"x"',
      '{',
      '{"limitHint":-1}',
      '{"limitHint":1.5}',
      '['.repeat(5000),
      '\u0000',
    ]) {
      const posted = await fetch(`${endpoint}${address}/query`, { method: 'POST', headers, body });
      expect([body.slice(0, 20), posted.status]).toEqual([body.slice(0, 20), 400]);
    }
    expect(await uses()).toBe(0);
  }, 30_000);
});

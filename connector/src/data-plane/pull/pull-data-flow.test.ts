import { readdir, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { FOEDUS } from '@foedus/usage-policies';
import { describe, expect, test } from 'vitest';
import { constraint, countAtMost } from '../../../../test/src/agreements.ts';
import { readHeadHeader, writeHeadHeader } from '../../ledger/head-header.ts';
import { readArrowStream } from '../consume.ts';
import { AGREEMENT, BDL, PVD, RESEARCHING, TUL, usePullTransfer } from './pull-fixture.ts';

const world = usePullTransfer();

describe('a pull transfer', () => {
  test('gives an address with a token of its own', () => {
    expect(world.address).toEqual({
      endpointType: 'https://w3id.org/idsa/v4.1/HTTP',
      endpoint: 'https://bdl.example:7101/data/urn%3Auuid%3A1%2F2',
      properties: {
        authType: 'bearer',
        authorization: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
        expiresIn: '3600',
        refreshToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
        refreshEndpoint: 'https://bdl.example:7101/data/urn%3Auuid%3A1%2F2/token',
      },
    });
  });

  test('streams the rows cut to the contract, and charges one use', async () => {
    const response = await world.ask({ query: `${RESEARCHING}&columns=destination,distance` });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.arrow.stream');
    const batches = await readArrowStream(response);
    const rows: object[] = [];
    for await (const batch of batches)
      rows.push(...batch.toArray().map((row) => (row as { toJSON(): object }).toJSON()));
    expect(rows).toHaveLength(31);
    expect(rows[3]).toEqual({ destination: expect.stringMatching(/^[0-9a-f]{24}$/), distance: 3n });
    expect(batches.count.rows).toBe(31);
    const { spent, entries } = world.usageControl.account(AGREEMENT);
    expect([spent.uses, entries.map(({ state }) => state)]).toEqual([1, ['committed']]);
    expect(response.headers.get('foedus-decision')).toMatch(/^[0-9a-f]{64}$/);
  });

  test('accepts the token as it is in the data address, without the word Bearer', async () => {
    const response = await world.ask({ authorization: world.address.properties['authorization']! });
    expect(response.status).toBe(200);
    await response.body?.cancel();
  });

  test('refuses a column that was not granted, a purpose that was not agreed, and an expired contract', async () => {
    expect(await world.refusal({ query: `${RESEARCHING}&columns=tail` })).toEqual([
      403,
      'not-permitted',
      expect.stringContaining('tail'),
    ]);
    expect(await world.refusal({ query: 'purpose=https%3A%2F%2Fw3id.org%2Fdpv%23Marketing' })).toEqual([
      403,
      'not-permitted',
      expect.stringContaining('Marketing'),
    ]);
    world.now = new Date('2027-01-01T00:00:00Z');
    world.address = (await world.plane.flows[0]!.start(world.transfer))!;
    expect(await world.refusal({})).toEqual([403, 'not-permitted', expect.stringContaining('2027')]);
    expect(world.usageControl.account(AGREEMENT).entries).toEqual([]);
  });

  test('brings the head of the ledger with the data, and releases nothing that is older than what its caller holds', async () => {
    // Certificates are of today.
    world.now = new Date();
    world.permit(countAtMost(9));
    world.address = (await world.plane.flows[0]!.start(world.transfer))!;
    const response = await world.ask();
    const first = response.headers.get('foedus-ledger-head')!;
    await response.arrayBuffer();
    expect(readHeadHeader(first).head).toMatchObject({ agreementId: AGREEMENT, spent: { uses: 1, rows: 365 } });
    const withHead = async (head: string): Promise<Response> =>
      await world.clientOf(PVD).fetch(world.url(`?${RESEARCHING}`), {
        headers: { authorization: world.address.properties['authorization']!, 'foedus-ledger-head': head },
      });
    expect((await withHead(first)).status).toBe(200);
    const { head } = readHeadHeader(first);
    // What this node has signed, of a ledger that it has lost since.
    const lost = { ...head, sequence: head.sequence + 100, hash: 'f'.repeat(64) };
    const signature = await world.identities.get(BDL)!.sign(lost);
    const forged = await world.identities.get(PVD)!.sign(lost);
    expect((await withHead(writeHeadHeader({ head: lost, signature: forged }))).status).toBe(400);
    expect((await withHead('x')).status).toBe(400);
    const spent = world.usageControl.account(AGREEMENT).spent.uses;
    const refused = await withHead(writeHeadHeader({ head: lost, signature }));
    expect([refused.status, await refused.json()]).toEqual([
      409,
      { code: 'conflict', message: expect.stringContaining('older') },
    ]);
    expect((await world.refusal({})).slice(0, 2)).toEqual([409, 'conflict']);
    expect(world.usageControl.account(AGREEMENT).spent.uses).toBe(spent);
  });

  test('refuses the fourth use of three', async () => {
    for (let i = 0; i < 3; i++) await (await world.ask()).body?.cancel();
    expect((await world.refusal({})).slice(0, 2)).toEqual([403, 'budget-exhausted']);
  });

  test('answers the token to its own participant only', async () => {
    expect((await world.refusal({ who: TUL })).slice(0, 2)).toEqual([403, 'not-permitted']);
  });

  test('does not open another transfer with the token of this one', async () => {
    expect((await world.refusal({ path: '/data/other' })).slice(0, 2)).toEqual([404, 'not-found']);
    world.transfer = { ...world.transfer, counterPartyId: TUL };
    expect((await world.refusal({})).slice(0, 2)).toEqual([404, 'not-found']);
  });

  test('gives nothing while the transfer is not started', async () => {
    for (const state of ['REQUESTED', 'SUSPENDED', 'TERMINATED', 'COMPLETED'] as const) {
      world.transfer = { ...world.transfer, state };
      expect(await world.refusal({})).toEqual([403, 'not-permitted', expect.stringContaining(state)]);
    }
    expect(world.usageControl.account(AGREEMENT).entries).toEqual([]);
  });

  test('refuses requests that do not fit, and other methods', async () => {
    for (const query of [
      'columns=',
      'columns=date,date',
      'where=1',
      'purpose=',
      'purpose=a&purpose=b',
      `columns=${'a,'.repeat(1500)}a`,
    ]) {
      expect((await world.refusal({ query })).slice(0, 2)).toEqual([400, 'bad-request']);
    }
    const url = world.url(`?${RESEARCHING}`);
    const headers = { authorization: `Bearer ${world.address.properties['authorization']}` };
    expect((await world.clientOf(PVD).fetch(url, { method: 'HEAD', headers })).status).toBe(400);
    expect(world.usageControl.account(AGREEMENT).entries).toEqual([]);
  });

  test('gives a use back when the file cannot be read, and does not tell its path', async () => {
    world.asset = { ...world.asset, source: { type: 'parquet', path: join(world.root, 'gone.parquet') } };
    const [status, code, message] = await world.refusal({});
    expect([status, code]).toEqual([503, 'unavailable']);
    expect(message).not.toContain('gone.parquet');
    const { spent, entries } = world.usageControl.account(AGREEMENT);
    expect([spent.uses, entries.map(({ state }) => state)]).toEqual([0, ['refunded']]);
  });

  test('gives a use back when the file has no longer a column that the agreement names', async () => {
    world.asset = { ...world.asset, source: { type: 'parquet', path: world.large } };
    expect((await world.refusal({ query: `${RESEARCHING}&columns=distance` })).slice(0, 2)).toEqual([
      403,
      'not-permitted',
    ]);
    expect(world.usageControl.account(AGREEMENT).spent.uses).toBe(0);
  });

  test('denies a narrower request too where a column of the contract has vanished', async () => {
    const masked = [constraint(`${FOEDUS}masks`, 'eq', { vanished: { method: 'hash' } })];
    const listed = [constraint(`${FOEDUS}columns`, 'isPartOf', ['distance', 'vanished'])];
    for (const rules of [masked, listed]) {
      world.permit(...rules);
      const [status, code, message] = await world.refusal({ query: 'columns=distance' });
      expect([status, code, message]).toEqual([403, 'not-permitted', expect.stringContaining('vanished')]);
    }
  });

  test('gives each caller its own rows where the contract says so', async () => {
    const rowFilter = { column: 'destination', operator: 'neq', value: { claim: 'participantId' } };
    world.permit(constraint(`${FOEDUS}rowFilter`, 'eq', rowFilter));
    expect((await world.ask({ query: 'columns=distance' })).status).toBe(200);
    const unknown = { ...rowFilter, value: { claim: 'department' } };
    world.permit(constraint(`${FOEDUS}rowFilter`, 'eq', unknown));
    expect((await world.refusal({ query: 'columns=distance' }))[2]).toContain('department');
  });

  test('keeps its secrets to the owner and finds them again', async () => {
    const folder = join(world.dataDir, 'data-plane');
    const names = (await readdir(folder)).toSorted();
    expect(names).toEqual(['masking.secret', 'token.secret']);
    for (const name of names) {
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
      expect(await readFile(join(folder, name))).toHaveLength(32);
    }
    await truncate(join(folder, 'masking.secret'), 5);
    expect(() => world.openPlane()).toThrow(/has 5 bytes instead of 32/);
  });
});

describe('a consumer with wishes', () => {
  const get = async (headers: Record<string, string>, query = RESEARCHING): Promise<Response> => {
    const authorization = `Bearer ${world.address.properties['authorization']}`;
    const url = world.url(`?${query}`);
    return await world.clientOf(PVD).fetch(url, { headers: { authorization, ...headers } });
  };
  const parquet = 'application/vnd.apache.parquet';

  test('gets another format, compressed, and only what it asks for', async () => {
    const filter = encodeURIComponent(JSON.stringify({ column: 'distance', operator: 'lt', value: 2 }));
    const query = `${RESEARCHING}&columns=distance&filter=${filter}`;
    const response = await get({ accept: 'text/csv', 'accept-encoding': 'gzip' }, query);
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(await response.text()).toBe('"distance"\r\n0\r\n1\r\n');
    const masked = encodeURIComponent(JSON.stringify({ column: 'destination', operator: 'eq', value: 'D1' }));
    expect((await world.refusal({ query: `${RESEARCHING}&filter=${masked}` })).slice(0, 2)).toEqual([
      403,
      'not-permitted',
    ]);
    const hidden = encodeURIComponent(JSON.stringify({ column: 'tail', operator: 'gt', value: 'a' }));
    expect((await world.refusal({ query: `${RESEARCHING}&filter=${hidden}` })).slice(0, 2)).toEqual([
      403,
      'not-permitted',
    ]);
    expect(world.usageControl.account(AGREEMENT).spent.uses).toBe(1);
  });

  test('gets a file that is granted whole as it is, and the rest of it after a cut', async () => {
    world.permit();
    const original = await readFile(world.flights);
    const whole = await get({ accept: parquet }, '');
    const etag = whole.headers.get('etag')!;
    expect([whole.status, whole.headers.get('accept-ranges')]).toEqual([200, 'bytes']);
    expect(Buffer.from(await whole.arrayBuffer()).equals(original)).toBe(true);
    const rest = await get({ accept: parquet, range: 'bytes=1000-', 'if-range': etag }, '');
    expect([rest.status, rest.headers.get('content-range')]).toEqual([
      206,
      `bytes 1000-${original.length - 1}/${original.length}`,
    ]);
    expect(Buffer.from(await rest.arrayBuffer()).equals(original.subarray(1000))).toBe(true);
    const tail = await get({ accept: parquet, range: 'bytes=-4' }, '');
    expect(await tail.text()).toBe('PAR1');
    const changed = await get({ accept: parquet, range: 'bytes=1000-', 'if-range': '"another"' }, '');
    expect(changed.status).toBe(200);
    await changed.body?.cancel();
    const beyond = await get({ accept: parquet, range: `bytes=${original.length}-` }, '');
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${original.length}`]);
  });

  test('gets no range of what is cut, masked or counted', async () => {
    const response = await get({ accept: parquet, range: 'bytes=0-3' });
    expect([response.status, response.headers.get('accept-ranges')]).toEqual([200, null]);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes.subarray(-4).toString()).toBe('PAR1');
    expect(bytes.equals(await readFile(world.flights))).toBe(false);
    world.permit(countAtMost(3));
    expect((await get({ accept: parquet, range: 'bytes=0-3' }, '')).status).toBe(200);
  });
});

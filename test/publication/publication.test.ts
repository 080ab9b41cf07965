import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readArrowStream } from '@foedus/connector/data-plane';
import { authorizationHeaders } from '@foedus/connector/operator-client';
import { FOEDUS, parsePolicy, problemsOf } from '@foedus/usage-policies';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';
import { constraint } from '../src/agreements.ts';
import { agree, writeParquet } from '../src/contract.ts';

let space: DataSpace;
let provider: Participant;
let consumer: Participant;

beforeAll(async () => {
  space = await createDataSpace();
  [provider, consumer] = await Promise.all([space.join('bdl'), space.join('pvd')]);
}, 30_000);
afterAll(() => space[Symbol.asyncDispose]());

let files = 0;
const parquet = async (select: string): Promise<string> => {
  const path = join(space.folder, `data-${(files += 1)}.parquet`);
  await writeParquet(path, select);
  return path;
};
const publish = (id: string, path: string) =>
  provider.operator.putAsset({ id, title: id, source: { type: 'parquet', path }, formats: ['HttpData-PULL'] });

const PASSENGERS = `SELECT i AS booking, 'p' || i || '@mail.example' AS email, 'Ann Lee' AS passengerName,
  DATE '1950-01-01' + i::INTEGER AS dateOfBirth, CASE WHEN i % 4 = 0 THEN NULL ELSE (i % 10)::INTEGER END AS bags,
  INTERVAL (i) MINUTE AS waited FROM range(2000) t(i)`;

describe('publishing a data set', () => {
  test('profiles it in the background: rows, nulls, distinct values, and what looks like personal data', async () => {
    const path = await parquet(PASSENGERS);
    await publish('passengers', path);
    expect(await provider.operator.assetProfile('passengers')).toMatchObject({ state: 'waiting' });
    const profile = await provider.operator.assetProfile('passengers', { wait: 20 });
    expect([profile.state, profile.rows, profile.sample]).toEqual(['done', 2000, { rows: 2000, method: 'all' }]);
    const columns = new Map(profile.columns!.map((column) => [column.name, column]));
    expect(columns.get('booking')).toMatchObject({ type: 'BIGINT', arrow: 'Int64', nulls: 0, min: '0', max: '1999' });
    expect(columns.get('bags')).toMatchObject({ type: 'INTEGER', nulls: 0.25, min: '0', max: '9' });
    expect(columns.get('waited')).toMatchObject({ type: 'INTERVAL', arrow: null, distinct: null });
    // A HyperLogLog estimate.
    expect(columns.get('booking')!.distinct).toBeGreaterThan(1_500);
    expect(columns.get('booking')!.distinct).toBeLessThanOrEqual(2_000);
    expect([...columns.values()].flatMap(({ name, personal }) => (personal ? [[name, personal.kind]] : []))).toEqual([
      ['email', 'email'],
      ['passengerName', 'name'],
      ['dateOfBirth', 'birth-date'],
    ]);
    // Texts have no extremes: they would be somebody's.
    expect(columns.get('email')).not.toHaveProperty('min');
    expect(JSON.stringify(profile)).not.toContain('mail.example');
    // The suggestion is a constraint that policies understand.
    const policy = parsePolicy({
      '@type': 'Offer',
      permission: [{ action: 'use', constraint: [profile.suggestion] }],
    });
    expect(problemsOf(policy)).toEqual([]);
    expect(profile.suggestion!['rightOperand']).toEqual({
      email: { method: 'hash' },
      passengerName: { method: 'hash' },
      dateOfBirth: { method: 'truncate', unit: 'year' },
    });
  }, 30_000);

  test('says why it could not be looked at, and looks again when asked', async () => {
    const path = join(space.folder, 'late.parquet');
    await writeFile(path, 'not yet');
    await publish('late', path);
    expect(await provider.operator.assetProfile('late', { wait: 20 })).toMatchObject({
      state: 'failed',
      problem: expect.stringMatching(/parquet/i),
    });
    await writeParquet(path, 'SELECT 1 AS a');
    await provider.operator.profileAsset('late');
    const profile = await provider.operator.assetProfile('late', { wait: 20 });
    expect([profile.state, profile.problem, profile.rows]).toEqual(['done', undefined, 1]);
    await expect(provider.operator.assetProfile('nothing')).rejects.toMatchObject({ code: 'not-found' });
  }, 30_000);

  test('is profiled after a restart where the node stopped before it came to it', async () => {
    const first = await space.join('ord');
    const path = await parquet('SELECT 1 AS a');
    await first.operator.putAsset({ id: 'a', title: 'a', source: { type: 'parquet', path }, formats: ['X-PUSH'] });
    const again = await first.restart();
    expect(await again.operator.assetProfile('a', { wait: 20 })).toMatchObject({ state: 'done', rows: 1 });
  }, 30_000);
});

describe('a data set that changes after it was published', () => {
  /** The columns that come under an agreement, over mutual TLS, or why none do. */
  const columnsOf = async (agreementId: string): Promise<readonly string[] | string> => {
    const asked = await consumer.operator.requestTransfer({ agreementId, format: 'HttpData-PULL' });
    const { id, dataAddress } = await consumer.operator.transferUntil(asked.id, ['STARTED']);
    const [authorization = ''] = authorizationHeaders(dataAddress!);
    const response = await consumer.peer.fetch(dataAddress!.endpoint!, { headers: { authorization } });
    try {
      const names = new Set<string>();
      for await (const { schema } of await readArrowStream(response)) {
        for (const { name } of schema.fields) names.add(name);
      }
      return [...names];
    } catch (error) {
      return (error as Error).message;
    } finally {
      await consumer.operator.completeTransfer(id);
    }
  };
  const before = 'SELECT i AS flight, (i % 60)::INTEGER AS delay FROM range(100) t(i)';

  test('gives no added column to agreements that grant all, not even in the file itself', async () => {
    const path = await parquet(before);
    const source = { type: 'parquet' as const, path };
    const all = await agree(provider, consumer, { assetId: 'grown', source, constraints: [] });
    expect(await columnsOf(all)).toEqual(['flight', 'delay']);
    await writeParquet(path, `SELECT *, 'secret' AS pilot FROM (${before})`);
    expect(await columnsOf(all)).toEqual(['flight', 'delay']);

    const check = await provider.operator.assetSchema('grown');
    expect(check.drift).toEqual({ added: ['pilot'], vanished: [], changed: [] });
    const repinned = await provider.operator.repinAsset('grown');
    expect(repinned.columns.map(({ name }) => name)).toEqual(['flight', 'delay', 'pilot']);
    expect(await columnsOf(all)).toEqual(['flight', 'delay', 'pilot']);
  }, 30_000);

  test('denies in words where a column has another type or is gone, charges nothing, and is right again when republished', async () => {
    const path = await parquet(before);
    const source = { type: 'parquet' as const, path };
    const named = constraint(`${FOEDUS}columns`, 'isPartOf', ['flight', 'delay']);
    const agreementId = await agree(provider, consumer, { assetId: 'changed', source, constraints: [named] });
    expect(await columnsOf(agreementId)).toEqual(['flight', 'delay']);
    const { spent } = await provider.operator.account(agreementId);
    await writeParquet(path, 'SELECT i AS flight, (i % 60)::VARCHAR AS delay FROM range(100) t(i)');
    expect(await columnsOf(agreementId)).toMatch(/"delay" has the type VARCHAR now.*INTEGER/);
    await writeParquet(path, 'SELECT i AS flight FROM range(100) t(i)');
    expect(await columnsOf(agreementId)).toMatch(/no column "delay" any more/);
    expect((await provider.operator.account(agreementId)).spent).toEqual(spent);

    await writeParquet(path, 'SELECT i AS flight, (i % 60)::VARCHAR AS delay FROM range(100) t(i)');
    await publish('changed', path);
    expect(await columnsOf(agreementId)).toEqual(['flight', 'delay']);
  }, 30_000);
});

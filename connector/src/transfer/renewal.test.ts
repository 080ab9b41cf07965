import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDataSpace, publish, type DataSpace, type Participant } from '../../../test/src/connectors.ts';

let space: DataSpace;
let provider: Participant;
let consumer: Participant;
let agreementId: string;
let now = new Date('2026-06-01T12:00:00Z');
const after = (seconds: number): void => {
  now = new Date(now.getTime() + seconds * 1000);
};

beforeAll(async () => {
  space = await createDataSpace();
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  await duckdb.run(`COPY (SELECT i AS "DISTANCE" FROM range(10) t(i)) TO '${space.file}' (FORMAT parquet)`);
  duckdb.closeSync();
  const clock = (): Date => now;
  provider = await space.join('provider', { clock, transfer: { tokenLifetimeSeconds: 300 } });
  consumer = await space.join('consumer', { clock });
  const published = await publish(provider, space.file);
  const counterPartyAddress = provider.connector.protocolUrl;
  const { id } = await consumer.operator.negotiate({ counterPartyAddress, ...published });
  agreementId = (await consumer.operator.negotiationUntil(id, ['FINALIZED'])).agreementId!;
});
afterAll(() => space[Symbol.asyncDispose]());

async function started(): Promise<{ consumerPid: string; providerPid: string }> {
  const { id } = await consumer.operator.requestTransfer({ agreementId, format: 'HttpData-PULL' });
  const { providerPid } = await consumer.operator.transferUntil(id, ['STARTED']);
  return { consumerPid: id, providerPid: providerPid! };
}
const tokenOf = async (id: string, renew?: boolean): Promise<string> =>
  (await consumer.operator.dataAddress(id, renew === undefined ? {} : { renew })).properties['authorization']!;
async function fetchWith(id: string, authorization: string): Promise<number> {
  const { endpoint } = await consumer.operator.dataAddress(id);
  const response = await consumer.peer.fetch(endpoint!, { headers: { authorization } });
  await response.body?.cancel();
  return response.status;
}
const renewals = (): number => space.exchanges.filter(({ url }) => url.endsWith('/token')).length;

it('the consumer’s connector renews a token before it expires, and only then, without a suspension', async () => {
  const { consumerPid } = await started();
  const first = await tokenOf(consumerPid);
  after(190);
  expect(await tokenOf(consumerPid)).toBe(first);
  const before = renewals();
  after(20);
  const [second, again] = await Promise.all([tokenOf(consumerPid), tokenOf(consumerPid)]);
  expect(second).not.toBe(first);
  expect(again).toBe(second);
  expect(renewals()).toBe(before + 1);
  after(100);
  expect(await fetchWith(consumerPid, first)).toBe(401);
  expect(await fetchWith(consumerPid, second)).toBe(200);
  expect((await consumer.operator.transfer(consumerPid)).state).toBe('STARTED');
});

it('a consumer that has paused goes on with a new token, and its old one stays revoked', async () => {
  const { consumerPid } = await started();
  const old = await tokenOf(consumerPid);
  await consumer.operator.suspendTransfer(consumerPid);
  await expect.poll(async () => await fetchWith(consumerPid, old)).not.toBe(200);
  await consumer.operator.startTransfer(consumerPid);
  await expect.poll(async () => await fetchWith(consumerPid, old)).toBe(401);
  expect(await fetchWith(consumerPid, await tokenOf(consumerPid, true))).toBe(200);
});

it('what the provider’s operator revokes cannot be renewed, until the provider starts the transfer again', async () => {
  const { consumerPid, providerPid } = await started();
  const old = await tokenOf(consumerPid);
  await provider.operator.revokeTransferTokens(providerPid);
  expect(await fetchWith(consumerPid, old)).toBe(401);
  await expect(tokenOf(consumerPid, true)).rejects.toMatchObject({
    code: 'not-permitted',
    message: expect.stringContaining('revoked'),
  });
  await provider.operator.suspendTransfer(providerPid);
  await consumer.operator.transferUntil(consumerPid, ['SUSPENDED']);
  await provider.operator.startTransfer(providerPid);
  await consumer.operator.transferUntil(consumerPid, ['STARTED']);
  expect(await fetchWith(consumerPid, await tokenOf(consumerPid))).toBe(200);
  expect(await fetchWith(consumerPid, old)).toBe(401);
  await expect(consumer.operator.revokeTransferTokens(consumerPid)).rejects.toMatchObject({ code: 'conflict' });
});

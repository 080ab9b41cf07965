/** `AmazonS3-PUSH` into a real S3 server over TLS, with cuts. */
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';
import { hasS3Server, startS3Server, type S3Server } from './s3-server.ts';

const ROWS = 800_000;
const Bucket = 'inbox';

describe.skipIf(!hasS3Server)('a push into a bucket', () => {
  let space: DataSpace;
  let provider: Participant;
  let consumer: Participant;
  let agreementId: string;
  let storage: S3Server;
  let client: S3Client;
  let endpoint: string;

  beforeAll(async () => {
    space = await createDataSpace();
    const { tls } = await space.enrol('storage');
    const file = (name: string, text: string): string => {
      const path = join(space.folder, name);
      writeFileSync(path, text);
      return path;
    };
    const files = ['-c', file('s3.crt', tls.cert), '-k', file('s3.key', tls.key)];
    storage = await startS3Server('-s', ...files);
    endpoint = `https://localhost:${storage.port}`;
    client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'key', secretAccessKey: 'hush' },
      requestHandler: { httpsAgent: new Agent({ ca: tls.ca }) },
    });
    await client.send(new CreateBucketCommand({ Bucket }));

    const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
    await duckdb.run(`COPY (SELECT i AS id, sha256(i::VARCHAR) AS text FROM range(${ROWS}) t(i))
      TO '${space.file}' (FORMAT parquet)`);
    duckdb.closeSync();
    const transfer = { push: { allowAddresses: ['127.0.0.0/8', '::1/128'] } };
    provider = await space.join('provider', { delivery: { longestPauseSeconds: 0.05 }, transfer });
    consumer = await space.join('consumer', { delivery: { longestPauseSeconds: 0.05 } });
    const source = { type: 'parquet' as const, path: space.file };
    await provider.operator.putAsset({ id: 'table', title: 'Table', source, formats: ['AmazonS3-PUSH'] });
    const permission = [{ action: 'use' }];
    await provider.operator.putPolicy({ id: 'terms', policy: { '@type': 'Offer', permission } });
    await provider.operator.putContractDefinition({ id: 'terms', assets: ['table'], policy: 'terms' });
    const { id } = await consumer.operator.negotiate({
      counterPartyAddress: provider.connector.protocolUrl,
      datasetId: 'table',
      offerId: 'terms:table',
    });
    agreementId = (await consumer.operator.negotiationUntil(id, ['FINALIZED'])).agreementId!;
  });
  afterAll(async () => {
    client.destroy();
    await storage[Symbol.asyncDispose]();
    await space[Symbol.asyncDispose]();
  });

  const push = async (objectName: string, more: Record<string, string> = {}) =>
    await consumer.operator.requestTransfer({
      agreementId,
      format: 'AmazonS3-PUSH',
      dataAddress: {
        endpointType: 'AmazonS3',
        properties: {
          bucketName: Bucket,
          region: 'us-east-1',
          objectName,
          endpointOverride: endpoint,
          accessKeyId: 'key',
          secretAccessKey: 'hush',
          contentType: 'text/csv',
          ...more,
        },
      },
    });
  const ended = async (id: string) => {
    const { state, reason = '' } = await consumer.operator.transferUntil(id, ['COMPLETED', 'TERMINATED']);
    return { state, reason };
  };
  const uploads = async (): Promise<string[]> =>
    ((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? []).map(({ Key = '' }) => Key);
  const spent = async () => (await provider.operator.account(agreementId)).spent;
  const expectObject = async (Key: string, before: Awaited<ReturnType<typeof spent>>): Promise<void> => {
    const { Body, ContentType } = await client.send(new GetObjectCommand({ Bucket, Key }));
    const text = await Body!.transformToString('latin1');
    expect(ContentType).toBe('text/csv');
    expect(text.split('\r\n')).toHaveLength(ROWS + 2);
    expect(text.startsWith('"id","text"\r\n0,5feceb66ffc86f38d952786c6d696c79')).toBe(true);
    const after = await spent();
    expect([after.uses - before.uses, after.rows - before.rows, after.bytes - before.bytes]).toEqual([
      1,
      ROWS,
      text.length,
    ]);
  };

  it('makes an object of several parts, and shows its credentials nowhere', async () => {
    const before = await spent();
    const { id } = await push('whole.csv', { folderName: 'from/provider' });
    expect(await ended(id)).toEqual({ state: 'COMPLETED', reason: '' });
    await expectObject('from/provider/whole.csv', before);
    expect(await uploads()).toEqual([]);
    expect(JSON.stringify(await provider.operator.transfers())).not.toContain('hush');
  });

  it('goes on with the same upload after a suspension and after its provider has been started again', async () => {
    const before = await spent();
    const { id } = await push('cut.csv');
    const { providerPid } = await consumer.operator.transferUntil(id, ['STARTED']);
    await expect
      .poll(async () => (await spent()).bytes - before.bytes, { interval: 5, timeout: 15_000 })
      .toBeGreaterThan(0);
    await provider.operator.suspendTransfer(providerPid!);
    await consumer.operator.transferUntil(id, ['SUSPENDED']);
    await expect(client.send(new HeadObjectCommand({ Bucket, Key: 'cut.csv' }))).rejects.toThrow();
    expect(await uploads()).toEqual(['cut.csv']);
    provider = await provider.restart();
    await provider.operator.startTransfer(providerPid!);
    expect(await ended(id)).toEqual({ state: 'COMPLETED', reason: '' });
    await expectObject('cut.csv', before);
    expect(await uploads()).toEqual([]);
  });

  it('leaves nothing in the bucket when it is terminated', async () => {
    const before = await spent();
    const { id } = await push('ended.csv');
    await consumer.operator.transferUntil(id, ['STARTED']);
    await expect
      .poll(async () => (await spent()).bytes - before.bytes, { interval: 5, timeout: 15_000 })
      .toBeGreaterThan(0);
    await consumer.operator.terminateTransfer(id);
    await expect.poll(uploads, { timeout: 10_000 }).toEqual([]);
    await expect(client.send(new HeadObjectCommand({ Bucket, Key: 'ended.csv' }))).rejects.toThrow();
  });

  it('ends with the reason where there is no such bucket, or no way to it', async () => {
    const missing = await push('x', { bucketName: 'not-there' });
    expect(await ended(missing.id)).toEqual({ state: 'TERMINATED', reason: expect.stringContaining('NoSuchBucket') });
    const plain = await push('x', { endpointOverride: endpoint.replace('https', 'http') });
    expect(await ended(plain.id)).toEqual({ state: 'TERMINATED', reason: expect.stringContaining('https') });
    const metadata = await push('x', { endpointOverride: 'https://169.254.169.254/' });
    expect(await ended(metadata.id)).toEqual({ state: 'TERMINATED', reason: expect.stringContaining('public') });
  });
});

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DuckDBInstance } from '@duckdb/node-api';
import { createScanner, type Scanner } from '@foedus/connector/data-plane';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasS3Server, startS3Server, type S3Server } from './s3-server.ts';

let folder: string;
let scanner: Scanner;
let storage: S3Server;
let client: S3Client;
let place: { endpoint: string; region: string; bucket: string; credentialsFile: string };

describe.skipIf(!hasS3Server)('S3-compatible storage', () => {
  const put = async (key: string, select: string): Promise<void> => {
    const path = join(folder, 'upload.parquet');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
    connection.closeSync();
    await client.send(new PutObjectCommand({ Bucket: place.bucket, Key: key, Body: readFileSync(path) }));
  };
  const idsOf = async (source: object): Promise<number[]> => {
    const rows = await scanner.scan({ type: 's3', format: 'parquet', ...place, ...source });
    const ids: number[] = [];
    for await (const batch of rows.batches) ids.push(...[...batch.getChild('id')!].map(Number));
    await rows[Symbol.asyncDispose]();
    return ids;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'foedus-s3-'));
    scanner = createScanner({ folder });
    storage = await startS3Server();
    const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
    const credentialsFile = join(folder, 'credentials.json');
    writeFileSync(credentialsFile, JSON.stringify(credentials));
    place = { endpoint: `http://127.0.0.1:${storage.port}`, region: 'us-east-1', bucket: 'flights', credentialsFile };
    client = new S3Client({ endpoint: place.endpoint, region: place.region, forcePathStyle: true, credentials });
    await client.send(new CreateBucketCommand({ Bucket: place.bucket }));
    await put('year/2001.parquet', 'SELECT 1 AS id');
    await put('year/2002.parquet', 'SELECT 2 AS id');
    await put('other/2003.parquet', 'SELECT 3 AS id');
  });
  afterAll(async () => {
    client.destroy();
    await storage[Symbol.asyncDispose]();
    await scanner[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('gives one object, or those below a prefix', async () => {
    expect(await idsOf({ key: 'other/2003.parquet' })).toEqual([3]);
    expect(await idsOf({ prefix: 'year' })).toEqual([1, 2]);
    expect(await idsOf({ prefix: '', pattern: 'year/*2.parquet' })).toEqual([2]);
  });

  test('is copied again when an object changes, and only then', async () => {
    const copies = (): number => readdirSync(join(folder, 'copies')).length;
    await idsOf({ prefix: 'year' });
    const before = copies();
    await idsOf({ prefix: 'year' });
    expect(copies()).toBe(before);
    await put('year/2002.parquet', 'SELECT 22 AS id');
    expect(await idsOf({ prefix: 'year' })).toEqual([1, 22]);
    expect(copies()).toBe(before + 1);
  });

  test('that has no such object, or cannot be reached, is an error', async () => {
    await expect(idsOf({ prefix: 'nothing' })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(idsOf({ key: 'nothing.parquet' })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

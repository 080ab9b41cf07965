import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { FoedusError } from '../../errors.ts';
import type { Asset } from '../../management/model.ts';
import type { CopyStore } from './arrow-import.ts';
import { EXTENSIONS } from './source-files.ts';

type S3 = Extract<Asset['source'], { type: 's3' }>;

const MOST_OBJECTS = 1_000;

const credentialsSchema = z.strictObject({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).optional(),
});

/** An object of a data set, and its copy on this machine. */
export interface CopiedObject {
  readonly key: string;
  readonly path: string;
}

/**
 * Copies the objects of a source, each as long as its entity tag stays the same.
 *
 * @throws FoedusError `unavailable` where the storage cannot be read, `bad-request` where nothing is there
 */
export async function copyObjects(source: S3, copies: CopyStore): Promise<CopiedObject[]> {
  const { S3Client, GetObjectCommand } = await import('@aws-sdk/client-s3');
  const { endpoint, region, bucket, format, credentialsFile } = source;
  const credentials =
    credentialsFile === undefined
      ? undefined
      : credentialsSchema.parse(JSON.parse(await readFile(credentialsFile, 'utf8')));
  const client = new S3Client({
    region,
    // Other storages than Amazon's are reached by path: a bucket has no name of its own there.
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(credentials && {
      credentials: {
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: credentials.secretAccessKey,
        ...(credentials.sessionToken !== undefined && { sessionToken: credentials.sessionToken }),
      },
    }),
  });
  try {
    const objects = await listObjects(client, source);
    const copied: CopiedObject[] = [];
    for (const { key, etag } of objects) {
      const name = `${endpoint ?? 'aws'}\n${bucket}\n${key}\n${etag}`;
      const path = await copies.copy(name, format, async (to) => {
        // The object that was listed, not one that has taken its place since.
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key, IfMatch: etag }));
        await pipeline(Body as Readable, createWriteStream(to, { flags: 'wx', mode: 0o600 }));
      });
      copied.push({ key, path });
    }
    return copied;
  } catch (cause) {
    if (cause instanceof FoedusError) throw cause;
    throw new FoedusError('unavailable', `The storage of the bucket ${bucket} cannot be read.`, { cause });
  } finally {
    client.destroy();
  }
}

async function listObjects(client: S3Client, source: S3): Promise<{ key: string; etag: string }[]> {
  const { HeadObjectCommand, paginateListObjectsV2 } = await import('@aws-sdk/client-s3');
  const { bucket, key, prefix = '', format, pattern = EXTENSIONS[format] } = source;
  if (key !== undefined) {
    const { ETag = '' } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    return [{ key, etag: ETag }];
  }
  const found: { key: string; etag: string }[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
    for (const { Key = '', ETag = '' } of Contents) {
      const name = Key.slice(prefix.length).replace(/^\//, '');
      if (posix.matchesGlob(name, pattern)) found.push({ key: Key, etag: ETag });
    }
    if (found.length > MOST_OBJECTS) {
      throw new FoedusError('bad-request', `More than ${MOST_OBJECTS} objects fit. Write fewer, larger ones.`);
    }
  }
  if (found.length === 0) throw new FoedusError('bad-request', 'No object below the prefix fits the pattern.');
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

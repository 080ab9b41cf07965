import { Agent } from 'node:https';
import { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import type { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { FoedusError } from '../../errors.ts';
import type { Identity } from '../../identity/index.ts';
import { boundedBody } from './answer-body.ts';
import type { Outbound } from './outbound.ts';
import type { S3Target } from './push-target.ts';
import type { Receiver, ReceiverOptions } from './receiver.ts';

/** At least 5 MiB, at most 10,000 parts: objects of up to 160 GB. */
const PART_BYTES = 16 * 1024 * 1024;

const storedSchema = z.object({ uploadId: z.string().min(1) });

/** A multipart upload into a bucket: its id and its parts are stored, so that it goes on after a crash. */
export async function createS3Receiver(
  target: S3Target,
  options: ReceiverOptions & { identity: Pick<Identity, 'tls'>; outbound: Outbound },
): Promise<Receiver> {
  const s3 = await import('@aws-sdk/client-s3');
  const { transferId, mediaType, store, signal, identity, outbound } = options;
  const { bucket: Bucket, key: Key, region, endpoint, credentials } = target;
  const httpsAgent = new Agent({
    lookup: outbound.lookup,
    ca: [...rootCertificates, identity.tls.ca],
    keepAlive: true,
    maxSockets: 2,
  });
  const client: S3Client = new s3.S3Client({
    region,
    ...(endpoint !== undefined && { endpoint: endpoint.href, forcePathStyle: true }),
    credentials,
    maxAttempts: 3,
    // Storages beside Amazon's do not know the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    followRegionRedirects: false,
    requestHandler: {
      httpsAgent,
      connectionTimeout: 10_000,
      socketTimeout: 60_000,
      requestTimeout: 120_000,
      // Else it only writes a line about it.
      throwOnRequestTimeout: true,
    },
  });
  // The client would keep all that a server says, an error's text included.
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { body?: unknown };
      if (response.body instanceof Readable) response.body = boundedBody(response.body);
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'foedusBoundedAnswers' },
  );
  const where = `The storage of the bucket ${Bucket}`;
  const during = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw explain(error, where);
    }
  };
  const abortSignal = signal;
  let UploadId: string | undefined;

  /** Whether the object is there that this push has made: the answer to its completion was lost. */
  const isDone = async (): Promise<boolean> => {
    const parts = store.parts(transferId);
    const size = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    if (parts.length === 0 || parts.some(({ tag }) => tag === null)) return false;
    try {
      const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key }), { abortSignal });
      return head.Metadata?.['foedus-transfer'] === transferId && head.ContentLength === size;
    } catch {
      return false;
    }
  };
  const complete = async (): Promise<void> => {
    const Parts = store.parts(transferId).map(({ tag }, i) => ({ PartNumber: i + 1, ETag: tag! }));
    const MultipartUpload = { Parts };
    try {
      await client.send(new s3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }), {
        abortSignal,
      });
    } catch (error) {
      if ((error as Error).name === 'NoSuchUpload' && (await isDone())) return;
      throw error;
    }
  };

  return {
    partBytes: PART_BYTES,
    async open() {
      const stored = storedSchema.optional().parse(store.get(transferId)?.receiver);
      if (stored === undefined) {
        const Metadata = { 'foedus-transfer': transferId };
        const begun = await during(
          client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key, ContentType: mediaType, Metadata }), {
            abortSignal,
          }),
        );
        if (begun.UploadId === undefined) throw new FoedusError('unavailable', `${where} gives no id for the upload.`);
        UploadId = begun.UploadId;
        store.setReceiver(transferId, { uploadId: UploadId });
        return { bytes: 0, complete: false };
      }
      UploadId = stored.uploadId;
      const parts = store.parts(transferId);
      const missing = parts.findIndex(({ tag }) => tag === null);
      // The last one is sent again: with it goes the completion.
      const received = parts.slice(0, Math.max(0, (missing === -1 ? parts.length : missing) - 1));
      const bytes = received.reduce((sum, part) => sum + part.bytes, 0);
      return { bytes, complete: await isDone() };
    },
    async send({ number, bytes, last }) {
      await during(
        (async () => {
          const { ETag } = await client.send(
            new s3.UploadPartCommand({ Bucket, Key, UploadId, PartNumber: number, Body: bytes }),
            { abortSignal },
          );
          if (ETag === undefined) throw new FoedusError('unavailable', `${where} gives no tag for a part.`);
          store.setTag(transferId, number, ETag);
          if (last) await complete();
        })(),
      );
    },
    async discard() {
      if (UploadId === undefined) return;
      await client.send(new s3.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), {
        abortSignal: AbortSignal.timeout(5_000),
      });
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      httpsAgent.destroy();
    },
  };
}

/** Errors of the client quote requests: what is told on is their name, which holds no secret. */
function explain(error: unknown, where: string): FoedusError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof FoedusError) return cause;
  const { name = 'unknown', $metadata } = error as Partial<S3ServiceException>;
  const status = $metadata?.httpStatusCode;
  const says = `${where} refuses: ${name.slice(0, 100)}`;
  if (name === 'NoSuchUpload') return new FoedusError('gone', `${says}.`, { cause: error });
  if (status !== undefined && status >= 300 && status < 400) return new FoedusError('refused-redirect', `${says}.`);
  const passes = status === undefined || status >= 500 || [408, 409, 425, 429].includes(status);
  return new FoedusError(passes ? 'unavailable' : 'not-permitted', `${says}${status ? ` (${status})` : ''}.`, {
    cause: error,
  });
}

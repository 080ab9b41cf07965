import { PassThrough, type Readable } from 'node:stream';
import { FoedusError } from '../../errors.ts';

/** What of a receiver's answer is read at the most, in bytes: the reason of a refusal, the tag of a part. */
export const LARGEST_ANSWER = 64 * 1024;
/** How long an answer may take from its headers to its end, in milliseconds. */
export const LONGEST_ANSWER = 60_000;

/**
 * The body of an answer as somebody reads it who keeps all of it in memory: it ends in an error, and the connection
 * with it, where it is too long or does not end.
 */
export function boundedBody(
  body: Readable,
  { bytes, ms }: { bytes: number; ms: number } = { bytes: LARGEST_ANSWER, ms: LONGEST_ANSWER },
): Readable {
  const bounded = new PassThrough();
  let size = 0;
  const refuse = (what: string): void => {
    body.destroy();
    bounded.destroy(new FoedusError('unavailable', `The receiver\u2019s answer ${what}.`));
  };
  const timer = setTimeout(() => refuse('does not end'), ms);
  body.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > bytes) refuse(`is longer than ${bytes} bytes`);
    else if (!bounded.destroyed) bounded.write(chunk);
  });
  body.once('end', () => bounded.end());
  body.once('error', (error: Error) => bounded.destroy(error));
  bounded.once('close', () => {
    clearTimeout(timer);
    body.destroy();
  });
  return bounded;
}

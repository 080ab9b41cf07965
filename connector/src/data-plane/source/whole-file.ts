import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Decision } from '@foedus/usage-policies';
import type { DataSource } from './data-source.ts';
import type { ScanOptions } from '../scan/row-stream.ts';
import type { GrantedPlan, Narrowing } from '../scan/scan-plan.ts';

const PIECE_BYTES = 256 * 1024;

/** A part of a file, opened; `start` and `end` are its first and last byte. */
export interface OpenedFile {
  readonly size: number;
  /** Strong (RFC 9110 section 8.8.1): another one as soon as the file is written again. */
  readonly etag: string;
  /** Undefined: the whole file. `unsatisfiable`: the range that was asked for lies beyond its end. */
  readonly range: { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined;
  /** Reads on. To be iterated once; it closes the file at its end. */
  pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>;
  close(): Promise<void>;
}

/**
 * The file that a grant covers whole: every column, every row, as it is, as often as the consumer likes.
 *
 * @returns undefined where anything is to be cut, masked, left out or counted against a limit
 */
export function unrestrictedFile(
  source: DataSource,
  { charges }: Pick<Decision, 'charges'>,
  granted: GrantedPlan,
  asked: Narrowing,
): string | undefined {
  const whole =
    granted.columns === 'all' &&
    Object.keys(granted.masks).length === 0 &&
    granted.rowFilter === null &&
    Object.entries(granted).every(
      ([part, value]) => part === 'columns' || part === 'masks' || value === null || value === undefined,
    ) &&
    [asked.columns, asked.filter, asked.aggregate, asked.limit].every((part) => part === undefined) &&
    charges.every(({ limit }) => limit === null);
  return whole ? source.file : undefined;
}

/** Opens a file and reads the headers Range and If-Range for it (RFC 9110 sections 14.2 and 13.1.5). */
export async function openFile(
  path: string,
  headers: { range: string | undefined; ifRange: string | undefined },
  { signal, beforeBatch }: ScanOptions,
): Promise<OpenedFile> {
  const file = await open(path, 'r');
  const { size, mtimeNs, ino } = await file.stat({ bigint: true });
  const version = createHash('sha256').update(`${ino} ${size} ${mtimeNs}`).digest('base64url').slice(0, 32);
  const etag = `"${version}"`;
  const range =
    headers.ifRange === undefined || headers.ifRange === etag ? rangeOf(headers.range, Number(size)) : undefined;
  const { start, end } = typeof range === 'object' ? range : { start: 0, end: Number(size) - 1 };
  return {
    size: Number(size),
    etag,
    range,
    close: () => file.close(),
    async *pieces() {
      try {
        for (let at = start; at <= end;) {
          signal.throwIfAborted();
          const piece = new Uint8Array(Math.min(PIECE_BYTES, end + 1 - at));
          const { bytesRead } = await file.read(piece, 0, piece.length, at);
          const after = at === start || at + bytesRead > end ? await file.stat({ bigint: true }) : undefined;
          if (bytesRead === 0 || (after !== undefined && (after.mtimeNs !== mtimeNs || after.size !== size))) {
            throw new Error('the file changed while it was read');
          }
          beforeBatch?.(0);
          at += bytesRead;
          yield piece.subarray(0, bytesRead);
        }
      } finally {
        await file.close();
      }
      return undefined;
    },
  };
}

/** One range; several, or what is no range of bytes, are answered with the whole file. */
function rangeOf(header: string | undefined, size: number): OpenedFile['range'] {
  const parts = /^bytes=(?<first>\d{0,15})-(?<last>\d{0,15})$/.exec(header?.trim() ?? '')?.groups;
  const { first = '', last = '' } = parts ?? {};
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end };
}

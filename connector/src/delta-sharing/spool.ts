import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { FoedusError } from '../errors.ts';

/** A file that waits to be read by whoever has its address. */
export interface SpooledFile {
  readonly id: string;
  /** In bytes. */
  readonly size: number;
}

/**
 * Answers on their way to a client that reads them in ranges, and wants to know their size first: files that only the
 * owner can read, for minutes.
 */
export interface Spool extends AsyncDisposable {
  /**
   * Keeps a Parquet file.
   *
   * @throws FoedusError `conflict` where it broke off before its end, `too-large` where there is no room for it
   */
  keep(body: ReadableStream<Uint8Array>): Promise<SpooledFile>;
  /** @throws FoedusError `gone` for a file that is not there any more */
  find(id: string): Promise<string>;
}

export interface SpoolOptions {
  readonly folder: string;
  readonly lifetimeMs: number;
  /** Of all files together. */
  readonly mostBytes: number;
  readonly clock: () => Date;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SWEEP_MS = 60_000;

export function createSpool({ folder, lifetimeMs, mostBytes, clock }: SpoolOptions): Spool {
  /** Sizes of what lies there, and of what is being written by this process, by name. */
  const kept = new Map<string, number>();
  const growing = new Map<string, number>();
  const total = (): number => [...kept.values(), ...growing.values()].reduce((sum, size) => sum + size, 0);
  /** Removes what is too old. */
  const sweep = async (): Promise<void> => {
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      if (growing.has(name) || found === undefined) continue;
      // Half a file is written to all the time: one that is not has been left behind.
      if (clock().getTime() - found.mtimeMs < lifetimeMs) kept.set(name, found.size);
      else {
        await rm(path, { force: true });
        kept.delete(name);
      }
    }
  };
  let timer: NodeJS.Timeout | undefined;

  return {
    async keep(body) {
      timer ??= setInterval(() => void sweep().catch(() => undefined), SWEEP_MS).unref();
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await sweep();
      const id = randomUUID();
      const partName = `${id}.part`;
      const part = join(folder, partName);
      const file = await open(part, 'wx', 0o600);
      try {
        let size = 0;
        let tail = Buffer.alloc(0);
        for await (const piece of body) {
          size += piece.byteLength;
          growing.set(partName, size);
          if (total() > mostBytes) throw noRoom(mostBytes);
          await file.writeFile(piece);
          tail = Buffer.concat([tail, piece.subarray(-4)]).subarray(-4);
        }
        if (tail.toString('latin1') !== 'PAR1') throw new Error('the file has no end');
        await file.close();
        await utimes(part, clock(), clock());
        await rename(part, join(folder, `${id}.parquet`));
        kept.set(`${id}.parquet`, size);
        return { id, size };
      } catch (cause) {
        await file.close();
        await rm(part, { force: true });
        if (cause instanceof FoedusError) throw cause;
        // What was released is charged: a client must not repeat this by itself.
        throw new FoedusError(
          'conflict',
          'The data broke off before it was whole: the provider stopped it, or the connection broke. Asking again is another use.',
          { cause },
        );
      } finally {
        growing.delete(partName);
      }
    },
    async find(id) {
      const path = join(folder, `${id}.parquet`);
      const found = UUID.test(id) ? await stat(path).catch(() => undefined) : undefined;
      if (found !== undefined && clock().getTime() - found.mtimeMs < lifetimeMs) return path;
      throw new FoedusError('gone', 'The file is not there any more. Query the table again: that is another use.');
    },
    [Symbol.asyncDispose]: async () => clearInterval(timer),
  };
}

function noRoom(most: number): FoedusError {
  return new FoedusError(
    'too-large',
    `There is no room for the answer: all answers that wait to be read may take ${most} bytes. Ask for fewer rows, or use foedus fetch.`,
  );
}

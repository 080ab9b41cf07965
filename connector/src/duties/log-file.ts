import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Appends records to a file, each on a line of its own, each on the disk before the next begins. */
export interface LogFile {
  /** @throws Error (of the file system) where the line is not on the disk; then nothing of it is in the file */
  append(record: unknown): Promise<void>;
}

const NEW_LINE = 0x0a;

/** An append-only file of JSON lines (NDJSON), synced after each. It is opened each time: logs are moved and mounted. */
export function createLogFile(path: string): LogFile {
  let last: Promise<unknown> = Promise.resolve();
  const write = async (record: unknown): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    await using file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o640);
    const before = await file.stat();
    const regular = before.isFile();
    // A crash may have left half a line: what follows must not become part of it.
    const torn = regular && before.size > 0 && (await lastByte(file, before.size)) !== NEW_LINE;
    const line = Buffer.from(`${torn ? '\n' : ''}${JSON.stringify(record)}\n`);
    try {
      const { bytesWritten } = await file.write(line);
      if (bytesWritten < line.length) throw new Error(`only ${bytesWritten} of ${line.length} bytes could be written`);
      if (regular) await file.sync();
    } catch (error) {
      if (regular) await file.truncate(before.size);
      throw error;
    }
  };
  return {
    append: (record) => {
      const turn = last.then(() => write(record));
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

async function lastByte(file: Awaited<ReturnType<typeof open>>, size: number): Promise<number | undefined> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0];
}

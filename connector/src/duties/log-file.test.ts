import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogFile } from './log-file.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'foedus-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a log of uses', () => {
  it('has one line for each record in the order they were handed in, however many come at once', async () => {
    const path = join(folder, 'below', 'uses.ndjson');
    const log = createLogFile(path);
    const records = Array.from({ length: 50 }, (_, nth) => ({ nth, text: 'line\nbreak' }));
    await Promise.all(records.map((record) => log.append(record)));
    const lines = readFileSync(path, 'utf8').split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(records);
  });

  it('does not go on within a line that a crash has cut', async () => {
    const path = join(folder, 'torn.ndjson');
    await createLogFile(path).append({ nth: 1 });
    appendFileSync(path, '{"nth":2,"te');
    await createLogFile(path).append({ nth: 3 });
    expect(readFileSync(path, 'utf8')).toBe('{"nth":1}\n{"nth":2,"te\n{"nth":3}\n');
  });

  it('fails where nothing can be written, and works again afterwards', async () => {
    await expect(createLogFile('/dev/full').append({})).rejects.toMatchObject({ code: 'ENOSPC' });
    const blocked = createLogFile(join(folder, 'torn.ndjson', 'no-folder'));
    await expect(blocked.append({})).rejects.toThrow(/EEXIST|ENOTDIR/);
    const path = join(folder, 'again.ndjson');
    const log = createLogFile(path);
    await expect(log.append(1n)).rejects.toThrow(TypeError);
    await log.append({ nth: 1 });
    expect(readFileSync(path, 'utf8')).toBe('{"nth":1}\n');
  });
});

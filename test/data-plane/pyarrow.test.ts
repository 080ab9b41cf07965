import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ARROW_ZSTD, createScanner, FORMATS, type Scanner } from '@foedus/connector/data-plane';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const python = join(root, '.cache', 'pyarrow', 'bin', 'python');
const script = join(import.meta.dirname, 'round-trip.py');

if (!existsSync(python)) {
  if (process.env['CI']) throw new Error('pyarrow is not there. Run npm run test:pyarrow.');
  console.log('Skipped: pyarrow is not there. npm run test:pyarrow installs it.');
}

let folder: string;
let scanner: Scanner;

describe.skipIf(!existsSync(python))('every type that Parquet and Arrow share', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'foedus-pyarrow-'));
    scanner = createScanner({ folder });
    execFileSync(python, [script, 'write', folder]);
  });
  afterAll(async () => {
    await scanner[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  for (const name of ['types', 'empty']) {
    for (const type of ['parquet', 'arrow'] as const) {
      for (const [format, extension] of [
        ['application/vnd.apache.arrow.stream', 'arrows'],
        [ARROW_ZSTD.mediaType, 'zstd.arrows'],
        ['application/vnd.apache.parquet', 'parquet'],
      ] as const) {
        test(`survives the way from ${type} to ${extension}, ${name === 'empty' ? 'also without rows' : 'with NULLs'}`, async () => {
          const encode = [...FORMATS, ARROW_ZSTD].find(({ mediaType }) => mediaType === format)?.encode;
          const rows = await scanner.scan({ type, path: join(folder, `${name}.${type}`) });
          const path = join(folder, `out-${name}-${type}.${extension}`);
          await writeFile(path, encode!(rows.schema, rows.batches));
          await rows[Symbol.asyncDispose]();
          expect(execFileSync(python, [script, 'check', folder, name, path], { encoding: 'utf8' })).toBe('');
        });
      }
    }
  }

  test('is not sent with its nanoseconds cut off', async () => {
    const source = { type: 'parquet', path: join(folder, 'nanoseconds.parquet') } as const;
    for (const name of ['zoned', 'time', 'list', 'struct']) {
      await expect(scanner.scan(source, { columns: [name] })).rejects.toThrow(/of nanoseconds, which cannot be sent/);
    }
    const rows = await scanner.scan(source, { columns: ['stamp'] });
    for await (const batch of rows.batches)
      expect(batch.getChild('stamp')?.data[0]?.values[0]).toBe(981_173_106_789_012_345n);
    await rows[Symbol.asyncDispose]();
  });
});

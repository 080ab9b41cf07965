import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeParquet } from './parquet.ts';
import { openScans } from './scan-fixture.ts';

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
});
afterAll(() => scans.close());

describe('a Parquet file', () => {
  test('is read alone, whatever its path looks like', async () => {
    const secret = await scans.parquet("SELECT 'elsewhere' AS a");
    const odd = join(scans.folder, 'year=2001');
    mkdirSync(odd);
    copyFileSync(secret, join(odd, '1.parquet'));
    const path = join(odd, '[0-9]*.parquet');
    await scans.writer.run(`COPY (SELECT 'here' AS a) TO '${join(scans.folder, 'plain.parquet')}' (FORMAT parquet)`);
    copyFileSync(join(scans.folder, 'plain.parquet'), path);
    const table = await scans.tableOf(path);
    expect([table.schema.names, [...table.getChild('a')!]]).toEqual([['a'], ['here']]);
    await expect(describeParquet('relative.parquet')).rejects.toMatchObject({ code: 'bad-request' });
    await expect(describeParquet(join(scans.folder, 'none.parquet'))).rejects.toMatchObject({ code: 'bad-request' });
    await expect(describeParquet('https://localhost/a.parquet')).rejects.toMatchObject({ code: 'bad-request' });
  });

  test('is described by its columns and its number of rows', async () => {
    const path = await scans.parquet("SELECT i, 'x' AS text FROM range(1234) t(i)");
    expect(await describeParquet(path)).toEqual({
      rows: 1234,
      columns: [
        { name: 'i', type: 'BIGINT', carried: true },
        { name: 'text', type: 'VARCHAR', carried: true },
      ],
    });
    const text = join(scans.folder, 'text.parquet');
    writeFileSync(text, 'not Parquet at all');
    await expect(describeParquet(text)).rejects.toMatchObject({ code: 'bad-request' });
  });
});

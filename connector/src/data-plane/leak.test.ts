import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { gunzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FORMATS } from './format/formats.ts';
import { openScans } from './scan-fixture.ts';
import type { Mask } from './scan/scan-plan.ts';

let scans: Awaited<ReturnType<typeof openScans>>;
beforeAll(async () => {
  scans = await openScans();
});
afterAll(() => scans.close());

/** Values that occur nowhere by chance: long words, and numbers of eight bytes none of which is 0. */
const secretText = (seed: number): string =>
  `secret-${createHash('sha256').update(`t${seed}`).digest('hex').slice(0, 16)}`;
const secretNumber = (seed: number): bigint =>
  Buffer.from(
    createHash('sha256')
      .update(`n${seed}`)
      .digest()
      .subarray(0, 8)
      .map((byte) => (byte & 0x7f) | 1),
  ).readBigInt64LE();

const traces = (seed: number): Buffer[] => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(secretNumber(seed));
  return [Buffer.from(secretText(seed)), bytes, Buffer.from(String(secretNumber(seed)))];
};

const cell = fc.record({ seed: fc.nat(1_000_000), empty: fc.boolean(), kept: fc.boolean() });
const textMask = fc.constantFrom<Mask>(
  { method: 'null' },
  { method: 'constant', value: '*' },
  { method: 'hash' },
  { method: 'generalise', parents: { nothing: 'of this' } },
);
const numberMask = fc.constantFrom<Mask>(
  { method: 'null' },
  { method: 'hash' },
  { method: 'constant', value: '0' },
  { method: 'truncate', step: 2 ** 52 },
);

test('what is masked, filtered out or not granted occurs in no format, statistic, dictionary or error', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(cell, { minLength: 1, maxLength: 60 }),
      textMask,
      numberMask,
      fc.boolean(),
      fc.constantFrom('rows', 'group', 'bad filter', 'bad column'),
      async (cells, onText, onNumber, dropped, ask) => {
        const rows = cells.map(({ seed, empty, kept }, i) => {
          const [text, number] = empty
            ? ['NULL::VARCHAR', 'NULL::BIGINT']
            : [`'${secretText(seed)}'`, `${secretNumber(seed)}`];
          return `(${i}, ${text}, ${number}, ${kept})`;
        });
        const path = await scans.parquet(
          `SELECT i, text, number, kept, [text, 'x'] AS list, {'a': number, 'b': text} AS struct
           FROM (VALUES ${rows.join(', ')}) AS t(i, text, number, kept)`,
        );
        // Nested columns are open, so the rows that carry them must have been filtered out.
        const open = ask === 'rows' && cells.every(({ kept }) => !kept) ? ['list', 'struct'] : [];
        const plan = {
          columns: ['i', ...(dropped ? [] : ['text', 'number']), ...open],
          masks: dropped ? {} : { text: onText, number: onNumber },
          rowFilter: { column: 'kept', operator: 'eq', value: true } as const,
          asked: {
            ...(ask === 'group' && {
              aggregate: { groupBy: dropped ? ['i'] : ['text', 'number'], measures: [{ function: 'count' as const }] },
            }),
            ...(ask === 'bad filter' && { filter: { column: 'text', operator: 'gt', value: 'a' } as const }),
            ...(ask === 'bad column' && { columns: ['number', 'struct'] }),
          },
        };
        for (const { encode, mediaType } of FORMATS) {
          const told = await scans
            .bytesOf(path, { ...plan, encode })
            .catch((error: unknown) => Buffer.from(`${inspect(error)} ${JSON.stringify(error)}`));
          const plain = told[0] === 0x1f && told[1] === 0x8b ? gunzipSync(told) : told;
          for (const { seed } of cells) {
            for (const trace of traces(seed)) expect(plain.includes(trace), `${mediaType} ${ask}`).toBe(false);
          }
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('what lingers in nested vectors of filtered rows does not leave', async () => {
  const path = await scans.parquet(`
    SELECT CASE WHEN other THEN ['secret-in-a-list-' || i, 'secr' || i] END AS list,
      CASE WHEN other THEN {'a': 'secret-in-a-struct-' || i, 'b': [i]} END AS struct,
      CASE WHEN NOT other THEN [i, i] END AS kept_list, NOT other AS kept
    FROM (SELECT i, hash(i) % 3 = 0 AS other FROM range(20000) t(i))`);
  const rowFilter = { column: 'kept', operator: 'eq', value: true } as const;
  for (const { encode } of FORMATS.filter(({ mediaType }) => !mediaType.includes('parquet'))) {
    const bytes = await scans.bytesOf(path, { columns: ['list', 'struct', 'kept_list'], rowFilter, encode });
    expect(bytes.length).toBeGreaterThan(10_000);
    expect(bytes.includes('secr')).toBe(false);
  }
  const table = await scans.tableOf(path, { columns: ['kept_list'], rowFilter });
  for (const list of table.getChild('kept_list')!) {
    const [first, second] = [...(list as Iterable<bigint>)];
    expect(first).toBe(second);
  }
});

import { tableFromArrays, tableToIPC } from 'apache-arrow';
import * as fc from 'fast-check';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { catalogEntries, chooseOffer } from './catalog-entries.ts';
import { describePolicy } from './policy-words.ts';
import { receiveArrow } from './receive-arrow.ts';
import { bytes, clean, describeError, printTable } from './terminal.ts';

const FOEDUS = 'https://w3id.org/foedus/policy#';

describe('a policy in words', () => {
  it('has one line for each rule', () => {
    const policy = {
      permission: [
        {
          action: 'use',
          constraint: [
            { leftOperand: 'purpose', operator: 'isAnyOf', rightOperand: ['https://w3id.org/dpv#Marketing'] },
            { leftOperand: `${FOEDUS}columns`, operator: 'isPartOf', rightOperand: ['date', 'delay'] },
            { leftOperand: 'odrl:dateTime', operator: { '@id': 'odrl:lt' }, rightOperand: { '@value': '2027-01-01' } },
          ],
        },
        { action: `${FOEDUS}train` },
      ],
      prohibition: { action: 'odrl:sell' },
    };
    expect(describePolicy(policy)).toEqual([
      'may use: purpose one of https://w3id.org/dpv#Marketing; columns within date, delay; dateTime before or below 2027-01-01',
      'may train',
      'must not sell',
    ]);
  });

  it('exists for any JSON, and never crashes', () => {
    const rule = fc.dictionary(fc.constantFrom('action', 'constraint', 'toString'), fc.jsonValue());
    const keys = fc.constantFrom('permission', 'prohibition', 'obligation');
    fc.assert(
      fc.property(fc.dictionary(keys, fc.oneof(fc.jsonValue(), rule, fc.array(rule))), (policy) => {
        for (const line of describePolicy(policy)) expect(line).toMatch(/^(may|must|must not) /);
      }),
    );
  });
});

describe('a catalog', () => {
  const offer = (id: string) => ({ '@id': id, '@type': 'Offer', permission: [] });
  const dataset = (id: string, ...offers: object[]) => ({ '@id': id, hasPolicy: offers, distribution: [] });
  const entries = catalogEntries({
    dataset: [dataset('one', offer('rows%3A1:one')), dataset('two', offer('rows:two'), offer('train:two'))],
  });

  it('gives the only offer, or the one that is named by its id or its contract definition', () => {
    expect(chooseOffer(entries, 'one').id).toBe('rows%3A1:one');
    expect(chooseOffer(entries, 'one', 'rows:1').id).toBe('rows%3A1:one');
    expect(chooseOffer(entries, 'two', 'train').id).toBe('train:two');
    expect(chooseOffer(entries, 'two', 'rows:two').id).toBe('rows:two');
  });

  it('says what there is when the choice is not clear', () => {
    expect(() => chooseOffer(entries, 'two')).toThrow("There are 2 offers on two. Choose one:\n  --offer 'rows:two'");
    expect(() => chooseOffer(entries, 'two', 'ro')).toThrow('No offer on two is called ro');
    expect(() => chooseOffer(entries, 'three')).toThrow('It offers you: one, two');
  });

  it('may be any JSON object, and never crashes', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('dataset', 'title'),
          fc.oneof(
            fc.jsonValue(),
            fc.array(fc.dictionary(fc.constantFrom('@id', 'hasPolicy', 'title'), fc.jsonValue())),
          ),
        ),
        (catalog) => {
          for (const { id, title } of catalogEntries(catalog))
            expect([typeof id, typeof title]).toEqual(['string', 'string']);
        },
      ),
    );
  });
});

describe('the terminal', () => {
  it('shows text from others without letting it move the cursor or hide anything', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // oxlint-disable-next-line no-control-regex
        expect(clean(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
      }),
    );
    expect(clean('\u001b[2Jpaid\r\n')).toBe(' [2Jpaid  ');
    expect(describeError(new Error('a\u001b[2J'), false)).toContain('foedus: a [2J');
  });

  it('aligns columns, numbers to the right', () => {
    let out = '';
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      out += String(chunk);
      return true;
    });
    printTable(
      ['name', 'rows'],
      [
        ['bdl', '1,000'],
        ['providence', '7'],
      ],
      'nothing',
    );
    printTable(['name'], [], 'nothing');
    spy.mockRestore();
    expect(out.split('\n')).toEqual(['name         rows', 'bdl         1,000', 'providence      7', 'nothing', '']);
  });

  it('counts bytes in powers of 1000', () => {
    expect([0, 999, 1_000, 12_345_678, 5e15].map(bytes)).toEqual(['0 B', '999 B', '1.0 kB', '12.3 MB', '5000.0 TB']);
  });

  it('shows where an error came from only when asked', () => {
    const error = new Error('outer', { cause: new Error('inner') });
    expect(describeError(error, false)).toBe('foedus: outer\n(--verbose shows where this came from)');
    expect(describeError(error, true)).toMatch(/reading\.test[^]*caused by Error: inner/);
  });
});

describe('an Arrow stream', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'foedus-receive-'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  const table = tableFromArrays({ id: Int32Array.from({ length: 1_000 }, (_, index) => index) });
  const stream = tableToIPC(table, 'stream');
  const body = (source: Uint8Array, size: number, end?: Error) =>
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (let at = 0; at < source.length; at += size) controller.enqueue(source.slice(at, at + size));
        if (end) controller.error(end);
        else controller.close();
      },
    });

  it('is saved byte for byte, whatever its chunks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: stream.length }), async (size) => {
        const file = join(root, 'rows.arrow');
        const received = await receiveArrow(body(stream, size), file, () => undefined);
        expect(received).toMatchObject({ rows: 1_000, bytes: stream.length, columns: ['id'] });
        expect(received.firstRows.slice(0, 2)).toEqual([['0'], ['1']]);
        expect(new Uint8Array(await readFile(file))).toEqual(stream);
      }),
      { numRuns: 15 },
    );
  });

  it('leaves no file when it breaks off or is something else', async () => {
    const folder = await mkdtemp(join(root, 'none-'));
    const file = join(folder, 'rows.arrow');
    const half = body(stream.slice(0, stream.length / 2), 100, new Error('reset'));
    await expect(receiveArrow(half, file, () => undefined)).rejects.toMatchObject({ code: 'unavailable' });
    const text = body(new TextEncoder().encode('<html>no rows here, and more of it</html>'), 100);
    await expect(receiveArrow(text, file, () => undefined)).rejects.toMatchObject({ code: 'bad-request' });
    expect(await readdir(folder)).toEqual([]);
  });
});

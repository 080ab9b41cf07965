import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nameTables } from './table-names.ts';

const agreement = (agreementId: string, assigner: string, target: string) => ({ agreementId, assigner, target });

describe('names of tables', () => {
  test('are the provider and the data set, in letters that clients can put into paths', () => {
    const tables = nameTables([
      agreement('a', 'did:web:bdl.example', 'flights'),
      agreement('b', 'did:web:bdl.example', 'urn:data:Flights 2026'),
      agreement('c', 'https://id.example/org#7', 'flights'),
    ]);
    expect(tables.map(({ share, schema, name }) => `${share}.${schema}.${name}`)).toEqual([
      'bdl_example.default.flights',
      'bdl_example.default.urn_data_flights_2026',
      'https_id_example_org_7.default.flights',
    ]);
  });

  test('tell apart what would be called the same', () => {
    const tables = nameTables([
      agreement('a', 'did:web:a.b', 'x'),
      agreement('b', 'did:web:a-b', 'x'),
      agreement('c', 'did:web:a.b', 'X'),
      agreement('d', 'did:web:a.b', 'x_2'),
      agreement('e', 'did:web:a.b', '飛行機'),
    ]);
    expect(tables.map(({ share, name }) => `${share}.${name}`)).toEqual([
      'a_b.x',
      'a_b_2.x',
      'a_b.x_2',
      'a_b.x_2_2',
      'a_b.table',
    ]);
  });

  test('are distinct and short, whatever participants and data sets are called', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.constantFrom('a', 'A', 'a_2', '.', 'a.2'));
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 30 }), (pairs) => {
        const tables = nameTables(pairs.map(([assigner, target], i) => agreement(String(i), assigner, target)));
        const names = tables.map(({ share, schema, name }) => `${share}.${schema}.${name}`);
        expect(new Set(names).size).toBe(pairs.length);
        for (const name of names) expect(name).toMatch(/^[a-z0-9_]{1,110}\.default\.[a-z0-9_]{1,110}$/);
        // One provider is one share.
        const shares = new Map<string, string>();
        for (const [i, [assigner]] of pairs.entries()) {
          expect(shares.get(assigner) ?? tables[i]!.share).toBe(tables[i]!.share);
          shares.set(assigner, tables[i]!.share);
        }
      }),
    );
  });
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frenchNir, germanTaxId, iban, luhn, spanishDni } from './check-digits.ts';
import { findPersonalData, type SampledColumn } from './personal-data.ts';

const column = (name: string, values: string[], kind: SampledColumn['kind'] = 'text'): SampledColumn => ({
  name,
  kind,
  values,
});
const found = (...given: Parameters<typeof column>) => {
  const finding = findPersonalData(column(...given));
  return finding && [finding.kind, finding.by, finding.mask];
};

describe('check digits', () => {
  test('tell right numbers, as their authorities publish them, from wrong ones', () => {
    const cases = [
      // ISO 13616 registry, and the German and French examples of the ECBS.
      [iban, 'GB29NWBK60161331926819', 'GB29NWBK60161331926818'],
      [iban, 'DE89370400440532013000', 'DE98370400440532013000'],
      [iban, 'FR1420041010050500013M02606', 'FR1420041010050500013M02607'],
      // Test numbers of card schemes.
      [luhn, '4111111111111111', '4111111111111112'],
      [luhn, '378282246310005', '378282246310015'],
      // Examples of the tax authorities (BZSt, INSEE) and the Spanish police.
      [germanTaxId, '86095742719', '86095742718'],
      [germanTaxId, '47036892816', '47036892861'],
      [frenchNir, '255081416802538', '255081416802539'],
      [spanishDni, '12345678Z', '12345678A'],
      [spanishDni, 'X1234567L', 'X1234567T'],
    ] as const;
    for (const [check, right, wrong] of cases)
      expect([right, check(right), check(wrong)]).toEqual([right, true, false]);
  });

  test('never throw, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9A-Z]{0,40}$/)), (text) => {
        for (const check of [iban, luhn, germanTaxId, frenchNir, spanishDni]) expect(check(text)).toBeTypeOf('boolean');
      }),
    );
  });

  test('of an IBAN notice every single wrong digit', () => {
    const right = 'DE89370400440532013000';
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 21 }), fc.integer({ min: 1, max: 9 }), (at, by) => {
        const digit = String((Number(right[at]) + by) % 10);
        expect(iban(right.slice(0, at) + digit + right.slice(at + 1))).toBe(false);
      }),
    );
  });
});

describe('a column', () => {
  test('is found by its values, whatever it is called', () => {
    const cards = [
      '4111 1111 1111 1111',
      '5555-5555-5555-4444',
      '378282246310005',
      '6011111111111117',
      '3530111333300000',
    ];
    const ibans = ['GB29 NWBK 6016 1331 9268 19', 'DE89370400440532013000', 'FR1420041010050500013M02606'];
    const cases = [
      [['a@b.example', 'c.d@e.example', 'f@g.example', 'h@i.example', 'j@k.example'], 'email', 'hash'],
      [cards, 'payment-card', 'null'],
      [[...ibans, ...ibans], 'iban', 'null'],
      [['10.0.0.1', '::1', '192.168.1.7', 'fe80::1', '8.8.8.8'], 'ip-address', 'hash'],
      [['+49 30 123456', '+1 212 5550100', '+33 1 23 45 67 89', '+44 20 7946 0000', '+43 1 234567'], 'phone', 'hash'],
      [['123-45-6789', '078-05-1120', '219-09-9999', '457-55-5462', '001-01-0001'], 'national-id', 'null'],
    ] as const;
    for (const [values, kind, method] of cases) expect(found('c7', [...values])).toEqual([kind, 'values', { method }]);
  });

  test('is found by its name where the values do not speak against it', () => {
    expect(found('PilotName', ['Ann Lee', 'José Ortiz'])).toEqual(['name', 'name and values', { method: 'hash' }]);
    expect(found('surname', ['Müller'])?.[0]).toBe('name');
    expect(found('date_of_birth', ['1970-01-01'], 'time')).toEqual([
      'birth-date',
      'name and values',
      { method: 'truncate', unit: 'year' },
    ]);
    expect(found('dob', [], 'text')).toEqual(['birth-date', 'name', { method: 'null' }]);
    expect(found('zip_code', ['10115'])).toEqual(['postcode', 'name and values', { method: 'hash' }]);
    expect(found('plz', ['10115'], 'number')?.[2]).toEqual({ method: 'truncate', step: 1000 });
    expect(found('latitude', ['52.5163', '48.8566'], 'number')).toEqual([
      'location',
      'name and values',
      { method: 'truncate', step: 0.1 },
    ]);
    expect(found('contactPhone', ['030 123456'])?.[0]).toBe('phone');
  });

  test('is left alone where neither name nor values tell', () => {
    const plain = [
      ['file_name', ['Ann Lee', 'report']],
      ['delay', ['12', '-3', '45', '0', '7'], 'number'],
      ['flight', ['1', '22', '333', '4444', '55555'], 'number'],
      ['description', ['call a@b.example', 'none', 'late', 'ok', 'ok', 'ok']],
      ['day', ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04', '2026-01-05'], 'time'],
      ['lat', ['1', '2', '3'], 'number'],
      ['amount', ['1000000000', '2000000000', '3000000000', '4000000000', '5000000000'], 'number'],
      ['version', ['1.2.3', '2.0.1', '3.1.4', '1.0.0', '0.9.9']],
    ] as const;
    for (const [name, values, kind = 'text'] of plain)
      expect([name, found(name, [...values], kind)]).toEqual([name, undefined]);
  });

  test('is judged without failing, and with a mask that policies know, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.array(fc.string({ unit: 'binary' }), { maxLength: 20 }),
        fc.constantFrom('text' as const, 'number' as const, 'time' as const, 'other' as const),
        (name, values, kind) => {
          const finding = findPersonalData({ name, values, kind });
          if (finding === undefined) return;
          expect(finding.share).toBeGreaterThanOrEqual(0);
          expect(finding.share).toBeLessThanOrEqual(1);
          expect(['hash', 'null', 'truncate']).toContain(finding.mask.method);
        },
      ),
    );
  });
});

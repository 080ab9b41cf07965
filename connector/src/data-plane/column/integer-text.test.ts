import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createIntegerText } from './integer-text.ts';

function textOf(value: bigint, signed: boolean): string {
  const text = createIntegerText(signed);
  // What was there before must not show.
  const target = new Int32Array(4).fill(-1);
  const low = Number(BigInt.asIntN(32, value));
  const length = text.write(low, Number(BigInt.asIntN(32, value >> 32n)), target, 0);
  const bytes = Buffer.concat([Buffer.from(target.buffer), Buffer.from(Int32Array.of(text.rest).buffer)]);
  if (length <= 16) expect([...bytes.subarray(length, 16)].every((byte) => byte === 0)).toBe(true);
  else expect([...bytes.subarray(length)].every((byte) => byte === 0)).toBe(true);
  return bytes.subarray(0, length).toString();
}

/** Where the number of digits changes, and where a half of the 64 bits does. */
const edges = Array.from({ length: 20 }, (_, digits) => 10n ** BigInt(digits))
  .concat(Array.from({ length: 65 }, (_, bits) => 1n << BigInt(bits)))
  .flatMap((value) => [value - 1n, value, value + 1n, -value - 1n, -value, -value + 1n]);

describe('the text of an integer', () => {
  test('has its digits and its sign, at every length', () => {
    for (const value of edges) {
      if (BigInt.asIntN(64, value) === value) expect(textOf(value, true)).toBe(String(value));
      if (BigInt.asUintN(64, value) === value) expect(textOf(value, false)).toBe(String(value));
    }
  });

  test('has them for any value, also with zeros between its digits', () => {
    const round = fc.tuple(fc.bigInt(-999n, 999n), fc.nat(15)).map(([digits, zeros]) => digits * 10n ** BigInt(zeros));
    fc.assert(
      fc.property(fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), round), (value) => {
        expect(textOf(value, true)).toBe(String(value));
        expect(textOf(BigInt.asUintN(64, value), false)).toBe(String(BigInt.asUintN(64, value)));
      }),
      { numRuns: 500 },
    );
  });
});

import { createCipheriv } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createIntegerText } from './integer-text.ts';
import type { VectorStrings } from './string-copy.ts';
import { createPseudonyms, PSEUDONYM_WORDS, pseudonymsOfText } from './pseudonyms.ts';

const KEY = Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex');

/** CMAC as SP 800-38B section 6 writes it, on numbers of 128 bits. */
function cmac(key: Uint8Array, message: Uint8Array): string {
  const encrypted = (block: bigint): bigint => {
    const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    const bytes = Buffer.from(block.toString(16).padStart(32, '0'), 'hex');
    return BigInt(`0x${cipher.update(bytes).toString('hex')}`);
  };
  const doubled = (block: bigint): bigint => BigInt.asUintN(128, block << 1n) ^ (block >> 127n ? 0x87n : 0n);
  const k1 = doubled(encrypted(0n));
  const blocks: Buffer[] = [];
  for (let at = 0; at === 0 || at < message.length; at += 16) blocks.push(Buffer.from(message.subarray(at, at + 16)));
  const last = blocks.pop() as Buffer;
  const number = (block: Buffer): bigint => BigInt(`0x${block.toString('hex')}`);
  const final =
    last.length === 16
      ? number(last) ^ k1
      : number(Buffer.concat([last, Buffer.from([0x80]), Buffer.alloc(15 - last.length)])) ^ doubled(k1);
  const mac = [...blocks.map(number), final].reduce((chained, block) => encrypted(chained ^ block), 0n);
  return mac.toString(16).padStart(32, '0').slice(0, 24);
}

function pseudonymsOf(key: Uint8Array, values: readonly Uint8Array[]): string[] {
  const offsets = [0];
  for (const value of values) offsets.push((offsets.at(-1) as number) + value.length);
  const target = new Int32Array(values.length * PSEUDONYM_WORDS);
  createPseudonyms(key).ofValues(Buffer.concat(values), Int32Array.from(offsets), values.length, target, 0);
  return textsOf(target);
}

function textsOf(words: Int32Array): string[] {
  const text = Buffer.from(words.buffer).toString();
  return Array.from({ length: text.length / 24 }, (_, i) => text.slice(i * 24, i * 24 + 24));
}

/** A vector of the engine whose strings all lie in it; `rest` is what stands behind each and in the places of NULL. */
function vectorOf(values: readonly (Uint8Array | null)[], rest: number): VectorStrings {
  const bytes = new Uint8Array(values.length * 16).fill(rest);
  const mask = new Uint8Array(Math.ceil(values.length / 8));
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    mask[i >> 3] = (mask[i >> 3] as number) | (1 << (i & 7));
    new DataView(bytes.buffer).setUint32(i * 16, value.length, true);
    bytes.set(value, i * 16 + 4);
  }
  return { bytes, words: new Uint32Array(bytes.buffer), mask };
}

describe('pseudonyms', () => {
  test('are the MACs that SP 800-38B gives as examples for AES-256', () => {
    const message = Buffer.from(
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
      'hex',
    );
    expect(
      pseudonymsOf(
        KEY,
        [0, 16, 40, 64].map((length) => message.subarray(0, length)),
      ),
    ).toEqual([
      '028962f61b7bf89efc6b551f',
      '28a7023f452e8f82bd4bf28d',
      'aaf3d8f1de5640c232f5b169',
      'e1992190549f6ed5696a2c05',
    ]);
  });

  test('of many values at once are those of each alone', () => {
    // Beyond 128 bytes values are encrypted one by one.
    const value = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 100, maxLength: 160 }));
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.array(value, { maxLength: 30 }),
        (key, values) => {
          expect(pseudonymsOf(key, values)).toEqual(values.map((each) => cmac(key, each)));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('of strings of a vector are those of the same values elsewhere, whatever stands behind them', () => {
    const value = fc.option(fc.uint8Array({ maxLength: 12 }));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 40 }), fc.nat(40), fc.nat(255), (values, from, rest) => {
        const first = Math.min(from, values.length);
        const there = values.slice(first).filter((each) => each !== null);
        const target = new Int32Array(values.length * PSEUDONYM_WORDS);
        const strings = vectorOf(values, rest);
        expect(createPseudonyms(KEY).ofStrings(strings, first, values.length - first, target, 0)).toBe(there.length);
        expect(textsOf(target).slice(0, there.length)).toEqual(pseudonymsOf(KEY, there));
      }),
      { numRuns: 60 },
    );
  });

  test('of a vector that points to a string are not made there, and nothing of it stays for the next', () => {
    const long = vectorOf([Buffer.from('BDL'), Buffer.from('PVD')], 0);
    long.words[4] = 13;
    const target = new Int32Array(2 * PSEUDONYM_WORDS);
    const pseudonyms = createPseudonyms(KEY);
    expect(pseudonyms.ofStrings(long, 0, 2, target, 0)).toBe(undefined);
    expect([...target]).toEqual(Array(12).fill(0));
    pseudonyms.ofStrings(vectorOf([Buffer.from('X')], 0), 0, 1, target, 0);
    expect(textsOf(target)[0]).toBe(cmac(KEY, Buffer.from('X')));
  });

  test('of integers are those of their text, of one block and of two beside each other', () => {
    const integer = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-(10n ** 16n), 10n ** 16n));
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.oneof(integer, fc.bigInt(-1000n, 1000n))), { maxLength: 40 }),
        fc.nat(40),
        fc.boolean(),
        (values, from, signed) => {
          const first = Math.min(from, values.length);
          const there = values.slice(first).filter((each) => each !== null);
          const mask = new Uint8Array(Math.ceil(values.length / 8));
          for (const [i, each] of values.entries()) if (each !== null) mask[i >> 3]! |= 1 << (i & 7);
          // In the places of NULL stands anything.
          const words = new Int32Array(BigInt64Array.from(values, (each) => each ?? 77n).buffer);
          const target = new Int32Array(values.length * PSEUDONYM_WORDS);
          const pseudonyms = createPseudonyms(KEY);
          const integers = { words, mask, text: createIntegerText(signed) };
          for (let time = 0; time < 2; time++) {
            expect(pseudonyms.ofIntegers(integers, first, values.length - first, target, 0)).toBe(there.length);
            const texts = there.map((each) => String(signed ? each : BigInt.asUintN(64, each)));
            expect(textsOf(target).slice(0, there.length)).toEqual(texts.map((text) => cmac(KEY, Buffer.from(text))));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('of a column leave NULL out', () => {
    const texts = [null, 'BDL', null, '', 'PVD', null];
    const data = Buffer.from(texts.join(''));
    const offsets = Int32Array.of(0, 0, 3, 3, 3, 6, 6);
    const masked = pseudonymsOfText(createPseudonyms(KEY), texts.length, offsets, data, (row) => texts[row] === null);
    expect([...masked.valueOffsets]).toEqual([0, 0, 24, 24, 48, 72, 72]);
    expect(Buffer.from(masked.data).toString()).toBe(
      ['BDL', '', 'PVD'].map((text) => cmac(KEY, Buffer.from(text))).join(''),
    );
  });
});

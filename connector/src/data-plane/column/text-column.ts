import * as arrow from 'apache-arrow';
import { packed } from './column-validity.ts';
import { pseudonymsOfText, type Pseudonyms } from './pseudonyms.ts';

type Properties = Parameters<typeof arrow.makeData>[0];

/**
 * A column of values that came as text, as PostgreSQL writes them: whole numbers and numbers in decimal, `t` and `f`,
 * bytes as `\x` and hexadecimal digits; dates in days and times in microseconds, as whole numbers.
 *
 * @param pseudonyms of a text column: what is put in place of its values
 */
export function textColumn(
  type: arrow.DataType,
  texts: readonly (string | null)[],
  pseudonyms?: Pseudonyms,
): arrow.Data {
  const length = texts.length;
  const flags = Uint8Array.from(texts, (text) => (text === null ? 0 : 1));
  const nullCount = flags.reduce((sum, flag) => sum + 1 - flag, 0);
  const shared = { type, length, nullCount, nullBitmap: nullCount === 0 ? null : packed(flags, length) };
  if (arrow.DataType.isUtf8(type) || arrow.DataType.isBinary(type)) {
    const encoding = arrow.DataType.isUtf8(type) ? 'utf8' : 'hex';
    const values = texts.map((text) =>
      Buffer.from(encoding === 'hex' ? (text ?? '').slice(2) : (text ?? ''), encoding),
    );
    const valueOffsets = new Int32Array(length + 1);
    for (const [i, value] of values.entries()) valueOffsets[i + 1] = (valueOffsets[i] as number) + value.length;
    if (pseudonyms !== undefined) {
      const isNull = (row: number): boolean => flags[row] === 0;
      const masked = pseudonymsOfText(pseudonyms, length, valueOffsets, Buffer.concat(values), isNull);
      return arrow.makeData({ ...shared, ...masked } as Properties);
    }
    return arrow.makeData({ ...shared, valueOffsets, data: Buffer.concat(values) } as Properties);
  }
  if (arrow.DataType.isBool(type)) {
    const bits = packed(
      Uint8Array.from(texts, (text) => (text === 't' ? 1 : 0)),
      length,
    );
    return arrow.makeData({ ...shared, data: bits } as Properties);
  }
  if (arrow.DataType.isDecimal(type)) return arrow.makeData({ ...shared, data: decimals(type, texts) } as Properties);
  const data = new type.ArrayType(length);
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (const [i, text] of texts.entries()) {
    if (text !== null) data[i] = wide ? BigInt(text) : Number(text);
  }
  return arrow.makeData({ ...shared, data } as Properties);
}

function decimals({ scale }: arrow.Decimal, texts: readonly (string | null)[]): Uint32Array {
  const words = new Uint32Array(texts.length * 4);
  for (const [i, text] of texts.entries()) {
    if (text === null) continue;
    const [whole = '', fraction = ''] = text.split('.');
    let value = BigInt.asUintN(128, BigInt(whole + fraction.padEnd(scale, '0').slice(0, scale)));
    for (let word = 0; word < 4; word++) {
      words[i * 4 + word] = Number(value & 0xffff_ffffn);
      value >>= 32n;
    }
  }
  return words;
}

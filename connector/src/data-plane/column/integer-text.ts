/** Four decimal digits as text, for each number below 10,000; 40 KB, made when they are first needed. */
let fourDigits: Int32Array | undefined;

function digitsBelow10000(): Int32Array {
  fourDigits ??= Int32Array.from({ length: 10_000 }, (_, value) =>
    Buffer.from(String(value).padStart(4, '0')).readInt32LE(),
  );
  return fourDigits;
}

const digitsOf = (value: number): number => (value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : 4);

/** What makes of the digit 0 a minus sign. */
const ZERO_TO_MINUS = 0x30 ^ 0x2d;
const WORDS = 5;

/** Writes integers of 64 bits as text. */
export interface IntegerText {
  /**
   * Writes the first 16 bytes of an integer's text into four words of `target` from `at` on, with zeros behind it.
   *
   * @param low its lower 32 bits
   * @param high its upper 32 bits
   * @returns bytes of the text, 20 at the most; beyond 16 they are in `rest`
   */
  write(low: number, high: number, target: Int32Array, at: number): number;
  /** Bytes of the last integer beyond the 16th, with zeros behind them. */
  readonly rest: number;
}

/**
 * Decimal text of integers, as the engine's cast to text has it: no leading zeros, a minus before those below zero.
 *
 * Four digits are looked up at a time, which is faster than the engine's own cast to text.
 *
 * @param signed whether they are in two's complement
 */
export function createIntegerText(signed: boolean): IntegerText {
  const digits = digitsBelow10000();
  /** Text of twenty digits, and zeros behind them. */
  const groups = new Int32Array(2 * WORDS);
  const rest = new Int32Array(1);
  const writeLong = (low: number, high: number, target: Int32Array, at: number): number => {
    const negative = signed && high < 0;
    const lower = (negative ? -low : low) >>> 0;
    const upper = (negative ? ~high + (lower === 0 ? 1 : 0) : high) >>> 0;
    // No step of this division leaves the integers that a double holds exactly.
    const fromUpper = (upper / 1e4) >>> 0;
    const dividend = (upper - fromUpper * 1e4) * 2 ** 32 + lower;
    const fromLower = Math.floor(dividend / 1e4);
    const above = fromUpper * 2 ** 32 + fromLower;
    const first = (above / 1e8) | 0;
    const second = (above - first * 1e8) | 0;
    const a = (first / 1e4) | 0;
    const b = first - a * 1e4;
    const c = (second / 1e4) | 0;
    const d = second - c * 1e4;
    const e = (dividend - fromLower * 1e4) | 0;
    groups[0] = digits[a] as number;
    groups[1] = digits[b] as number;
    groups[2] = digits[c] as number;
    groups[3] = digits[d] as number;
    groups[4] = digits[e] as number;
    const missing =
      a > 0
        ? 4 - digitsOf(a)
        : b > 0
          ? 8 - digitsOf(b)
          : c > 0
            ? 12 - digitsOf(c)
            : d > 0
              ? 16 - digitsOf(d)
              : 20 - digitsOf(e);
    const start = negative ? missing - 1 : missing;
    const word = start >> 2;
    const shift = (start & 3) * 8;
    if (negative) groups[word] = (groups[word] as number) ^ (ZERO_TO_MINUS << shift);
    const first4 = groups[word] as number;
    const second4 = groups[word + 1] as number;
    const third4 = groups[word + 2] as number;
    const fourth4 = groups[word + 3] as number;
    const fifth4 = groups[word + 4] as number;
    target[at] = shifted(first4, second4, shift);
    target[at + 1] = shifted(second4, third4, shift);
    target[at + 2] = shifted(third4, fourth4, shift);
    target[at + 3] = shifted(fourth4, fifth4, shift);
    rest[0] = shifted(fifth4, groups[word + 5] as number, shift);
    return 20 - start;
  };
  return {
    write(low, high, target, at) {
      if (high !== 0 || low < 0 || low >= 1e8) return writeLong(low, high, target, at);
      const upper = (low / 1e4) | 0;
      const last = digits[low - upper * 1e4] as number;
      const length = digitsOf(upper === 0 ? low : upper);
      const shift = (4 - length) * 8;
      target[at + 2] = 0;
      target[at + 3] = 0;
      if (upper === 0) {
        target[at] = last >>> shift;
        target[at + 1] = 0;
        return length;
      }
      target[at] = shifted(digits[upper] as number, last, shift);
      target[at + 1] = last >>> shift;
      return length + 4;
    },
    get rest() {
      return rest[0] as number;
    },
  };
}

/** Four bytes of two words, from a multiple of 8 bits below 32 on. */
function shifted(word: number, next: number, bits: number): number {
  return (word >>> bits) | ((next << (24 - bits)) << 8);
}

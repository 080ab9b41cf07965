import { FoedusError } from '../../errors.ts';
import { isValid } from './column-validity.ts';

/** Units that are all of the same length, in microseconds, and how far after a beginning 1970-01-01T00:00:00Z is. */
export const EVEN_UNITS: Readonly<Record<string, { readonly length: number; readonly offset: number }>> = {
  hour: { length: 3_600_000_000, offset: 0 },
  day: { length: 86_400_000_000, offset: 0 },
  // A Thursday; weeks begin on Mondays.
  week: { length: 604_800_000_000, offset: 259_200_000_000 },
};

/** Upper halves of numbers below 2^52: with any offset, doubles hold them exactly. */
const EXACT = 2 ** 20;
/** What the engine keeps for infinity, and its negative. */
const INFINITY = 2n ** 63n - 1n;
/** The first day of the engine's calendar that is in the range: 290309-12-22 BC. */
const EARLIEST = -9_223_372_022_400_000_000n;

/** How times are cut: to units of so many microseconds, then divided into the unit that they leave in. */
export interface TimeCut {
  readonly length: number;
  readonly offset: number;
  readonly divisor: number;
}

/**
 * Copies times to the beginning of the unit that they are in, as the engine's `date_trunc` has it, in a third of its
 * time.
 *
 * @param source microseconds since 1970-01-01T00:00:00Z in 8 bytes each; `target` gets 8 bytes each
 * @param mask the bitmap of the rows that are there; what stands in the places of others is anything
 * @throws FoedusError `not-permitted` at a time that the engine's calendar does not reach, as the engine does
 */
export function copyCut(
  { length, offset, divisor }: TimeCut,
  source: Uint8Array,
  from: number,
  count: number,
  target: Uint8Array,
  at: number,
  mask: Uint8Array | null,
): void {
  const words = new Int32Array(source.buffer, source.byteOffset + from * 8, count * 2);
  const out = new Int32Array(target.buffer, target.byteOffset + at, count * 2);
  for (let i = 0; i < count * 2; i += 2) {
    const upper = words[i + 1] as number;
    if (upper >= -EXACT && upper < EXACT) {
      const time = upper * 2 ** 32 + ((words[i] as number) >>> 0);
      const cut = (Math.floor((time + offset) / length) * length - offset) / divisor;
      const high = Math.floor(cut / 2 ** 32);
      out[i] = cut - high * 2 ** 32;
      out[i + 1] = high;
      continue;
    }
    const time = (BigInt(upper) << 32n) | BigInt((words[i] as number) >>> 0);
    const cut = isValid(mask, from + (i >> 1)) ? farCut(time, length, offset) / BigInt(divisor) : 0n;
    out[i] = Number(BigInt.asIntN(32, cut));
    out[i + 1] = Number(cut >> 32n);
  }
}

function farCut(time: bigint, length: number, offset: number): bigint {
  if (time === INFINITY || time === -INFINITY) return time;
  const unit = BigInt(length);
  const over = (((time + BigInt(offset)) % unit) + unit) % unit;
  if (time - over >= EARLIEST) return time - over;
  throw new FoedusError(
    'not-permitted',
    'The data set has a time before 290309-12-22 BC, which cannot be cut as the agreement asks. Correct it there, or agree on another mask.',
  );
}

/** Sentences for people: short, with every foreign string cut and cleaned before it is repeated. */

const LONGEST_QUOTE = 160;
const MOST_LISTED = 30;
/** Most names and IRIs: told apart quickly, since every reason of every decision shows some. */
const PRINTABLE = /^[\x20-\x7e]*$/;

/** A foreign string as a sentence may show it: no control characters, at most 160 characters. */
export function shown(text: string): string {
  if (text.length <= LONGEST_QUOTE && PRINTABLE.test(text)) return text;
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\u{fffd}');
  return clean.length > LONGEST_QUOTE ? `${clean.slice(0, LONGEST_QUOTE)}…` : clean;
}

/** `a, b, c`; long lists end in `and 12 more`. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const first = names.slice(0, MOST_LISTED).map(shown).join(', ');
  return names.length > MOST_LISTED ? `${first} and ${names.length - MOST_LISTED} more` : first;
}

/** Any JSON value on one short line. */
export function shownValue(value: unknown): string {
  return shown(typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)));
}

/**
 * ε charged, needed and allowed with as few digits (two to nine) as still show that the sum is too much.
 *
 * @returns the three numbers as text, in this order
 */
export function shownEpsilons(spent: number, needed: number, limit: number): [string, string, string] {
  for (let digits = 2; digits < 9; digits++) {
    if (Number(spent.toFixed(digits)) + Number(needed.toFixed(digits)) > Number(limit.toFixed(digits))) {
      return [spent.toFixed(digits), needed.toFixed(digits), limit.toFixed(digits)];
    }
  }
  return [spent.toFixed(9), needed.toFixed(9), limit.toFixed(9)];
}

/** ε with two decimals, or two significant digits where that would read 0.00. */
export function shownEpsilon(epsilon: number): string {
  return epsilon > 0 && epsilon < 0.01 ? epsilon.toPrecision(2) : epsilon.toFixed(2);
}

import { isIP } from 'node:net';
import { americanSsn, frenchNir, germanTaxId, iban, luhn, spanishDni } from './check-digits.ts';

/** Kinds of personal data that columns are looked at for. */
export const personalKinds = [
  'name',
  'email',
  'phone',
  'iban',
  'payment-card',
  'national-id',
  'birth-date',
  'postcode',
  'ip-address',
  'location',
] as const;
export type PersonalKind = (typeof personalKinds)[number];

/** What a column is judged by. */
export interface SampledColumn {
  readonly name: string;
  readonly kind: 'text' | 'number' | 'time' | 'other';
  /** Values that are not NULL, as text. */
  readonly values: readonly string[];
}

/** A mask as policies write it. */
export type SuggestedMask =
  | { readonly method: 'null' | 'hash' }
  | { readonly method: 'truncate'; readonly unit: 'year' }
  | { readonly method: 'truncate'; readonly step: number };

export interface PersonalFinding {
  readonly kind: PersonalKind;
  /** What it was found by. */
  readonly by: 'name' | 'values' | 'name and values';
  /** Share of the sampled values that look like it. */
  readonly share: number;
  readonly mask: SuggestedMask;
}

/** A column is taken for it by its values alone where this share of them fits, and at least so many. */
const CLEAR_SHARE = 0.8;
const FEW = 5;
/** Beside a telling name, fewer do. */
const SOME_SHARE = 0.3;

interface Detector {
  readonly kind: PersonalKind;
  /** Column names, as words with spaces between. */
  readonly named: RegExp;
  readonly fits: (value: string, column: SampledColumn) => boolean;
  /** Whether values alone tell, without a telling name. */
  readonly byValues: boolean;
  /** Whether a telling name alone is enough, whatever the values are. */
  readonly byName: boolean;
  readonly mask: (column: SampledColumn) => SuggestedMask;
}

const hash = (): SuggestedMask => ({ method: 'hash' });
const empty = (): SuggestedMask => ({ method: 'null' });
const bare = (value: string): string => value.replaceAll(/[\s.-]/g, '').toUpperCase();

/** From the most to the least particular: the first that fits is told. */
const DETECTORS: readonly Detector[] = [
  {
    kind: 'email',
    named: /\b(?:e ?mail|mail address)\b/,
    fits: (value) => /^[^\s@<>]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$/i.test(value),
    byValues: true,
    byName: false,
    mask: hash,
  },
  {
    kind: 'iban',
    named: /\b(?:iban|bank account|kontonummer)\b/,
    fits: (value) => iban(bare(value)),
    byValues: true,
    byName: false,
    mask: empty,
  },
  {
    kind: 'payment-card',
    named: /\b(?:credit card|card (?:number|no)|kreditkarte|pan)\b/,
    fits: (value) => /^[3-6]\d{12,18}$/.test(bare(value)) && luhn(bare(value)),
    byValues: true,
    byName: false,
    mask: empty,
  },
  {
    kind: 'national-id',
    named:
      /\b(?:ssn|social security|steuer ?id|tax ?id|nir|dni|nie|bsn|passport|national id|ausweis|personalausweis)\b/,
    fits: (value) =>
      americanSsn(value.trim()) || [germanTaxId, frenchNir, spanishDni].some((check) => check(bare(value))),
    byValues: true,
    byName: false,
    mask: empty,
  },
  {
    kind: 'ip-address',
    named: /\b(?:ip|ip address|ip addr|client ip|remote addr)\b/,
    fits: (value) => isIP(value.trim().replace(/\/\d{1,3}$/, '')) !== 0,
    byValues: true,
    byName: false,
    mask: hash,
  },
  {
    kind: 'birth-date',
    named: /\b(?:birth ?(?:date|day)?|date of birth|dob|born|geburt\w*|naissance|nacimiento)\b/,
    fits: (value, { kind }) => kind === 'time' || /^(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4})/.test(value),
    byValues: false,
    byName: true,
    mask: ({ kind }) => (kind === 'time' ? { method: 'truncate', unit: 'year' } : { method: 'null' }),
  },
  {
    kind: 'location',
    named: /\b(?:lat|latitude|lon|lng|long|longitude|geo|coordinates?|gps)\b/,
    // Three decimals of a degree are a hundred metres.
    fits: (value, { kind }) =>
      kind === 'number' ? degrees(value) : /^\s*-?\d{1,3}\.\d{3,}\s*[,; ]\s*-?\d{1,3}\.\d{3,}\s*$/.test(value),
    byValues: false,
    byName: false,
    mask: ({ kind }) => (kind === 'number' ? { method: 'truncate', step: 0.1 } : { method: 'null' }),
  },
  {
    kind: 'phone',
    named: /\b(?:phone|mobile|cell|fax|tel|telephone|telefon|handy|msisdn)\b/,
    fits: (value) => /^\+?[\d ()./-]{6,25}$/.test(value) && within(value.replaceAll(/\D/g, '').length, 6, 15),
    byValues: false,
    byName: false,
    mask: hash,
  },
  {
    kind: 'postcode',
    named: /\b(?:zip|zip code|post ?code|postal code|postal|plz|postleitzahl|code postal)\b/,
    fits: (value) => /^[A-Z0-9][A-Z0-9 -]{2,9}$/i.test(value) && /\d/.test(value),
    byValues: false,
    byName: true,
    mask: ({ kind }) => (kind === 'number' ? { method: 'truncate', step: 1000 } : { method: 'hash' }),
  },
  {
    kind: 'name',
    named:
      /\b(?:(?:first|last|given|family|middle|full|maiden|sur|patient|customer|client|employee|contact|person|passenger|pilot|driver) ?name|surname|vorname|nachname|familienname|prenom|apellido|nom de famille)\b/,
    fits: (value) => /^\p{L}[\p{L}\p{M} .,'’-]{0,80}$/u.test(value),
    byValues: false,
    byName: false,
    mask: hash,
  },
];
/** Addresses with a plus and digits only are telephone numbers, whatever the column is called (ITU-T E.164). */
const INTERNATIONAL = /^\+[1-9]\d{0,2}[ ./-]?(?:\(0\))?[\d ./-]{5,14}$/;

/**
 * Judges by its name and a sample of its values whether a column holds personal data, and how it could be masked.
 *
 * A help for whoever writes the policy, no proof: what is not found may still be personal.
 */
export function findPersonalData(column: SampledColumn): PersonalFinding | undefined {
  const words = wordsOf(column.name);
  const { values } = column;
  const shareOf = (fits: (value: string) => boolean): number =>
    values.length === 0 ? 0 : values.filter((value) => fits(value)).length / values.length;
  for (const { kind, named, fits, byValues, byName, mask } of DETECTORS) {
    const telling = named.test(words);
    if (!telling && !byValues && kind !== 'phone') continue;
    const share = shareOf(telling || byValues ? (value) => fits(value, column) : (value) => INTERNATIONAL.test(value));
    const clear = (byValues || !telling) && share >= CLEAR_SHARE && values.length >= FEW;
    if (telling && share >= SOME_SHARE) return { kind, by: 'name and values', share, mask: mask(column) };
    if (clear) return { kind, by: 'values', share, mask: mask(column) };
    if (telling && byName) return { kind, by: 'name', share, mask: mask(column) };
  }
  return undefined;
}

/** `customerEmail`, `customer_email` and `CUSTOMER-EMAIL` as `customer email`. */
function wordsOf(name: string): string {
  return name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^A-Za-z\d]+/g, ' ')
    .toLowerCase()
    .trim();
}

function degrees(value: string): boolean {
  const number = Number(value);
  return Math.abs(number) <= 180 && /\.\d{3,}$/.test(value);
}

function within(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}

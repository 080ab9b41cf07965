/** Values as people read them, whole: a person who signs must see all of it. */
import type { Mask, RowFilter } from '../model.ts';
import { isPolicyUsage } from '../operands/times.ts';
import { isObject, itemsOf } from '../values.ts';
import type { Language, Words } from './languages.ts';

/**
 * A foreign text: as it is where it is one plain word or IRI, otherwise between quotation marks, so that no value can
 * pass for a sentence of the policy. Control and direction characters are replaced.
 */
export function quoted(text: string): string {
  const clean = harmless(text);
  const plain = clean === text && /^[^\s"“”„«»]+$/u.test(text) && !/[.:;,]$/.test(text);
  return plain ? text : JSON.stringify(clean);
}

function harmless(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu, '\u{fffd}');
}

/** `a, b and c`. */
export function list(items: readonly string[], language: Language): string {
  const [only = { en: 'nothing', de: 'nichts' }[language]] = items;
  if (items.length < 2) return only;
  return `${items.slice(0, -1).join(', ')} ${{ en: 'and', de: 'und' }[language]} ${items.at(-1)}`;
}

/** `a, b or c`. */
export function choice(items: readonly string[], language: Language): string {
  const [only = { en: 'nothing', de: 'nichts' }[language]] = items;
  if (items.length < 2) return only;
  return `${items.slice(0, -1).join(', ')} ${{ en: 'or', de: 'oder' }[language]} ${items.at(-1)}`;
}

/** Any right operand: texts, IRIs, numbers, `{"@value"}`, lists of them; everything else as JSON. */
export function value(raw: unknown, language: Language): string {
  return choice(
    itemsOf(raw).map((item) => single(item, language)),
    language,
  );
}

function single(raw: unknown, language: Language): string {
  if (typeof raw === 'string' && isPolicyUsage(raw))
    return { en: 'the use itself', de: 'der Nutzung selbst' }[language];
  if (typeof raw === 'string') return durationWords(raw, language) ?? quoted(raw);
  if (typeof raw === 'number' || typeof raw === 'boolean' || raw === null) return String(raw);
  if (raw instanceof Date) return raw.toISOString();
  if (isObject(raw)) {
    const inner = raw['@value'] ?? raw['@id'];
    const keys = Object.keys(raw).filter((key) => key !== '@type');
    if (inner !== undefined && keys.length === 1) return single(inner, language);
  }
  return quoted(JSON.stringify(raw) ?? 'undefined');
}

const UNITS: readonly Readonly<Record<Language, readonly [string, string]>>[] = [
  { en: ['year', 'years'], de: ['Jahr', 'Jahre'] },
  { en: ['month', 'months'], de: ['Monat', 'Monate'] },
  { en: ['week', 'weeks'], de: ['Woche', 'Wochen'] },
  { en: ['day', 'days'], de: ['Tag', 'Tage'] },
  { en: ['hour', 'hours'], de: ['Stunde', 'Stunden'] },
  { en: ['minute', 'minutes'], de: ['Minute', 'Minuten'] },
  { en: ['second', 'seconds'], de: ['Sekunde', 'Sekunden'] },
];
const DURATION =
  /^P(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$/;

/** `3 months (P3M)`; undefined for what is no xsd:duration. */
function durationWords(text: string, language: Language): string | undefined {
  const parts = DURATION.exec(text)?.slice(1);
  if (parts === undefined) return undefined;
  const words = parts.flatMap((amount, index) => {
    const [one, many] = UNITS[index]?.[language] ?? ['', ''];
    return amount === undefined ? [] : [`${amount} ${amount === '1' ? one : many}`];
  });
  return words.length === 0 ? undefined : `${list(words, language)} (${text})`;
}

const SIGNS = { eq: '=', neq: '≠', lt: '<', lteq: '≤', gt: '>', gteq: '≥' } as const;

/** `distance ≥ 100 and (origin = "BDL" or origin = "PVD")`. */
export function rowFilterWords(filter: RowFilter, language: Language): string {
  const inner = (part: RowFilter): string =>
    'column' in part ? rowFilterWords(part, language) : `(${rowFilterWords(part, language)})`;
  if ('and' in filter) return filter.and.map(inner).join({ en: ' and ', de: ' und ' }[language]);
  if ('or' in filter) return filter.or.map(inner).join({ en: ' or ', de: ' oder ' }[language]);
  const column = quoted(filter.column);
  if (filter.operator !== 'isAnyOf') {
    const caller = { en: "the caller's", de: 'Angabe des Nutzers:' }[language];
    const right = typeof filter.value === 'object' ? `${caller} ${quoted(filter.value.claim)}` : literal(filter.value);
    return `${column} ${SIGNS[filter.operator]} ${right}`;
  }
  const values = filter.value.map(literal).join(', ');
  return `${column} ${{ en: 'is one of', de: 'ist eines von' }[language]} ${values}`;
}

/** Texts always between quotation marks: `"100"` and `100` are different filters. */
function literal(constant: string | number | boolean): string {
  return typeof constant === 'string' ? JSON.stringify(harmless(constant)) : String(constant);
}

const MASKS: Readonly<Record<string, Words>> = {
  null: { en: 'emptied', de: 'geleert' },
  constant: { en: 'replaced by {v}', de: 'ersetzt durch {v}' },
  hash: { en: 'replaced by a keyed hash', de: 'ersetzt durch einen Hashwert mit Schlüssel' },
  truncate: { en: 'made coarser: {v}', de: 'vergröbert: {v}' },
  generalise: { en: 'replaced by something wider: {v}', de: 'ersetzt durch etwas Allgemeineres: {v}' },
};

/** `column destination replaced by a keyed hash`. */
export function maskWords(column: string, mask: Mask, language: Language): string {
  const words = MASKS[mask.method]?.[language] ?? quoted(JSON.stringify(mask));
  return `${{ en: 'column', de: 'Spalte' }[language]} ${quoted(column)} ${words.replace('{v}', () => extentOf(mask, language))}`;
}

const PERIODS: Readonly<Record<string, Words>> = {
  hour: { en: 'the hour only', de: 'nur die Stunde' },
  day: { en: 'the day only', de: 'nur der Tag' },
  week: { en: 'the week only', de: 'nur die Woche' },
  month: { en: 'the month only', de: 'nur der Monat' },
  quarter: { en: 'the quarter of the year only', de: 'nur das Vierteljahr' },
  year: { en: 'the year only', de: 'nur das Jahr' },
};

function extentOf(mask: Mask, language: Language): string {
  if (mask.method === 'constant') return literal(mask.value);
  if (mask.method === 'truncate' && 'unit' in mask) return PERIODS[mask.unit]?.[language] ?? mask.unit;
  if (mask.method === 'truncate') return `${{ en: 'steps of', de: 'Schritte von' }[language]} ${mask.step}`;
  if (mask.method !== 'generalise') return '';
  const parents = Object.entries(mask.parents).map(([child, parent]) => `${quoted(child)} → ${quoted(parent)}`);
  return `${parents.join(', ')} (${mask.levels ?? 1} ${{ en: 'levels up', de: 'Stufen höher' }[language]})`;
}

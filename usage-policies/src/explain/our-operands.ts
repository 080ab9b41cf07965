/** What a constraint on one of our own operands grants, in words. */
import { FOEDUS, type Mask, type RowFilter } from '../model.ts';
import { itemsOf } from '../values.ts';
import type { Language } from './languages.ts';
import { list, maskWords, rowFilterWords, value } from './values.ts';

/** A whole sentence, for operands that grant or cut: the value is the one that the operand has read. */
export type Sentence = (right: unknown, language: Language) => string;

const names = (right: unknown, language: Language): string =>
  list(
    itemsOf(right).map((item) => value(item, language)),
    language,
  );
const number = (right: unknown): string => value(right, 'en');

interface Budget {
  readonly epsilon?: unknown;
  readonly delta?: unknown;
}
const budget = (right: unknown): string => {
  const { epsilon, delta } = right as Budget;
  return `ε ${number(epsilon)} (δ ${number(delta)})`;
};

/** Our own operands, by their name. */
const OURS: Readonly<Record<string, Readonly<Record<Language, (right: unknown) => string>>>> = {
  columns: {
    en: (right) => `only the columns ${names(right, 'en')}`,
    de: (right) => `nur die Spalten ${names(right, 'de')}`,
  },
  rowFilter: {
    en: (right) => `only rows where ${rowFilterWords(right as RowFilter, 'en')}`,
    de: (right) => `nur Zeilen mit ${rowFilterWords(right as RowFilter, 'de')}`,
  },
  masks: {
    en: (right) => list(masksOf(right, 'en'), 'en'),
    de: (right) => list(masksOf(right, 'de'), 'de'),
  },
  privacyBudget: {
    en: (right) => `a privacy loss of at most ${budget(right)} in all`,
    de: (right) => `ein Verlust an Privatsphäre von insgesamt höchstens ${budget(right)}`,
  },
  rounds: {
    en: (right) => `at most ${number(right)} training rounds in all`,
    de: (right) => `insgesamt höchstens ${number(right)} Trainingsrunden`,
  },
  minimumCohort: {
    en: (right) => `at least ${number(right)} participants in each round`,
    de: (right) => `mindestens ${number(right)} Teilnehmer in jeder Runde`,
  },
  metrics: {
    en: (right) => `of results on own rows, only ${names(right, 'en')} may be released`,
    de: (right) => `von Ergebnissen auf eigenen Zeilen darf nur dies bekannt werden: ${names(right, 'de')}`,
  },
  planHash: {
    en: (right) => `only the session plan with the SHA-256 ${value(right, 'en')}`,
    de: (right) => `nur der Sitzungsplan mit dem SHA-256 ${value(right, 'de')}`,
  },
  minimumGroupSize: {
    en: (right) => `no single rows, only aggregates of groups of at least ${number(right)} rows`,
    de: (right) => `keine einzelnen Zeilen, nur Aggregate von Gruppen aus mindestens ${number(right)} Zeilen`,
  },
  aggregates: {
    en: (right) => `no single rows, only these functions of groups of rows: ${names(right, 'en')}`,
    de: (right) => `keine einzelnen Zeilen, nur diese Funktionen über Gruppen von Zeilen: ${names(right, 'de')}`,
  },
  rowLimit: {
    en: (right) => `at most ${number(right)} rows in each use`,
    de: (right) => `höchstens ${number(right)} Zeilen je Nutzung`,
  },
  byteLimit: {
    en: (right) => `at most ${number(right)} bytes in each use`,
    de: (right) => `höchstens ${number(right)} Bytes je Nutzung`,
  },
  rows: {
    en: (right) => `at most ${number(right)} rows in all, over every use`,
    de: (right) => `insgesamt höchstens ${number(right)} Zeilen, über alle Nutzungen`,
  },
  bytes: {
    en: (right) => `at most ${number(right)} bytes in all, over every use`,
    de: (right) => `insgesamt höchstens ${number(right)} Bytes, über alle Nutzungen`,
  },
  sampling: {
    en: (right) => `only a random sample of at most ${number(right)} of all rows`,
    de: (right) => `nur eine zufällige Stichprobe von höchstens ${number(right)} aller Zeilen`,
  },
  roundPrivacyBudget: {
    en: (right) => `a privacy loss of at most ${budget(right)} in each round`,
    de: (right) => `ein Verlust an Privatsphäre von höchstens ${budget(right)} in jeder Runde`,
  },
  modelHash: {
    en: (right) => `only the model with the SHA-256 ${value(right, 'en')}`,
    de: (right) => `nur das Modell mit dem SHA-256 ${value(right, 'de')}`,
  },
  secureAggregation: {
    en: () => 'only with secure aggregation (required): nobody sees a single update',
    de: () => 'nur mit sicherer Aggregation (required): niemand sieht eine einzelne Aktualisierung',
  },
  privacyUnit: {
    en: (right) => `only with noise that hides ${hidden(right, 'en')}`,
    de: (right) => `nur mit Rauschen, das ${hidden(right, 'de')} verbirgt`,
  },
};

function hidden(right: unknown, language: Language): string {
  if (right !== 'organisation') return language === 'en' ? 'single rows (record)' : 'einzelne Zeilen (record)';
  return language === 'en'
    ? 'all that one organisation has (organisation)'
    : 'alles, was eine Organisation hat (organisation),';
}

function masksOf(right: unknown, language: Language): string[] {
  return Object.entries(right as Record<string, Mask>).map(([column, mask]) => maskWords(column, mask, language));
}

/** The sentence of an operand of ours; undefined for all others. */
export function ourSentence(leftOperand: string): Sentence | undefined {
  const short = leftOperand.startsWith(FOEDUS) ? leftOperand.slice(FOEDUS.length) : undefined;
  const sentences = short !== undefined && Object.hasOwn(OURS, short) ? OURS[short] : undefined;
  return sentences && ((right, language) => sentences[language](right));
}

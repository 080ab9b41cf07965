/** Operators between a subject and a value, by what kind of value it is. */
import type { Words } from './languages.ts';

/** What an operand is measured in: it decides how its operators read. */
export type Kind = 'name' | 'amount' | 'moment' | 'duration' | 'period' | 'delay' | 'phase' | 'interval';

const NAMES: Readonly<Record<string, Words>> = {
  eq: { en: 'is', de: 'ist' },
  neq: { en: 'is not', de: 'ist nicht' },
  lt: { en: 'is less than', de: 'ist kleiner als' },
  lteq: { en: 'is at most', de: 'ist höchstens' },
  gt: { en: 'is more than', de: 'ist größer als' },
  gteq: { en: 'is at least', de: 'ist mindestens' },
  isA: { en: 'is, or is a kind of,', de: 'ist, oder ist eine Art von,' },
  isAnyOf: { en: 'is one of', de: 'ist eines von' },
  isAllOf: { en: 'is all of', de: 'ist alles von' },
  isNoneOf: { en: 'is none of', de: 'ist nichts von' },
  isPartOf: { en: 'is, or lies within,', de: 'ist, oder liegt in,' },
  hasPart: { en: 'contains', de: 'enthält' },
};

const AMOUNTS: Readonly<Record<string, Words>> = {
  ...NAMES,
  eq: { en: 'is exactly', de: 'ist genau' },
  neq: { en: 'is anything but', de: 'ist alles außer' },
};

const MOMENTS: Readonly<Record<string, Words>> = {
  ...AMOUNTS,
  lt: { en: 'is before', de: 'liegt vor' },
  lteq: { en: 'is not after', de: 'liegt nicht nach' },
  gt: { en: 'is after', de: 'liegt nach' },
  gteq: { en: 'is not before', de: 'liegt nicht vor' },
};

const DURATIONS: Readonly<Record<string, Words>> = {
  ...AMOUNTS,
  lt: { en: 'is shorter than', de: 'ist kürzer als' },
  gt: { en: 'is longer than', de: 'ist länger als' },
};

/** A time that there is in all: ODRL's `eq` is an upper limit here (Vocabulary, elapsedTime and meteredTime). */
const PERIODS: Readonly<Record<string, Words>> = {
  ...DURATIONS,
  eq: { en: 'does not exceed', de: 'überschreitet nicht' },
};

/** A time to wait: `eq` is a lower limit (Vocabulary, delayPeriod). */
const DELAYS: Readonly<Record<string, Words>> = {
  ...DURATIONS,
  eq: { en: 'is no less than', de: 'ist nicht kürzer als' },
};

/** Once in every period (Vocabulary, timeInterval). */
const INTERVALS: Readonly<Record<string, Words>> = {
  ...DURATIONS,
  eq: { en: 'is no shorter than', de: 'unterschreitet nicht' },
};

/** Before, during or after an event. */
const PHASES: Readonly<Record<string, Words>> = {
  ...NAMES,
  lt: { en: 'is before', de: 'liegt vor' },
  lteq: { en: 'is before or during', de: 'liegt vor oder in' },
  eq: { en: 'is during', de: 'liegt in' },
  gteq: { en: 'is during or after', de: 'liegt in oder nach' },
  gt: { en: 'is after', de: 'liegt nach' },
  neq: { en: 'is before or after', de: 'liegt vor oder nach' },
  isAnyOf: { en: 'is during one of', de: 'liegt in einem von' },
  isNoneOf: { en: 'is not during any of', de: 'liegt in keinem von' },
};

export const OPERATOR_WORDS: Readonly<Record<Kind, Readonly<Record<string, Words>>>> = {
  name: NAMES,
  amount: AMOUNTS,
  moment: MOMENTS,
  duration: DURATIONS,
  period: PERIODS,
  delay: DELAYS,
  phase: PHASES,
  interval: INTERVALS,
};

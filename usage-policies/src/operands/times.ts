/** Operands of time: dateTime, elapsedTime, meteredTime, delayPeriod, timeInterval, event; and how often: count. */
import type { UsageEvent, UsageRequest, UsageState } from '../model.ts';
import { Unreadable } from '../policy-error.ts';
import { SPAN_COMPARISONS, after, before, readDuration, readSpan, type Duration } from '../time.ts';
import { itemsOf, onlyItem, readCount, readText } from '../values.ts';
import { listed, shown } from '../wording.ts';
import { NUMBER_COMPARISONS } from './amounts.ts';
import { valuesOf } from './known-values.ts';
import { HOLDS, fails, spend, spent, unknown, type Evaluation, type Operand, type Test } from './operand.ts';

const MOMENTS: Readonly<Record<string, { words: string; refusal: string }>> = {
  lt: { words: 'before', refusal: 'The agreement ended on' },
  lteq: { words: 'up to', refusal: 'The agreement ended on' },
  gt: { words: 'after', refusal: 'The agreement begins only after' },
  gteq: { words: 'from', refusal: 'The agreement begins on' },
  eq: { words: 'exactly', refusal: 'The agreement is for one moment only,' },
  neq: { words: 'not exactly', refusal: 'The agreement excludes the moment' },
};

const ENDING: ReadonlySet<string> = new Set(['lt', 'lteq']);

/** The moment of the use, by this node's clock, against an xsd:dateTime or xsd:date. */
export const dateTime: Operand = {
  operators: Object.keys(SPAN_COMPARISONS),
  actions: 'any',
  rules: 'any',
  read(raw, operator, dataType) {
    const span = readSpan(onlyItem(raw), dataType);
    const compare = SPAN_COMPARISONS[operator];
    const saying = MOMENTS[operator];
    if (compare === undefined || saying === undefined)
      throw new Unreadable(`operator ${shown(operator)} is not supported`);
    // Made once: a policy may list hundreds of them, and most fail.
    const failure = fails(`${saying.refusal} ${span.text}.`);
    const open = unknown(`${span.text} has no time zone, so it is not known whether it has come.`);
    const test: Test = ({ at }) => {
      const now = at.getTime();
      if (Number.isNaN(now)) return unknown('The time of the use is not known.');
      const outcome = compare(now, span);
      if (outcome === undefined) return open;
      return outcome ? HOLDS : failure;
    };
    return {
      value: span.text,
      words: `the time is ${saying.words} ${span.text}`,
      test,
      ...(ENDING.has(operator) ? { expires: true } : {}),
      moment: () => span.from,
    };
  },
};

/** What was done of the rule's action up to the moment of the request; undefined: no history. */
function done(request: UsageRequest, state: UsageState, evaluation: Evaluation): readonly UsageEvent[] | undefined {
  return evaluation.exercised(request, state, evaluation);
}

function first(events: readonly UsageEvent[]): number | undefined {
  let start: number | undefined;
  for (const { at } of events) if (start === undefined || at.getTime() < start) start = at.getTime();
  return start;
}

/**
 * When the clock for elapsed time starts: at the first exercise of the action (ODRL Vocabulary, elapsedTime). Without
 * a history at the agreement, which is no later.
 */
function startOf(request: UsageRequest, state: UsageState, evaluation: Evaluation): number | undefined | 'not-yet' {
  if (evaluation.elapsedFrom === 'agreement') return state.agreedAt?.getTime();
  const events = evaluation.started(request, state, evaluation);
  if (events !== undefined) return first(events) ?? 'not-yet';
  if (state.agreedAt !== undefined) return state.agreedAt.getTime();
  return state.spent.uses === 0 && state.spent.rounds === 0 ? 'not-yet' : undefined;
}

/** Time since the first use. `eq` is read as the vocabulary's note says: the period that there is. */
export const elapsedTime: Operand = {
  operators: ['eq', 'lt', 'lteq', 'gt', 'gteq'],
  actions: 'any',
  rules: 'any',
  read(raw, operator, dataType) {
    const period = readDuration(onlyItem(raw), dataType);
    const within = operator === 'eq' || operator === 'lt' || operator === 'lteq';
    const words = `${within ? 'no more than' : 'more than'} ${period.text} have passed since the first use`;
    const test: Test = (request, state, evaluation) => {
      const start = startOf(request, state, evaluation);
      if (start === undefined) return unknown('It is not known when the first use was.');
      const now = request.at.getTime();
      // The first use starts the clock.
      const end = after(start === 'not-yet' ? now : start, period);
      const holds =
        operator === 'lt' ? now < end : operator === 'gt' ? now > end : operator === 'gteq' ? now >= end : now <= end;
      if (holds) return HOLDS;
      return fails(within ? `The period of ${period.text} is over.` : `The period of ${period.text} is not over yet.`);
    };
    return { value: period.text, words, test, ...(within ? { expires: true } : {}) };
  },
};

/** Time between a trigger and the action: the agreement, or the constraint before it in an `andSequence`. */
export const delayPeriod: Operand = {
  operators: ['eq', 'gt', 'gteq'],
  actions: 'any',
  rules: 'any',
  read: (raw, operator, dataType) => readDelay(raw, operator, dataType, (state) => state.agreedAt?.getTime()),
};

/** A delay that is counted from a moment which something else gives. */
export function readDelay(
  raw: unknown,
  operator: string,
  dataType: string | undefined,
  trigger: (state: UsageState, request: UsageRequest, evaluation: Evaluation) => number | undefined,
) {
  const period = readDuration(onlyItem(raw), dataType);
  const test: Test = (request, state, evaluation) => {
    const start = trigger(state, request, evaluation);
    if (start === undefined) return unknown(`It is not known when the delay of ${period.text} began.`);
    const end = after(start, period);
    const over = operator === 'gt' ? request.at.getTime() > end : request.at.getTime() >= end;
    return over ? HOLDS : fails(`The delay of ${period.text} is not over yet.`);
  };
  return { value: period.text, words: `${period.text} have passed`, test };
}

/** Time of use added up over all uses (`until` of each event), with what the request says it will take. */
export const meteredTime: Operand = {
  operators: ['eq', 'lt', 'lteq'],
  actions: 'any',
  rules: 'any',
  read(raw, operator, dataType) {
    const period = readDuration(onlyItem(raw), dataType);
    const limit = after(0, period);
    const words = `it is used for no more than ${period.text} in all`;
    const test: Test = (request, state, evaluation) => {
      const events = done(request, state, evaluation);
      if (events === undefined && state.spent.uses > 0) return unknown('It is not known for how long it was used.');
      let total = 0;
      for (const { at, until } of events ?? []) {
        if (until === undefined) return unknown('It is not known for how long it was used: a use has no end.');
        total += Math.max(0, until.getTime() - at.getTime());
      }
      const [stated] = valuesOf(request, 'meteredTime') ?? [];
      if (stated !== undefined) {
        const expected = typeof stated === 'string' ? durationIn(stated) : undefined;
        if (expected === undefined)
          return unknown(`It is not said as a duration how long the use will take: ${words}.`);
        total += after(0, expected);
        return (operator === 'lt' ? total < limit : total <= limit)
          ? HOLDS
          : fails(`That exceeds ${period.text} of use.`);
      }
      return total < limit ? HOLDS : fails(`The time of ${period.text} is used up.`);
    };
    return { value: period.text, words, test };
  },
};

function durationIn(text: string): Duration | undefined {
  try {
    return readDuration(text);
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** Once in every period (ODRL Vocabulary, timeInterval). */
export const timeInterval: Operand = {
  operators: ['eq'],
  actions: 'any',
  rules: 'any',
  read(raw, _operator, dataType) {
    const period = readDuration(onlyItem(raw), dataType);
    const test: Test = (request, state, evaluation) => {
      const events = done(request, state, evaluation);
      if (events === undefined && state.spent.uses > 0) return unknown('It is not known when the last use was.');
      const since = before(request.at.getTime(), period);
      const recent = (events ?? []).some(({ at }) => at.getTime() > since);
      return recent ? fails(`It was used within the last ${period.text} already.`) : HOLDS;
    };
    return { value: period.text, words: `it is used once in ${period.text} at most`, test };
  },
};

/** ODRL's right operand for the moment of the use, in the normal form of names. */
export const POLICY_USAGE = 'policyUsage';
const POLICY_USAGE_NAMES: ReadonlySet<string> = new Set([
  POLICY_USAGE,
  `odrl:${POLICY_USAGE}`,
  `http://www.w3.org/ns/odrl/2/${POLICY_USAGE}`,
]);

/** Whether a right operand is the moment of the use. */
export function isPolicyUsage(raw: unknown): boolean {
  try {
    return POLICY_USAGE_NAMES.has(readText(onlyItem(raw)));
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
}

type Phase = 'before' | 'during' | 'after';
const PHASES: Readonly<Record<string, readonly Phase[]>> = {
  lt: ['before'],
  lteq: ['before', 'during'],
  eq: ['during'],
  isAnyOf: ['during'],
  gteq: ['during', 'after'],
  gt: ['after'],
  neq: ['before', 'after'],
  isNoneOf: ['before', 'after'],
};

/** Before, during or after an event that has a name. */
export const event: Operand = {
  operators: Object.keys(PHASES),
  actions: 'any',
  rules: 'any',
  unordered: true,
  read(raw, operator, dataType) {
    const phases = PHASES[operator];
    const names = itemsOf(raw).map((item) => readText(item, dataType));
    const several = operator === 'isAnyOf' || operator === 'isNoneOf';
    if (phases === undefined || names.length === 0 || (names.length > 1 && !several)) {
      throw new Unreadable('exactly one event is expected');
    }
    if (names.some((name) => POLICY_USAGE_NAMES.has(name))) {
      throw new Unreadable('the use itself is an event for a duty only');
    }
    const words = `it is ${phases.join(' or ')} ${listed(names)}`;
    const test: Test = (request, state, evaluation) => {
      spend(evaluation, names.length);
      const found = names.map((name): Phase | undefined => {
        const period = Object.hasOwn(state.events ?? {}, name) ? state.events?.[name] : undefined;
        if (period === undefined) return undefined;
        if (request.at < period.from) return 'before';
        return period.to === undefined || request.at <= period.to ? 'during' : 'after';
      });
      const told = new Set(found.map((phase) => (phase === undefined ? undefined : phases.includes(phase))));
      const enough = operator === 'isAnyOf' ? told.has(true) : !told.has(false) && !told.has(undefined);
      if (enough) return HOLDS;
      const open = operator === 'isAnyOf' ? told.has(undefined) : !told.has(false);
      if (open) return unknown(`It is not known when ${listed(names)} is: the agreement is for when ${words}.`);
      return fails(`The agreement is for when ${words}.`);
    };
    return { value: several ? names : names[0], words, test };
  },
};

/** Uses in all, this one included, against what the ledger has charged or the history shows, whichever is more. */
export const count: Operand = {
  operators: Object.keys(NUMBER_COMPARISONS),
  actions: ['use'],
  rules: 'any',
  reads: ['status'],
  read(raw, operator, dataType, { status = 0 } = {}) {
    const value = readCount(onlyItem(raw), dataType);
    const comparison = NUMBER_COMPARISONS[operator];
    if (comparison === undefined) throw new Unreadable(`operator ${shown(operator)} is not supported`);
    const ceiling = operator === 'lt' ? value - 1 : operator === 'lteq' || operator === 'eq' ? value : undefined;
    const test: Test = (request, state, evaluation) => {
      const recorded = done(request, state, evaluation)?.length ?? 0;
      const uses = Math.max(state.spent.uses, recorded) + status;
      if (comparison.compare(uses + 1, value)) return HOLDS;
      if (ceiling !== undefined && uses + 1 > ceiling) {
        return spent(`The agreed number of uses is spent: ${uses} of ${Math.max(ceiling, 0)} are charged.`);
      }
      return fails(`This would be use ${uses + 1}; the agreement is for ${comparison.words}${value}.`);
    };
    return {
      value,
      words:
        ceiling === undefined || operator === 'eq'
          ? `the number of uses is ${comparison.words}${value}`
          : `at most ${Math.max(ceiling, 0)} uses in all`,
      test,
      ...(ceiling === undefined ? {} : { limit: { uses: Math.max(ceiling - status, 0) } }),
    };
  },
};
